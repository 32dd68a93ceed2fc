package onnx

import (
	"fmt"
	"math"

	"modelc/ir"
)

// Convolutions and products of integers. Their sums are exact. A sum that could exceed 32
// bits is refused if it is the result, or if the layer has constant weights; other sums are
// computed in 64 bits.
var integerOps = []operator{
	{name: "QLinearConv", since: 10, operands: 8, most: []most{{10, 9}}, becomes: "Conv on integers", build: qLinearConv},
	{name: "QLinearMatMul", since: 10, operands: 8, becomes: "Dense on integers with a constant matrix, else MatMul in i32, Quantize", build: qLinearMatMul},
	{name: "ConvInteger", since: 10, operands: 2, most: []most{{10, 4}}, becomes: "Conv on integers", build: convInteger},
	{name: "MatMulInteger", since: 10, operands: 2, most: []most{{10, 4}}, becomes: "Dense on integers with a constant matrix, else MatMul in i32", build: matMulInteger},
	{name: "com.microsoft.QLinearConv", operands: 8, most: []most{{1, 9}}, becomes: "Conv on integers", build: qLinearConv},
	{name: "com.microsoft.QGemm", operands: 5, most: []most{{1, 9}}, becomes: "Dense on integers with a constant matrix, else MatMul in i32, Quantize", build: qGemm},
	{name: "com.microsoft.DynamicQuantizeMatMul", operands: 3, most: []most{{1, 5}}, becomes: "DynamicQuantize, and Dense on integers with a constant matrix, else MatMul in i32", build: dynamicQuantizeMatMul},
	{name: "com.microsoft.MatMulIntegerToFloat", operands: 4, most: []most{{1, 7}}, becomes: "Dense on integers with a constant matrix, else MatMul in i32", build: matMulIntegerToFloat},
}

// layer is a convolution or dense layer on integers whose result is still open. emit
// appends it. Its result is [N,M,…].
type layer struct {
	q        ir.Integer // XZero
	channels int        // M
	emit     func(q ir.Integer, bias, multiplier *ir.Value) *ir.Value
}

// sums returns the sums of l plus a bias, which may be absent, as i32. It returns i64 if
// the bias is computed, because it may have any value.
func (n *node) sums(l layer, bias *ir.Value) *ir.Value {
	q := l.q
	q.To = ir.Int32
	if bias == nil || bias.Const != nil {
		return l.emit(q, bias, nil)
	}
	sum := n.cast(l.emit(q, nil, nil), ir.Int64)
	return n.binary(ir.Add, sum, n.along(n.cast(bias, ir.Int64), sum.Type.Shape, 1, 0))
}

// requantised returns clamp(round((sums of l + bias)·multiplier) + zero) with the zero point
// and the type of y.
func (n *node) requantised(l layer, bias, multiplier *ir.Value, y parameters) *ir.Value {
	if zero, ok := y.singleZero(); ok && isByte(y.d) && (bias == nil || bias.Const != nil) {
		q := l.q
		q.To, q.YZero = y.d, zero
		q.Lo, q.Hi = y.d.Range()
		return l.emit(q, bias, multiplier)
	}
	sum := n.sums(l, bias)
	return n.requantisedSum(sum, n.along(multiplier, sum.Type.Shape, 1, 0), y, 1)
}

// requantisedSum returns round(f32(sum)·multiplier) + zero. The multiplier broadcasts.
func (n *node) requantisedSum(sum, multiplier *ir.Value, y parameters, axis int) *ir.Value {
	product := n.binary(ir.Mul, n.cast(sum, ir.Float32), multiplier)
	y.scale = n.number(ir.Float32, 1)
	return n.quantize(product, y, axis, 0)
}

