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
		b = f.constant(n, "bias", bias)
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

// operandsOf returns the operands of d. It fails, with a reason, unless d is a convolution or
// dense layer without prologue and residual, x is quantised, the weights are constants
// of 8 bits with one scale or one per output channel, and the bias is constant.
func (f *former) operandsOf(d *ir.Node) (*layerOperands, string) {
	columns := false
	switch op := d.Op.(type) {
	case ir.Conv:
		if d.HasPrologue() || d.Input(ir.ConvResidual) != nil {
			return nil, "it has a residual or a prologue"
		}
	case ir.Dense:
		columns = !op.TransW
	default:
		return nil, fmt.Sprintf("%s has no integer form", d.Op.Name())
	}
	x, why := dequantised(d.In[0])
	if why != "" {
		return nil, why
	}
	key := weightsKey{d.In[ir.Weights], columns}
	w := f.weights[key]
	if w == nil {
		if w, why = weightsOf(key.v, columns); why != "" {
			return nil, why
		}
		f.weights[key] = w
	}
	l := &layerOperands{x: x, w: w, m: w.outputs()}
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
func (l *layerOperands) integerBias() (t *ir.Tensor, why string) {
	if l.bias == nil {
		return nil, ""
	}
	bias := make([]int32, l.m)
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
	return ir.TensorOf(ir.Shape{l.m}, bias...), ""
}

// fits fails, with a reason, if a sum may exceed 32 bits.
func (l *layerOperands) fits(bias *ir.Tensor) (why string) {
	if err := ir.CheckSums(l.x.dtype, l.x.zero, false, l.w.t, l.w.columns, bias); err != nil {
		return err.Error()
	}
	return ""
}
