package onnx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"modelc/backend/cpu"
	"modelc/backend/inproc"
	"modelc/frontend/source"
	"modelc/internal/choices"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
)

// plainOperators lists operators without integers, which connect those of
// operatorCases.
var plainOperators = []operatorCase{
	{op: "Relu", in: []any{floatsIn(1, 4, 8, 8)}},
	{op: "Sigmoid", in: []any{floatsIn(1, 4, 8, 8)}},
	{op: "Add", in: []any{floatsIn(1, 4, 8, 8), floatsIn(1, 4, 8, 8)}},
	{op: "Mul", in: []any{floatsIn(1, 4, 8, 8), ones(4, 1, 1)}},
	{op: "Max", in: []any{floatsIn(1, 4, 8, 8), floatsIn(4, 1, 1)}},
	{op: "Div", in: []any{intsIn(3, 4), intsIn(3, 4)}},
	{op: "GlobalAveragePool", in: []any{floatsIn(1, 4, 8, 8)}},
	{op: "MatMul", in: []any{floatsIn(2, 8), ones(8, 5)}},
	{op: "BatchNormalization", in: []any{floatsIn(1, 4, 8, 8), ones(4), ones(4), ones(4), ones(4)}},
	{op: "Shape", in: []any{floatsIn(1, 4, 8, 8)}},
}

// randomModel draws a model of a few operators. Operands, extents and attributes are
// mostly those of the examples, and often small or extreme numbers.
func randomModel(r *rand.Rand) message {
	var g graphParts
	live := map[int64][]string{} // by the element type of the operand that they may replace
	var last []string
	opset := int64(13)
	dim := func(d int64) int64 {
		if r.IntN(16) == 0 {
			return []int64{0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 48, 64, 100}[r.IntN(16)]
		}
		return d
	}
	for i := range 1 + r.IntN(5) {
		list := operatorCases
		if r.IntN(4) == 0 {
			list = plainOperators
		}
		c := list[r.IntN(len(list))]
		if c.then != nil && i > 0 {
			continue // its names are fixed
		}
		opset = max(opset, c.opset)
		c.in, c.attrs = slices.Clone(c.in), slices.Clone(c.attrs)
		for k, o := range c.in {
			switch o := o.(type) {
			case computed:
				o.dims = slices.Clone(o.dims)
				for a := range o.dims {
					if d, ok := o.dims[a].(int); ok {
						o.dims[a] = int(dim(int64(d)))
					}
				}
				c.in[k] = o
			case stored:
				o.dims = slices.Clone(o.dims)
				for a := range o.dims {
					o.dims[a] = dim(o.dims[a])
				}
				c.in[k] = o
			}
		}
		if n := len(c.parameters()); n > 0 {
			for range r.IntN(3) {
				p := c.parameters()
				at := r.IntN(n)
				k := r.IntN(max(len(p[at].ints), len(p[at].floats)) + 1)
				value := r.IntN(10) // small
				if r.IntN(4) == 0 {
					value = r.IntN(len(extremeInts))
				}
				c.change(at, k, value)
			}
		}
		prefix := fmt.Sprintf("n%d", i)
		if c.then != nil {
			prefix = ""
		}
		out := c.add(&g, prefix, func(o computed) string {
			if of := live[o.elem]; len(of) > 0 && r.IntN(4) > 0 {
				return of[r.IntN(len(of))]
			}
			return ""
		})
		elem := int64(1)
		if o, ok := slices.Concat(c.in, []any{nil})[0].(computed); ok {
			elem = o.elem
		}
		live[elem] = append(live[elem], out[0])
		last = out
		if r.IntN(4) == 0 {
			g.outputs = append(g.outputs, tensorInput(out[0], elem))
			last = out[1:]
		}
	}
	for _, o := range last {
		g.outputs = append(g.outputs, tensorInput(o, 1))
	}
	return modelMessage(8, opset, g.encode())
}

// FuzzKernels compiles and runs the models that the bytes choose. A model is refused,
// or runs without a panic and gives the same bits again, and on any number of threads.
// The guard pages and the verifier of plans check the memory that kernels access.
func FuzzKernels(f *testing.F) {
	for i := range operatorCases {
		f.Add([]byte{0, 1, byte(i * 256 / len(operatorCases)), 200, byte(i)})
		f.Add([]byte{200, 1, byte(i * 256 / len(operatorCases)), 7 * byte(i), 90, 3 * byte(i), 5})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		begin := time.Now()
		defer func() {
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		}()
		r := choices.New(b)
		m, err := Parse("fuzz", randomModel(r), "", source.Options{})
		if err != nil {
			return
		}
		defer m.Release()
		g := m.Graph
		if err := ir.Verify(g); err != nil {
			t.Fatal(err)
		}
		for v := range g.Values() {
			if v.Type.Shape.Len() > 1<<14 {
				return // legal, but slow
			}
		}
		for _, n := range g.Nodes {
			if ir.FLOPs(n) > 1<<24 {
				return
			}
		}
		before := ir.Format(g)
		if _, err := passes.Run(g, &passes.Config{Verify: true}); err != nil {
			if errors.As(err, new(*ir.ConstantError)) {
				return // such as an index outside its axis, once the operand is computed
			}
			t.Fatalf("%v\n%s", err, before)
		}
		p, err := cpu.Build(g, cpu.Config{})
		if err != nil {
			if strings.Contains(err.Error(), "bug") { // the verifier of plans
				t.Fatalf("%v\n%s", err, before)
			}
			return // an op without a kernel for the type
		}
		in := eval.Inputs(g, 1)
		var first []*ir.Tensor
		for threads := range 2 {
			e, err := inproc.New(p, 1+threads)
			if err != nil {
				t.Fatalf("%v\n%s", err, before)
			}
			defer e.Close()
			for range 2 {
				got, err := e.Run(in)
				if err != nil {
					t.Fatalf("%v\n%s", err, before)
				}
				for i := range first {
					if !slices.Equal(first[i].Bytes(), got[i].Bytes()) {
						t.Fatalf("%d threads, output %d: other bits in another run\n%s", 1+threads, i, before)
					}
				}
				first = got
			}
		}
	})
}