// multiplier returns a·b/y, or a·b if y is nil, rounded to float32 after each operation. The
// operands are scales of one element or of the given number of channels. So is the result.
func (n *node) multiplier(channels int, a, b, y *ir.Value) *ir.Value {
	perChannel := func(v *ir.Value) *ir.Value {
		switch v.Type.Shape.Len() {
		case 1:
			return n.folded(n.reshape(n.cast(v, ir.Float32), ir.Shape{}))
		case channels:
			return n.folded(n.reshape(n.cast(v, ir.Float32), ir.Shape{channels}))
		}
		n.refuse(fmt.Sprintf("scale %q is %s for %d channels", v.Name, v.Type, channels), requantise)
		return nil
	}
	m := n.binary(ir.Mul, perChannel(a), perChannel(b))
	if y != nil {
		m = n.binary(ir.Div, m, perChannel(y))
	}
	m = n.folded(m)
	if m.Const != nil {
		for _, x := range m.Const.Float64s() {
			if math.IsInf(x, 0) {
				n.refuse("the product of the scales, divided by that of the result, exceeds the range of f32", requantise)
			}
		}
	}
	return m
}

// scalarZero returns the zero point of x as an attribute or as an operand.
func (n *node) scalarZero(x quantised) (zero int, operand *ir.Value) {
	zero, ok := x.singleZero()
	switch {
	case ok:
		return zero, nil
	case x.zero.Type.Shape.Len() != 1:
		n.failf("zero point %q is %s, want one element", x.zero.Name, x.zero.Type)
	}
	return 0, n.reshape(x.zero, ir.Shape{})
}

// centred returns weights minus their zero point as i8 or i16. The zero point is along axis.
func (n *node) centred(w quantised, axis int) *ir.Value {
	if !isByte(w.x.Type.DType) {
		n.failf("weights are %s, want u8 or i8", w.x.Type)
	}
	zero := n.along(w.zero, w.x.Type.Shape, axis, 0)
	if z, ok := w.singleZero(); ok && z == 0 && w.x.Type.DType == ir.Int8 {
		return w.x
	}
	w.x = n.folded(w.x)
	if w.x.Const != nil && (zero == nil || zero.Const != nil) {
		return n.constValue(difference(w.x.Const, zero, w.x.Type.Shape[axis+1:].Len()))
	}
	c := n.cast(w.x, ir.Int16)
	if zero != nil {
		c = n.binary(ir.Sub, c, n.cast(zero, ir.Int16))
	}
	return c
}

// difference returns constant weights of 8 bits minus a zero point, which may be nil, as i8
// if they fit, otherwise as i16. inner is the number of weights from one channel to the next.
func difference(w *ir.Tensor, zero *ir.Value, inner int) *ir.Tensor {
	zeros := []int64{0}
	if zero != nil {
		zeros = zero.Const.Int64s()
	}
	out := ir.NewTensor(ir.Type{DType: ir.Int16, Shape: w.Shape})
	to := ir.Elements[int16](out)
	fits := true
	for i, b := range w.Bytes() {
		v := int16(b)
		if w.DType == ir.Int8 {
			v = int16(int8(b))
		}
		to[i] = v - int16(zeros[i/inner%len(zeros)])
		fits = fits && to[i] == int16(int8(to[i]))
	}
	if !fits {
		return out
	}
	narrow := ir.NewTensor(ir.Type{DType: ir.Int8, Shape: w.Shape})
	for i, v := range to {
		ir.Elements[int8](narrow)[i] = int8(v)
	}
	return narrow
}

// check refuses a layer whose sums could exceed 32 bits. columns reports whether the
// weights are [K,M] instead of [M,…].
func (n *node) check(x quantised, zero int, computed bool, w *ir.Value, columns bool, bias *ir.Value) {
	d := x.x.Type.DType
	if !isByte(d) {
		n.failf("x is %s, want u8 or i8", x.x.Type)
	}
	channels, k := w.Type.Shape[0], w.Type.Shape[1:].Len()
	if columns {
		channels, k = k, channels
	}
	var b *ir.Tensor
	if bias != nil {
		if want := ir.T(ir.Int32, channels); !bias.Type.Equal(want) {
			n.failf("bias %q is %s, want %s", bias.Name, bias.Type, want)
		}
		b = bias.Const
	}
	var err error
	if w.Const != nil {
		err = ir.CheckSums(d, zero, computed, w.Const, columns, b)
	} else {
		err = ir.CheckComputedSums(d, zero, computed, w.Type.DType, k)
	}
	if err != nil {
		n.refuse(err.Error(), "keep this layer in floats")
	}
}

