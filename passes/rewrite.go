package passes

import (
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// Predicates of values and nodes that several passes share.

// padded reports whether any of pads adds elements.
func padded(pads []int) bool { return slices.ContainsFunc(pads, func(p int) bool { return p > 0 }) }

// freeEpilogue reports whether n can have an epilogue and has none.
func freeEpilogue(n *ir.Node) bool {
	a, ok := ir.Epilogue(n.Op)
	return ok && a.IsIdentity()
}

// onIntegers reports whether n is a convolution or dense layer on integers.
func onIntegers(n *ir.Node) bool {
	switch op := n.Op.(type) {
	case ir.Conv:
		return !op.Integer.IsZero()
	case ir.Dense:
		return !op.Integer.IsZero()
	}
	return false
}

// scalar returns the element of a constant with a single float.
func scalar(v *ir.Value) (float64, bool) {
	if v == nil || v.Const == nil || v.Const.Shape.Len() != 1 || !v.Const.DType.IsFloat() {
		return 0, false
	}
	return v.Const.Float64s()[0], true
}

// operand returns the operand of the node that computes v if that node applies fn, otherwise
// nil.
func operand(v *ir.Value, fn ir.Fn) *ir.Value {
	if v == nil || v.Def() == nil {
		return nil
	}
	if u, ok := v.Def().Op.(ir.Unary); ok && u.Fn.Fn == fn {
		return v.Def().In[0]
	}
	return nil
}

// binary returns the node that computes v if that node applies fn and has no epilogue,
// otherwise nil.
func binary(v *ir.Value, fn ir.BinaryFn) *ir.Node {
	if v == nil || v.Def() == nil {
		return nil
	}
	if b, ok := v.Def().Op.(ir.Binary); ok && b.Fn == fn && b.Epilogue.IsIdentity() {
		return v.Def()
	}
	return nil
}

// isReshape reports whether n is a reshape; n may be nil.
func isReshape(n *ir.Node) bool {
	if n == nil {
		return false
	}
	_, ok := n.Op.(ir.Reshape)
	return ok
}

// permOf returns the permutation of a transposed value.
func permOf(v *ir.Value) ([]int, bool) {
	if v == nil || v.Def() == nil {
		return nil, false
	}
	t, ok := v.Def().Op.(ir.Transpose)
	return t.Perm, ok
}

// maxPositions is the maximum number of elements of tensors whose positions are evaluated.
// That takes about 8 bytes per element and node. Tensors of pictures are far smaller.
const maxPositions = 1 << 25

// positions returns, for each element of y, its position in x. The nodes from x to y must
// rearrange the elements of one operand. If each of them keeps the examples of a batch apart,
// positions evaluates the first example only, as a batch of one. alone maps the shapes of x
// and y to those that were evaluated. ok is false if the tensors are too large to evaluate.
func positions(x, y *ir.Value) (at []float64, alone func(ir.Shape) ir.Shape, ok bool) {
	var chain, first []ir.Op
	for v := y; v != x; v = v.Def().In[0] {
		chain = append(chain, v.Def().Op)
		if op := ofFirst(v.Def()); op != nil {
			first = append(first, op)
		}
	}
	alone = func(s ir.Shape) ir.Shape { return s }
	if len(first) == len(chain) && len(x.Type.Shape) > 0 {
		chain = first
		alone = func(s ir.Shape) ir.Shape { return append(ir.Shape{1}, s[1:]...) }
	}
	for v := y; ; v = v.Def().In[0] {
		if alone(v.Type.Shape).Len() > maxPositions {
			return nil, nil, false
		}
		if v == x {
			break
		}
	}
	slices.Reverse(chain)
	at, ok = compute(numbered(alone(x.Type.Shape)), chain)
	return at, alone, ok
}

// ofFirst returns the op that does for the first example of a batch, as a batch of one, what
// n does for each. It returns nil if n may move elements from one example to another.
func ofFirst(n *ir.Node) ir.Op {
	s, t := n.In[0].Type.Shape, n.Out[0].Type.Shape
	if len(s) == 0 || len(t) == 0 || s[0] != t[0] {
		return nil
	}
	shape := append(ir.Shape{1}, t[1:]...)
	switch op := n.Op.(type) {
	case ir.Reshape:
		return ir.Reshape{Shape: shape}
	case ir.Expand:
		if len(s) == len(t) {
			return ir.Expand{Shape: shape}
		}
	case ir.Transpose:
		if op.Perm[0] == 0 {
			return op
		}
	}
	return nil
}

// numbered returns a tensor of the positions of its elements, which float64
// holds exactly.
func numbered(s ir.Shape) *ir.Tensor {
	position := make([]float64, s.Len())
	for i := range position {
		position[i] = float64(i)
	}
	return ir.FromFloat64s(ir.Type{DType: ir.Float64, Shape: s}, position)
}

// compute applies a sequence of ops with one operand each.
func compute(x *ir.Tensor, ops []ir.Op) ([]float64, bool) {
	g := ir.NewGraph("")
	v := g.AddConst("x", x)
	for _, op := range ops {
		var err error
		if v, err = g.Emit("v", op, v); err != nil {
			return nil, false
		}
	}
	t, ok := eval.Const(v)
	if !ok {
		return nil, false
	}
	return t.Float64s(), true
}

// Edits. They record which node does the work of the removed nodes.

// nodes returns a copy of the node list, so that a pass may edit the graph
// while it walks.
func nodes(g *ir.Graph) []*ir.Node { return slices.Clone(g.Nodes) }

// replace makes every reader of n's only result read v and removes n. The node
// that computes v does its work.
func replace(g *ir.Graph, n *ir.Node, v *ir.Value) {
	v.Def().Absorb(n)
	redirect(g, n, v)
}

// redirect is like replace, for callers that record which node does the work of n.
func redirect(g *ir.Graph, n *ir.Node, v *ir.Value) {
	g.ReplaceUses(n.Out[0], v)
	g.Remove(n)
}

// replaceAll is like replace, for n and the nodes that only n needed. Node by does the work
// of all of them.
func replaceAll(g *ir.Graph, n *ir.Node, v *ir.Value, by *ir.Node) {
	by.Absorb(n)
	redirect(g, n, v)
	by.Absorb(g.Prune()...)
}
