package main

import (
	"fmt"
	"image"
	"sync"

	"modelc/runtime"
	"modelc/runtime/vision"
)

// model is a network that the service offers: a generated package with its weights,
// which can be replaced while requests use it.
type model struct {
	name    string // in the path of requests
	scores  string // the kind of its scores, such as probability
	weights string // the file of the weights, "" for those in the package
	open    func(weights string) (runtime.AnyModel, error)

	mu     sync.Mutex
	loaded runtime.AnyModel
	idle   []*session // sessions of loaded that no request uses
}

// session classifies pictures. Only one request at a time may use it.
type session struct {
	predictor
	of runtime.AnyModel
}

// predictor is the Session of a package that was compiled with --preprocess.
type predictor interface {
	Predict(image.Image) ([]vision.Class, error)
	Close()
}

// newModel returns a model of a generated package: the package's constant Scores and
// its functions New and WithWeights.
func newModel[M runtime.AnyModel](name, scores string, embedded func() (M, error), withWeights func(path string) (M, error)) *model {
	return &model{name: name, scores: scores, open: func(weights string) (runtime.AnyModel, error) {
		if weights == "" {
			return embedded()
		}
		return withWeights(weights)
	}}
}

// newSession returns a session with one thread, which gives the highest throughput
// if there are enough requests.
func newSession(of runtime.AnyModel) (*session, error) {
	s, err := of.NewAnySession(runtime.Threads(1))
	if err != nil {
		return nil, err
	}
	p, ok := s.(predictor)
	if !ok {
		s.Close()
		return nil, fmt.Errorf("%T has no method Predict: compile the model with --preprocess", s)
	}
	return &session{p, of}, nil
}

// load opens the weights and classifies a picture with them, which waits until they
// are prepared. Then it replaces the weights in use. Requests that are at work finish
// with the old ones. If load fails, the old weights stay in use.
func (m *model) load() error {
	next, err := m.open(m.weights)
	if err != nil {
		return fmt.Errorf("model %s: %w", m.name, err)
	}
	s, err := newSession(next)
	if err == nil {
		_, err = s.Predict(image.NewGray(image.Rect(0, 0, 1, 1)))
	}
	if err != nil {
		next.Close()
		return fmt.Errorf("model %s: %w", m.name, err)
	}
	m.replace(next, []*session{s})
	return nil
}

// close releases the memory of the model when the last request has returned its
// session.
func (m *model) close() { m.replace(nil, nil) }

func (m *model) replace(next runtime.AnyModel, sessions []*session) {
	m.mu.Lock()
	old, idle := m.loaded, m.idle
	m.loaded, m.idle = next, sessions
	m.mu.Unlock()
	for _, s := range idle {
		s.Close()
	}
	if old != nil {
		old.Close()
	}
}

// get returns an idle session, or a new one. The caller returns it with put.
func (m *model) get() (*session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.idle); n > 0 {
		s := m.idle[n-1]
		m.idle = m.idle[:n-1]
		return s, nil
	}
	if m.loaded == nil {
		return nil, fmt.Errorf("model %s is not loaded", m.name)
	}
	return newSession(m.loaded)
}

func (m *model) put(s *session) {
	m.mu.Lock()
	current := s.of == m.loaded
	if current {
		m.idle = append(m.idle, s)
	}
	m.mu.Unlock()
	if !current { // the weights were replaced
		s.Close()
	}
}

// info describes the model in use.
func (m *model) info() runtime.Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loaded == nil {
		return runtime.Info{}
	}
	return m.loaded.Info()
}
