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

// emulate lowers graphs and compiles their kernels for the processor, with checks. choose is
// chooseTile or a replacement. before is called with the index of each graph.
func emulate(t *testing.T, graphs []*ir.Graph, cfg Config, choose chooser, before ...func(i int)) *emulator {
	t.Helper()
	parts := map[string]bool{}
	var functions []*function
	e := lowerEach(t, graphs, cfg, choose, func(i int, b *builder) {
		maps.Copy(parts, b.parts)
		functions = append(functions, b.functions...)
	}, before...)
	e.compile(t, sourceOf(parts, functions))
	return e
}

// emulateEach is like emulate, but compiles device code for each graph. edit changes the
// source of a graph; it must not repeat names of another source.
func emulateEach(t *testing.T, graphs []*ir.Graph, cfg Config, choose chooser, edit func(i int, source string) string) *emulator {
	t.Helper()
	var source strings.Builder
	e := lowerEach(t, graphs, cfg, choose, func(i int, b *builder) { source.WriteString(edit(i, sourceOf(b.parts, b.functions))) })
	e.compile(t, source.String())
	return e
}

// emulateUnchecked is like emulate with the tiles of chooseTile, without checks.
func emulateUnchecked(t *testing.T, g *ir.Graph) *emulator {
	t.Helper()
	p, err := Build(g, Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := &emulator{programs: []*Program{p}}
	e.compile(t, p.Source)
	return e
}

func lowerEach(t *testing.T, graphs []*ir.Graph, cfg Config, choose chooser, each func(i int, b *builder), before ...func(i int)) *emulator {
	t.Helper()
	e := &emulator{checks: true}
	for i, g := range graphs {
		for _, f := range before {
			f(i)
		}
		b, err := lowerAll(g, cfg, fmt.Sprintf("g%d_", i), choose)
		if err != nil {
			t.Fatalf("%v\n%s", err, ir.Format(g))
		}
		each(i, b)
		e.programs = append(e.programs, b.program())
	}
	return e
}

func (e *emulator) compile(t *testing.T, source string) {
	t.Helper()
	if err := shim.Available(); err != nil {
		t.Skip(err)
	}
	path, err := shim.Compile(context.Background(), source, t.TempDir(), e.checks)
	if err != nil {
		t.Fatal(err)
	}
	if e.library, err = shim.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.library.Close() })
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
	return e.compareOn(i, g, eval.Inputs(g, seed), seed)
}

// compareOn is like compare for given inputs.
func (e *emulator) compareOn(i int, g *ir.Graph, in []*ir.Tensor, seed uint64) error {
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
