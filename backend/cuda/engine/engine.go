// Package engine runs a program on a GPU, or on the emulator's driver, in this process. It
// uses the launcher that generated packages contain.
package engine

import (
	"fmt"
	"time"

	"modelc/backend/cuda"
	"modelc/backend/cuda/launcher"
	"modelc/ir"
)

// Engine is a program on a device with one session. One goroutine at a time may use it.
type Engine struct {
	program *cuda.Program
	model   *launcher.Model
	session *launcher.Session
}

// New loads p, whose kernels are compiled to ptx, on the device that o names. The caller
// must call Close.
func New(p *cuda.Program, ptx string, o launcher.Options) (*Engine, error) {
	launched := Launched(p)
	m, err := launcher.Open([]launcher.Code{{Program: launched, PTX: ptx}}, string(p.Weights), o)
	if err != nil {
		return nil, err
	}
	s, err := m.NewSession(launched)
	if err != nil {
		m.Close()
		return nil, err
	}
	return &Engine{p, m, s}, nil
}

// Launched returns the part of p that the launcher needs.
func Launched(p *cuda.Program) *launcher.Program {
	l := &launcher.Program{Arena: p.Arena, Inputs: ports(p.Inputs), Outputs: ports(p.Outputs)}
	for _, k := range p.Kernels {
		args := make([]int, len(k.Args))
		for i, a := range k.Args {
			if args[i] = a.Offset; a.Weights {
				args[i] = ^a.Offset
			}
		}
		l.Kernels = append(l.Kernels, launcher.Kernel{Name: k.Name, Grid: k.Grid, Block: k.Block, Shared: k.Shared, Args: args})
	}
	return l
}

func ports(list []cuda.Binding) []launcher.Port {
	ports := make([]launcher.Port, len(list))
	for i, b := range list {
		ports[i] = launcher.Port{Name: b.Name, Type: b.Type.DType.String(), Shape: b.Type.Shape, Offset: b.Offset, Bytes: b.Type.Bytes()}
	}
	return ports
}

// Program returns the program that the engine runs.
func (e *Engine) Program() *cuda.Program { return e.program }

// Device describes the device of the engine.
func (e *Engine) Device() launcher.Device { return e.model.Device() }

// Close frees the memory on the device.
func (e *Engine) Close() {
	e.session.Close()
	e.model.Close()
}

// Run computes the outputs for the inputs in, both in the order of the graph's.
func (e *Engine) Run(in []*ir.Tensor) ([]*ir.Tensor, error) {
	out := make([]*ir.Tensor, len(e.program.Outputs))
	err := e.reserved(in, func() error {
		if err := e.session.Start(); err != nil {
			return err
		}
		for i, b := range e.program.Outputs {
			out[i] = ir.NewTensor(b.Type)
			if err := e.session.Receive(i, out[i].Bytes()); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Profile computes the outputs the given number of times. It returns the times of the
// runs, without copies to and from the device, and the shortest time of each kernel.
func (e *Engine) Profile(in []*ir.Tensor, runs int) (all, kernels []time.Duration, err error) {
	err = e.reserved(in, func() error {
		for range runs {
			start := time.Now()
			if err := e.session.Compute(); err != nil {
				return err
			}
			all = append(all, time.Since(start))
		}
		kernels, err = e.session.Profile(runs)
		return err
	})
	return all, kernels, err
}

// reserved copies the inputs to the device and calls f.
func (e *Engine) reserved(in []*ir.Tensor, f func() error) error {
	if len(in) != len(e.program.Inputs) {
		return fmt.Errorf("the model takes %d inputs, got %d", len(e.program.Inputs), len(in))
	}
	if err := e.session.Begin(); err != nil {
		return err
	}
	defer e.session.End()
	for i, t := range in {
		if b := e.program.Inputs[i]; !t.Type.Equal(b.Type) {
			return fmt.Errorf("input %q is %s, want %s", b.Name, t.Type, b.Type)
		}
		if err := e.session.Send(i, t.Bytes()); err != nil {
			return err
		}
	}
	return f()
}
