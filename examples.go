package modelc

import (
	"bytes"
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// oneExample returns g for one of the n examples of its batch, and n. It returns nil unless it
// can prove that g computes the examples independently of each other, and in the same way.
//
// A value is batched if its first axis has n equal parts, and part i depends on part i of each
// input alone. The inputs are batched. So is the result of a node of which all operands are
// batched, or do not depend on the inputs, if its op treats the parts of the first axis alike.
func oneExample(g *ir.Graph) (one *ir.Graph, n int) {
	for _, v := range g.Inputs {
		s := v.Type.Shape
		if len(s) == 0 || s[0] < 2 || n > 0 && s[0] != n {
			return nil, 0
		}
		n = s[0]
	}
	if n == 0 {
		return nil, 0
	}
	b := batch{n: n, g: ir.NewGraph(g.Name), values: map[*ir.Value]*ir.Value{}, batched: map[*ir.Value]bool{}}
	b.g.Bounds = g.Bounds
	for _, v := range g.Inputs {
		b.values[v], b.batched[v] = b.g.AddInput(v.Name, b.part(v.Type)), true
	}
	for _, v := range g.Constants {
		b.values[v] = b.g.AddConst(v.Name, v.Const)
	}
	for _, node := range g.Nodes {
		if !b.add(node) {
			return nil, 0
		}
	}
	for _, o := range g.Outputs {
		if !b.batched[o.Value] {
			return nil, 0
		}
		b.g.AddOutput(o.Name, b.values[o.Value])
	}
	return b.g, n
}

// batch makes the graph for one example.
type batch struct {
	n       int
	g       *ir.Graph
	values  map[*ir.Value]*ir.Value // values of g by those of the whole graph
	batched map[*ir.Value]bool      // of the whole graph
}

// part returns the type of one part of a batched value.
func (b *batch) part(t ir.Type) ir.Type {
	s := slices.Clone(t.Shape)
	s[0] /= b.n
	return ir.Type{DType: t.DType, Shape: s}
}

// add appends node, for one example. It returns false if the results are not batched.
func (b *batch) add(node *ir.Node) bool {
	in := make([]*ir.Value, len(node.In))
	depends := false
	for i, v := range node.In {
		if v != nil {
			in[i] = b.values[v]
			depends = depends || b.batched[v]
		}
	}
	op := node.Op
	if depends {
		if op = b.op(node, in); op == nil {
			return false
		}
	}
	m, err := b.g.Append(node.Name, op, in...)
	if err != nil {
		return false
	}
	for i, v := range node.Out {
		if depends {
			s := v.Type.Shape
			if len(s) == 0 || s[0]%b.n != 0 || !m.Out[i].Type.Equal(b.part(v.Type)) {
				return false
			}
		}
		b.values[v], b.batched[v] = m.Out[i], depends
	}
	return true
}

// op returns the op of a node for one example, or nil if the node mixes examples, or treats
// them differently. It replaces operands that repeat equal parts by one of them.
func (b *batch) op(node *ir.Node, in []*ir.Value) ir.Op {
	batched := func(i int) bool { return i < len(node.In) && node.In[i] != nil && b.batched[node.In[i]] }
	// only reports whether the first operand is batched, and of the others only those listed.
	only := func(others ...int) bool {
		for i, v := range node.In {
			if v != nil && batched(i) != (i == 0 || slices.Contains(others, i)) {
				return false
			}
		}
		return true
	}
	first := func(x bool) bool { return x && only() }
	x := node.In[0].Type.Shape
	ok := false
	switch op := node.Op.(type) {
	case ir.Conv:
		ok = only(ir.ConvResidual)
	case ir.Pool:
		ok = only() && !op.Indices // which count from the first example
	case ir.ConvTranspose, ir.Dense, ir.BatchNorm, ir.Affine, ir.LRN, ir.Lookup, ir.QAveragePool:
		ok = only()
	case ir.Normalize:
		ok = b.broadcasts(node, in) && !slices.Contains(op.Axes, 0)
	case ir.GridSample:
		ok = only(ir.GridSampleGrid)
	case ir.MatMul:
		ok = first(len(x) > 1 && node.In[1].Type.Rank() <= 2) || len(x) > 2 && b.broadcasts(node, in)
	case ir.Softmax:
		ok = !slices.Contains(op.Axes, 0)
	case ir.Reduce:
		ok = !slices.Contains(op.Axes, 0)
	case ir.ArgReduce:
		ok = op.Axis != 0
	case ir.TopK:
		ok = op.Axis != 0
	case ir.Transpose:
		ok = op.Perm[0] == 0
	case ir.Concat:
		ok = op.Axis != 0 && b.broadcasts(node, in)
	case ir.Interleave:
		ok = b.broadcasts(node, in)
	case ir.Pad:
		ok = op.Pads[0] == 0 && op.Pads[len(x)] == 0
	case ir.Gather:
		ok = op.Axis != 0 && only()
	case ir.Reshape:
		if op.Shape, ok = b.shape(op.Shape); ok {
			return op
		}
	case ir.Expand:
		if len(op.Shape) == len(x) {
			if op.Shape, ok = b.shape(op.Shape); ok {
				return op
			}
		}
	case ir.Slice:
		if op.Start[0] == 0 && op.Step[0] == 1 && op.Count[0] == x[0] {
			op.Count = slices.Clone(op.Count)
			op.Count[0] /= b.n
			return op
		}
	case ir.Resize:
		if op.Keeps(0, x[0]) {
			op.Shape, _ = b.shape(op.Shape)
			return op
		}
	default:
		ok = ir.InfoOf(op).Elementwise && b.broadcasts(node, in)
	}
	if !ok {
		return nil
	}
	return node.Op
}

// shape divides the first extent by the number of examples.
func (b *batch) shape(s ir.Shape) (ir.Shape, bool) {
	if len(s) == 0 || s[0]%b.n != 0 {
		return nil, false
	}
	s = slices.Clone(s)
	s[0] /= b.n
	return s, true
}

// broadcasts reports whether each operand has the first axis of the result, and is batched or
// has equal parts, or broadcasts along this axis.
func (b *batch) broadcasts(node *ir.Node, in []*ir.Value) bool {
	out := node.Out[0].Type.Shape
	for i, v := range node.In {
		if v == nil {
			continue
		}
		s := v.Type.Shape
		whole := len(s) == len(out) && s[0] == out[0]
		switch {
		case b.batched[v]:
			if !whole {
				return false
			}
		case whole:
			t, ok := eval.Const(v)
			if !ok || !b.repeats(t) {
				return false
			}
			p := b.part(v.Type)
			c, err := ir.FromBytes(p, t.Bytes()[:p.Bytes()])
			if err != nil {
				return false
			}
			in[i] = b.g.AddConst(v.Name, c)
		case len(s) == len(out) && s[0] != 1:
			return false
		case len(s) > len(out):
			return false
		}
	}
	return true
}

// repeats reports whether the n parts of t are equal.
func (b *batch) repeats(t *ir.Tensor) bool {
	if len(t.Shape) == 0 || t.Shape[0]%b.n != 0 {
		return false
	}
	data := t.Bytes()
	size := len(data) / b.n
	return bytes.Equal(data[size:], data[:len(data)-size])
}

// firstExamples returns the first of n parts of each tensor.
func firstExamples(list []*ir.Tensor, n int) []*ir.Tensor {
	b := batch{n: n}
	var first []*ir.Tensor
	for _, t := range list {
		p := b.part(t.Type)
		v, err := ir.FromBytes(p, t.Bytes()[:p.Bytes()])
		if err != nil {
			panic("modelc: " + err.Error()) // the bytes have the size of the type
		}
		first = append(first, v)
	}
	return first
}
