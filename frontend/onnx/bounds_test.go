package onnx

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"modelc/frontend/source"
	"modelc/ir"
)

// chainOf returns n nodes of one operator from x0 to xn.
func chainOf(n int, node func(in, out string) message) (list []message) {
	for k := range n {
		list = append(list, node(fmt.Sprint("x", k), fmt.Sprint("x", k+1)))
	}
	return list
}

// small describes a graph with the input x0 f32[4] and the output y.
func small(out string, nodes []message, weights ...message) graphParts {
	return graphParts{nodes: nodes, weights: weights, inputs: []message{tensorInput("x0", 1, 4)}, outputs: []message{tensorInput(out, 1)}}
}

// callsOf returns functions f0, f1, … Each calls the one before it several times; f0 applies op.
func callsOf(depth, width int, op, name string) (list []message) {
	list = append(list, function("f0", []string{"a"}, []string{"b"}, simple(op, "b", "a")))
	for d := 1; d < depth; d++ {
		var body []message
		for w := range width {
			in, out := "a", "b"
			if w > 0 {
				in = fmt.Sprint("t", w)
			}
			if w < width-1 {
				out = fmt.Sprint("t", w+1)
			}
			body = append(body, nodeMessage(fmt.Sprint("f", d-1), name, []string{in}, []string{out}).str(7, "local"))
		}
		list = append(list, function(fmt.Sprint("f", d), []string{"a"}, []string{"b"}, body...))
	}
	return list
}

func scalarWeights(name string, x int64) message {
	return message{}.int(2, 7).packed(7, x).str(8, name)
}

