package onnx

import (
	"slices"

	"modelc/ir"
)

// Sequences exist only at compile time. They are lists of values with known length
// and positions. Exporters split a tensor into a sequence and then read its elements.
var sequenceOps = []operator{
	{name: "SplitToSequence", since: 11, operands: 1, most: []most{{11, 2}}, becomes: "Slice, Reshape", build: splitToSequence},
	{name: "SequenceConstruct", since: 11, operands: 1, most: []most{{11, anyNumber}}, becomes: "nothing", build: sequenceConstruct},
	{name: "SequenceEmpty", since: 11, becomes: "nothing", build: sequenceEmpty},
	{name: "SequenceInsert", since: 11, operands: 2, most: []most{{11, 3}}, becomes: "nothing", limits: "the position is constant", build: sequenceInsert, sequences: true},
	{name: "SequenceErase", since: 11, operands: 1, most: []most{{11, 2}}, becomes: "nothing", limits: "the position is constant", build: sequenceErase, sequences: true},
	{name: "SequenceAt", since: 11, operands: 2, becomes: "nothing", limits: "the position is constant", build: sequenceAt, sequences: true},
	{name: "SequenceLength", since: 11, operands: 1, becomes: "a constant", build: sequenceLength, sequences: true},
	{name: "ConcatFromSequence", since: 11, operands: 1, becomes: "Concat, Reshape", build: concatFromSequence, sequences: true},
}

// yieldSequence sets the node's only result to list.
func (n *node) yieldSequence(list []*ir.Value) []*ir.Value {
	n.scope.sequences[n.p.outputs[0]] = list
	return nil
}

func (n *node) needSequence(i int) []*ir.Value {
	list, ok := n.sequenceArg(i)
	if !ok {
		n.failf("operand %d is not a sequence", i)
	}
	return list
}

func sequenceConstruct(n *node) []*ir.Value { return n.yieldSequence(n.in) }

func splitToSequence(n *node) []*ir.Value {
	x := n.in[0]
	s := x.Type.Shape
	a := n.axis(n.int("axis", 0), len(s))
	squeeze := !n.flag("keepdims", true)
	var sizes []int
	t := n.constant(1, "split")
	if t != nil {
		squeeze = false
		sizes = n.legals("split", integersOf(t))
		if t.Shape.Equal(ir.Shape{}) {
			each := sizes[0]
			if each < 1 {
				n.failf("parts of %d", each)
			}
			sizes = repeat(each, n.legal("parts", int64(s[a]/each)))
			if rest := s[a] % each; rest > 0 {
				sizes = append(sizes, rest)
			}
		}
	}
	if t == nil {
		sizes = repeat(1, n.legal("parts", int64(s[a])))
	}
	parts := n.parts(x, a, sizes)
	for i, p := range parts {
		if squeeze {
			parts[i] = n.reshape(p, append(append(ir.Shape{}, s[:a]...), s[a+1:]...))
		}
	}
	return n.yieldSequence(parts)
}

func sequenceAt(n *node) []*ir.Value {
	list := n.needSequence(0)
	i := n.place(1, len(list), 0, len(list)-1)
	return list[i : i+1]
}

// place returns the position in operand i, or def if it is absent. Negative ones count from
// the end of a sequence of the given length. last is the last legal position.
func (n *node) place(i, length, def, last int) int {
	at := n.legal("position", n.integer(i, "the position", int64(def)))
	if at < 0 {
		at += length
	}
	if at < 0 || at > last {
		n.failf("position %d of a sequence of %d", at, length)
	}
	return at
}

func sequenceEmpty(n *node) []*ir.Value { return n.yieldSequence([]*ir.Value{}) }

func sequenceInsert(n *node) []*ir.Value {
	list := n.needSequence(0)
	return n.yieldSequence(slices.Insert(slices.Clone(list), n.place(2, len(list), len(list), len(list)), n.in[1]))
}

func sequenceErase(n *node) []*ir.Value {
	list := n.needSequence(0)
	i := n.place(1, len(list), len(list)-1, len(list)-1)
	return n.yieldSequence(slices.Delete(slices.Clone(list), i, i+1))
}

func sequenceLength(n *node) []*ir.Value {
	return []*ir.Value{n.constValue(ir.Scalar(int64(len(n.needSequence(0)))))}
}

func concatFromSequence(n *node) []*ir.Value {
	list := n.needSequence(0)
	if len(list) == 0 {
		n.failf("the sequence is empty")
	}
	s := list[0].Type.Shape
	if !n.flag("new_axis", false) {
		return n.one(ir.Concat{Axis: n.axis(n.int("axis", 0), len(s))}, list...)
	}
	a := n.axis(n.int("axis", 0), len(s)+1)
	apart := make([]*ir.Value, len(list))
	for i, v := range list {
		apart[i] = n.reshape(v, slices.Insert(slices.Clone(v.Type.Shape), min(a, v.Type.Rank()), 1))
	}
	return n.one(ir.Concat{Axis: a}, apart...)
}
