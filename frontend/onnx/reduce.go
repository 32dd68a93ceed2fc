package onnx

import "modelc/ir"

var reductionOps = []operator{
	{name: "ReduceMean", operands: 1, most: []most{{18, 2}}, becomes: "Reduce mean", build: reduce(ir.ReduceMean)},
	{name: "ReduceSum", operands: 1, most: []most{{13, 2}}, becomes: "Reduce sum", build: reduce(ir.ReduceSum)},
	{name: "ReduceMax", operands: 1, most: []most{{18, 2}}, becomes: "Reduce max", build: reduce(ir.ReduceMax)},
	{name: "ReduceMin", operands: 1, most: []most{{18, 2}}, becomes: "Reduce min", build: reduce(ir.ReduceMin)},
	{name: "ReduceProd", operands: 1, most: []most{{18, 2}}, becomes: "Reduce prod", build: reduce(ir.ReduceProd)},
	{name: "ReduceL1", operands: 1, most: []most{{18, 2}}, becomes: "Reduce l1", build: reduce(ir.ReduceL1)},
	{name: "ReduceL2", operands: 1, most: []most{{18, 2}}, becomes: "Reduce l2", build: reduce(ir.ReduceL2)},
	{name: "ReduceSumSquare", operands: 1, most: []most{{18, 2}}, becomes: "Reduce sumsquare", build: reduce(ir.ReduceSumSquare)},
	{name: "ReduceLogSum", operands: 1, most: []most{{18, 2}}, becomes: "Reduce logsum", build: reduce(ir.ReduceLogSum)},
	{name: "ReduceLogSumExp", operands: 1, most: []most{{18, 2}}, becomes: "Reduce logsumexp", build: reduce(ir.ReduceLogSumExp)},
	{name: "ArgMax", operands: 1, becomes: "ArgReduce", build: arg(false)},
	{name: "ArgMin", operands: 1, becomes: "ArgReduce", build: arg(true)},
	{name: "Hardmax", operands: 1, becomes: "ArgReduce, Binary Equal, Cast", build: hardmax},
	{name: "CumSum", since: 11, operands: 2, becomes: "Pad, Binary Add", build: cumSum},
}

// reduce imports reductions. The axes are an attribute in older opsets and an operand
// since opset 13 (ReduceSum) or 18. Without axes it reduces all axes, or none if
// noop_with_empty_axes is set.
func reduce(fn ir.ReduceFn) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		x := n.in[0]
		r := x.Type.Rank()
		axes, _ := n.attrOrList("axes", 1)
		if len(axes) == 0 {
			if n.flag("noop_with_empty_axes", false) {
				return n.one(ir.Reduce{Fn: fn, Axes: []int{}}, x)
			}
			axes = upTo(0, r)
		}
		return n.one(ir.Reduce{Fn: fn, Axes: n.axes(axes, r), KeepDims: n.flag("keepdims", true)}, x)
	}
}

func arg(min bool) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		x := n.in[0]
		a := n.axis(n.int("axis", 0), x.Type.Rank())
		return n.one(ir.ArgReduce{Axis: a, Min: min, Last: n.flag("select_last_index", false), KeepDims: n.flag("keepdims", true)}, x)
	}
}

// hardmax computes 1 at the first largest element along an axis and 0 elsewhere.
func hardmax(n *node) []*ir.Value {
	x := n.in[0]
	s := x.Type.Shape
	axes := n.normalised()
	// Several axes are merged into the last axis.
	flat, at := s, 0
	if len(axes) == 1 {
		at = axes[0]
	} else {
		outer := s[:len(s)-len(axes)]
		flat, at = ir.Shape{outer.Len(), s[len(outer):].Len()}, 1
	}
	y := n.reshape(x, flat)
	first := n.emit(ir.ArgReduce{Axis: at, KeepDims: true}, y)
	hit := n.binary(ir.Equal, n.steps(flat[at], 1, len(flat)-1-at), first)
	return []*ir.Value{n.reshape(n.cast(hit, x.Type.DType), s)}
}

// cumSum adds x to itself, moved along the axis by 1, 2, 4, … elements. Each sum doubles
// the number of elements that it includes, so the work is the size of x times the
// logarithm of the axis.
func cumSum(n *node) []*ir.Value {
	x := n.in[0]
	r := x.Type.Rank()
	a := n.axis(n.legal("axis", n.integer(1, "the axis", 0)), r)
	moved := func(v *ir.Value, by int) *ir.Value {
		pads := make([]int, 2*r)
		pads[a], pads[r+a] = by, -by
		if n.flag("reverse", false) {
			pads[a], pads[r+a] = -by, by
		}
		return n.emit(ir.Pad{Pads: pads}, v)
	}
	k := x.Type.Shape[a]
	y := x
	if n.flag("exclusive", false) && k > 0 {
		y = moved(y, 1)
	}
	for by := 1; by < k; by *= 2 {
		y = n.binary(ir.Add, y, moved(y, by))
	}
	return []*ir.Value{y}
}
