package onnx

import (
	"math"

	"modelc/ir"
)

var constantOps = []operator{
	{name: "Constant", becomes: "a constant", limits: "dense numbers", build: constant},
	{name: "ConstantOfShape", since: 9, operands: 1, becomes: "a constant", limits: "the shape is constant", build: constantOfShape},
	{name: "Shape", operands: 1, becomes: "a constant", build: shape},
	{name: "Size", operands: 1, becomes: "a constant", build: size},
	{name: "Range", since: 11, operands: 3, becomes: "a constant", limits: "the operands are constant", build: rangeOp},
	{name: "EyeLike", since: 9, operands: 1, becomes: "a constant", build: eyeLike},
	{name: "Identity", operands: 1, becomes: "nothing", build: identity, sequences: true},
	{name: "Dropout", operands: 1, most: []most{{12, 3}}, becomes: "nothing; its mask is an Expand", limits: "inference only", build: dropout},
}

func constant(n *node) []*ir.Value {
	for _, a := range n.p.attrs {
		name := a.name
		if a = n.resolve(a); a == nil {
			continue // an attribute of a function that the call omits
		}
		var t *ir.Tensor
		switch name {
		case "value":
			if a.t == nil {
				n.failf("value is not a tensor")
			}
			var err error
			if t, err = n.im.tensor(a.t); err != nil {
				n.fail(err)
			}
		case "value_float":
			t = ir.Scalar(a.f)
		case "value_floats":
			t = ir.TensorOf(ir.Shape{len(a.floats)}, a.floats...)
		case "value_int":
			t = ir.Scalar(a.i)
		case "value_ints":
			t = ir.TensorOf(ir.Shape{len(a.ints)}, a.ints...)
		default:
			n.refuse("constant given by "+name, "only numeric dense tensors are supported")
		}
		return []*ir.Value{n.constValue(t)}
	}
	n.failf("no value")
	return nil
}

func constantOfShape(n *node) []*ir.Value {
	dims, _ := n.list(0, "the shape")
	v := ir.Scalar(float32(0))
	if a := n.attr("value"); a != nil && a.t != nil {
		var err error
		if v, err = n.im.tensor(a.t); err != nil {
			n.fail(err)
		}
		if v.Shape.Len() != 1 {
			n.failf("the value is %s, want one element", v.Type)
		}
	}
	t, err := ir.Filled(ir.Type{DType: v.DType, Shape: dims}, v.Bytes())
	if err != nil {
		n.fail(err)
	}
	return []*ir.Value{n.constValue(t)}
}

// shape imports Shape. start and end exist since opset 15; both are clamped.
func shape(n *node) []*ir.Value {
	s := n.in[0].Type.Shape
	clamp := func(i int) int {
		if i < 0 {
			i += len(s)
		}
		return min(max(i, 0), len(s))
	}
	from, to := clamp(n.clampedInt("start", 0)), clamp(n.clampedInt("end", len(s)))
	return []*ir.Value{n.int64s(s[from:max(from, to)])}
}

func size(n *node) []*ir.Value {
	return []*ir.Value{n.constValue(ir.Scalar(int64(n.in[0].Type.Shape.Len())))}
}

func rangeOp(n *node) []*ir.Value {
	start, limit, delta := n.scalar(0, "start", 0), n.scalar(1, "limit", 0), n.scalar(2, "delta", 1)
	count := math.Ceil((limit - start) / delta)
	if math.IsNaN(count) || count > ir.MaxExtent || delta == 0 {
		n.failf("invalid range from %g to %g with step %g", start, limit, delta)
	}
	v := make([]float64, n.budget(ir.Shape{int(max(0, count))}))
	for i := range v {
		v[i] = start + float64(i)*delta
	}
	return []*ir.Value{n.constValue(ir.FromFloat64s(ir.T(n.in[0].Type.DType, len(v)), v))}
}

func eyeLike(n *node) []*ir.Value {
	x := n.in[0]
	s, d := x.Type.Shape, x.Type.DType
	if to := n.int("dtype", 0); to != 0 {
		var err error
		if d, err = elementType(int64(to)); err != nil {
			n.fail(err)
		}
	}
	if len(s) != 2 {
		n.failf("x is %s, want a matrix", x.Type)
	}
	v := make([]float64, n.budget(s))
	k := n.int("k", 0)
	for i := range min(s[0], len(v)) { // the rows may have no elements
		if j := int64(i) + int64(k); j >= 0 && j < int64(s[1]) {
			v[i*s[1]+int(j)] = 1
		}
	}
	return []*ir.Value{n.constValue(ir.FromFloat64s(ir.Type{DType: d, Shape: s}, v))}
}

func identity(n *node) []*ir.Value {
	if list, ok := n.sequenceArg(0); ok {
		return n.yieldSequence(list)
	}
	return n.in[:1]
}

// dropout imports Dropout, which does nothing at inference. All elements of its mask
// are true.
func dropout(n *node) []*ir.Value {
	x := n.in[0]
	if n.version < 7 && !n.flag("is_test", false) {
		n.refuse("dropout in training mode", "export the model for inference (is_test = 1)")
	}
	if n.version >= 12 && n.scalar(2, "training_mode", 0) != 0 && n.scalar(1, "ratio", 0.5) != 0 {
		n.refuse("dropout in training mode", "export the model for inference")
	}
	if !n.wants(1) {
		return []*ir.Value{x}
	}
	d := ir.Bool
	if n.version < 10 {
		d = x.Type.DType
	}
	return []*ir.Value{x, n.emit(ir.Expand{Shape: x.Type.Shape}, n.number(d, 1))}
}
