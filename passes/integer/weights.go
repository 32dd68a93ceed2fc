package integer

import (
	"fmt"
	"math"
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// weights are constant quantised weights, without their zero points.
type weights struct {
	t     *ir.Tensor // i8 or i16
	v     *ir.Value  // the constant, nil until a layer reads it
	scale []float32  // one, or one per output channel
	// The outputs are the last axis of t, not the first.
	columns bool
}

// outputs returns the number of output channels.
func (w *weights) outputs() int {
	if w.columns {
		return w.t.Shape[1]
	}
	return w.t.Shape[0]
}

// weightsKey identifies weights that layers share.
type weightsKey struct {
	v       *ir.Value
	columns bool
}

// weightsOf returns the weights that v dequantises. The outputs are the first axis of v, or
// the last if columns is set. Transpositions may follow the Dequantize.
func weightsOf(v *ir.Value, columns bool) (*weights, string) {
	q, scale, zero, why := dequantisedWeights(v)
	if why != "" {
		return nil, why
	}
	shape := q.Shape
	m, inner := shape[0], shape[1:].Len()
	channel := func(i int) int { return i / inner }
	if columns {
		m = shape[1]
		channel = func(i int) int { return i % m }
	}
	w := &weights{columns: columns}
	scales, ok := perOutput(scale, shape, m, columns)
	if !ok {
		return nil, fmt.Sprintf("the weights %s have scales of shape %s, not one scale or one per output", v, scale.Shape)
	}
	zeros := []float64{0}
	if zero != nil {
		if zeros, ok = perOutput(zero, shape, m, columns); !ok {
			return nil, fmt.Sprintf("the weights %s have zero points of shape %s, not one or one per output", v, zero.Shape)
		}
	}
	for _, s := range scales {
		if !(s > 0) || math.IsInf(s, 0) {
			return nil, fmt.Sprintf("the weights %s have a scale of %g", v, s)
		}
		w.scale = append(w.scale, float32(s))
	}
	if q.DType == ir.Int8 && !slices.ContainsFunc(zeros, func(z float64) bool { return z != 0 }) {
		w.t = q // large weights are not copied
		return w, ""
	}
	centred := q.Int64s()
	d := ir.Int8
	for i := range centred {
		centred[i] -= int64(zeros[channel(i)%len(zeros)])
		if e := centred[i]; e != int64(int8(e)) {
			d = ir.Int16
		}
	}
	w.t = ir.FromInt64s(ir.Type{DType: d, Shape: shape}, centred)
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
func perOutput(t *ir.Tensor, shape ir.Shape, m int, columns bool) ([]float64, bool) {
	v := t.Float64s()
	if len(v) == 1 {
		return v, true
	}
	axis := 0 // of the outputs, in t
	if columns {
		axis = len(t.Shape) - 1
	}
	if !columns && len(t.Shape) != len(shape) {
		return nil, false
	}
	return v, len(v) == m && t.Shape[axis] == m
}
