package onnx

import (
	"fmt"
	"math"
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// Conversions between floats and integers. docs/quantisation.md gives the arithmetic of all
// operators on quantised tensors, and its sources.
var quantisedOps = []operator{
	{name: "QuantizeLinear", since: 10, operands: 2, most: []most{{10, 3}}, becomes: "Quantize", limits: "to 8- and 16-bit integers", build: quantizeLinear},
	{name: "DequantizeLinear", since: 10, operands: 2, most: []most{{10, 3}}, becomes: "Dequantize", limits: "from 8-, 16- and 32-bit integers, and from constants of 4 bits", build: dequantizeLinear},
	{name: "DynamicQuantizeLinear", since: 11, operands: 1, becomes: "DynamicQuantize", build: dynamicQuantizeLinear},
	{name: "com.microsoft.QuantizeLinear", operands: 2, most: []most{{1, 3}}, becomes: "Quantize", limits: "to 8- and 16-bit integers", build: quantizeLinear},
	{name: "com.microsoft.DequantizeLinear", operands: 2, most: []most{{1, 3}}, becomes: "Dequantize", limits: "from 8-, 16- and 32-bit integers", build: dequantizeLinear},
}

// requantise is the remedy for parameters of quantisation that make no sense.
const requantise = "quantise the float network again"

// folded returns v as a constant if it depends on constants only.
func (n *node) folded(v *ir.Value) *ir.Value {
	if isWeights(v) {
		return v
	}
	if t, ok := eval.Const(v); ok {
		return n.constValue(t)
	}
	return v
}

// along reshapes a scale or zero point so that it broadcasts to x. It has one number,
// one per position along axis, or one per block of positions. An absent v is absent.
func (n *node) along(v *ir.Value, x ir.Shape, axis, block int) *ir.Value {
	if v == nil {
		return nil
	}
	s := v.Type.Shape
	r := len(x)
	switch {
	case block > 0:
		a := n.axis(axis, r)
		if len(s) != r || int64(s[a]) != (int64(x[a])+int64(block)-1)/int64(block) {
			n.failf("%s for blocks of %d along axis %d of %s", v.Type, block, a, x)
		}
		of := make([]int, n.budget(ir.Shape{x[a]}))
		for i := range of {
			of[i] = i / block
		}
		return n.folded(n.emit(ir.Gather{Axis: a}, v, n.int64s(of)))
	case s.Len() == 1:
		return n.folded(n.reshape(v, ir.Shape{}))
	case len(s) == 1:
		a := n.axis(axis, r)
		if s[0] != x[a] {
			n.refuse(fmt.Sprintf("scale or zero point %s along axis %d of %s: their lengths differ", v.Type, a, x), requantise)
		}
		return n.folded(n.reshape(v, append(ir.Shape{s[0]}, repeat(1, r-1-a)...)))
	}
	if out, err := ir.BroadcastShapes(s, x); err != nil || !out.Equal(x) {
		n.failf("scale or zero point %s for %s", v.Type, x)
	}
	return v
}

// parameters are the scale and the zero point of a tensor.
type parameters struct {
	scale, zero *ir.Value // the zero point is nil if it is 0
	d           ir.DType  // of the integers
}

// quantised is a tensor of integers with its parameters.
type quantised struct {
	x *ir.Value
	parameters
}

// need returns operand i, which is required in this form of the operator.
func (n *node) need(i int, what string) *ir.Value {
	v := n.arg(i)
	if v == nil {
		n.failf("operand %d, %s, is missing", i, what)
	}
	return v
}

// quantised returns the tensor in operand i, with its scale in operand i+1 and its zero
// point in operand i+2.
func (n *node) quantised(i int) quantised {
	x := n.need(i, "a tensor")
	return quantised{x, n.parameters(i+1, x.Type.DType)}
}

// parameters returns the scale in operand i and the zero point in operand i+1 of a tensor
// of type d.
func (n *node) parameters(i int, d ir.DType) parameters {
	return parameters{n.scaleAt(i), n.zeroAt(i+1, d), d}
}

// result is like parameters, for the result of the operator. The zero point determines its
// type, which is d if the zero point is absent.
func (n *node) result(i int, d ir.DType) parameters {
	if zero := n.arg(i + 1); zero != nil {
		d = zero.Type.DType
	}
	return n.parameters(i, d)
}

// scaleAt returns operand i, the scale of a tensor. It refuses constants that are not positive
// normal float32.
func (n *node) scaleAt(i int) *ir.Value {
	scale := n.need(i, "a scale")
	n.quantising = append(n.quantising, i)
	if !scale.Type.DType.IsFloat() {
		n.failf("scale %q is %s, want floats", scale.Name, scale.Type)
	}
	t, ok := eval.Const(scale)
	if !ok {
		return scale
	}
	const smallest = 0x1p-126
	for _, s := range t.Float64s() {
		if !(s >= smallest && s <= math.MaxFloat32) {
			n.refuse(fmt.Sprintf("scale %q contains %g, want positive normal numbers", scale.Name, s), requantise)
		}
	}
	return scale
}

// zeroAt returns operand i, the zero point of a tensor of type d, or nil if it is absent. The
// zero point of 32-bit integers is 0.
func (n *node) zeroAt(i int, d ir.DType) *ir.Value {
	zero := n.arg(i)
	n.quantising = append(n.quantising, i)
	if zero == nil {
		return nil
	}
	if zero.Type.DType != d {
		n.refuse(fmt.Sprintf("zero point %q is %s, want the type of the quantised tensor, %s", zero.Name, zero.Type, d), requantise)
	}
	if t, ok := eval.Const(zero); ok && d == ir.Int32 && slices.ContainsFunc(t.Int64s(), func(x int64) bool { return x != 0 }) {
		n.refuse(fmt.Sprintf("zero point %q of 32-bit integers is not 0", zero.Name), requantise)
	}
	return zero
}

// unscaled returns the integers in operand i, which have no scale, with the zero point in
// operand zero.
func (n *node) unscaled(i, zero int) quantised {
	x := n.need(i, "a tensor")
	d := x.Type.DType
	return quantised{x, parameters{zero: n.zeroAt(zero, d), d: d}}
}

// single reports whether p has one constant scale and at most one constant zero point, and
// returns them.
func (p parameters) single() (scale float32, zero int, ok bool) {
	s, ok := eval.Const(p.scale)
	if !ok || s.Shape.Len() != 1 || s.DType != ir.Float32 {
		return 0, 0, false
	}
	zero, ok = p.singleZero()
	return s.Float32s()[0], zero, ok
}

// singleZero reports whether p has at most one constant zero point, and returns it.
func (p parameters) singleZero() (zero int, ok bool) {
	if p.zero == nil {
		return 0, true
	}
	z, ok := eval.Const(p.zero)
	if !ok || z.Shape.Len() != 1 {
		return 0, false
	}
	return z.Ints()[0], true
}

// isByte reports whether d is a type of 8-bit integers.
func isByte(d ir.DType) bool { return d == ir.Int8 || d == ir.Uint8 }

// dequantize computes scale·(x − zero).
func (n *node) dequantize(x *ir.Value, p parameters, axis, block int) *ir.Value {
	s := x.Type.Shape
	return n.emit(ir.Dequantize{}, x, n.along(p.scale, s, axis, block), n.along(p.zero, s, axis, block))
}

// quantize computes saturate(round(x/scale) + zero). x has the type of the scale.
func (n *node) quantize(x *ir.Value, p parameters, axis, block int) *ir.Value {
	if !p.d.IsInt() || p.d.Size() > 2 {
		n.refuse("quantisation to "+p.d.String(), "only i8, u8, i16 and u16 are supported")
	}
	s := x.Type.Shape
	return n.emit(ir.Quantize{To: p.d}, x, n.along(p.scale, s, axis, block), n.along(p.zero, s, axis, block))
}

// chosenType returns the type that an attribute names, or d if it is absent or 0.
func (n *node) chosenType(a int, d ir.DType) ir.DType {
	if a == 0 {
		return d
	}
	d, err := elementType(int64(a))
	if err != nil {
		n.fail(err)
	}
	n.im.widened = n.im.widened || isHalf(int64(a))
	return d
}

func quantizeLinear(n *node) []*ir.Value {
	x, zero := n.in[0], n.arg(2)
	axis, block := n.int("axis", 1), n.int("block_size", 0)
	d := n.chosenType(n.int("output_dtype", 0), ir.Uint8)
	if n.int("output_dtype", 0) == 0 && zero != nil {
		d = zero.Type.DType
	}
	p := n.parameters(1, d)
	// The division has the precision of the scale, unless the attribute says otherwise.
	precision := n.chosenType(n.int("precision", 0), p.scale.Type.DType)
	p.scale = n.folded(n.cast(p.scale, precision))
	return []*ir.Value{n.quantize(n.cast(x, precision), p, axis, block)}
}

func dequantizeLinear(n *node) []*ir.Value {
	q := n.quantised(0)
	axis, block := n.int("axis", 1), n.int("block_size", 0)
	q.scale = n.folded(n.cast(q.scale, n.chosenType(n.int("output_dtype", 0), q.scale.Type.DType)))
	return []*ir.Value{n.dequantize(q.x, q.parameters, axis, block)}
}

func dynamicQuantizeLinear(n *node) []*ir.Value { return n.one(ir.DynamicQuantize{}, n.in[0]) }
