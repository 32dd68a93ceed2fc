package cuda

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"modelc/backend/cuda/shim"
	"modelc/ir"
	"modelc/ir/eval"
)

// emulator holds programs whose kernels are compiled together.
type emulator struct {
	programs []*Program
	library  *shim.Library
	checks   bool
}

// emulate lowers graphs and compiles their kernels for the processor. edit, unless nil,
// changes the source.
func emulate(t *testing.T, graphs []*ir.Graph, checks bool, edit func(string) string) *emulator {
	t.Helper()
	if err := shim.Available(); err != nil {
		t.Skip(err)
	}
	e := &emulator{checks: checks}
	parts := map[string]bool{}
	var functions []*function
	for i, g := range graphs {
		b, err := lowerAll(g, fmt.Sprintf("g%d_", i))
		if err != nil {
			t.Fatalf("%v\n%s", err, ir.Format(g))
		}
		maps.Copy(parts, b.parts)
		functions = append(functions, b.functions...)
		e.programs = append(e.programs, b.program())
	}
	source := sourceOf(parts, functions)
	if edit != nil {
		source = edit(source)
	}
	path, err := shim.Compile(context.Background(), source, t.TempDir(), checks)
	if err != nil {
		t.Fatal(err)
	}
	if e.library, err = shim.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.library.Close() })
	return e
}

// run runs program i on an arena that is not zero.
func (e *emulator) run(i int, in []*ir.Tensor, seed uint64) ([]*ir.Tensor, error) {
	p := e.programs[i]
	// Loads of vectors may read behind the last element.
	arena, weights := make([]byte, p.Arena+align), append(p.Weights[:len(p.Weights):len(p.Weights)], make([]byte, align)...)
	for i := range arena {
		arena[i] = 0xff // NaN as floats
	}
	for i, b := range p.Inputs {
		copy(arena[b.Offset:], in[i].Bytes())
	}
	for _, k := range p.Kernels {
		var operands [][]byte
		for _, a := range k.Args {
			memory := arena
			if a.Weights {
				memory = weights
			}
			operands = append(operands, memory[a.Offset:a.Offset+a.Bytes])
		}
		if err := e.library.Launch(k.Name, k.Grid, k.Block, operands, e.checks, seed); err != nil {
			return nil, fmt.Errorf("%s: %w", k.Layer, err)
		}
	}
	var out []*ir.Tensor
	for _, b := range p.Outputs {
		t := ir.NewTensor(b.Type)
		copy(t.Bytes(), arena[b.Offset:])
		out = append(out, t)
	}
	return out, nil
}

// compare runs program i and compares its outputs with those of the reference interpreter.
func (e *emulator) compare(i int, g *ir.Graph, seed uint64) error {
	in := eval.Inputs(g, seed)
	want, err := eval.Run(g, in)
	if err != nil {
		return err
	}
	got, err := e.run(i, in, seed)
	if err != nil {
		return err
	}
	var bad []string
	for k := range want {
		tol := 0.0
		if want[k].DType.IsFloat() {
			tol = 1e-5
		}
		if d, err := eval.Compare(got[k], want[k]); err != nil || !d.Within(tol) {
			bad = append(bad, fmt.Sprintf("output %s: %v %v", g.Outputs[k].Name, d, err))
		}
	}
	if bad != nil {
		return fmt.Errorf("%s", strings.Join(bad, "\n"))
	}
	return nil
}
