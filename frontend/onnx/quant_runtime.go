package onnx

import (
	"math"
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// Operators of ONNX Runtime on quantised tensors, which its quantisation tool writes. A
// function of one tensor of 8-bit integers becomes a table.
var runtimeOps = []operator{
	{name: "com.microsoft.QLinearAdd", operands: 2, most: []most{{1, 8}}, becomes: "QBinary Add", build: qLinearBinary(ir.Add)},
	{name: "com.microsoft.QLinearMul", operands: 2, most: []most{{1, 8}}, becomes: "QBinary Mul", build: qLinearBinary(ir.Mul)},
	{name: "com.microsoft.QLinearAveragePool", operands: 4, most: []most{{1, 5}}, becomes: "QAveragePool", build: qLinearAveragePool},
	{name: "com.microsoft.QLinearGlobalAveragePool", operands: 4, most: []most{{1, 5}}, becomes: "QAveragePool", build: qLinearGlobalAveragePool},
	{name: "com.microsoft.QLinearReduceMean", operands: 4, most: []most{{1, 5}}, becomes: "Reduce mean between Dequantize and Quantize", build: qLinearReduceMean},
	{name: "com.microsoft.QLinearSoftmax", operands: 4, most: []most{{1, 5}}, becomes: "Softmax between Dequantize and Quantize", build: qLinearSoftmax},
	{name: "com.microsoft.QLinearSigmoid", operands: 4, most: []most{{1, 5}}, becomes: "Lookup", build: qLinearFunction(ir.Sigmoid)},
	{name: "com.microsoft.QLinearLeakyRelu", operands: 4, most: []most{{1, 5}}, becomes: "Lookup", build: qLinearFunction(ir.LeakyRelu)},
	{name: "com.microsoft.QLinearConcat", operands: 4, most: []most{{1, anyNumber}}, becomes: "Lookup, Concat", build: qLinearConcat},
	{name: "com.microsoft.QLinearWhere", operands: 9, becomes: "Lookup, Where", build: qLinearWhere},
}

// between computes f of the dequantised x, quantised with the parameters y.
func (n *node) between(x quantised, y parameters, f func(v *ir.Value) *ir.Value) *ir.Value {
	return n.quantize(f(n.dequantize(x.x, x.parameters, 1, 0)), y, 1, 0)
}

// mapped is like between for functions of each element. If the parameters are single
// constants, the result is read from a table.
func (n *node) mapped(x quantised, y parameters, f func(v *ir.Value) *ir.Value) *ir.Value {
	_, _, one := x.single()
	_, _, to := y.single()
	if !one || !to || !isByte(x.d) {
		return n.between(x, y, f)
	}
	list := make([]int64, 256)
	lo, _ := x.d.Range()
	for i := range list {
		list[i] = int64(lo + i)
	}
	all := n.constValue(ir.FromInt64s(ir.T(x.d, len(list)), list))
	table, ok := eval.Const(n.between(quantised{all, x.parameters}, y, f))
	if !ok {
		n.failf("a function of constants cannot be computed")
	}
	return n.emit(ir.Lookup{}, x.x, n.constValue(table))
}

// converted returns x with the parameters y.
func (n *node) converted(x quantised, y parameters) *ir.Value {
	xs, xz, one := x.single()
	ys, yz, to := y.single()
	if one && to && xs == ys && xz == yz && x.d == y.d {
		return x.x
	}
	return n.mapped(x, y, func(v *ir.Value) *ir.Value { return v })
}

// qLinearBinary imports binary operators. Operands 0 and 3 are a and b.
func qLinearBinary(f ir.BinaryFn) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		a, b, y := n.quantised(0), n.quantised(3), n.result(6, n.in[0].Type.DType)
		as, az, okA := a.single()
		bs, bz, okB := b.single()
		ys, yz, okY := y.single()
		if !okA || !okB || !okY || !isByte(a.d) || !isByte(b.d) || !isByte(y.d) {
			v := n.binary(f, n.dequantize(a.x, a.parameters, 1, 0), n.dequantize(b.x, b.parameters, 1, 0))
			return []*ir.Value{n.quantize(v, y, 1, 0)}
		}
		op := ir.QBinary{Fn: f, To: y.d, AScale: float64(as / ys), BScale: float64(bs / ys), AZero: az, BZero: bz, YZero: yz}
		if f == ir.Mul {
			product := as * bs
			op.AScale, op.BScale = float64(product/ys), 0
		}
		if !(op.AScale > 0) || math.IsInf(op.AScale, 0) || f == ir.Add && (!(op.BScale > 0) || math.IsInf(op.BScale, 0)) {
			n.refuse("the scales of the operands, divided by that of the result, exceed the range of f32", requantise)
		}
		op.Lo, op.Hi = y.d.Range()
		return n.one(op, a.x, b.x)
	}
}

