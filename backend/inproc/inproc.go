// Package inproc runs a program in this process, with the kernels that the
// generated package would use.
package inproc

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"modelc/backend/cpu"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime"
)

// Engine is a program with its weights and one session. One goroutine at a time may
// use it. Methods that run the program or bind inputs fail with [runtime.ErrInUse] if
// another goroutine uses the engine, and with [runtime.ErrClosed] after Close.
type Engine struct {
	program *cpu.Program
	model   *runtime.Model
	session *runtime.Session
	inputs  []ir.Type
	outputs []*ir.Tensor // bound to the session
}

// New packs the weights of p and returns an engine that runs p with the given
// number of threads. 0 stands for GOMAXPROCS. The caller must call Close.
func New(p *cpu.Program, threads int) (*Engine, error) {
	var w bytes.Buffer
	w.Grow(p.Plan.WeightsBytes)
	if err := p.WriteWeights(&w); err != nil {
		return nil, err
	}
	m, err := runtime.NewModel(p.Plan, w.Bytes())
	if err != nil {
		return nil, err
	}
	return newEngine(p, m, threads)
}

// Another returns an engine that has its own session and the weights of e. The caller must
// call Close.
func (e *Engine) Another(threads int) (*Engine, error) { return newEngine(e.program, e.model, threads) }

func newEngine(p *cpu.Program, m *runtime.Model, threads int) (*Engine, error) {
	e := &Engine{program: p, model: m, session: m.NewSession(runtime.Options{Threads: threads})}
	for _, v := range p.Graph.Inputs {
		e.inputs = append(e.inputs, v.Type)
	}
	for i, o := range p.Graph.Outputs {
		t := ir.NewTensor(o.Value.Type)
		e.outputs = append(e.outputs, t)
		if err := e.session.Bind(len(e.inputs)+i, t.Bytes()); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Wait returns when the weights are prepared: see [runtime.Model.Wait].
func (e *Engine) Wait() { e.model.Wait() }

// Close stops the workers, at the end of a run if there is one. The engine cannot run
// after that.
func (e *Engine) Close() { e.session.Close() }

// Run computes the outputs for the inputs in. Inputs and outputs are in the order
// of the graph's. It returns an error if the number or a type of the inputs
// differs from the graph's. The outputs are copies.
func (e *Engine) Run(in []*ir.Tensor) ([]*ir.Tensor, error) {
	if err := e.session.Begin(); err != nil {
		return nil, err
	}
	defer e.session.End()
	if err := e.bind(in); err != nil {
		return nil, err
	}
	if err := e.session.Run(); err != nil {
		return nil, err
	}
	return e.results(), nil
}

// Bind sets the inputs of the next runs. The runs read their elements in place. It
// returns an error if the number or a type of the inputs differs from the graph's.
func (e *Engine) Bind(in []*ir.Tensor) error {
	if err := e.session.Begin(); err != nil {
		return err
	}
	defer e.session.End()
	return e.bind(in)
}

// bind is Bind for a session that the caller has reserved.
func (e *Engine) bind(in []*ir.Tensor) error {
	if len(in) != len(e.inputs) {
		return fmt.Errorf("the model takes %d inputs, got %d", len(e.inputs), len(in))
	}
	for i, t := range in {
		if t == nil {
			return fmt.Errorf("input %q is nil, want %s", e.program.Graph.Inputs[i].Name, e.inputs[i])
		}
		if !t.Type.Equal(e.inputs[i]) {
			return fmt.Errorf("input %q is %s, want %s", e.program.Graph.Inputs[i].Name, t.Type, e.inputs[i])
		}
		if err := e.session.Bind(i, t.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// Step runs on the inputs that Bind set, without copying the outputs. Benchmarks
// use it.
func (e *Engine) Step() error {
	if err := e.session.Begin(); err != nil {
		return err
	}
	defer e.session.End()
	return e.session.Run()
}

// Program returns the program that the engine runs.
func (e *Engine) Program() *cpu.Program { return e.program }

func (e *Engine) results() []*ir.Tensor {
	out := make([]*ir.Tensor, len(e.outputs))
	for i, t := range e.outputs {
		c, _ := ir.FromBytes(t.Type, slices.Clone(t.Bytes())) // the sizes agree
		out[i] = c
	}
	return out
}

// Trace is like Run. It also calls visit with a copy of the value of every layer
// that completes one, as a dense tensor of the value's type.
func (e *Engine) Trace(in []*ir.Tensor, visit func(l plan.Layer, got *ir.Tensor)) ([]*ir.Tensor, error) {
	if err := e.session.Begin(); err != nil {
		return nil, err
	}
	defer e.session.End()
	if err := e.bind(in); err != nil {
		return nil, err
	}
	loop := e.program.Plan.Loop
	examples := make([][]byte, loop.Steps) // of the values of the loop
	e.session.RunSteps(func(i, run int, _ runtime.Step) {
		l := e.program.Layers[i]
		if l.Value == nil {
			return
		}
		t := l.Value.Type
		if i >= loop.Steps {
			visit(l, e.read(t, e.program.Where(i)))
			return
		}
		one := t
		one.Shape = append(ir.Shape{1}, t.Shape[1:]...)
		examples[i] = append(examples[i], e.read(one, e.program.Where(i)).Bytes()...)
		if run == loop.Times-1 {
			all, _ := ir.FromBytes(t, examples[i]) // the sizes agree
			visit(l, all)
		}
	})
	return e.results(), nil
}

// Profile runs the program on the inputs in, and sets times[i] to the time that layer i
// took. It does not copy the outputs.
func (e *Engine) Profile(in []*ir.Tensor, times []time.Duration) error {
	if err := e.session.Begin(); err != nil {
		return err
	}
	defer e.session.End()
	if err := e.bind(in); err != nil {
		return err
	}
	clear(times)
	last := time.Now()
	e.session.RunSteps(func(i, _ int, _ runtime.Step) {
		now := time.Now()
		times[i] += now.Sub(last)
		last = now
	})
	return nil
}

// read copies a value out of the session.
func (e *Engine) read(t ir.Type, at cpu.Location) *ir.Tensor {
	m := at.Image
	if m.N == 0 {
		c, _ := ir.FromBytes(t, slices.Clone(e.session.Memory(at.Dense, t.DType.Size())))
		return c
	}
	size, lanes := m.Elem.Bytes(), m.Lanes()
	src := e.session.Memory(m.Ref, size)
	out := ir.NewTensor(t)
	dst := out.Bytes()
	i := 0
	for n := range m.N {
		for c := range m.C {
			for y := range m.H {
				for x := range m.W {
					at := m.At(n, c/lanes, y, x) + m.Lane(c)
					copy(dst[i:i+size], src[at*size:])
					if t.DType == ir.Int8 { // stored with 128 added
						dst[i] ^= 0x80
					}
					i += size
				}
			}
		}
	}
	return out
}
