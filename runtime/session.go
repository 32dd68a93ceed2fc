package runtime

import (
	"fmt"
	goruntime "runtime"
	"unsafe"

	"modelc/runtime/kernel"
)

// Options configures a session.
type Options struct {
	// Plan, unless nil, is another plan on the weights of the model, for another
	// batch size.
	Plan *Plan
	// Threads is the number of goroutines of a run; 0 means GOMAXPROCS.
	Threads int
}

// Session owns the memory that one run needs. Use one per goroutine.
type Session struct {
	model *Model
	plan  *Plan
	ctx   *kernel.Context
}

// NewSession returns a session with its own arena and workers. Close releases the
// workers. A session that is never closed keeps them parked until the garbage
// collector finds it.
func (m *Model) NewSession(o Options) *Session {
	if o.Threads <= 0 {
		o.Threads = goruntime.GOMAXPROCS(0)
	}
	if o.Plan == nil {
		o.Plan = m.plan
	}
	s := &Session{model: m, plan: o.Plan, ctx: m.newContext(o.Threads, o.Plan, o.Plan.Steps, o.Plan.ArenaBytes, &m.ready)}
	goruntime.AddCleanup(s, func(end func()) { end() }, s.ctx.Closer())
	return s
}

// io returns the space of port i, counted through inputs, then outputs.
func io(i int) kernel.Space { return kernel.IO + kernel.Space(i) }

// Bind sets the memory of port i, counted through inputs, then outputs. The error
// of a wrong size names both numbers of elements.
func (s *Session) Bind(i int, mem []byte) error {
	var p Port
	if n := len(s.plan.Inputs); i < n {
		p = s.plan.Inputs[i]
	} else {
		p = s.plan.Outputs[i-n]
	}
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

// Run computes the outputs from the bound inputs. It allocates nothing.
func (s *Session) Run() error {
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

// RunSteps is Run that calls after behind each step, for profiles and for
// comparing intermediate values.
func (s *Session) RunSteps(after func(i int, step Step)) {
	for i, st := range s.plan.Steps {
		st.Kernel.Run(s.ctx)
		after(i, st)
	}
	goruntime.KeepAlive(s)
}

// Memory returns the bytes of r as the last run left them. elem is the size of an
// element in bytes.
func (s *Session) Memory(r kernel.Ref, elem int) []byte { return s.ctx.Bytes(r, elem) }

// Close ends the workers of the session.
func (s *Session) Close() { s.ctx.Closer()() }

// BytesOf returns the memory of s as bytes, without a copy.
func BytesOf[T kernel.Number | ~bool](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	var z T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(z)))
}
