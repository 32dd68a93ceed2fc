package loop

import (
	"strings"
	"testing"

	"modelc/ir"
)

// names returns the names of the results of nodes.
func names(g *ir.Graph) string {
	var list []string
	for _, n := range g.Nodes {
		list = append(list, n.Out[0].Name)
	}
	return strings.Join(list, " ")
}

// The graph is divided where the tail gains most, at a single value, and at a small one.
func TestDivide(t *testing.T) {
	g := build(t)
	for _, c := range []struct {
		gains      []float64 // of conv, conv, add, mean, dense
		body, tail string
	}{
		{[]float64{1, 1, 1, 1, 1}, "", ""},
		{[]float64{-1, 2, 1, 1, 1}, "a", "b c m y"},
		{[]float64{-3, -1, -1, 1, 9}, "a b c", "m y"},
		{[]float64{-3, 1, -1, -1, 9}, "a b c m", "y"},
		{[]float64{-1, -1, 3, 1, 9}, "a", "b c m y"}, // behind b, a and b are read
		{[]float64{-1, -1, -1, -1, -9}, "a b c m", "y"},
		{[]float64{-1, -2, 0, 0, 9}, "a b c m", "y"}, // m is smaller than c
	} {
		d, err := Divide(g, func(n *ir.Node) float64 { return c.gains[at(g, n)] })
		if err != nil {
			t.Fatal(err)
		}
		if d == nil {
			if c.body != "" {
				t.Errorf("%v: not divided", c.gains)
			}
			continue
		}
		if names(d.Body) != c.body || names(d.Tail) != c.tail || d.Times != 4 {
			t.Errorf("%v: %d times %q, then %q", c.gains, d.Times, names(d.Body), names(d.Tail))
		}
		for _, p := range []*ir.Graph{d.Body, d.Tail} {
			if err := ir.Verify(p); err != nil {
				t.Error(err)
			}
			for _, n := range p.Nodes {
				if of := d.Nodes[n]; of == nil || of.Out[0] != d.Values[n.Out[0]] || of.Name != n.Name {
					t.Errorf("%s is a copy of %v", n, of)
				}
			}
		}
		if got := d.Body.Outputs[0].Value.Type.Shape[0]; got != 1 {
			t.Errorf("the body computes %d examples", got)
		}
	}
}

func at(g *ir.Graph, n *ir.Node) int {
	for i, m := range g.Nodes {
		if m == n {
			return i
		}
	}
	return -1
}

// build returns a network with a residual, a mean over the pixels and a dense layer.
func build(t *testing.T) *ir.Graph {
	t.Helper()
	g := ir.NewGraph("net")
	x := g.AddInput("x", ir.T(ir.Float32, 4, 3, 8, 8))
	emit := func(name string, op ir.Op, in ...*ir.Value) *ir.Value {
		v, err := g.Emit(name, op, in...)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	constant := func(shape ...int) *ir.Value {
		return g.AddConst("w", ir.NewTensor(ir.T(ir.Float32, shape...)))
	}
	conv := ir.Conv{Strides: []int{1, 1}, Pads: []int{1, 1, 1, 1}, Dilations: []int{1, 1}, Groups: 1}
	a := emit("a", conv, x, constant(8, 3, 3, 3))
	b := emit("b", conv, a, constant(8, 8, 3, 3))
	c := emit("c", ir.Binary{Fn: ir.Add}, a, b)
	m := emit("m", ir.Reduce{Fn: ir.ReduceMean, Axes: []int{2, 3}}, c)
	g.AddOutput("y", emit("y", ir.Dense{}, m, constant(8, 5)))
	return g
}

// Ops that may mix the examples of a batch are not in a body.
func TestTransparent(t *testing.T) {
	for _, c := range []struct {
		name string
		op   ir.Op
		x    []int
		in   []int // a constant operand
		want bool
	}{
		{"function", ir.Unary{Fn: ir.Act{Fn: ir.Relu}}, []int{4, 8, 2, 2}, nil, true},
		{"constant per channel", ir.Binary{Fn: ir.Add}, []int{4, 8, 2, 2}, []int{8, 1, 1}, true},
		{"constant per example", ir.Binary{Fn: ir.Add}, []int{4, 8, 2, 2}, []int{4, 1, 1, 1}, false},
		{"examples moved to another axis", ir.Transpose{Perm: []int{1, 0, 2, 3}}, []int{4, 4, 2, 2}, nil, false},
		{"channels last", ir.Transpose{Perm: []int{0, 2, 3, 1}}, []int{4, 8, 2, 2}, nil, true},
		{"border of zeros", ir.Pad{Pads: []int{0, 0, 1, 1, 0, 0, 1, 1}}, []int{4, 8, 2, 2}, nil, true},
		{"moved examples", ir.Pad{Pads: []int{1, 0, 0, 0, -1, 0, 0, 0}}, []int{4, 8, 2, 2}, nil, false},
		{"joined examples", ir.Concat{Axis: 0}, []int{4, 8, 2, 2}, []int{4, 8, 2, 2}, false},
		{"mean of examples", ir.Reduce{Fn: ir.ReduceMean, Axes: []int{0}}, []int{4, 4, 2, 2}, nil, false},
		{"softmax over examples", ir.Softmax{Axes: []int{0}}, []int{4, 8, 2, 2}, nil, false},
		{"examples as channels", ir.Reshape{Shape: ir.Shape{4, 32}}, []int{4, 8, 2, 2}, nil, false},
	} {
		g := ir.NewGraph("g")
		x := g.AddInput("x", ir.T(ir.Float32, c.x...))
		in := []*ir.Value{x}
		if c.in != nil {
			in = append(in, g.AddConst("c", ir.NewTensor(ir.T(ir.Float32, c.in...))))
		}
		n, err := g.Append("y", c.op, in...)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		one := map[*ir.Value]ir.Type{x: single(x.Type)}
		if _, got := transparent(n, 4, one); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
