package runtime

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"modelc/runtime/kernel"
)

// Options configures a session.
type Options struct {
	// Plan replaces the plan of the model, unless it is nil. It is a plan for the
	// same weights and another batch size. Its load steps do not run.
	Plan *Plan
	// Threads is the number of goroutines that compute a run; 0 means GOMAXPROCS.
	Threads int
	// Budget, unless nil, is a channel that sessions of any models share. Its capacity
	// is the number of threads that compute at the same time.
	Budget chan struct{}
}

// Option changes the options of a session.
type Option func(*Options)

// Threads sets [Options].Threads.
func Threads(n int) Option { return func(o *Options) { o.Threads = n } }

// Budget sets [Options].Budget. A run waits until a thread is free, and takes further
// free ones, at most those of the session. The results are the same, bit for bit.
func Budget(threads chan struct{}) Option { return func(o *Options) { o.Budget = threads } }

// Session owns the memory and the workers that one run needs. Only one goroutine at
// a time may use it. Begin and End reserve it.
type Session struct {
	model   *loaded
	plan    *Plan
	ctx     *kernel.Context
	budget  chan struct{}
	state   atomic.Int32
	release func() // ends the workers and the use of the model, once
	err     error  // why the session cannot run, unless nil
}

// The states of a session.
const (
	idle    = iota
	running // between Begin and End
	closing // running, and closed by End
	closed
)

// NewSession returns a session with its own arena and workers. Close releases them. The
// garbage collector closes a session that is no longer used. Begin, Bind and Run return
// an error if the model is closed, if [Plan.Verify] refuses o.Plan, if it is a plan for
// other weights, or if o.Budget has no capacity.
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
	s := &Session{model: m.loaded, plan: o.Plan, budget: o.Budget, err: m.admit(o)}
	goruntime.KeepAlive(m) // otherwise its cleanup may close it
	if s.err != nil {
		return s
	}
	s.ctx = m.newContext(o.Threads, o.Plan, o.Plan.Steps, o.Plan.ArenaBytes, &m.ready)
	end, done := s.ctx.Closer(), m.done
	s.release = sync.OnceFunc(func() { end(); done() })
	goruntime.AddCleanup(s, func(release func()) { release() }, s.release)
	return s
}

// admit adds a session as a user of l, or returns the reason why l cannot have it.
func (l *loaded) admit(o Options) error {
	p := o.Plan
	if o.Budget != nil && cap(o.Budget) == 0 {
		return errors.New("the channel of the budget has no capacity, so that no run could begin")
	}
	if p != l.plan {
		if p.WeightsBytes != l.plan.WeightsBytes || p.PreparedBytes != l.plan.PreparedBytes {
			return errors.New("the plan was compiled for other weights")
		}
		run := *p
		run.Load = l.plan.Load
		if err := run.Verify(nil); err != nil {
			return err
		}
	}
	if !l.use() {
		return ErrClosed
	}
	return nil
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
		s.end()
	}
}

// end closes a session that no goroutine uses.
func (s *Session) end() {
	s.state.Store(closed)
	s.ctx.Discard()
	s.release()
}

// Close releases the memory and the workers of the session. During a run it returns at
// once, and the session closes at the end of the run.
func (s *Session) Close() {
	if s == nil || s.err != nil {
		return
	}
	for {
		switch s.state.Load() {
		case idle:
			if s.state.CompareAndSwap(idle, closed) {
				s.end()
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
	if err := s.usable(); err != nil {
		return err
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
		return fmt.Errorf("%w: %d elements, want %d: %s%v", ErrTensor, got, n, p.Type, p.Shape)
	}
	s.ctx.Bind(io(i), mem)
	return nil
}

// usable returns an error if the session cannot run, now or ever.
func (s *Session) usable() error {
	if s.err == nil && s.state.Load() == closed {
		return ErrClosed
	}
	return s.err
}

// Run computes the outputs from the bound inputs. It fails if an input is not
// bound. It allocates nothing.
func (s *Session) Run() error {
	if err := s.usable(); err != nil {
		return err
	}
	for i := range s.plan.Inputs {
		if !s.ctx.Bound(io(i)) && s.plan.Inputs[i].Bytes > 0 {
			return fmt.Errorf("%w: input %q is not bound", ErrTensor, s.plan.Inputs[i].Name)
		}
	}
	taken := s.take()
	p := s.plan
	for run := range p.Loop.Times {
		s.move(run)
		for i := range p.Steps[:p.Loop.Steps] {
			p.Steps[i].Kernel.Run(s.ctx)
		}
	}
	for i := range p.Steps[p.Loop.Steps:] {
		p.Steps[p.Loop.Steps+i].Kernel.Run(s.ctx)
	}
	for range taken {
		<-s.budget
	}
	goruntime.KeepAlive(s) // otherwise the cleanups of s and of the model may run during the last step
	return nil
}

// take takes threads of the budget for the next run: one, and further free ones.
func (s *Session) take() (n int) {
	if s.budget == nil {
		return 0
	}
	s.budget <- struct{}{}
	for n = 1; n < s.ctx.Threads(); n++ {
		select {
		case s.budget <- struct{}{}:
			continue
		default:
		}
		break
	}
	s.ctx.Use(n)
	return n
}

// move moves the views of the loop to a run.
func (s *Session) move(run int) {
	for i, w := range s.plan.Loop.Views {
		r := kernel.Ref{Space: w.Space, Off: w.Off + run*w.Bytes, Len: w.Bytes}
		s.ctx.Bind(io(len(s.plan.Inputs)+len(s.plan.Outputs)+i), s.ctx.Bytes(r, 1))
	}
}

// RunSteps computes the outputs like Run and calls after at the end of each step,
// for profiles and for comparisons of intermediate values. All inputs must be bound.
// run counts the runs of a step in a loop.
func (s *Session) RunSteps(after func(i, run int, step Step)) {
	p := s.plan
	for run := range p.Loop.Times {
		s.move(run)
		for i, st := range p.Steps[:p.Loop.Steps] {
			st.Kernel.Run(s.ctx)
			after(i, run, st)
		}
	}
	for i, st := range p.Steps[p.Loop.Steps:] {
		st.Kernel.Run(s.ctx)
		after(p.Loop.Steps+i, 0, st)
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
