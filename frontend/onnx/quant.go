package onnx

import (
	"math"
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// Quantised tensors keep their integers between operators, and operators compute in
// float32. A product of two 8-bit numbers is exact in float32. The error of a long sum
// of products is far smaller than the rounding step that follows. Operators whose
// result is the sum use types that represent it exactly.
var quantisedOps = []operator{
	{name: "QuantizeLinear", since: 10, operands: 2, most: []most{{10, 3}}, becomes: "Binary Div, Unary Round, Binary Add, Unary Clip, Cast", limits: "to 8- and 16-bit integers", build: quantizeLinear},
	{name: "DequantizeLinear", since: 10, operands: 2, most: []most{{10, 3}}, becomes: "Cast, Binary Sub, Mul; a constant where x is one", limits: "from 8-, 16- and 32-bit integers", build: dequantizeLinear},
	{name: "DynamicQuantizeLinear", since: 11, operands: 1, becomes: "Reduce, Where, and as QuantizeLinear", build: dynamicQuantizeLinear},
	{name: "QLinearConv", since: 10, operands: 8, most: []most{{10, 9}}, becomes: "Conv in f32, and as QuantizeLinear", build: qLinearConv},
	{name: "QLinearMatMul", since: 10, operands: 8, becomes: "Dense or MatMul in f32, and as QuantizeLinear", build: qLinearMatMul},
	{name: "ConvInteger", since: 10, operands: 2, most: []most{{10, 4}}, becomes: "Conv in f64, Cast", build: convInteger},
	{name: "MatMulInteger", since: 10, operands: 2, most: []most{{10, 4}}, becomes: "MatMul in i32", build: matMulInteger},

	// Operators of ONNX Runtime, which its quantisation tool writes.
	{name: "com.microsoft.QLinearAdd", operands: 2, most: []most{{1, 8}}, becomes: "Binary Add between dequantisation and quantisation", build: qLinearBinary(ir.Add)},
	{name: "com.microsoft.QLinearMul", operands: 2, most: []most{{1, 8}}, becomes: "Binary Mul between dequantisation and quantisation", build: qLinearBinary(ir.Mul)},
	{name: "com.microsoft.QLinearGlobalAveragePool", operands: 2, most: []most{{1, 5}}, becomes: "Reduce mean between dequantisation and quantisation", build: qLinearGlobalAveragePool},
	{name: "com.microsoft.QGemm", operands: 5, most: []most{{1, 9}}, becomes: "Dense or MatMul in f32, and as QuantizeLinear", build: qGemm},
}

// along reshapes a scale or zero point so that it broadcasts to x. It has one number,
// one per position along axis, or one per block of positions.
func (n *node) along(v, x *ir.Value, axis, block int) *ir.Value {
	s := v.Type.Shape
	r := x.Type.Rank()
	switch {
	case block > 0:
		a := n.axis(axis, r)
		if len(s) != r || int64(s[a]) != (int64(x.Type.Shape[a])+int64(block)-1)/int64(block) {
			n.failf("%s for blocks of %d along axis %d of %s", v.Type, block, a, x.Type)
		}
		of := make([]int, n.budget(ir.Shape{x.Type.Shape[a]}))
		for i := range of {
			of[i] = i / block
		}
		return n.emit(ir.Gather{Axis: a}, v, n.int64s(of))
	case s.Len() == 1:
		return n.reshape(v, ir.Shape{})
	case len(s) == 1:
		a := n.axis(axis, r)
		if s[0] != x.Type.Shape[a] {
			n.failf("%s along axis %d of %s", v.Type, a, x.Type)
		}
		return n.reshape(v, append(ir.Shape{s[0]}, repeat(1, r-1-a)...))
	}
	if out, err := ir.BroadcastShapes(s, x.Type.Shape); err != nil || !out.Equal(x.Type.Shape) {
		n.failf("scale or zero point %s for %s", v.Type, x.Type)
	}
	return v
}

// isZero reports whether v is absent or known to be zero.
func isZero(v *ir.Value) bool {
	if v == nil {
		return true
	}
	t, ok := eval.Const(v)
	return ok && !slices.ContainsFunc(t.Float64s(), func(x float64) bool { return x != 0 })
}

// centered computes x − zero in type d. zero is absent or broadcasts to x.
func (n *node) centered(x, zero *ir.Value, d ir.DType) *ir.Value {
	if !x.Type.DType.IsInt() || x.Type.DType.Size() > 4 || zero != nil && zero.Type.DType != x.Type.DType {
		n.failf("quantised tensor is %s", x.Type)
	}
	if isZero(zero) {
		return n.cast(x, d)
	}
	if x.Type.DType.Size() < 4 {
		return n.binary(ir.Sub, n.cast(x, d), n.cast(zero, d))
	}
	// Wider integers are subtracted in their own type, because f32 cannot represent
	// them.
	return n.cast(n.binary(ir.Sub, x, zero), d)
}

// dequantize computes (x − zero)·scale. If all operands are constant, it computes the
// result at compile time, and the result is weights.
func (n *node) dequantize(x, scale, zero *ir.Value) *ir.Value {
	y := n.binary(ir.Mul, n.centered(x, zero, scale.Type.DType), scale)
	if t, ok := eval.Fold(y); ok {
		return n.constValue(t)
	}
	return y
}

// quantize computes x/scale + zero as an integer of type d.
func (n *node) quantize(x, scale, zero *ir.Value, d ir.DType) *ir.Value {
	return n.saturate(n.binary(ir.Div, x, scale), zero, d)
}

// saturate rounds x to even, adds zero and converts the result to the nearest integer
// of type d.
func (n *node) saturate(x, zero *ir.Value, d ir.DType) *ir.Value {
	var lo, hi float64
	switch bits := 8 * d.Size(); {
	case !d.IsInt() || bits > 16:
		n.refuse("quantisation to "+d.String(), "only i8, u8, i16 and u16 are supported")
	case d == ir.Int8 || d == ir.Int16:
		lo, hi = -math.Ldexp(1, bits-1), math.Ldexp(1, bits-1)-1
	default:
		hi = math.Ldexp(1, bits) - 1
	}
	y := n.unary(ir.Round, x)
	if !isZero(zero) {
		y = n.binary(ir.Add, y, n.cast(zero, x.Type.DType))
	}
	return n.cast(n.emit(ir.Unary{Fn: ir.Act{Fn: ir.Clip, Alpha: lo, Beta: hi}}, y), d)
}

// optional returns the result of along for v, or nil if v is absent.
func (n *node) optional(v, x *ir.Value, axis, block int) *ir.Value {
	if v == nil {
		return nil
	}
	return n.along(v, x, axis, block)
}

func quantizeLinear(n *node) []*ir.Value {
	x, zero := n.in[0], n.arg(2)
	axis, block := n.int("axis", 1), n.int("block_size", 0)
	d := ir.Uint8
	if zero != nil {
		d = zero.Type.DType
	} else if a := n.int("output_dtype", 0); a != 0 {
		var err error
		if d, err = elementType(int64(a)); err != nil {
			n.fail(err)
		}
	}
	scale := n.in[1]
	x = n.cast(x, scale.Type.DType)
	return []*ir.Value{n.quantize(x, n.along(scale, x, axis, block), n.optional(zero, x, axis, block), d)}
}

func dequantizeLinear(n *node) []*ir.Value {
	x := n.in[0]
	axis, block := n.int("axis", 1), n.int("block_size", 0)
	return []*ir.Value{n.dequantize(x, n.along(n.in[1], x, axis, block), n.optional(n.arg(2), x, axis, block))}
}

// dynamicQuantizeLinear maps the range of x, extended to include zero, to the 8-bit
// integers.
func dynamicQuantizeLinear(n *node) []*ir.Value {
	x := n.in[0]
	d := x.Type.DType
	zero := n.number(d, 0)
	all := upTo(0, x.Type.Rank())
	low := n.binary(ir.Min, n.emit(ir.Reduce{Fn: ir.ReduceMin, Axes: all}, x), zero)
	high := n.binary(ir.Max, n.emit(ir.Reduce{Fn: ir.ReduceMax, Axes: all}, x), zero)
	span := n.binary(ir.Sub, high, low)
	step := n.binary(ir.Div, span, n.number(d, 255))
	scale := n.emit(ir.Where{}, n.binary(ir.Equal, span, zero), n.number(d, 1), step)
	point := n.quantize(n.binary(ir.Sub, zero, low), scale, nil, ir.Uint8)
	return []*ir.Value{n.quantize(x, scale, point, ir.Uint8), scale, point}
}

// need returns operand i, which is required in this form of the operator.
func (n *node) need(i int, what string) *ir.Value {
	v := n.arg(i)
	if v == nil {
		n.failf("operand %d, %s, is missing", i, what)
	}
	return v
}

// quantised is an operand with its scale and zero point.
type quantised struct{ x, scale, zero *ir.Value }

// quantised reads operand i, its scale i+1 and its zero point i+2. Scale and zero
// point may have one value per position along axis.
func (n *node) quantised(i, axis int) quantised {
	x := n.need(i, "a tensor")
	return quantised{x, n.along(n.need(i+1, "a scale"), x, axis, 0), n.optional(n.arg(i+2), x, axis, 0)}
}

// to quantises y with the scale and zero point in operands i and i+1. If by is not
// nil, to multiplies y by it first. Without a zero point the result has type d.
func (n *node) to(i, axis int, y, by *ir.Value, d ir.DType) *ir.Value {
	scale, zero := n.along(n.need(i, "the result's scale"), y, axis, 0), n.optional(n.arg(i+1), y, axis, 0)
	if zero != nil {
		d = zero.Type.DType
	}
	if by == nil {
		return n.quantize(y, scale, zero, d)
	}
	return n.saturate(n.binary(ir.Mul, y, n.binary(ir.Div, by, scale)), zero, d)
}

func qLinearConv(n *node) []*ir.Value {
	x, w := n.quantised(0, 1), n.quantised(3, 0)
	bias := n.arg(8)
	if bias != nil {
		bias = n.weight(quantised{x: bias}, ir.Float32)
	}
	y := n.convolve(n.centered(x.x, x.zero, ir.Float32), n.weight(w, ir.Float32), bias)
	// A scale per filter is along the channels of the result.
	scale := n.along(n.in[4], y, 1, 0)
	return []*ir.Value{n.to(6, 1, y, n.binary(ir.Mul, x.scale, scale), x.x.Type.DType)}
}

// weight returns a quantised weight without its scale. A constant weight is computed
// at compile time.
func (n *node) weight(w quantised, d ir.DType) *ir.Value {
	c := n.centered(w.x, w.zero, d)
	if t, ok := eval.Fold(c); ok {
		return n.constValue(t)
	}
	return c
}

func convInteger(n *node) []*ir.Value {
	x, w := n.in[0], n.in[1]
	y := n.convolve(n.centered(x, n.optional(n.arg(2), x, 1, 0), ir.Float64),
		n.weight(quantised{x: w, zero: n.optional(n.arg(3), w, 0, 0)}, ir.Float64), nil)
	return []*ir.Value{n.cast(y, ir.Int32)}
}

// qLinearMatMul imports QLinearMatMul. The scale of a may have one value per row, that
// of b one value per column.
func qLinearMatMul(n *node) []*ir.Value {
	a, b := n.in[0], n.in[3]
	qa, qb := n.quantised(0, max(0, a.Type.Rank()-2)), n.quantised(3, b.Type.Rank()-1)
	y := n.multiply(n.centered(a, qa.zero, ir.Float32), n.weight(qb, ir.Float32), nil, false)
	return []*ir.Value{n.to(6, max(0, y.Type.Rank()-2), y, n.binary(ir.Mul, n.cast(qa.scale, ir.Float32), n.cast(qb.scale, ir.Float32)), a.Type.DType)}
}

// multiply computes a product of matrices plus a bias.
func (n *node) multiply(a, b, bias *ir.Value, transB bool) *ir.Value {
	if a.Type.Rank() != 2 || b.Type.Rank() != 2 {
		return n.emit(ir.MatMul{}, a, b)
	}
	y, left := n.product(a, b, transB, 1, 1, bias)
	if left != nil {
		y = n.binary(ir.Add, y, left)
	}
	return y
}

func matMulInteger(n *node) []*ir.Value {
	a, b := n.in[0], n.in[1]
	return n.one(ir.MatMul{}, n.centered(a, n.optional(n.arg(2), a, max(0, a.Type.Rank()-2), 0), ir.Int32),
		n.centered(b, n.optional(n.arg(3), b, b.Type.Rank()-1, 0), ir.Int32))
}

// qLinearBinary imports binary operators. Operands 0 and 3 are a and b.
func qLinearBinary(f ir.BinaryFn) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		a, b := n.quantised(0, 1), n.quantised(3, 1)
		y := n.binary(f, n.dequantize(a.x, a.scale, a.zero), n.dequantize(b.x, b.scale, b.zero))
		return []*ir.Value{n.to(6, 1, y, nil, a.x.Type.DType)}
	}
}

