package inproc

import (
	"slices"
	"testing"

	"modelc/backend/cpu"
	"modelc/ir"
	"modelc/ir/eval"
)

// stages returns a network for a batch: convolutions on large images with a residual, on
// small images with many channels, a mean over the pixels and a dense layer.
func stages(t *testing.T, batch int) *ir.Graph {
	t.Helper()
	g := ir.NewGraph("stages")
	v := g.AddInput("x", ir.T(ir.Float32, batch, 3, 64, 64))
	emit := func(name string, op ir.Op, in ...*ir.Value) *ir.Value {
		y, err := g.Emit(name, op, in...)
		if err != nil {
			t.Fatal(err)
		}
		return y
	}
	conv := func(name string, x *ir.Value, oc, side, stride int, residual *ir.Value) *ir.Value {
		w := g.AddConst(name+".w", ir.Seeded(ir.T(ir.Float32, oc, x.Type.Shape[1], side, side), 3))
		pad := side / 2
		return emit(name, ir.Conv{Strides: []int{stride, stride}, Pads: []int{pad, pad, pad, pad}, Dilations: []int{1, 1}, Groups: 1}, x, w, nil, residual)
	}
	v = conv("first", v, 32, 3, 1, nil)
	a := conv("a", v, 32, 3, 1, nil)
	v = conv("b", a, 32, 3, 1, v)
	v = conv("down", v, 64, 3, 4, nil)
	v = conv("down2", v, 256, 3, 4, nil)
	v = conv("c", v, 256, 3, 1, nil)
	v = conv("d", v, 256, 3, 1, nil)
	v = emit("mean", ir.Reduce{Fn: ir.ReduceMean, Axes: []int{2, 3}}, v)
	v = emit("y", ir.Dense{}, v, g.AddConst("dense.w", ir.Seeded(ir.T(ir.Float32, 256, 10), 4)))
	g.AddOutput("y", v)
	return g
}

// The first layers of a batch run for one example after another. Every layer has the values
// of the reference interpreter, and outputs are the same bits for any number of threads.
func TestLoop(t *testing.T) {
	g := stages(t, 5)
	p, err := cpu.Build(g, cpu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if l := p.Plan.Loop; l.Times != 5 || l.Steps == 0 || l.Steps == len(p.Plan.Steps) {
		t.Fatalf("%d of %d steps run %d times", l.Steps, len(p.Plan.Steps), l.Times)
	}
	alone, err := cpu.Build(stages(t, 1), cpu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Plan.ArenaBytes > 2*alone.Plan.ArenaBytes {
		t.Errorf("a session of 5 examples has %d bytes, one example %d", p.Plan.ArenaBytes, alone.Plan.ArenaBytes)
	}
	check(t, g, cpu.Config{}, 1e-5)
	check(t, g, cpu.Config{Exact: true}, 1e-6)
	in := eval.Inputs(g, 1)
	var first []byte
	for threads := 1; threads <= 4; threads++ {
		e, err := New(p, threads)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		got, err := e.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got[0].Bytes()
		}
		if !slices.Equal(got[0].Bytes(), first) {
			t.Errorf("%d threads give other bits than one", threads)
		}
	}
	for i, l := range p.Layers {
		if l.Value != nil && l.Value.Type.Shape[0] != 5 {
			t.Errorf("layer %d (%s) completes %s", i, l.Name, l.Value.Type)
		}
	}
}
