package main

import "context"

// gate limits the requests of all models together, which limits the memory and the
// processors that they use. A request that exceeds the limit is refused.
type gate struct {
	inside chan struct{} // one element per admitted request, working or waiting
	work   chan struct{} // one element per request at work
}

// newGate returns a gate for the given number of requests at work and of requests
// that may wait.
func newGate(work, queue int) *gate {
	return &gate{make(chan struct{}, work+queue), make(chan struct{}, work)}
}

// enter admits a request unless there are too many, and reports whether it did. An
// admitted request must call leave.
func (g *gate) enter() bool {
	select {
	case g.inside <- struct{}{}:
		return true
	default:
		return false
	}
}

func (g *gate) leave() { <-g.inside }

// begin waits until an admitted request may work, or until ctx is done. Then the
// request must call end.
func (g *gate) begin(ctx context.Context) error {
	select {
	case g.work <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) end() { <-g.work }