// integerConv returns the convolution of x with w. bias, which may be nil, is only checked.
func (n *node) integerConv(x, w quantised, bias *ir.Value) layer {
	n.checkWeights(x.x, w.x)
	g := n.window(x.x.Type.Shape, w.x.Type.Shape[2:])
	weights := n.centred(w, 0)
	zero, operand := n.scalarZero(x)
	n.check(x, zero, operand != nil, weights, false, bias)
	group := n.int("group", 1)
	return layer{ir.Integer{XZero: zero}, w.x.Type.Shape[0], func(q ir.Integer, bias, multiplier *ir.Value) *ir.Value {
		op := ir.Conv{Strides: g.strides, Pads: g.pads, Dilations: g.dilations, Groups: group, Integer: q}
		return n.emit(op, x.x, weights, bias, nil, nil, nil, multiplier, operand)
	}}
}

// qLinearConv imports QLinearConv. ONNX Runtime has a form with the channels last.
func qLinearConv(n *node) []*ir.Value {
	x, w, y := n.quantised(0), n.quantised(3), n.result(6, n.in[0].Type.DType)
	last := n.flag("channels_last", false)
	if last {
		x.x = n.transpose(x.x, ir.ChannelsFirst(x.x.Type.Rank())...)
	}
	bias := n.flatBias(8, 0)
	l := n.integerConv(x, w, bias)
	v := n.requantised(l, bias, n.multiplier(l.channels, x.scale, w.scale, y.scale), y)
	if last {
		v = n.transpose(v, ir.Inverse(ir.ChannelsFirst(v.Type.Rank()))...)
	}
	return []*ir.Value{v}
}

// flatBias returns operand i, a bias, as a vector, or nil if it is absent. It is a constant
// if its value is known. channels, unless 0, is its length; a single number stands for all.
func (n *node) flatBias(i, channels int) *ir.Value {
	v := n.arg(i)
	if v == nil {
		return nil
	}
	s := v.Type.Shape
	if channels > 0 && s.Len() == 1 && channels != 1 {
		v = n.emit(ir.Expand{Shape: ir.Shape{channels}}, n.reshape(v, ir.Shape{1}))
	}
	return n.folded(n.reshape(v, ir.Shape{v.Type.Shape.Len()}))
}

func convInteger(n *node) []*ir.Value {
	x, w := n.unscaled(0, 2), n.unscaled(1, 3)
	return []*ir.Value{n.sums(n.integerConv(x, w, nil), nil)}
}

// dense returns the product of a [N,K] and of the constant matrix b as a dense layer on
// integers. It returns false if the product has another form.
func (n *node) dense(a, b quantised, bias *ir.Value, transB bool) (layer, bool) {
	if a.x.Type.Rank() != 2 || b.x.Type.Rank() != 2 || a.zero != nil && a.zero.Type.Shape.Len() != 1 {
		return layer{}, false
	}
	m, transposed := n.matrix(b.x)
	if m == nil {
		return layer{}, false
	}
	trans := transB != transposed
	b.x = m
	axis := 1
	if trans {
		axis = 0
	}
	w := n.centred(b, axis)
	zero, operand := n.scalarZero(a)
	n.check(a, zero, operand != nil, w, !trans, bias)
	_, channels := ir.Dense{TransW: trans}.KM(w.Type.Shape)
	return layer{ir.Integer{XZero: zero}, channels, func(q ir.Integer, bias, multiplier *ir.Value) *ir.Value {
		return n.emit(ir.Dense{TransW: trans, Integer: q}, a.x, w, bias, multiplier, operand)
	}}, true
}

