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
	// Graph is the SHA-256 of everything but the values of the weights. A file
	// of weights carries that of the plan it was packed for.
	Graph         [32]byte
	ArenaBytes    int
	WeightsBytes  int
	PreparedBytes int
	// Double makes convolutions and dense layers accumulate in float64 and
	// round each sum once, at a fraction of the speed.
	Double  bool
	Inputs  []Port
	Outputs []Port
	// Load runs once per model: it fills Prepared from Weights. Its kernels are
	// [WinogradWeights], [StrassenWeights] and [Widen].
	Load []Step
	// Steps compute the outputs from the inputs.
	Steps []Step
}

// Model is a plan bound to its weights. It is immutable: any number of
// sessions on any number of goroutines may share it.
type Model struct {
	plan        *Plan
	weights     []byte
	prepared    []byte
	preparation preparation
}

// NewModel checks the weights' size and returns the model. What the plan wants
// prepared is prepared behind it, where runs wait for what they read. weights
// is kept, not copied; copying happens only where its memory does not start on
// a multiple of 4 bytes.
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
	m.preparation.init()
	if len(p.Load) > 0 {
		go m.prepare()
	}
	return m, nil
}

// newContext returns what the steps of p need to run.
func (m *Model) newContext(threads int, p *Plan, steps []Step, arena int) *Context {
	scratch := 0
	for _, s := range steps {
		scratch = max(scratch, s.Kernel.ScratchBytes())
	}
	c := &Context{team: newTeam(threads), double: p.Double}
	c.spaces = make([][]byte, int(IO)+len(p.Inputs)+len(p.Outputs))
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
	// Plan, unless nil, is another plan on the model's weights: that of another
	// batch size.
	Plan *Plan
	// Threads is how many goroutines one Run uses; 0 means GOMAXPROCS.
	Threads int
}

// Session owns the memory one inference needs. Use one per goroutine.
type Session struct {
	model *Model
	plan  *Plan
	ctx   *Context
}

// NewSession returns a session with its own arena and workers. Close releases
// the workers; a session that is never closed keeps them parked.
func (m *Model) NewSession(o Options) *Session {
	if o.Threads <= 0 {
		o.Threads = goruntime.GOMAXPROCS(0)
	}
	if o.Plan == nil {
		o.Plan = m.plan
	}
	s := &Session{model: m, plan: o.Plan, ctx: m.newContext(o.Threads, o.Plan, o.Plan.Steps, o.Plan.ArenaBytes)}
	s.ctx.preparation = &m.preparation
	goruntime.AddCleanup(s, func(t *team) { t.close() }, s.ctx.team)
	return s
}

// Bind sets the memory of port i, counted through inputs, then outputs. The
// error of a wrong size says how many elements there are and should be.
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
	s.ctx.spaces[int(IO)+i] = mem
	return nil
}

// Run computes the outputs from the bound inputs. It allocates nothing.
func (s *Session) Run() error {
	for i := range s.plan.Inputs {
		if s.ctx.spaces[int(IO)+i] == nil && s.plan.Inputs[i].Bytes > 0 {
			return fmt.Errorf("modelc: input %q is not bound", s.plan.Inputs[i].Name)
		}
	}
	for i := range s.plan.Steps {
		s.plan.Steps[i].Kernel.Run(s.ctx)
	}
	goruntime.KeepAlive(s) // or its cleanup and the model's may run with the last step
	return nil
}

// RunSteps is Run with a function called after each step, for profiles and
// for comparing intermediate values.
func (s *Session) RunSteps(after func(i int, step Step)) {
	for i, st := range s.plan.Steps {
		st.Kernel.Run(s.ctx)
		after(i, st)
	}
	goruntime.KeepAlive(s)
}

// Memory returns the bytes of r as the last run left them. elem is the size
// of an element.
func (s *Session) Memory(r Ref, elem int) []byte { return s.ctx.bytes(r, elem) }

// Close ends the session's workers.
func (s *Session) Close() { s.ctx.team.close() }