// channelsFirst calls f with x. If the channels are last, it transposes the operand and the
// result of f.
func (n *node) channelsFirst(x *ir.Value, f func(x *ir.Value) *ir.Value) []*ir.Value {
	r := x.Type.Rank()
	if r < 3 {
		n.failf("x is %s, want [N,C,D…]", x.Type)
	}
	if !n.flag("channels_last", false) {
		return []*ir.Value{f(x)}
	}
	perm := ir.ChannelsFirst(r)
	return []*ir.Value{n.transpose(f(n.transpose(x, perm...)), ir.Inverse(perm)...)}
}

// average returns the average over the windows of p.
func (n *node) average(x quantised, y parameters, p ir.Pool) *ir.Value {
	xs, xz, one := x.single()
	ys, yz, to := y.single()
	if !one || !to || !isByte(x.d) || !isByte(y.d) {
		return n.between(x, y, func(v *ir.Value) *ir.Value { return n.emit(p, v) })
	}
	return n.emit(ir.QAveragePool{To: y.d, Kernel: p.Kernel, Strides: p.Strides, Pads: p.Pads, Extra: p.Extra, Dilations: p.Dilations, CountPad: p.CountPad,
		XScale: float64(xs), YScale: float64(ys), XZero: xz, YZero: yz}, x.x)
}

func qLinearAveragePool(n *node) []*ir.Value {
	x, y := n.quantised(0), n.result(3, n.in[0].Type.DType)
	return n.channelsFirst(x.x, func(v *ir.Value) *ir.Value {
		w := n.window(v.Type.Shape, nil)
		p := ir.Pool{Kind: ir.AvgPool, Kernel: w.kernel, Strides: w.strides, Pads: w.pads, Dilations: w.dilations, CountPad: n.flag("count_include_pad", false)}
		if n.flag("ceil_mode", false) {
			p.Extra = n.extra(v.Type.Shape[2:], w)
		}
		if p.CountPad && p.Extra != nil {
			// ONNX Runtime divides by the size of the whole window here, unlike in
			// AveragePool.
			r := len(p.Extra)
			for i, e := range p.Extra {
				p.Pads[r+i] = n.legal("pads", int64(p.Pads[r+i])+int64(e))
			}
			p.Extra = nil
		}
		return n.average(quantised{v, x.parameters}, y, p)
	})
}

func qLinearGlobalAveragePool(n *node) []*ir.Value {
	x, y := n.quantised(0), n.result(3, n.in[0].Type.DType)
	return n.channelsFirst(x.x, func(v *ir.Value) *ir.Value {
		r := v.Type.Rank() - 2
		return n.average(quantised{v, x.parameters}, y, ir.Pool{Kind: ir.AvgPool, Kernel: slices.Clone(v.Type.Shape[2:]), Strides: repeat(1, r), Pads: repeat(0, 2*r), Dilations: repeat(1, r)})
	})
}

func qLinearReduceMean(n *node) []*ir.Value {
	x, y := n.quantised(0), n.result(3, n.in[0].Type.DType)
	axes := n.axes(n.ints("axes"), x.x.Type.Rank())
	if len(axes) == 0 {
		axes = upTo(0, x.x.Type.Rank())
	}
	return []*ir.Value{n.between(x, y, func(v *ir.Value) *ir.Value {
		return n.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: axes, KeepDims: n.flag("keepdims", true)}, v)
	})}
}

// qLinearSoftmax imports QLinearSoftmax. Its attribute opset selects the meaning of axis.
func qLinearSoftmax(n *node) []*ir.Value {
	x, y := n.quantised(0), n.result(3, n.in[0].Type.DType)
	r := x.x.Type.Rank()
	var axes []int
	if n.int("opset", n.version) < 13 {
		axes = upTo(n.axis(n.int("axis", 1), r), r)
	} else {
		axes = []int{n.axis(n.int("axis", -1), r)}
	}
	return []*ir.Value{n.between(x, y, func(v *ir.Value) *ir.Value { return n.emit(ir.Softmax{Axes: axes}, v) })}
}

// qLinearFunction imports a function of one variable.
func qLinearFunction(f ir.Fn) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		x, y := n.quantised(0), n.result(3, n.in[0].Type.DType)
		a := ir.Act{Fn: f}
		if f == ir.LeakyRelu {
			a.Alpha = n.float("alpha", 0.01)
		}
		return []*ir.Value{n.mapped(x, y, func(v *ir.Value) *ir.Value { return n.emit(ir.Unary{Fn: a}, v) })}
	}
}

// qLinearConcat imports QLinearConcat. Its operands are the scale and zero point of the
// result, then a tensor, its scale and its zero point for each part.
func qLinearConcat(n *node) []*ir.Value {
	y := n.result(0, ir.Uint8)
	var parts []*ir.Value
	for i := 2; i < len(n.in); i += 3 {
		parts = append(parts, n.converted(n.quantised(i), y))
	}
	return n.one(ir.Concat{Axis: n.axis(n.int("axis", 0), parts[0].Type.Rank())}, parts...)
}

func qLinearWhere(n *node) []*ir.Value {
	x, y, z := n.quantised(1), n.quantised(4), n.result(7, n.in[1].Type.DType)
	return n.one(ir.Where{}, n.in[0], n.converted(x, z), n.converted(y, z))
}