// rows makes a a matrix of its rows if b is a matrix. The function that it returns gives a
// product the leading axes of a.
func (n *node) rows(a, b quantised) (quantised, func(y *ir.Value) *ir.Value) {
	s := a.x.Type.Shape
	if len(s) < 3 || b.x.Type.Rank() != 2 || s.Len() == 0 {
		return a, func(y *ir.Value) *ir.Value { return y }
	}
	lead, k := s[:len(s)-1], s[len(s)-1]
	a.x = n.reshape(a.x, ir.Shape{lead.Len(), k})
	return a, func(y *ir.Value) *ir.Value {
		return n.reshape(y, append(append(ir.Shape{}, lead...), y.Type.Shape[1]))
	}
}

// product returns the product of two matrices of integers, whose leading axes broadcast, as
// i32, or as i64 if it may exceed 32 bits. The zero point of a may have one value per row,
// that of b one per column.
func (n *node) integerProduct(a, b quantised) *ir.Value {
	if !isByte(a.x.Type.DType) || !isByte(b.x.Type.DType) {
		n.failf("operands are %s and %s, want u8 or i8", a.x.Type, b.x.Type)
	}
	as, bs := a.x.Type.Shape, b.x.Type.Shape
	if len(as) == 0 || len(bs) == 0 {
		n.failf("operands are %s and %s, want matrices", as, bs)
	}
	d := ir.Int32
	if as[len(as)-1] > math.MaxInt32/(255*255) {
		d = ir.Int64
	}
	minus := func(q quantised, axis int) *ir.Value {
		x, zero := n.cast(q.x, d), n.along(q.zero, q.x.Type.Shape, axis, 0)
		if zero == nil {
			return x
		}
		return n.binary(ir.Sub, x, n.folded(n.cast(zero, d)))
	}
	return n.emit(ir.MatMul{}, minus(a, max(0, len(as)-2)), minus(b, len(bs)-1))
}

// qLinearMatMul imports QLinearMatMul. The scales of a and of the result may have one value
// per row, that of b one per column.
func qLinearMatMul(n *node) []*ir.Value {
	a, b, y := n.quantised(0), n.quantised(3), n.result(6, n.in[0].Type.DType)
	if a.scale.Type.Shape.Len() == 1 && y.scale.Type.Shape.Len() == 1 {
		flat, shaped := n.rows(a, b)
		if l, ok := n.dense(flat, b, nil, false); ok {
			return []*ir.Value{shaped(n.requantised(l, nil, n.multiplier(l.channels, a.scale, b.scale, y.scale), y))}
		}
	}
	sum := n.integerProduct(a, b)
	row := max(0, sum.Type.Rank()-2)
	as := n.along(n.cast(a.scale, ir.Float32), a.x.Type.Shape, max(0, a.x.Type.Rank()-2), 0)
	bs := n.along(n.cast(b.scale, ir.Float32), b.x.Type.Shape, b.x.Type.Rank()-1, 0)
	ys := n.along(n.cast(y.scale, ir.Float32), sum.Type.Shape, row, 0)
	multiplier := n.folded(n.binary(ir.Div, n.binary(ir.Mul, as, bs), ys))
	return []*ir.Value{n.requantisedSum(sum, multiplier, y, row)}
}

func matMulInteger(n *node) []*ir.Value {
	a, b := n.unscaled(0, 2), n.unscaled(1, 3)
	flat, shaped := n.rows(a, b)
	if l, ok := n.dense(flat, b, nil, false); ok {
		return []*ir.Value{shaped(n.sums(l, nil))}
	}
	sum := n.integerProduct(a, b)
	if sum.Type.DType != ir.Int32 {
		n.refuse("the sums may exceed 32 bits", "keep this product in floats")
	}
	return []*ir.Value{sum}
}

