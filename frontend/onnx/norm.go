package onnx

import (
	"fmt"

	"modelc/ir"
)

var _ = register("normalisation", map[string]operator{
	"BatchNormalization":    {build: batchNorm},
	"LRN":                   {build: lrn},
	"InstanceNormalization": {since: 6, build: instanceNorm},
	"LayerNormalization":    {since: 17, build: layerNorm},
	"GroupNormalization":    {since: 18, build: groupNorm},
	"Softmax":               {build: softmax(false)},
	"LogSoftmax":            {build: softmax(true)},
	"LpNormalization":       {build: lpNorm},
})

func batchNorm(n *node) ([]*ir.Value, error) {
	if n.int("training_mode", 0) == 1 || n.version >= 7 && n.version < 14 && len(n.p.outputs) > 1 && n.p.outputs[1] != "" {
		return nil, refusal{"batch normalisation in training mode", "export the model for inference"}
	}
	if n.version < 7 && n.int("is_test", 0) == 0 {
		return nil, refusal{"batch normalisation in training mode", "export the model for inference (is_test = 1)"}
	}
	if n.version < 9 && n.int("spatial", 1) == 0 {
		return nil, refusal{"batch normalisation per activation (spatial = 0)", "only statistics per channel are supported"}
	}
	for i := range 5 {
		if _, err := n.need(i); err != nil {
			return nil, err
		}
	}
	return n.one(ir.BatchNorm{Epsilon: n.float("epsilon", 1e-5)}, n.in[:5]...)
}

func lrn(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	return n.one(ir.LRN{Size: n.int("size", 0), Alpha: n.float("alpha", 1e-4), Beta: n.float("beta", 0.75), Bias: n.float("bias", 1)}, x)
}

// alongAxis1 shapes a per-channel operand so that it broadcasts to rank axes.
func (n *node) alongAxis1(v *ir.Value, rank int) (*ir.Value, error) {
	if v == nil {
		return nil, nil
	}
	s := ir.Shape(append([]int{v.Type.Shape.Len()}, repeat(1, rank-2)...))
	return n.emit(ir.Reshape{Shape: s}, v)
}

func instanceNorm(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	r := x.Type.Rank()
	scale, err := n.alongAxis1(n.arg(1), r)
	if err != nil {
		return nil, err
	}
	bias, err := n.alongAxis1(n.arg(2), r)
	if err != nil {
		return nil, err
	}
	return n.one(ir.Normalize{Axes: spatial(r), Epsilon: n.float("epsilon", 1e-5)}, x, scale, bias)
}

func layerNorm(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	r := x.Type.Rank()
	first, err := axis(n.int("axis", -1), r)
	if err != nil {
		return nil, err
	}
	var list []int
	for i := first; i < r; i++ {
		list = append(list, i)
	}
	eps := n.float("epsilon", 1e-5)
	y, err := n.emit(ir.Normalize{Axes: list, Epsilon: eps}, x, n.arg(1), n.arg(2))
	if err != nil {
		return nil, unwrapNode(err)
	}
	out := []*ir.Value{y}
	if len(n.p.outputs) < 2 {
		return out, nil
	}
	// The optional results: mean and 1/√(variance+ε).
	mean, err := n.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: list, KeepDims: true}, x)
	if err != nil {
		return nil, err
	}
	d, err := n.emit(ir.Binary{Fn: ir.Sub}, x, mean)
	if err != nil {
		return nil, err
	}
	sq, err := n.emit(ir.Binary{Fn: ir.Mul}, d, d)
	if err != nil {
		return nil, err
	}
	v, err := n.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: list, KeepDims: true}, sq)
	if err != nil {
		return nil, err
	}
	v, err = n.emit(ir.Binary{Fn: ir.Add}, v, n.constValue(ir.FromFloat64s(ir.T(x.Type.DType), []float64{eps})))
	if err != nil {
		return nil, err
	}
	if v, err = n.emit(ir.Unary{Fn: ir.Act{Fn: ir.Sqrt}}, v); err != nil {
		return nil, err
	}
	if v, err = n.emit(ir.Unary{Fn: ir.Act{Fn: ir.Reciprocal}}, v); err != nil {
		return nil, err
	}
	return append(out, mean, v), nil
}

func groupNorm(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	s := x.Type.Shape
	g := n.int("num_groups", 0)
	if len(s) < 3 || g < 1 || s[1]%g != 0 {
		return nil, fmt.Errorf("%d groups of x %s", g, x.Type)
	}
	grouped := append(ir.Shape{s[0], g, s[1] / g}, s[2:]...)
	v, err := n.emit(ir.Reshape{Shape: grouped}, x)
	if err != nil {
		return nil, err
	}
	scale, bias := n.arg(1), n.arg(2)
	var list []int
	for i := 2; i < len(grouped); i++ {
		list = append(list, i)
	}
	if v, err = n.emit(ir.Normalize{Axes: list, Epsilon: n.float("epsilon", 1e-5)}, v); err != nil {
		return nil, err
	}
	if v, err = n.emit(ir.Reshape{Shape: s}, v); err != nil {
		return nil, err
	}
	// Before opset 21 scale and bias are per group.
	per := func(p *ir.Value) (*ir.Value, error) {
		if p.Type.Shape.Len() == g && g != s[1] {
			q, err := n.emit(ir.Reshape{Shape: ir.Shape{g, 1}}, p)
			if err != nil {
				return nil, err
			}
			if q, err = n.emit(ir.Expand{Shape: ir.Shape{g, s[1] / g}}, q); err != nil {
				return nil, err
			}
			p = q
		}
		return n.emit(ir.Reshape{Shape: append(ir.Shape{s[1]}, repeat(1, len(s)-2)...)}, p)
	}
	if scale != nil {
		if scale, err = per(scale); err != nil {
			return nil, err
		}
		if v, err = n.emit(ir.Binary{Fn: ir.Mul}, v, scale); err != nil {
			return nil, err
		}
	}
	if bias != nil {
		if bias, err = per(bias); err != nil {
			return nil, err
		}
		return n.one(ir.Binary{Fn: ir.Add}, v, bias)
	}
	return []*ir.Value{v}, nil
}

// softmax normalises all axes from the given one on before opset 13, that
// axis alone from then on.
func softmax(log bool) func(n *node) ([]*ir.Value, error) {
	return func(n *node) ([]*ir.Value, error) {
		x, err := n.need(0)
		if err != nil {
			return nil, err
		}
		r := x.Type.Rank()
		def := -1
		if n.version < 13 {
			def = 1
		}
		a := n.int("axis", def)
		if n.version < 13 && a == r {
			return n.one(ir.Softmax{Axes: []int{}, Log: log}, x)
		}
		if a, err = axis(a, r); err != nil {
			return nil, err
		}
		list := []int{a}
		if n.version < 13 {
			for i := a + 1; i < r; i++ {
				list = append(list, i)
			}
		}
		return n.one(ir.Softmax{Axes: list, Log: log}, x)
	}
}

func lpNorm(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	a, err := axis(n.int("axis", -1), x.Type.Rank())
	if err != nil {
		return nil, err
	}
	fn := ir.ReduceL2
	if n.int("p", 2) == 1 {
		fn = ir.ReduceL1
	}
	norm, err := n.emit(ir.Reduce{Fn: fn, Axes: []int{a}, KeepDims: true}, x)
	if err != nil {
		return nil, err
	}
	return n.one(ir.Binary{Fn: ir.Div}, x, norm)
}
