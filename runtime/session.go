package runtime

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"sync/atomic"
	"unsafe"

	"modelc/runtime/kernel"
)

// Options configures a session.
type Options struct {
	// Plan replaces the plan of the model, unless it is nil. It is a plan for the
	// same weights and another batch size.
	Plan *Plan
	// Threads is the number of goroutines that compute a run; 0 means GOMAXPROCS.
	Threads int
}

// The errors of a session that cannot begin a run.
var (
	// ErrInUse says that another goroutine uses the session.
	ErrInUse = errors.New("session is in use: every goroutine needs its own")
	// ErrClosed says that the session is closed.
	ErrClosed = errors.New("session is closed")
)

// Session owns the memory and the workers that one run needs. Only one goroutine at
// a time may use it. Begin and End reserve it.
type Session struct {
	model *Model
	plan  *Plan
	ctx   *kernel.Context
	state atomic.Int32
	err   error // why the session cannot run, unless nil
}

// The states of a session.
const (
	idle    = iota
	running // between Begin and End
	closing // running, and closed by End
	closed
)

// NewSession returns a session with its own arena and workers. Close releases the
// workers. A session that is never closed keeps them parked until the garbage
// collector finds it. If [Plan.Verify] refuses o.Plan, or if it is a plan for other
// weights, Begin, Bind and Run return the error.
func (m *Model) NewSession(o Options) *Session {
	if m == nil {
		return nil // Begin of no session fails with ErrClosed
	}
	if o.Threads <= 0 {
		o.Threads = goruntime.GOMAXPROCS(0)
	}
	if o.Plan == nil {
		o.Plan = m.plan
	}
	if err := m.accepts(o.Plan); err != nil {
		return &Session{err: err}
	}
	s := &Session{model: m, plan: o.Plan, ctx: m.newContext(o.Threads, o.Plan, o.Plan.Steps, o.Plan.ArenaBytes, &m.ready)}
	goruntime.AddCleanup(s, func(end func()) { end() }, s.ctx.Closer())
	return s
}

// accepts returns an error if the sessions of m must not run p.
func (m *Model) accepts(p *Plan) error {
	switch {
	case p == m.plan:
		return nil
	case p.WeightsBytes != m.plan.WeightsBytes || p.PreparedBytes != m.plan.PreparedBytes || len(p.Load) != len(m.plan.Load):
		return errors.New("the plan was compiled for other weights")
	}
	return p.Verify(nil)
}

// Begin reserves the session for the caller until End. It fails with ErrInUse or
// ErrClosed, or if the session cannot run its plan.
func (s *Session) Begin() error {
	switch {
	case s == nil:
		return ErrClosed
	case s.err != nil:
		return s.err
	case s.state.CompareAndSwap(idle, running):
		return nil
	case s.state.Load() == closed:
		return ErrClosed
	}
	return ErrInUse
}

// End ends the reservation of Begin. If Close was called since, it closes the
// session.
func (s *Session) End() {
	if !s.state.CompareAndSwap(running, idle) {
		s.state.Store(closed)
		s.ctx.Closer()()
	}
}

// Close ends the workers of the session. During a run it returns at once, and the
// session closes at the end of the run.
func (s *Session) Close() {
	if s == nil || s.err != nil {
		return
	}
	for {
		switch s.state.Load() {
		case idle:
			if s.state.CompareAndSwap(idle, closed) {
				s.ctx.Closer()()
				return
			}
		case running:
			if s.state.CompareAndSwap(running, closing) {
				return
			}
		default:
			return
		}
	}
}

// io returns the space of port i. Ports are numbered consecutively, inputs first.
func io(i int) kernel.Space { return kernel.IO + kernel.Space(i) }

// Bind makes mem the memory of port i. Ports are numbered consecutively, inputs
// first. Bind fails if mem does not have the size of the port.
func (s *Session) Bind(i int, mem []byte) error {
	if s.err != nil {
		return s.err
	}
	p := s.plan.port(i)
	if len(mem) != p.Bytes {
		n := 1
		for _, d := range p.Shape {
			n *= d
		}
		got := len(mem)
		if n > 0 {
			got /= p.Bytes / n
		}
		return fmt.Errorf("%d elements, want %d: %s%v", got, n, p.Type, p.Shape)
	}
	s.ctx.Bind(io(i), mem)
	return nil
}

// Run computes the outputs from the bound inputs. It fails if an input is not
// bound. It allocates nothing.
func (s *Session) Run() error {
	if s.err != nil {
		return s.err
	}
	for i := range s.plan.Inputs {
		if !s.ctx.Bound(io(i)) && s.plan.Inputs[i].Bytes > 0 {
			return fmt.Errorf("modelc: input %q is not bound", s.plan.Inputs[i].Name)
		}
	}
	for i := range s.plan.Steps {
		s.plan.Steps[i].Kernel.Run(s.ctx)
	}
	goruntime.KeepAlive(s) // otherwise the cleanups of s and of the model may run during the last step
	return nil
}

// RunSteps computes the outputs like Run and calls after at the end of each step,
// for profiles and for comparisons of intermediate values. All inputs must be bound.
func (s *Session) RunSteps(after func(i int, step Step)) {
	for i, st := range s.plan.Steps {
		st.Kernel.Run(s.ctx)
		after(i, st)
	}
	goruntime.KeepAlive(s)
}

// Memory returns the memory of r with the values of the last run. elem is the size
// of an element in bytes.
func (s *Session) Memory(r kernel.Ref, elem int) []byte { return s.ctx.Bytes(r, elem) }

// BytesOf returns the memory of s as bytes, without a copy.
func BytesOf[T kernel.Number | ~bool](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	var z T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(z)))
}
