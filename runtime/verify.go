package runtime

import (
	"fmt"

	"modelc/runtime/kernel"
)

// Verify returns an error if a step of p may touch memory outside its operands, or
// memory that it must not write. The error names the step and its kernel. Verify
// does not read weights. See package kernel for what it checks. touch, unless nil,
// is called for every operand of Steps, with the index of the step and the size of
// an element in bytes.
func (p *Plan) Verify(touch func(step int, r kernel.Ref, elem int)) error {
	load := []kernel.Memory{{}, {Bytes: p.WeightsBytes, Read: true}, {Bytes: p.PreparedBytes, Write: true}}
	run := []kernel.Memory{{Bytes: p.ArenaBytes, Read: true, Write: true}, {Bytes: p.WeightsBytes, Read: true},
		{Bytes: p.PreparedBytes, Read: len(p.Load) > 0}}
	var moved []kernel.Memory
	for i := range len(p.Inputs) + len(p.Outputs) {
		port := p.port(i)
		if n := kernel.Product(port.Shape...); (n == 0) != (port.Bytes == 0) || n > 0 && int64(port.Bytes)%n != 0 {
			return fmt.Errorf("input or output %q has %d bytes for the shape %v", port.Name, port.Bytes, port.Shape)
		}
		run = append(run, kernel.Memory{Bytes: port.Bytes, Read: true, Write: i >= len(p.Inputs)})
	}
	if n := len(p.Inputs) + len(p.Outputs) + len(p.Loop.Views); n > MaxPorts {
		return fmt.Errorf("%d inputs, outputs and views are too many", n)
	}
	if l := p.Loop; l.Steps < 0 || l.Steps > len(p.Steps) || l.Times < 0 || (l.Times == 0) != (l.Steps == 0) {
		return fmt.Errorf("a loop of %d steps that runs %d times is not one of the first of %d steps", l.Steps, l.Times, len(p.Steps))
	}
	for i, w := range p.Loop.Views {
		if int(w.Space) >= len(run) || w.Space == kernel.Weights || w.Space == kernel.Prepared || w.Off < 0 || w.Bytes < 0 ||
			w.Off > run[w.Space].Bytes || kernel.Product(w.Bytes, p.Loop.Times) > int64(run[w.Space].Bytes-w.Off) {
			return fmt.Errorf("view %d of the loop is outside the memory that it moves over", i)
		}
		moved = append(moved, kernel.Memory{Bytes: w.Bytes, Read: run[w.Space].Read, Write: run[w.Space].Write})
	}
	for _, s := range p.Load {
		if _, ok := s.Kernel.(kernel.Preparer); !ok {
			return fmt.Errorf("step %q (%T) does not prepare weights", s.Name, s.Kernel)
		}
	}
	if err := verify(p.Load, load, nil); err != nil {
		return err
	}
	return verify(p.Steps, append(run, moved...), touch)
}

// verify verifies steps that run on the given memory.
func verify(steps []Step, memory []kernel.Memory, touch func(step int, r kernel.Ref, elem int)) error {
	v, err := kernel.NewVerifier(memory)
	if err != nil {
		return err
	}
	for i, s := range steps {
		if touch != nil {
			v.Touch = func(r kernel.Ref, elem int) { touch(i, r, elem) }
		}
		if s.Kernel == nil {
			return fmt.Errorf("step %q has no kernel", s.Name)
		}
		if err := v.Verify(s.Kernel); err != nil {
			return fmt.Errorf("step %q (%T): %w", s.Name, s.Kernel, err)
		}
	}
	return nil
}

// port returns port i. Ports are numbered consecutively, inputs first.
func (p *Plan) port(i int) *Port {
	if n := len(p.Inputs); i >= n {
		return &p.Outputs[i-n]
	}
	return &p.Inputs[i]
}