// A model that asks for more than its limits is refused in short time and with little
// memory, and the error names the limit. The model is accepted with a higher limit.
func TestBounds(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("extents that do not fit 32 bits are refused before the limits are")
	}
	top := func(f string) message {
		return modelMessage(8, 17, small("y", []message{call(f, "y", "x0")}).encode()).sub(8, opsetMessage("local", 1))
	}
	calls := func(depth, width int, op, name string) message {
		return top(fmt.Sprint("f", depth-1)).sub(25, callsOf(depth, width, op, name)...)
	}
	// inner describes a function that is called 2048 times, with the constant s.
	inner := func(s int64, nodes ...message) message {
		constant := nodeMessage("Constant", "", nil, []string{"s"}, tensorAttr("value", intWeights("s", s, 4)))
		list := callsOf(12, 2, "Relu", "")
		list[0] = function("f0", []string{"a"}, []string{"b"}, append([]message{constant}, nodes...)...)
		return top("f11").sub(25, list...)
	}
	graph := func(g graphParts) message { return modelMessage(8, 17, g.encode()) }
	input := func(op string, dims ...any) message {
		return graph(graphParts{nodes: []message{simple(op, "y", "x")}, inputs: []message{tensorInput("x", 1, dims...)}, outputs: []message{tensorInput("y", 1)}})
	}
	many := graphParts{weights: slices.Repeat([]message{intWeights("w", 1)}, 1<<12), outputs: []message{tensorInput("w", 7)}}.encode()
	relu := func(in, out string) message { return simple("Relu", out, in) }
	fill := func(n int, elements int64) message {
		nodes := []message{}
		for k := range n {
			nodes = append(nodes, simple("ConstantOfShape", fmt.Sprint("c", k), "s"))
		}
		return graph(small("c0", nodes, intWeights("s", elements)))
	}
	for _, c := range []struct {
		name  string
		model message
		want  string
		raise string // the limit with which the model is accepted; "" where that would take long
	}{
		{"an input of 2 GB", input("Relu", 1<<29), "--limit elements=N", "elements=1e9"},
		{"an argument of 2^30 elements", input("ArgMin", 1<<15, 1<<15), "--limit elements=N", "elements=2e9"},
		{"tiles", graph(small("y", []message{simple("Tile", "y", "x0", "r")}, intWeights("r", 1<<27))), "--limit elements=N", "elements=1e9"},
		{"a resized picture", graph(graphParts{nodes: []message{simple("Resize", "y", "x", "", "", "s")}, weights: []message{intWeights("s", 1, 1, 16384, 32768)},
			inputs: []message{tensorInput("x", 1, 1, 1, 2, 2)}, outputs: []message{tensorInput("y", 1)}}), "--limit elements=N", "elements=1e9"},
		{"a chain", graph(small("x40000", chainOf(40000, relu))), "--limit nodes=N", "nodes=40000"},
		{"calls of functions", calls(14, 4, "Relu", ""), "--limit nodes=N", ""},
		{"calls of functions without nodes", calls(14, 4, "Identity", ""), "--limit nodes=N", ""},
		{"calls with long names", calls(14, 2, "Relu", strings.Repeat("n", 3000)), "longer than 4096 bytes", ""},
		{"deep calls", calls(30, 1, "Relu", ""), "--limit depth=N", "depth=30"},
		{"calls of functions that split", inner(4096, simple("Expand", "e", "a", "s"), simple("SplitToSequence", "q", "e"), nodeMessage("ConcatFromSequence", "", []string{"q"}, []string{"k"}, intAttr("axis", 0)), simple("ReduceSum", "b", "k")), "--limit nodes=N", ""},
		{"calls of functions with many attributes", inner(4, nodeMessage("ReduceSum", "", []string{"a"}, []string{"b"}, intsAttr("other", make([]int64, 1<<12)...))), "--limit nodes=N", ""},
		{"calls of functions with many arguments", top("f11").sub(25, append(callsOf(12, 2, "Relu", "")[1:], function("f0", append([]string{"a"}, make([]string, 1<<12)...), []string{"b"}, simple("Relu", "b", "a")))...), "--limit nodes=N", ""},
		{"branches with many weights", inner(4, simple("Relu", "b", "a"), simple("Equal", "q", "s", "s"), simple("ReduceMin", "k", "q"), nodeMessage("If", "", []string{"k"}, []string{"z"}, graphAttr("then_branch", many), graphAttr("else_branch", many))), "--limit nodes=N", ""},
		{"a constant", fill(1, 1<<29), "--limit constants=N", "constants=3e9"},
		{"many constants", fill(60, 1<<24), "--limit constants=N", "constants=5e9"},
		{"a range", graph(small("y", []message{simple("Range", "y", "a", "b", "c")}, scalarWeights("a", 0), scalarWeights("b", 1<<27), scalarWeights("c", 1))), "--limit constants=N", ""},
		{"a constant that each call makes", inner(1<<18, simple("ConstantOfShape", "k", "s"), simple("ReduceSum", "r", "k"), simple("Add", "b", "a", "r")), "--limit constants=N", ""},
		{"weights of bytes as integers", graph(graphParts{
			nodes:   []message{nodeMessage("ConvInteger", "", []string{"x", "w"}, []string{"y"}, intsAttr("kernel_shape", 3, 3))},
			weights: []message{message{}.packed(1, 1<<9, 1<<8, 16, 16).int(2, 2).bytes(5, make([]byte, 1<<25)).str(8, "w")},
			inputs:  []message{tensorInput("x", 2, 1, 1<<8, 16, 16)}, outputs: []message{tensorInput("y", 6)}}), "kernel_shape is [3 3]", ""},
		{"diagonals of rows without elements", graph(small("y", slices.Concat([]message{simple("ConstantOfShape", "c", "s")}, slices.Repeat([]message{simple("EyeLike", "", "c")}, 64), []message{simple("Relu", "y", "")}), intWeights("s", 1<<30, 0))), "Relu", ""},
		{"an attribute of many integers", graph(small("y", []message{nodeMessage("Transpose", "", []string{"x0"}, []string{"y"}, message{}.str(1, "perm").bytes(8, make([]byte, 1<<25)).int(20, 7))})), "more than 4194304 integers", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			_, err := Parse("test.onnx", c.model, "", source.Options{})
			took := time.Since(begin)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %.400v\nwant %s", err, c.want)
			}
			// A busy machine takes several times as long as an idle one.
			if took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 512<<20 {
				t.Errorf("it took %d MB for a file of %d kB", n>>20, len(c.model)>>10)
			}
			if c.raise == "" {
				return
			}
			var o source.Options
			if err := o.Bounds.Set(c.raise); err != nil {
				t.Fatal(err)
			}
			if _, err := Parse("test.onnx", c.model, "", o); err != nil {
				t.Errorf("with %s: %v", c.raise, err)
			}
		})
	}
}

