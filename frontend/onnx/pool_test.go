package onnx

import (
	"math/rand/v2"
	"strings"
	"testing"

	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

// A pool with ceil_mode may have a window that is wider than the padded input, by less than
// a stride. The expected values are those of ONNX Runtime 1.32 for the input 1, 2, 3, ….
func TestCeilModeWide(t *testing.T) {
	for _, c := range []struct {
		op                   string
		n                    int
		kernel, stride       int64
		begin, end, dilation int64
		countPad             int64
		want                 float32 // the only element of the result
	}{
		{"AveragePool", 1, 8, 5, 1, 2, 1, 1, 0.25},
		{"AveragePool", 1, 4, 3, 1, 0, 1, 0, 1.0},
		{"MaxPool", 2, 6, 5, 0, 0, 1, 0, 2.0},
		{"MaxPool", 1, 6, 5, 0, 1, 1, 0, 1.0},
		{"MaxPool", 5, 8, 5, 0, 0, 1, 0, 5.0},
		{"AveragePool", 5, 5, 3, 1, 2, 2, 0, 3.0},
		{"MaxPool", 5, 6, 5, 1, 1, 2, 0, 4.0},
		{"AveragePool", 3, 6, 3, 1, 0, 1, 0, 2.0},
		{"AveragePool", 2, 5, 2, 0, 2, 1, 0, 1.5},
		{"MaxPool", 1, 5, 3, 1, 2, 1, 0, 1.0},
		{"AveragePool", 5, 8, 3, 0, 2, 1, 0, 3.0},
		{"AveragePool", 1, 3, 3, 0, 2, 2, 1, 0.5},
		{"MaxPool", 3, 6, 5, 0, 2, 1, 0, 3.0},
		{"AveragePool", 5, 4, 5, 0, 0, 2, 1, 3.0},
		{"AveragePool", 1, 2, 2, 0, 1, 2, 1, 1.0},
		{"MaxPool", 5, 5, 3, 1, 1, 2, 0, 4.0},
		{"AveragePool", 2, 6, 5, 1, 0, 1, 1, 1.0},
		{"MaxPool", 2, 5, 5, 0, 1, 1, 0, 2.0},
		{"AveragePool", 1, 5, 5, 0, 1, 1, 1, 0.5},
		{"AveragePool", 3, 4, 5, 0, 0, 2, 0, 2.0},
		{"AveragePool", 1, 3, 3, 1, 0, 1, 0, 1.0},
		{"AveragePool", 1, 3, 3, 0, 0, 1, 0, 1.0},
		{"AveragePool", 1, 3, 3, 0, 1, 1, 1, 0.5},
		{"MaxPool", 1, 2, 5, 0, 0, 2, 0, 1.0},
	} {
		attrs := []message{intsAttr("kernel_shape", c.kernel), intsAttr("strides", c.stride), intsAttr("pads", c.begin, c.end),
			intsAttr("dilations", c.dilation), intAttr("ceil_mode", 1), intAttr("count_include_pad", c.countPad)}
		if c.op == "MaxPool" {
			attrs = attrs[:5]
		}
		g := graphParts{nodes: []message{nodeMessage(c.op, "", []string{"x"}, []string{"y"}, attrs...)},
			inputs: []message{tensorInput("x", 1, 1, 1, c.n)}, outputs: oneOutput}
		m := parse(t, modelMessage(8, 19, g.encode()), source.Options{})
		x := make([]float32, c.n)
		for i := range x {
			x[i] = float32(i + 1)
		}
		out, err := eval.Run(m.Graph, []*ir.Tensor{ir.TensorOf(ir.Shape{1, 1, c.n}, x...)})
		if err != nil {
			t.Fatal(err)
		}
		if got := out[0].Float32s(); len(got) != 1 || got[0] != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// A pool without a result, or with a window that has no element of the input, is refused.
func TestEmptyWindow(t *testing.T) {
	for _, c := range []struct {
		op    string
		attrs []message
		want  string
	}{
		{"MaxPool", []message{intsAttr("kernel_shape", 3), intsAttr("strides", 1), intAttr("ceil_mode", 1)}, "a window of 3 does not fit 1 elements"},
		{"MaxPool", []message{intsAttr("kernel_shape", 3), intsAttr("strides", 2), intAttr("ceil_mode", 1)}, "a window of 3 does not fit 1 elements"},
		{"MaxPool", []message{intsAttr("kernel_shape", 2), intsAttr("pads", 1, 1), intsAttr("dilations", 2)}, "the window at -1 has no element of the input"},
		{"AveragePool", []message{intsAttr("kernel_shape", 2), intsAttr("pads", 1, 1), intsAttr("dilations", 2)}, "the window at -1 has no element of the input"},
		{"AveragePool", []message{intsAttr("kernel_shape", 3), intsAttr("strides", 2), intsAttr("pads", 4, -1), intAttr("ceil_mode", 1), intAttr("count_include_pad", 1)}, "padding of -1 crops the end, behind which ceil_mode adds room of 1"},
		{"AveragePool", []message{intsAttr("kernel_shape", 1), intsAttr("pads", 0, 1)}, "padding of 0 and 1 for a kernel of 1"},
	} {
		g := graphParts{nodes: []message{nodeMessage(c.op, "", []string{"x"}, []string{"y"}, c.attrs...)}, inputs: []message{tensorInput("x", 1, 1, 1, 1)}, outputs: oneOutput}
		wantText(t, failure(t, modelMessage(8, 19, g.encode()), source.Options{}), c.want)
	}
}

// Padding as wide as the kernel is refused, whatever the strides and extents are.
func TestPaddingOfKernel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 1000 {
		k, begin, end := 1+r.Int64N(4), r.Int64N(5), r.Int64N(5)
		op := []string{"MaxPool", "AveragePool"}[r.IntN(2)]
		attrs := []message{intsAttr("kernel_shape", k), intsAttr("strides", 1+r.Int64N(4)), intsAttr("pads", begin, end), intAttr("ceil_mode", r.Int64N(2))}
		g := graphParts{nodes: []message{nodeMessage(op, "", []string{"x"}, []string{"y"}, attrs...)}, inputs: []message{tensorInput("x", 1, 1, 1, 4+r.IntN(6))}, outputs: oneOutput}
		_, err := Parse("test.onnx", modelMessage(8, 19, g.encode()), "", source.Options{})
		if wide := begin >= k || end >= k; wide != (err != nil && strings.Contains(err.Error(), "it must be smaller")) {
			t.Errorf("%s, kernel %d, pads %d and %d: %v", op, k, begin, end, err)
		}
		if err == nil {
			accepted++
		}
	}
	if accepted < 100 {
		t.Errorf("%d models are accepted", accepted)
	}
}
