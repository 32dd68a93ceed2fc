package onnx

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"modelc/frontend/source"
	"modelc/ir"
)

// integersOfType encodes a tensor of integers. elem is a number of TensorProto.DataType.
func integersOfType(name string, elem int64, dims []int64, x ...int64) message {
	return message{}.packed(1, dims...).int(2, elem).packed(5, x...).str(8, name)
}

// operand encodes a constant operand with the given name.
type operand func(name string) message

func floatScale(x ...float32) operand {
	return func(name string) message {
		if len(x) == 1 {
			return floatWeights(name, nil, x...)
		}
		return floatWeights(name, []int64{int64(len(x))}, x...)
	}
}

func integer(elem int64, x ...int64) operand {
	return func(name string) message {
		if len(x) == 1 {
			return integersOfType(name, elem, nil, x...)
		}
		return integersOfType(name, elem, []int64{int64(len(x))}, x...)
	}
}

// full is a tensor with equal elements.
func full(elem, x int64, dims ...int64) operand {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	return func(name string) message {
		return integersOfType(name, elem, dims, slices.Repeat([]int64{x}, int(n))...)
	}
}

// modelOf encodes a model of one node. Its operands are called in0, in1, ….
func modelOf(domain, op string, operands []any) message {
	g := graphParts{outputs: []message{tensorInput("y", uint8Elem)}}
	var in []string
	for i, o := range operands {
		name := fmt.Sprint("in", i)
		in = append(in, name)
		switch o := o.(type) {
		case computed:
			g.inputs = append(g.inputs, tensorInput(name, o.elem, o.dims...))
		case operand:
			g.weights = append(g.weights, o(name))
		}
	}
	g.nodes = []message{nodeMessage(op, "the node", in, []string{"y"}).str(7, domain)}
	return modelMessage(8, 21, g.encode())
}

const (
	float32Elem, uint8Elem, int8Elem, int32Elem = 1, 2, 3, 6
)

