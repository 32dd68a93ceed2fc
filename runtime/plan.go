package runtime

import (
	"fmt"
	goruntime "runtime"
	"unsafe"
)

// Kernel is one step of a plan. Implementations are structs of constants: the
// operands as [Ref] or [Image] and every extent.
type Kernel interface {
	// Run computes the step. It allocates nothing and may use every worker of
	// the session; the result does not depend on their number, bit for bit.
	Run(c *Context)
	// ScratchBytes is the memory each worker needs while the step runs.
	ScratchBytes() int
}

// Step is a kernel with the name of the layer it computes.
type Step struct {
	Name   string
	Kernel Kernel
}

// Port is an input or output of a model.
type Port struct {
	Name  string
	Type  string // element type as in ir: "f32", "i64", …
	Shape []int
	Bytes int
}

// Plan is a compiled network without its weights.
type Plan struct {
	ArenaBytes    int
	WeightsBytes  int
	PreparedBytes int
	// Double makes convolutions and dense layers accumulate in float64 and
	// round each sum once, at a fraction of the speed.
	Double  bool
	Inputs  []Port
	Outputs []Port
	// Load runs once per model: it fills Prepared from Weights.
	Load []Step
	// Steps compute the outputs from the inputs.
	Steps []Step
}

// Model is a plan bound to its weights. It is immutable: any number of
// sessions on any number of goroutines may share it.
type Model struct {
	plan     *Plan
	weights  []byte
	prepared []byte
}

// NewModel checks the weights' size, prepares what the plan wants prepared
// and returns the model. weights is kept, not copied; copying happens only
// where its memory does not start on a multiple of 4 bytes.
func NewModel(p *Plan, weights []byte) (*Model, error) {
	if len(weights) != p.WeightsBytes {
		return nil, fmt.Errorf("modelc: the weights are %d bytes, the package was generated for %d", len(weights), p.WeightsBytes)
	}
	if len(weights) > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(weights)))%4 != 0 {
		w := alignedBytes(len(weights))
		copy(w, weights)
		weights = w
	}
	m := &Model{plan: p, weights: weights, prepared: alignedBytes(p.PreparedBytes)}
	if len(p.Load) > 0 {
		c := m.newContext(goruntime.GOMAXPROCS(0), p.Load, 0)
		defer c.team.close()
		for _, s := range p.Load {
			s.Kernel.Run(c)
			if k, ok := s.Kernel.(interface{ source() Ref }); ok { // of no more use
				release(c.bytes(k.source(), 4))
			}
		}
	}
	return m, nil
}

func (m *Model) newContext(threads int, steps []Step, arena int) *Context {
	scratch := 0
	for _, s := range steps {
		scratch = max(scratch, s.Kernel.ScratchBytes())
	}
	c := &Context{team: newTeam(threads), double: m.plan.Double}
	c.spaces = make([][]byte, int(IO)+len(m.plan.Inputs)+len(m.plan.Outputs))
	c.spaces[Arena] = alignedBytes(arena)
	c.spaces[Weights] = m.weights
	c.spaces[Prepared] = m.prepared
	// An odd number of cache lines apart, so that workers do not share sets.
	c.scratch = make([][]byte, threads)
	for i := range c.scratch {
		c.scratch[i] = alignedBytes(scratch + 64)[:scratch:scratch]
	}
	return c
}

// Options configures a session.
type Options struct {
	// Threads is how many goroutines one Run uses; 0 means GOMAXPROCS.
	Threads int
}

// Session owns the memory one inference needs. Use one per goroutine.
type Session struct {
	model *Model
	ctx   *Context
}

// NewSession returns a session with its own arena and workers. Close releases
// the workers; a session that is never closed keeps them parked.
func (m *Model) NewSession(o Options) *Session {
	if o.Threads <= 0 {
		o.Threads = goruntime.GOMAXPROCS(0)
	}
	s := &Session{model: m, ctx: m.newContext(o.Threads, m.plan.Steps, m.plan.ArenaBytes)}
	goruntime.AddCleanup(s, func(t *team) { t.close() }, s.ctx.team)
	return s
}

// Bind sets the memory of port i, counted through inputs, then outputs.
func (s *Session) Bind(i int, mem []byte) error {
	p := s.model.plan
	port := Port{}
	kind := "input"
	if i < len(p.Inputs) {
		port = p.Inputs[i]
	} else {
		port, kind = p.Outputs[i-len(p.Inputs)], "output"
	}
	if len(mem) != port.Bytes {
		return fmt.Errorf("modelc: %s %q holds %d bytes, want %d: %s%v", kind, port.Name, len(mem), port.Bytes, port.Type, port.Shape)
	}
	s.ctx.spaces[int(IO)+i] = mem
	return nil
}

// Run computes the outputs from the bound inputs. It allocates nothing.
func (s *Session) Run() error {
	for i := range s.model.plan.Inputs {
		if s.ctx.spaces[int(IO)+i] == nil && s.model.plan.Inputs[i].Bytes > 0 {
			return fmt.Errorf("modelc: input %q is not bound", s.model.plan.Inputs[i].Name)
		}
	}
	for i := range s.model.plan.Steps {
		s.model.plan.Steps[i].Kernel.Run(s.ctx)
	}
	return nil
}

// RunSteps is Run with a function called after each step, for profiles and
// for comparing intermediate values.
func (s *Session) RunSteps(after func(i int, step Step)) {
	for i, st := range s.model.plan.Steps {
		st.Kernel.Run(s.ctx)
		after(i, st)
	}
}

// Memory returns the bytes of r as the last run left them. elem is the size
// of an element.
func (s *Session) Memory(r Ref, elem int) []byte { return s.ctx.bytes(r, elem) }

// Close ends the session's workers.
func (s *Session) Close() { s.ctx.team.close() }