// qGemm imports QGemm: alpha·(a·b + c) with the scales of a and b. Without a scale for the
// result, the result is f32.
func qGemm(n *node) []*ir.Value {
	a, b := n.quantised(0), n.quantised(3)
	if a.x.Type.Rank() != 2 || b.x.Type.Rank() != 2 {
		n.failf("operands %s and %s must be matrices", a.x.Type, b.x.Type)
	}
	if n.flag("transA", false) {
		a.x = n.transpose(a.x, 1, 0)
	}
	transB := n.flag("transB", false)
	_, m := ir.Dense{TransW: transB}.KM(b.x.Type.Shape)
	as := a.scale
	if alpha := n.float("alpha", 1); alpha != 1 {
		as = n.folded(n.scaled(as, alpha))
	}
	var y parameters
	var ys *ir.Value
	if n.arg(7) != nil {
		y = n.result(7, a.d)
		ys = y.scale
	}
	multiplier := n.multiplier(m, as, b.scale, ys)
	c := n.arg(6)
	bias := c // [M], if c has a value per column or one
	if c != nil && (c.Type.Shape.Len() == 1 || c.Type.Shape.Len() == m && c.Type.Shape[c.Type.Rank()-1] == m) {
		bias, c = n.flatBias(6, m), nil
	} else {
		bias = nil
	}
	l, ok := n.dense(a, b, bias, transB)
	if ok && c == nil && ys != nil {
		return []*ir.Value{n.requantised(l, bias, multiplier, y)}
	}
	var sum *ir.Value
	if ok {
		sum = n.sums(l, bias)
	} else {
		if transB {
			b.x = n.transpose(b.x, 1, 0)
		}
		sum = n.integerProduct(a, b)
		if bias != nil {
			c = bias
		}
	}
	if c != nil {
		sum = n.binary(ir.Add, n.cast(sum, ir.Int64), n.cast(c, ir.Int64))
	}
	if ys != nil {
		return []*ir.Value{n.requantisedSum(sum, multiplier, y, 1)}
	}
	return n.one(ir.Binary{Fn: ir.Mul}, n.cast(sum, ir.Float32), multiplier)
}

// dynamicQuantizeMatMul imports DynamicQuantizeMatMul. It quantises a at run time.
func dynamicQuantizeMatMul(n *node) []*ir.Value {
	q := n.append(ir.DynamicQuantize{}, n.in[0]).Out
	a := quantised{q[0], parameters{q[1], q[2], ir.Uint8}}
	b := quantised{n.in[1], n.parameters(2, n.in[1].Type.DType)}
	return []*ir.Value{n.dequantisedProduct(a, b, n.arg(4))}
}

func matMulIntegerToFloat(n *node) []*ir.Value {
	a, b := n.unscaled(0, 4), n.unscaled(1, 5)
	a.scale, b.scale = n.scaleAt(2), n.scaleAt(3)
	return []*ir.Value{n.dequantisedProduct(a, b, n.arg(6))}
}

// dequantisedProduct returns the product of a and b as f32, plus a bias, which may be nil.
func (n *node) dequantisedProduct(a, b quantised, bias *ir.Value) *ir.Value {
	if a.scale.Type.Shape.Len() == 1 {
		flat, shaped := n.rows(a, b)
		if l, ok := n.dense(flat, b, nil, false); ok {
			q := l.q
			q.To = ir.Float32
			multiplier := n.multiplier(l.channels, a.scale, b.scale, nil)
			if bias != nil && bias.Type.Shape.Equal(ir.Shape{l.channels}) {
				return shaped(l.emit(q, bias, multiplier))
			}
			return n.plus(shaped(l.emit(q, nil, multiplier)), bias)
		}
	}
	sum := n.integerProduct(a, b)
	as := n.along(n.cast(a.scale, ir.Float32), a.x.Type.Shape, max(0, a.x.Type.Rank()-2), 0)
	bs := n.along(n.cast(b.scale, ir.Float32), b.x.Type.Shape, b.x.Type.Rank()-1, 0)
	return n.plus(n.binary(ir.Mul, n.cast(sum, ir.Float32), n.folded(n.binary(ir.Mul, as, bs))), bias)
}

// plus adds a bias, which may be nil.
func (n *node) plus(y, bias *ir.Value) *ir.Value {
	if bias == nil {
		return y
	}
	return n.binary(ir.Add, y, bias)
}
