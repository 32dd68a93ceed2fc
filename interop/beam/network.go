package beam

import (
	"fmt"
	"image"
	"runtime"
	"sync"

	"modelc/runtime/vision"
)

// Session is the part of a generated package's Session that [Predict] needs. The
// package must import the runtime of modelc, not a copy of it, and be compiled with
// --preprocess.
type Session interface {
	Predict(image.Image) ([]vision.Class, error)
	Close()
}

// Network is a generated package.
type Network struct {
	// Digest identifies the model in metrics: the SHA-256 in the header of the
	// package.
	Digest string
	// Open returns a function that makes sessions with one thread. The argument
	// is the path of a file of weights, or empty for the embedded weights.
	Open func(weights string) (func() Session, error)
}

var networks = map[string]Network{}

// Register gives a network a name. Call it in an init function, so that it has run
// in workers too. It panics if the name is taken.
func Register(name string, n Network) {
	if _, ok := networks[name]; ok {
		panic("beam: network " + name + " is registered twice")
	}
	networks[name] = n
}

// pool holds the sessions of an open network, which all bundles of the process
// share.
type pool struct {
	sessions chan Session
	users    int
}

type poolKey struct{ name, weights string }

var (
	poolsMu sync.Mutex // held while a network is opened, so that it is opened once
	pools   = map[poolKey]*pool{}
)

// acquire opens a network, unless it is open already. The caller must release it.
func acquire(k poolKey) (*pool, error) {
	poolsMu.Lock()
	defer poolsMu.Unlock()
	p := pools[k]
	if p == nil {
		n, ok := networks[k.name]
		if !ok {
			return nil, fmt.Errorf("beam: network %q is not registered in the worker's program", k.name)
		}
		newSession, err := n.Open(k.weights)
		if err != nil {
			return nil, err
		}
		p = &pool{sessions: make(chan Session, runtime.GOMAXPROCS(0))}
		for range cap(p.sessions) {
			p.sessions <- newSession()
		}
		pools[k] = p
	}
	p.users++
	return p, nil
}

// release closes the sessions of a network that has no other users.
func release(k poolKey) {
	poolsMu.Lock()
	defer poolsMu.Unlock()
	p := pools[k]
	if p.users--; p.users > 0 {
		return
	}
	delete(pools, k)
	for range cap(p.sessions) {
		(<-p.sessions).Close()
	}
}
