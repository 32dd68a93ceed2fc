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
	for i := range len(p.Inputs) + len(p.Outputs) {
		port := p.port(i)
		if n := kernel.Product(port.Shape...); (n == 0) != (port.Bytes == 0) || n > 0 && int64(port.Bytes)%n != 0 {
			return fmt.Errorf("input or output %q has %d bytes for the shape %v", port.Name, port.Bytes, port.Shape)
		}
		run = append(run, kernel.Memory{Bytes: port.Bytes, Read: true, Write: i >= len(p.Inputs)})
	}
	if n := len(p.Inputs) + len(p.Outputs); n > MaxPorts {
		return fmt.Errorf("%d inputs and outputs are too many", n)
	}
	for _, s := range p.Load {
		if _, ok := s.Kernel.(kernel.Preparer); !ok {
			return fmt.Errorf("step %q (%T) does not prepare weights", s.Name, s.Kernel)
		}
	}
	if err := verify(p.Load, load, nil); err != nil {
		return err
	}
	return verify(p.Steps, run, touch)
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
