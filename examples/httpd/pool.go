package main

import (
	"context"

	"example.com/httpd/network"
)

// pool holds the sessions of a model, which share its weights. It admits a limited
// number of requests, which limits the memory too. A request that exceeds the limit
// is refused.
type pool struct {
	inside chan struct{}         // one element per admitted request, working or waiting
	free   chan *network.Session // sessions that are not in use
}

// newPool returns a pool with the given number of sessions and of requests that may
// wait. Each session has one goroutine, which gives the highest throughput if there
// are enough requests.
func newPool(m *network.Model, sessions, queue int) *pool {
	p := &pool{make(chan struct{}, sessions+queue), make(chan *network.Session, sessions)}
	for range sessions {
		p.free <- m.NewSession(network.Threads(1))
	}
	return p
}

// enter admits a request unless the pool is full and reports whether it did. An
// admitted request must call leave.
func (p *pool) enter() bool {
	select {
	case p.inside <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p *pool) leave() { <-p.inside }

// get waits for a session until ctx is done. The caller returns the session with
// put.
func (p *pool) get(ctx context.Context) (*network.Session, error) {
	select {
	case s := <-p.free:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pool) put(s *network.Session) { p.free <- s }

// close waits for all sessions and releases them.
func (p *pool) close() {
	for range cap(p.free) {
		(<-p.free).Close()
	}
}