func qLinearGlobalAveragePool(n *node) []*ir.Value {
	x := n.quantised(0, 1)
	axes := ir.SpatialAxes(x.x.Type.Rank())
	if n.flag("channels_last", false) {
		axes = upTo(1, x.x.Type.Rank()-1)
	}
	y := n.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: axes, KeepDims: true}, n.dequantize(x.x, x.scale, x.zero))
	return []*ir.Value{n.to(3, 1, y, nil, x.x.Type.DType)}
}

// qGemm computes alpha·(a·b + c) with the scales of a and b. Without a scale for the
// result, the result is f32.
func qGemm(n *node) []*ir.Value {
	transB := n.flag("transB", false)
	columns := 1
	if transB {
		columns = 0
	}
	a, b := n.quantised(0, 1), n.quantised(3, columns)
	x := n.centered(a.x, a.zero, ir.Float32)
	if n.flag("transA", false) {
		x = n.transpose(x, 1, 0)
	}
	bias := n.arg(6)
	if bias != nil {
		bias = n.weight(quantised{x: bias}, ir.Float32)
	}
	y := n.multiply(x, n.weight(b, ir.Float32), bias, transB)
	scale := n.binary(ir.Mul, a.scale, n.along(n.in[4], y, 1, 0))
	if alpha := n.float("alpha", 1); alpha != 1 {
		scale = n.scaled(scale, alpha)
	}
	if n.arg(7) == nil {
		return n.one(ir.Binary{Fn: ir.Mul}, y, scale)
	}
	return []*ir.Value{n.to(7, 1, y, scale, a.x.Type.DType)}
}