// Arithmetic on shapes is computed once, and its intermediate results are bounded.
func TestShapeArithmeticBounds(t *testing.T) {
	var nodes []message
	for k := range 4000 {
		nodes = append(nodes, simple("Add", fmt.Sprint("s", k+1), fmt.Sprint("s", k), "zero"),
			simple("Reshape", fmt.Sprint("x", k+1), fmt.Sprint("x", k), fmt.Sprint("s", k+1)))
	}
	begin := time.Now()
	m := parse(t, modelMessage(8, 17, small("x4000", nodes, intWeights("s0", 4), intWeights("zero", 0)).encode()), source.Options{})
	if took := time.Since(begin); took > 10*time.Second { // 0.1 s on an idle machine
		t.Errorf("it took %v", took)
	}
	if s := m.Graph.Outputs[0].Value.Type.Shape; !s.Equal(ir.Shape{4}) {
		t.Error(s)
	}

	nodes = []message{simple("ConstantOfShape", "c0", "n")}
	for k := range 500 {
		nodes = append(nodes, simple("Neg", fmt.Sprint("c", k+1), fmt.Sprint("c", k)))
	}
	nodes = append(nodes, simple("Slice", "v", "c500", "from", "to"), nodeMessage("Cast", "", []string{"v"}, []string{"w"}, intAttr("to", 7)), simple("Expand", "y", "x0", "w"))
	g := small("y", nodes, intWeights("n", 4_000_000), intWeights("from", 0), intWeights("to", 1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	wantText(t, failure(t, modelMessage(8, 17, g.encode()), source.Options{}), "computed at run time")
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 512<<20 {
		t.Errorf("it took %d MB", n>>20)
	}
}

// Constant indices outside their axis are refused.
func TestConstantIndices(t *testing.T) {
	for _, c := range []struct {
		op    string
		dims  []int64
		index []int64
		attrs []message
		want  string
	}{
		{"GatherElements", []int64{2, 2}, []int64{0, 1, -2, 1}, []message{intAttr("axis", 0)}, ""},
		{"GatherElements", []int64{2, 2}, []int64{0, 1, 2, 1}, []message{intAttr("axis", 0)}, "index 2 is outside an axis of 2 elements"},
		{"GatherElements", []int64{2, 2}, []int64{0, 1, 2, -4}, []message{intAttr("axis", 1)}, "index -4 is outside an axis of 3 elements"},
		{"GatherND", []int64{2, 2}, []int64{1, 2, -2, -3}, nil, ""},
		{"GatherND", []int64{2, 2}, []int64{1, 2, 2, 0}, nil, "index 2 is outside an axis of 2 elements"},
		{"GatherND", []int64{2, 2}, []int64{1, 3, 0, 0}, nil, "index 3 is outside an axis of 3 elements"},
		{"GatherND", []int64{1, 1}, []int64{math.MinInt64}, nil, "is outside an axis of 2 elements"},
	} {
		idx := message{}.packed(1, c.dims...).int(2, 7).packed(7, c.index...).str(8, "i")
		g := graphParts{nodes: []message{nodeMessage(c.op, "", []string{"x", "i"}, []string{"y"}, c.attrs...)}, weights: []message{idx}, inputs: oneInput, outputs: oneOutput}
		_, err := Parse("test.onnx", modelMessage(8, 17, g.encode()), "", source.Options{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %v: %v, want %q", c.op, c.index, err, c.want)
		}
	}
}

// Integers are stored one by one, packed, or both.
func TestVarints(t *testing.T) {
	x := []int64{-1, 300, 0, 7, 1 << 40, 2}
	one := func(i, n int) message { return message{}.int(5, x[i:i+n]...) }
	packed := func(i, n int) message { return message{}.packed(5, x[i:i+n]...) }
	for _, m := range []message{one(0, 6), packed(0, 6), slices.Concat(one(0, 2), packed(2, 3), one(5, 1)), slices.Concat(packed(0, 2), one(2, 1), packed(3, 3))} {
		before := slices.Clone(m)
		p, err := decodeTensor(decoder{}, m)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Collect(p.ints.all()); !slices.Equal(got, x) || p.ints.len != len(x) {
			t.Errorf("%d integers %v, want %v", p.ints.len, got, x)
		}
		if !bytes.Equal(m, before) {
			t.Error("the file changed")
		}
	}
}