// Parameters of quantisation that make no sense, and sums that do not fit 32 bits, are
// refused with the name of the node.
func TestBadQuantisation(t *testing.T) {
	x := func(elem int64, dims ...any) any { return computed{elem, dims} }
	type operands map[int]any
	conv := operands{0: x(uint8Elem, 1, 2, 4, 4), 1: floatScale(0.1), 2: integer(uint8Elem, 3),
		3: full(int8Elem, 1, 2, 2, 3, 3), 4: floatScale(0.1), 5: integer(int8Elem, 0), 6: floatScale(0.1), 7: integer(uint8Elem, 3)}
	add := operands{0: x(uint8Elem, 4), 1: floatScale(0.1), 2: integer(uint8Elem, 3), 3: x(uint8Elem, 4), 4: floatScale(0.1), 5: integer(uint8Elem, 3), 6: floatScale(0.1), 7: integer(uint8Elem, 3)}
	quantize := operands{0: x(float32Elem, 2, 3), 1: floatScale(0.1), 2: integer(uint8Elem, 3)}
	dequantize := operands{0: x(uint8Elem, 2, 3), 1: floatScale(0.1), 2: integer(uint8Elem, 3)}
	product := operands{0: x(uint8Elem, 1, 70000), 1: full(uint8Elem, 255, 70000, 1)}
	const smallest = math.SmallestNonzeroFloat32
	for _, c := range []struct {
		domain, op string
		base, with operands
		want       []string // nil for a model that is accepted
	}{
		{op: "QLinearConv", base: conv},
		{op: "QLinearConv", base: conv, with: operands{1: floatScale(0)}, want: []string{`scale "in1" contains 0, want positive normal numbers`, "quantise the float network again"}},
		{op: "QLinearConv", base: conv, with: operands{4: floatScale(0.1, -0.1)}, want: []string{`scale "in4" contains -0.1`}},
		{op: "QLinearConv", base: conv, with: operands{6: floatScale(float32(math.NaN()))}, want: []string{`scale "in6" contains NaN`}},
		{op: "QLinearConv", base: conv, with: operands{6: floatScale(smallest)}, want: []string{`scale "in6" contains 1.4`}},
		{op: "QLinearConv", base: conv, with: operands{1: floatScale(float32(math.Inf(1)))}, want: []string{`scale "in1" contains +Inf`}},
		{op: "QLinearConv", base: conv, with: operands{1: floatScale(1e30), 6: floatScale(1e-30)}, want: []string{"exceeds the range of f32"}},
		{op: "QLinearConv", base: conv, with: operands{1: integer(uint8Elem, 1)}, want: []string{`scale "in1" is u8`}},
		{op: "QLinearConv", base: conv, with: operands{2: integer(int8Elem, 3)}, want: []string{`zero point "in2" is i8`, "u8"}},
		{op: "QLinearConv", base: conv, with: operands{2: integer(uint8Elem, 256)}, want: []string{`tensor "in2" of type u8 has the element 256`}},
		{op: "QLinearConv", base: conv, with: operands{5: integer(int8Elem, -129)}, want: []string{`tensor "in5" of type i8 has the element -129`}},
		{op: "QLinearConv", base: conv, with: operands{4: floatScale(1, 2, 3)}, want: []string{`scale "in4" is f32[3] for 2 channels`}},
		{op: "QLinearConv", base: conv, with: operands{5: integer(int8Elem, 1, 2, 3)}, want: []string{"scale or zero point i8[3] along axis 0 of [2,2,3,3]"}},
		{op: "QLinearConv", base: conv, with: operands{2: integer(uint8Elem, 1, 2)}, want: []string{`zero point "in2" is u8[2], want one element`}},
		{op: "QLinearConv", base: conv, with: operands{8: integer(int32Elem, 1, 2, 3)}, want: []string{`bias "in8" is i32[3], want i32[2]`}},
		{op: "QLinearConv", base: conv, with: operands{8: floatScale(1, 2)}, want: []string{`bias "in8" is f32[2], want i32[2]`}},
		{op: "QLinearConv", base: conv, with: operands{8: integer(int32Elem, math.MaxInt32, 0)}, want: []string{"the sums of channel 0 may lie between 2147483593 and 2147488183, beyond 32 bits", "keep this layer in floats"}},
		{op: "ConvInteger", base: operands{0: x(uint8Elem, 1, 40000, 1), 1: x(uint8Elem, 2, 40000, 1)}, want: []string{"the sums of channel 0 may lie between -2601000000 and 2601000000, beyond 32 bits"}},
		{op: "ConvInteger", base: operands{0: x(uint8Elem, 1, 30000, 1), 1: x(uint8Elem, 2, 30000, 1)}},
		{op: "MatMulInteger", base: product, want: []string{"the sums of channel 0 may lie between 0 and 4551750000, beyond 32 bits"}},
		{op: "MatMulInteger", base: product, with: operands{1: full(uint8Elem, 100, 70000, 1)}},
		{op: "MatMulInteger", base: product, with: operands{1: x(uint8Elem, 70000, 1)}, want: []string{"the sums may exceed 32 bits"}},
		{op: "QLinearMatMul", base: operands{0: x(uint8Elem, 2, 3), 1: floatScale(0.1), 2: integer(uint8Elem, 3), 3: full(int8Elem, 1, 3, 2), 4: floatScale(1, 2, 3), 5: integer(int8Elem, 0), 6: floatScale(0.1), 7: integer(uint8Elem, 3)}, want: []string{`scale "in4" is f32[3] for 2 channels`}},
		{op: "QuantizeLinear", base: quantize, with: operands{1: floatScale(0)}, want: []string{`scale "in1" contains 0`}},
		{op: "QuantizeLinear", base: quantize, with: operands{1: floatScale(1, 2)}, want: []string{"scale or zero point f32[2] along axis 1 of [2,3]: their lengths differ"}},
		{op: "QuantizeLinear", base: quantize, with: operands{2: integer(int32Elem, 0)}, want: []string{"quantisation to i32"}},
		{op: "DequantizeLinear", base: dequantize},
		{op: "DequantizeLinear", base: dequantize, with: operands{2: integer(int8Elem, 3)}, want: []string{`zero point "in2" is i8`}},
		{op: "DequantizeLinear", base: dequantize, with: operands{0: x(int32Elem, 2, 3), 2: integer(int32Elem, 3)}, want: []string{`zero point "in2" of 32-bit integers is not 0`}},
		{op: "DequantizeLinear", base: dequantize, with: operands{1: floatScale(-1)}, want: []string{`scale "in1" contains -1`}},
		{domain: "com.microsoft", op: "QLinearAdd", base: add},
		{domain: "com.microsoft", op: "QLinearAdd", base: add, with: operands{4: floatScale(0)}, want: []string{`scale "in4" contains 0`}},
		{domain: "com.microsoft", op: "QLinearAdd", base: add, with: operands{4: floatScale(1e30), 6: floatScale(1e-30)}, want: []string{"exceed the range of f32"}},
		{domain: "com.microsoft", op: "QLinearMul", base: add, with: operands{5: integer(int8Elem, 3)}, want: []string{`zero point "in5" is i8`}},
	} {
		all := maps.Clone(c.base)
		maps.Copy(all, c.with)
		var in []any
		for i := range len(all) {
			in = append(in, all[i])
		}
		_, err := Parse("test.onnx", modelOf(c.domain, c.op, in), "", source.Options{})
		switch {
		case c.want == nil && err != nil:
			t.Errorf("%s: %v", c.op, err)
		case c.want == nil:
		case err == nil:
			t.Errorf("%s: accepted, want an error with %q", c.op, c.want)
		default:
			for _, want := range append(c.want, c.op, `"the node"`) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: error %v, want %q", c.op, err, want)
				}
			}
		}
	}
}

