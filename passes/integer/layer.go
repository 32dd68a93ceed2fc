package integer

import (
	"fmt"
	"math"
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// layer replaces d, a convolution or dense layer whose result n quantises, by the layer on
// integers. c is the range of the integers.
//
// It is legal under the conditions of operandsOf, if the bias is a multiple of the scale of
// the sums, and if no sum exceeds 32 bits.
func (f *former) layer(n, d *ir.Node, s scheme, c clamp, by []*ir.Node) (why string, err error) {
	l, why := f.operandsOf(d)
	if why != "" {
		return why, nil
	}
	bias, why := l.integerBias()
	if why != "" {
		return why, nil
	}
	multiplier := l.multiplier(s.scale)
	if i := slices.IndexFunc(multiplier, func(m float32) bool { return m == 0 || math.IsInf(float64(m), 0) }); i >= 0 {
		return fmt.Sprintf("the multiplier of channel %d is %g", i, multiplier[i]), nil
	}
	if why := l.fits(bias); why != "" {
		return why, nil
	}
	var b *ir.Value
	if bias != nil {
		b = f.constant(n, "bias", ir.TensorOf(ir.Shape{l.m}, bias...))
	}
	q := ir.Integer{To: s.dtype, XZero: l.x.zero, YZero: s.zero, Lo: c.lo, Hi: c.hi}
	return "", f.makeLayer(n, d, q, ir.Act{}, by, l, b, multiplier)
}

// layerToFloat replaces n, a convolution or dense layer on dequantised operands, by the layer
// on integers with float results: the sums times the scales, plus the bias, and then the
// epilogue. The result of the layer is not quantised directly, or its bias is not a multiple
// of the scales.
//
// It is legal under the conditions of operandsOf, if the bias is constant, and if no sum
// exceeds 32 bits. It differs from the float layer, whose sums are rounded, by less.
func (f *former) layerToFloat(n *ir.Node) error {
	if layer, integer := kindOf(n); !layer || integer {
		return nil
	}
	l, why := f.operandsOf(n)
	if why != "" {
		f.explain(n, why)
		return nil
	}
	delete(f.why, n)
	if why := l.fits(nil); why != "" {
		f.explain(n, why)
		return nil
	}
	var b *ir.Value
	if l.bias != nil {
		b = f.constant(n, "bias", ir.FromFloat64s(ir.T(ir.Float32, l.m), l.bias))
	}
	a, _ := ir.Epilogue(n.Op)
	return f.makeLayer(n, n, ir.Integer{To: ir.Float32, XZero: l.x.zero}, a, []*ir.Node{n}, l, b, l.multiplier(1))
}

// makeLayer makes n the layer d on integers.
func (f *former) makeLayer(n, d *ir.Node, q ir.Integer, a ir.Act, by []*ir.Node, l *layerOperands, bias *ir.Value, multiplier []float32) error {
	m := f.constant(n, "multiplier", scalarOrChannels(multiplier))
	if l.w.v == nil {
		l.w.v = f.g.AddConst(d.In[ir.Weights].Name+".integers", l.w.t)
	}
	if op, ok := d.Op.(ir.Conv); ok {
		op.Integer, op.Epilogue = q, a
		return f.become(n, op, by, l.x.Value, l.w.v, bias, nil, nil, nil, m)
	}
	op := d.Op.(ir.Dense)
	op.Integer, op.Epilogue = q, a
	return f.become(n, op, by, l.x.Value, l.w.v, bias, m)
}

// scalarOrChannels returns one multiplier as a scalar, others as a vector.
func scalarOrChannels(v []float32) *ir.Tensor {
	if len(v) == 1 {
		return ir.TensorOf(ir.Shape{}, v...)
	}
	return ir.TensorOf(ir.Shape{len(v)}, v...)
}

// layerOperands are the operands of a convolution or dense layer.
type layerOperands struct {
	x       tensor
	w       *weights
	m       int       // number of output channels
	bias    []float64 // nil for none
	integer []int64   // the bias as integers, if its scale is that of the sums
}

// weights are constant quantised weights, without their zero points.
type weights struct {
	t     *ir.Tensor // i8 or i16
	v     *ir.Value  // the constant, nil until a layer reads it
	scale []float32 // one, or one per output channel
	// The sums of the positive and of the negative weights of each output channel.
	positive, negative []int64
}

// operandsOf returns the operands of d. It fails, with a reason, unless d is a convolution or
// dense layer without prologue and residual, x is quantised, the weights are constants
// of 8 bits with one scale or one per output channel, and the bias is constant.
func (f *former) operandsOf(d *ir.Node) (*layerOperands, string) {
	transposed := false
	switch op := d.Op.(type) {
	case ir.Conv:
		if d.HasPrologue() || d.Input(ir.ConvResidual) != nil {
			return nil, "it has a residual or a prologue"
		}
	case ir.Dense:
		transposed = !op.TransW
	default:
		return nil, fmt.Sprintf("%s has no integer form", d.Op.Name())
	}
	x, why := dequantised(d.In[0])
	if why != "" {
		return nil, why
	}
	w, why := f.weightsOf(d.In[ir.Weights], transposed)
	if why != "" {
		return nil, why
	}
	l := &layerOperands{x: x, w: w, m: len(w.positive)}
	if b := d.Input(ir.Bias); b != nil {
		t, ok := eval.Fold(b)
		if !ok {
			return nil, fmt.Sprintf("bias %s is not constant", b)
		}
		l.bias = t.Float64s()
		l.integer = l.stored(b)
	}
	return l, ""
}

// weightsKey identifies weights that layers share.
type weightsKey struct {
	v          *ir.Value
	transposed bool
}

// weightsOf returns the weights that v dequantises. The outputs are the first axis of v, or
// the last if transposed is set. Transpositions may follow the Dequantize.
func (f *former) weightsOf(v *ir.Value, transposed bool) (*weights, string) {
	key := weightsKey{v, transposed}
	if w := f.weights[key]; w != nil {
		return w, ""
	}
	q, scale, zero, why := dequantisedWeights(v)
	if why != "" {
		return nil, why
	}
	shape := q.Shape
	m, inner := shape[0], shape[1:].Len()
	channel := func(i int) int { return i / inner }
	if transposed {
		m = shape[len(shape)-1]
		channel = func(i int) int { return i % m }
	}
	w := &weights{positive: make([]int64, m), negative: make([]int64, m)}
	scales, ok := perOutput(scale, shape, m, transposed)
	if !ok {
		return nil, fmt.Sprintf("the weights %s have scales of shape %s, not one scale or one per output", v, scale.Shape)
	}
	zeros := []float64{0}
	if zero != nil {
		if zeros, ok = perOutput(zero, shape, m, transposed); !ok {
			return nil, fmt.Sprintf("the weights %s have zero points of shape %s, not one or one per output", v, zero.Shape)
		}
	}
	for _, s := range scales {
		if !(s > 0) || math.IsInf(s, 0) {
			return nil, fmt.Sprintf("the weights %s have a scale of %g", v, s)
		}
		w.scale = append(w.scale, float32(s))
	}
	centred := q.Int64s()
	d := ir.Int8
	for i := range centred {
		c := channel(i)
		centred[i] -= int64(zeros[c%len(zeros)])
		e := centred[i]
		w.positive[c] += max(e, 0)
		w.negative[c] += min(e, 0)
		if e != int64(int8(e)) {
			d = ir.Int16
		}
	}
	w.t = ir.FromInt64s(ir.Type{DType: d, Shape: shape}, centred)
	f.weights[key] = w
	return w, ""
}

// dequantisedWeights returns the operands of the Dequantize that computes v, behind the
// transpositions that follow it. zero may be nil.
func dequantisedWeights(v *ir.Value) (q, scale, zero *ir.Tensor, why string) {
	d := v.Def()
	if d == nil {
		return nil, nil, nil, fmt.Sprintf("the weights %s are not quantised", v)
	}
	switch op := d.Op.(type) {
	case ir.Transpose:
		if q, scale, zero, why = dequantisedWeights(d.In[0]); why != "" {
			return nil, nil, nil, why
		}
		for _, t := range []**ir.Tensor{&q, &scale, &zero} {
			if *t != nil && (*t).Shape.Len() > 1 {
				*t = permuted(*t, op.Perm)
			}
		}
		return q, scale, zero, ""
	case ir.Dequantize:
		q, ok := eval.Fold(d.In[0])
		if !ok {
			return nil, nil, nil, fmt.Sprintf("the weights %s are not constant", v)
		}
		if q.DType != ir.Int8 && q.DType != ir.Uint8 || v.Type.DType != ir.Float32 {
			return nil, nil, nil, fmt.Sprintf("the weights %s are %s, not of 8 bits", v, q.DType)
		}
		scale, ok := eval.Fold(d.In[ir.QuantizeScale])
		if !ok {
			return nil, nil, nil, fmt.Sprintf("the scale of the weights %s is not constant", v)
		}
		if z := d.Input(ir.QuantizeZero); z != nil {
			if zero, ok = eval.Fold(z); !ok {
				return nil, nil, nil, fmt.Sprintf("the zero point of the weights %s is not constant", v)
			}
		}
		return q, scale, zero, ""
	}
	return nil, nil, nil, fmt.Sprintf("the weights %s are not quantised", v)
}

// permuted returns t, which broadcasts to a tensor with the axes of perm, transposed.
func permuted(t *ir.Tensor, perm []int) *ir.Tensor {
	wide := slices.Concat(slices.Repeat(ir.Shape{1}, len(perm)-len(t.Shape)), t.Shape)
	g := ir.NewGraph("")
	v, err := g.Emit("t", ir.Transpose{Perm: perm}, g.AddConst("c", t.Reshaped(wide)))
	if err != nil {
		panic(err) // impossible, the weights have these axes
	}
	out, _ := eval.Fold(v)
	return out
}

// perOutput returns the elements of t, which broadcasts to weights of the given shape, if it
// has one element or one for each of the m outputs.
func perOutput(t *ir.Tensor, shape ir.Shape, m int, transposed bool) ([]float64, bool) {
	v := t.Float64s()
	if len(v) == 1 {
		return v, true
	}
	axis := 0 // of the outputs, in t
	if transposed {
		axis = len(t.Shape) - 1
	}
	if !transposed && len(t.Shape) != len(shape) {
		return nil, false
	}
	return v, len(v) == m && t.Shape[axis] == m
}

// sumScale returns the scale of the sums of output i: that of x times that of its weights.
func (l *layerOperands) sumScale(i int) float32 { return l.x.scale * l.w.scale[i%len(l.w.scale)] }

// multiplier returns the scale of the sums divided by that of the result, for each scale of
// the weights. All operations are rounded to float32.
func (l *layerOperands) multiplier(result float32) []float32 {
	m := make([]float32, len(l.w.scale))
	for i := range m {
		product := l.sumScale(i)
		m[i] = product / result
	}
	return m
}

// stored returns the integers of a bias that is stored as i32 with the scale of the sums, to
// the rounding of float32, otherwise nil.
func (l *layerOperands) stored(b *ir.Value) []int64 {
	d := b.Def()
	if !isDequantize(b) || d.In[0].Const == nil || d.In[0].Type.DType != ir.Int32 || d.Const(ir.QuantizeScale) == nil {
		return nil
	}
	if z := d.Input(ir.QuantizeZero); z != nil {
		if zero, ok := uniform(z); !ok || zero != 0 {
			return nil
		}
	}
	scale := d.Const(ir.QuantizeScale).Float64s()
	for i := range l.m {
		want := float64(l.sumScale(i))
		if math.Abs(scale[i%len(scale)]-want) > 3e-7*want {
			return nil
		}
	}
	return d.In[0].Const.Int64s()
}

// integerBias returns the bias as multiples of the scale of the sums, nil for none. A bias of
// floats must be a multiple to the rounding of float32.
func (l *layerOperands) integerBias() (bias []int32, why string) {
	if l.bias == nil {
		return nil, ""
	}
	bias = make([]int32, l.m)
	for i := range bias {
		if l.integer != nil {
			bias[i] = int32(l.integer[i])
			continue
		}
		unit := l.sumScale(i)
		q := math.RoundToEven(l.bias[i] / float64(unit))
		if !(math.Abs(q) <= math.MaxInt32) || float64(float32(q)*unit) != l.bias[i] {
			return nil, fmt.Sprintf("the bias of channel %d, %g, is not a multiple of the scale of the sums, %g", i, l.bias[i], unit)
		}
		bias[i] = int32(q)
	}
	return bias, ""
}

// fits fails, with a reason, if a sum may exceed 32 bits.
func (l *layerOperands) fits(bias []int32) (why string) {
	lo, hi := l.x.dtype.Range()
	lowest, highest := int64(lo-l.x.zero), int64(hi-l.x.zero) // lowest ≤ 0 ≤ highest
	for i := range l.m {
		most := l.w.positive[i]*highest + l.w.negative[i]*lowest
		least := l.w.positive[i]*lowest + l.w.negative[i]*highest
		if bias != nil {
			most, least = most+int64(bias[i]), least+int64(bias[i])
		}
		if most > math.MaxInt32 || least < math.MinInt32 {
			return fmt.Sprintf("sums of channel %d may exceed 32 bits", i)
		}
	}
	return ""
}
