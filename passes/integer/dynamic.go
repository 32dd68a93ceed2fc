package integer

import (
	"slices"

	"modelc/ir"
)

// dynamic makes n, the product of a scale and the sums of a layer on integers, part of the
// layer, whose results are then floats, and also a constant bias that is added to the
// product. It is the form of dynamic quantisation: the scale and zero point of x are computed
// at run time.
//
// It is legal if no other node reads the sums, and if the scale has one element or one per
// output channel.
func (f *former) dynamic(n *ir.Node) error {
	b, ok := n.Op.(ir.Binary)
	if !ok || !b.Epilogue.IsIdentity() {
		return nil
	}
	for i, v := range n.In {
		var err error
		switch other := n.In[1-i]; b.Fn {
		case ir.Mul:
			ok, err = f.scaledSums(n, v, other)
		case ir.Add:
			ok, err = f.addedBias(n, v, other)
		default:
			return nil
		}
		if ok || err != nil {
			return err
		}
	}
	return nil
}

// scaledSums makes n, the product of v and a scale, the layer on integers that computes v, if
// v is its sums as f32.
func (f *former) scaledSums(n *ir.Node, v, scale *ir.Value) (bool, error) {
	cast := v.Def()
	if cast == nil || v.OnlyUse() != n || cast.In[0].OnlyUse() != cast || !v.Type.Equal(n.Out[0].Type) || v.Type.DType != ir.Float32 {
		return false, nil
	}
	d := cast.In[0].Def()
	if _, ok := cast.Op.(ir.Cast); !ok || d == nil || d.Input(ir.Bias) != nil {
		return false, nil
	}
	q := ir.Integer{}
	at, w := 0, d.Input(ir.Weights)
	var op ir.Op
	switch l := d.Op.(type) {
	case ir.Conv:
		q, at = l.Integer, ir.ConvMultiplier
		l.Integer.To = ir.Float32
		op = l
	case ir.Dense:
		q, at = l.Integer, ir.DenseMultiplier
		l.Integer.To = ir.Float32
		op = l
	}
	if q.To != ir.Int32 || w == nil {
		return false, nil
	}
	scale, ok := f.perChannel(n, scale, v.Type, true)
	if !ok {
		return false, nil
	}
	in := slices.Clone(d.In)
	in = append(in, make([]*ir.Value, max(0, at+1-len(in)))...)
	in[at] = scale
	return true, f.become(n, op, []*ir.Node{cast, d}, in...)
}

// addedBias makes n, the sum of v and a constant, the layer on integers that computes v.
func (f *former) addedBias(n *ir.Node, v, bias *ir.Value) (bool, error) {
	d := v.Def()
	if d == nil || v.OnlyUse() != n || !v.Type.Equal(n.Out[0].Type) || bias.Const == nil || d.Input(ir.Bias) != nil {
		return false, nil
	}
	q := ir.Integer{}
	switch l := d.Op.(type) {
	case ir.Conv:
		q = l.Integer
	case ir.Dense:
		q = l.Integer
	}
	if a, ok := ir.Epilogue(d.Op); q.To != ir.Float32 || !ok || !a.IsIdentity() {
		return false, nil
	}
	bias, ok := f.perChannel(n, bias, v.Type, false)
	if !ok {
		return false, nil
	}
	in := slices.Clone(d.In)
	in[ir.Bias] = bias
	return true, f.become(n, d.Op, []*ir.Node{d}, in...)
}

// perChannel returns v, which broadcasts to y [N,M,…], as a scalar, if that is allowed, or as
// [M]. It fails if v differs within a channel.
func (f *former) perChannel(n *ir.Node, v *ir.Value, y ir.Type, scalar bool) (*ir.Value, bool) {
	m := y.Shape[1]
	size := v.Type.Shape.Len()
	shape := ir.Shape{}
	if at := v.Type.Rank() - (y.Rank() - 1); size == m && at >= 0 && v.Type.Shape[at] == m && !(scalar && size == 1) {
		shape = ir.Shape{m}
	} else if size != 1 {
		return nil, false
	}
	if len(shape) == 0 && !scalar {
		if v.Const == nil {
			return nil, false
		}
		e := v.Const.Float64s()[0]
		return f.constant(n, "bias", ir.FromFloat64s(ir.T(v.Type.DType, m), slices.Repeat([]float64{e}, m))), true
	}
	if v.Type.Shape.Equal(shape) {
		return v, true
	}
	if v.Const != nil {
		return f.g.AddConst(v.Name, v.Const.Reshaped(shape)), true
	}
	r, err := f.g.InsertBefore(n, v.Name, ir.Reshape{Shape: shape}, v)
	if err != nil {
		return nil, false
	}
	return r.Out[0], true
}