// Quantised operators become ops on integers. Scales and zero points are no parameters of the
// model.
func TestQuantisedOps(t *testing.T) {
	u8 := func(dims ...any) any { return computed{uint8Elem, dims} }
	for _, c := range []struct {
		domain, op string
		in         []any
		want       []string // the ops
		parameters int64
	}{
		{"", "QLinearConv", []any{u8(1, 2, 4, 4), floatScale(0.1), integer(uint8Elem, 3), full(uint8Elem, 1, 2, 2, 3, 3), floatScale(0.1, 0.2), integer(uint8Elem, 128, 3), floatScale(0.1), integer(uint8Elem, 3)}, []string{"Conv"}, 36},
		{"", "ConvInteger", []any{u8(1, 2, 4, 4), full(uint8Elem, 1, 2, 2, 3, 3), u8()}, []string{"Conv"}, 36},
		{"", "MatMulInteger", []any{u8(2, 3, 4), full(int8Elem, 1, 4, 5)}, []string{"Reshape", "Dense", "Reshape"}, 20},
		{"", "QLinearMatMul", []any{u8(2, 3), floatScale(0.1), integer(uint8Elem, 3), full(int8Elem, 1, 3, 2), floatScale(0.1), integer(int8Elem, 0), floatScale(0.1), integer(uint8Elem, 3)}, []string{"Dense"}, 6},
		{"com.microsoft", "QLinearAdd", []any{u8(4), floatScale(0.1), integer(uint8Elem, 3), u8(4), floatScale(0.1), integer(uint8Elem, 3), floatScale(0.1), integer(uint8Elem, 3)}, []string{"QBinary"}, 0},
		{"com.microsoft", "QLinearSigmoid", []any{u8(4), floatScale(0.1), integer(uint8Elem, 3), floatScale(0.1), integer(uint8Elem, 3)}, []string{"Lookup"}, 0},
		{"com.microsoft", "QLinearGlobalAveragePool", []any{u8(1, 2, 3, 3), floatScale(0.1), integer(uint8Elem, 3), floatScale(0.1), integer(uint8Elem, 3)}, []string{"QAveragePool"}, 0},
		{"com.microsoft", "QLinearConcat", []any{floatScale(0.1), integer(uint8Elem, 3), u8(4), floatScale(0.1), integer(uint8Elem, 3), u8(4), floatScale(0.2), integer(uint8Elem, 3)}, []string{"Lookup", "Concat"}, 0},
		{"com.microsoft", "QGemm", []any{u8(2, 3), floatScale(0.1), integer(uint8Elem, 3), full(int8Elem, 1, 3, 2), floatScale(0.1), integer(int8Elem, 0), full(int32Elem, 5, 2), floatScale(0.1), integer(uint8Elem, 3)}, []string{"Dense"}, 8},
		{"com.microsoft", "MatMulIntegerToFloat", []any{u8(2, 3), full(int8Elem, 1, 3, 2), floatScale(0.1), floatScale(0.2), integer(uint8Elem, 3), integer(int8Elem, 0)}, []string{"Dense"}, 6},
		{"com.microsoft", "DynamicQuantizeMatMul", []any{computed{float32Elem, []any{2, 3}}, full(int8Elem, 1, 3, 2), floatScale(0.1), integer(int8Elem, 0)}, []string{"DynamicQuantize", "Binary", "Dense"}, 6},
	} {
		m := parse(t, modelOf(c.domain, c.op, c.in), source.Options{})
		m.Graph.Prune()
		var ops []string
		for _, n := range m.Graph.Nodes {
			ops = append(ops, n.Op.Name())
		}
		if !slices.Equal(ops, c.want) {
			t.Errorf("%s: %v, want %v\n%s", c.op, ops, c.want, ir.Format(m.Graph))
		}
		for _, l := range m.Layers {
			c.parameters -= l.Trainable + l.Fixed
		}
		if c.parameters != 0 {
			t.Errorf("%s: the number of parameters is too small by %d", c.op, c.parameters)
		}
	}
}
