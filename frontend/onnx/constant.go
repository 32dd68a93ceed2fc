package onnx

import (
	"fmt"

	"modelc/ir"
)

var _ = register("constants and control", map[string]operator{
	"Constant":        {build: constant},
	"ConstantOfShape": {since: 9, build: constantOfShape},
	"Shape":           {build: shape},
	"Size":            {build: size},
	"Range":           {since: 11, build: rangeOp},
	"EyeLike":         {since: 9, build: eyeLike},
	"Identity":        {build: identity},
	"Dropout":         {build: dropout},
	"If":              {build: ifOp},
})

func constant(n *node) ([]*ir.Value, error) {
	for _, a := range n.p.attrs {
		a = n.resolve(a)
		if a == nil {
			continue
		}
		var t *ir.Tensor
		switch a.name {
		case "value":
			if a.t == nil {
				return nil, fmt.Errorf("value is not a tensor")
			}
			var err error
			if t, err = n.im.files.tensor(a.t); err != nil {
				return nil, err
			}
		case "value_float":
			t = ir.Scalar(a.f)
		case "value_floats":
			t = ir.TensorOf(ir.Shape{len(a.floats)}, a.floats...)
		case "value_int":
			t = ir.Scalar(a.i)
		case "value_ints":
			t = ir.TensorOf(ir.Shape{len(a.ints)}, a.ints...)
		case "value_string", "value_strings", "sparse_value":
			return nil, refusal{"constant given by " + a.name, "only numeric dense tensors are supported"}
		default:
			continue
		}
		return []*ir.Value{n.constValue(t)}, nil
	}
	return nil, fmt.Errorf("no value")
}

// maxFill bounds what ConstantOfShape makes, in elements.
const maxFill = 1 << 30

func constantOfShape(n *node) ([]*ir.Value, error) {
	dims, err := n.argInts(0, "the shape")
	if err != nil {
		return nil, err
	}
	v := ir.Scalar(float32(0))
	if a := n.attr("value"); a != nil && a.t != nil {
		if v, err = n.im.files.tensor(a.t); err != nil {
			return nil, err
		}
	}
	total := 1
	for _, d := range dims {
		if d < 0 || total > maxFill {
			return nil, fmt.Errorf("shape %v", dims)
		}
		total *= d
	}
	if total > maxFill {
		return nil, fmt.Errorf("shape %v", dims)
	}
	if v.Shape.Len() != 1 {
		return nil, fmt.Errorf("value has %d elements, want 1", v.Shape.Len())
	}
	t := ir.NewTensor(ir.Type{DType: v.DType, Shape: dims})
	size := v.DType.Size()
	b := t.Bytes()
	if len(b) > 0 {
		// Doubling copies fill large tensors at memory speed.
		copy(b, v.Bytes())
		for done := size; done < len(b); done *= 2 {
			copy(b[done:], b[:done])
		}
	}
	return []*ir.Value{n.constValue(t)}, nil
}

func shape(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	s := x.Type.Shape
	clamp := func(i int) int {
		if i < 0 {
			i += len(s)
		}
		return min(max(i, 0), len(s))
	}
	from, to := clamp(n.int("start", 0)), clamp(n.int("end", len(s)))
	var dims []int64
	for i := from; i < to; i++ {
		dims = append(dims, int64(s[i]))
	}
	return []*ir.Value{n.constValue(ir.TensorOf(ir.Shape{len(dims)}, dims...))}, nil
}

func size(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	return []*ir.Value{n.constValue(ir.Scalar(int64(x.Type.Shape.Len())))}, nil
}

func rangeOp(n *node) ([]*ir.Value, error) {
	var p [3]float64
	var d ir.DType
	for i, name := range []string{"start", "limit", "delta"} {
		t, err := n.constant(i, name)
		if err != nil {
			return nil, err
		}
		if t == nil || t.Shape.Len() != 1 {
			return nil, fmt.Errorf("%s must be a scalar", name)
		}
		p[i], d = t.Float64s()[0], t.DType
	}
	var v []float64
	for i := 0; ; i++ {
		x := p[0] + float64(i)*p[2]
		if p[2] == 0 || len(v) > maxNodes || p[2] > 0 && x >= p[1] || p[2] < 0 && x <= p[1] {
			break
		}
		v = append(v, x)
	}
	return []*ir.Value{n.constValue(ir.FromFloat64s(ir.T(d, len(v)), v))}, nil
}

func eyeLike(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	d := x.Type.DType
	if to := n.int("dtype", 0); to != 0 {
		if d, err = elementType(int64(to)); err != nil {
			return nil, err
		}
	}
	s := x.Type.Shape
	if len(s) != 2 {
		return nil, fmt.Errorf("x is %s, want a matrix", x.Type)
	}
	v := make([]float64, s.Len())
	k := n.int("k", 0)
	for i := range s[0] {
		if j := i + k; j >= 0 && j < s[1] {
			v[i*s[1]+j] = 1
		}
	}
	return []*ir.Value{n.constValue(ir.FromFloat64s(ir.Type{DType: d, Shape: s}, v))}, nil
}

func identity(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	return []*ir.Value{x}, err
}

// dropout does nothing at inference; its mask is all true.
func dropout(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	if n.version >= 12 && n.arg(2) != nil {
		t, err := n.constant(2, "training_mode")
		if err != nil {
			return nil, err
		}
		ratio, err := n.constant(1, "ratio")
		if err != nil {
			return nil, err
		}
		if t.Int64s()[0] != 0 && (ratio == nil || ratio.Float64s()[0] != 0) {
			return nil, refusal{"dropout in training mode", "export the model for inference"}
		}
	}
	if n.version < 7 && n.int("is_test", 0) == 0 {
		return nil, refusal{"dropout in training mode", "export the model for inference (is_test = 1)"}
	}
	out := []*ir.Value{x}
	if len(n.p.outputs) > 1 {
		d := ir.Bool
		if n.version < 12 {
			d = x.Type.DType
		}
		if n.version >= 10 && n.version < 12 {
			d = ir.Bool
		}
		v := make([]float64, x.Type.Shape.Len())
		for i := range v {
			v[i] = 1
		}
		out = append(out, n.constValue(ir.FromFloat64s(ir.Type{DType: d, Shape: x.Type.Shape}, v)))
	}
	return out, nil
}

// ifOp takes the branch that a constant condition selects.
func ifOp(n *node) ([]*ir.Value, error) {
	cond, err := n.constant(0, "the condition")
	if err != nil {
		return nil, err
	}
	if cond == nil || cond.Shape.Len() != 1 {
		return nil, fmt.Errorf("the condition must be a single truth value")
	}
	name := "else_branch"
	if cond.Int64s()[0] != 0 {
		name = "then_branch"
	}
	a := n.attr(name)
	if a == nil || a.g == nil {
		return nil, fmt.Errorf("%s is missing", name)
	}
	return n.im.branch(a.g, n)
}
