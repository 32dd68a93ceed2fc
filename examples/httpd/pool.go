package main

import (
	"context"

	"example.com/httpd/network"
)

// pool lends the sessions of one model, whose weights they share. It admits a
// bounded number of requests, so that memory is bounded too: whoever comes
// when it is full is sent away.
type pool struct {
	inside chan struct{}         // an element per request admitted, at work or waiting
	free   chan *network.Session // nobody's at the moment
}

// newPool makes so many sessions, for which so many more requests may wait.
// Each session has one goroutine: with enough requests that is the highest
// throughput.
func newPool(m *network.Model, sessions, queue int) *pool {
	p := &pool{make(chan struct{}, sessions+queue), make(chan *network.Session, sessions)}
	for range sessions {
		p.free <- m.NewSession(network.Threads(1))
	}
	return p
}

// enter admits a request and reports whether it could. Those admitted leave.
func (p *pool) enter() bool {
	select {
	case p.inside <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p *pool) leave() { <-p.inside }

// get waits for a session until ctx ends. The session goes back with put.
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
