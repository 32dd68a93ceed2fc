package onnx

import (
	"fmt"
	"math"
	"slices"

	"modelc/ir"
)

// Control flow exists only at compile time. A branch is taken, and a body is repeated, by
// conditions and trip counts that are constant.
var controlOps = []operator{
	{name: "If", operands: 1, becomes: "the branch taken", limits: "the condition is constant", build: ifOp},
	{name: "Loop", most: []most{{1, anyNumber}}, becomes: "its body for each iteration", limits: "the trip count and the condition are constant", build: loop, sequences: true},
	{name: "Scan", since: 9, operands: 1, most: []most{{9, anyNumber}}, becomes: "its body for each iteration", build: scan},
}

// item is a tensor or a sequence of tensors.
type item struct {
	value    *ir.Value
	list     []*ir.Value
	sequence bool
}

// item returns operand i.
func (n *node) item(i int) item {
	list, ok := n.sequenceArg(i)
	return item{n.in[i], list, ok}
}

// bind makes x the value of a name.
func (s *scope) bind(name string, x item) {
	if x.sequence {
		s.sequences[name] = x.list
	} else {
		s.values[name] = x.value
	}
}

// yield returns the results of the node.
func (n *node) yield(list []item) []*ir.Value {
	out := make([]*ir.Value, len(list))
	for i, x := range list {
		out[i] = x.value
		if x.sequence && n.wants(i) {
			n.scope.sequences[n.p.outputs[i]] = x.list
		}
	}
	return out
}

// body returns the graph of an attribute.
func (n *node) body(name string) *graphProto {
	a := n.attr(name)
	if a == nil || a.g == nil {
		n.failf("%s is missing", name)
	}
	return a.g
}

// ifOp imports the branch of If that a constant condition selects.
func ifOp(n *node) []*ir.Value {
	name := "else_branch"
	if n.scalar(0, "the condition", 0) != 0 {
		name = "then_branch"
	}
	return n.yield(n.branch(n.body(name), nil, n.scope.prefix))
}

// iteration imports the body of a loop with the given inputs.
func (n *node) iteration(g *graphProto, i int, inputs []item) []item {
	if err := n.im.opts.Bounds.Check(ir.BoundIterations, int64(i)+1); err != nil {
		n.fail(fmt.Errorf("iteration %d: %w", i+1, err))
	}
	return n.branch(g, inputs, fmt.Sprintf("%s/%d/", n.name, i))
}

// loop imports Loop. The body has the iteration number, the condition and the carried values
// as inputs, and the next condition, the carried values and rows of the other results as
// outputs.
func loop(n *node) []*ir.Value {
	g := n.body("body")
	trips := n.integer(0, "the trip count", math.MaxInt64)
	condition := n.arg(1)
	var carried []item
	for i := 2; i < len(n.in); i++ {
		carried = append(carried, n.item(i))
	}
	if len(g.inputs) != 2+len(carried) || len(g.outputs) < 1+len(carried) {
		n.failf("a body of %d inputs and %d outputs for %d carried values", len(g.inputs), len(g.outputs), len(carried))
	}
	rows := make([][]*ir.Value, len(g.outputs)-1-len(carried))
	if condition == nil {
		condition = n.constValue(ir.Scalar(true))
	}
	for i := 0; int64(i) < trips && n.fixed(condition, "the condition").Float64s()[0] != 0; i++ {
		number := item{value: n.constValue(ir.Scalar(int64(i)))}
		out := n.iteration(g, i, slices.Concat([]item{number, {value: condition}}, carried))
		condition, carried = out[0].value, out[1:1+len(carried)]
		if condition == nil {
			n.failf("the condition is a sequence")
		}
		for k, x := range out[1+len(carried):] {
			rows[k] = append(rows[k], x.value)
		}
	}
	for _, list := range rows {
		carried = append(slices.Clip(carried), item{value: n.stacked(list, 0)})
	}
	return n.yield(carried)
}

// stacked joins values along a new axis.
func (n *node) stacked(list []*ir.Value, axis int) *ir.Value {
	if len(list) == 0 {
		n.refuse("a result has no rows, because the body is not repeated", "remove the node, or its result")
	}
	apart := make([]*ir.Value, len(list))
	for i, v := range list {
		if v == nil {
			n.failf("a row of a result is a sequence")
		}
		apart[i] = n.reshape(v, slices.Insert(slices.Clone(v.Type.Shape), n.axis(axis, v.Type.Rank()+1), 1))
	}
	if len(apart) == 1 {
		return apart[0]
	}
	return n.emit(ir.Concat{Axis: n.axis(axis, apart[0].Type.Rank())}, apart...)
}

// scan imports Scan. The body has the carried values and a slice of each other operand as
// inputs, and the carried values and rows of the other results as outputs.
func scan(n *node) []*ir.Value {
	g := n.body("body")
	slicesOf := n.int("num_scan_inputs", 1)
	first := len(n.in) - slicesOf
	outs := len(g.outputs) - first
	if first < 0 || len(g.inputs) != len(n.in) || outs < 0 {
		n.failf("a body of %d inputs and %d outputs for %d operands, %d of them sliced", len(g.inputs), len(g.outputs), len(n.in), slicesOf)
	}
	option := func(name string, list []int, want, i int) int {
		if list != nil && len(list) != want {
			n.failf("%s %v for %d", name, list, want)
		}
		if list == nil {
			return 0
		}
		return list[i]
	}
	inAxes, inReverse := n.ints("scan_input_axes"), n.ints("scan_input_directions")
	outAxes, outReverse := n.ints("scan_output_axes"), n.ints("scan_output_directions")
	var carried []item
	for i := range first {
		carried = append(carried, n.item(i))
	}
	parts := make([][]*ir.Value, slicesOf)
	for i := range parts {
		x := n.in[first+i]
		s := x.Type.Shape
		a := n.axis(option("scan_input_axes", inAxes, slicesOf, i), len(s))
		for _, part := range n.parts(x, a, repeat(1, n.legal("parts", int64(s[a])))) {
			parts[i] = append(parts[i], n.reshape(part, slices.Delete(slices.Clone(s), a, a+1)))
		}
		if option("scan_input_directions", inReverse, slicesOf, i) != 0 {
			slices.Reverse(parts[i])
		}
		if len(parts[i]) != len(parts[0]) {
			n.failf("operands of %d and %d slices", len(parts[0]), len(parts[i]))
		}
	}
	rows := make([][]*ir.Value, outs)
	for i := range parts[0] {
		inputs := slices.Clone(carried)
		for _, list := range parts {
			inputs = append(inputs, item{value: list[i]})
		}
		out := n.iteration(g, i, inputs)
		carried = out[:first]
		for k, x := range out[first:] {
			rows[k] = append(rows[k], x.value)
		}
	}
	for i, list := range rows {
		if option("scan_output_directions", outReverse, outs, i) != 0 {
			slices.Reverse(list)
		}
		carried = append(slices.Clip(carried), item{value: n.stacked(list, option("scan_output_axes", outAxes, outs, i))})
	}
	return n.yield(carried)
}
