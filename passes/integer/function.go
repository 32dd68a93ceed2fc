package integer

import (
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// maxFunction is the maximum number of nodes that a table replaces. Activations have at
// most six.
const maxFunction = 32

// function replaces n, a Quantize, and the element-wise nodes above it by a table, if
// together they are a function of one quantised tensor. Their other operands must be
// constants of one element. A table that does nothing, as for Dequantize and Quantize with
// one scheme, vanishes.
func (f *former) function(n *ir.Node, s scheme) (bool, error) {
	r := region{shape: n.Out[0].Type.Shape}
	if !r.add(n) || r.x == nil {
		return false, nil
	}
	table, ok := r.table(n)
	if !ok {
		return false, nil
	}
	return true, f.lookup(n, r.nodes, r.x, table)
}

// lookup makes n look up the elements of x in a table, or replaces n by x if the table does
// nothing.
func (f *former) lookup(n *ir.Node, by []*ir.Node, x *ir.Value, table *ir.Tensor) error {
	by = slices.DeleteFunc(slices.Clone(by), func(d *ir.Node) bool { return d == n })
	if table.DType != x.Type.DType || !identity(table) {
		return f.become(n, ir.Lookup{}, by, x, f.constant(n, "table", table))
	}
	name := n.Out[0].Name
	x.Def().Absorb(n)
	x.Def().Absorb(by...)
	f.g.ReplaceUses(n.Out[0], x)
	f.sweep(n.Out[:1:1])
	if x.Def() != nil && f.moved[x.Def()] {
		f.g.Rename(x, name)
	}
	f.changed++
	return nil
}

// identity reports whether a table returns its argument.
func identity(table *ir.Tensor) bool {
	lo, _ := table.DType.Range()
	for i, v := range table.Int64s() {
		if v != int64(lo+i) {
			return false
		}
	}
	return true
}

// region is a set of element-wise nodes that depend on one quantised tensor x.
type region struct {
	shape ir.Shape // of all values that are not constant
	x     *ir.Value
	nodes []*ir.Node // in topological order
}

// add adds the node n and those that it depends on, down to quantised tensors. x becomes one
// of them.
func (r *region) add(n *ir.Node) bool {
	if slices.Contains(r.nodes, n) {
		return true
	}
	if len(r.nodes) == maxFunction || len(n.Out) != 1 || !ir.InfoOf(n.Op).Elementwise || !n.Out[0].Type.Shape.Equal(r.shape) {
		return false
	}
	_, fromIntegers := n.Op.(ir.Dequantize)
	for i, v := range n.In {
		switch {
		case v == nil:
		case fromIntegers && i == 0:
			if v.Const != nil || !v.Type.Shape.Equal(r.shape) || v.Type.DType.Size() != 1 {
				return false
			}
			r.x = v
		case v.Const != nil:
			if v.Const.Shape.Len() != 1 || v.Type.Rank() > len(r.shape) {
				return false
			}
		case v.Def() == nil || !r.add(v.Def()):
			return false
		}
	}
	r.nodes = append(r.nodes, n)
	return true
}

// table returns the results of n, a node of the region, for all values of x.
func (r *region) table(n *ir.Node) (*ir.Tensor, bool) {
	return tabulate(r.x, r.nodes, n.Out[0], max(1, len(r.shape)))
}

// tabulate returns the values of y for all values of x. The nodes compute y, element by
// element. It fails if they depend on another tensor.
func tabulate(x *ir.Value, nodes []*ir.Node, y *ir.Value, rank int) (*ir.Tensor, bool) {
	lo, hi := x.Type.DType.Range()
	all := make([]int64, hi-lo+1)
	for i := range all {
		all[i] = int64(lo + i)
	}
	shape := append(slices.Repeat(ir.Shape{1}, rank-1), len(all))
	g := ir.NewGraph("")
	to := map[*ir.Value]*ir.Value{x: g.AddConst("x", ir.FromInt64s(ir.Type{DType: x.Type.DType, Shape: shape}, all))}
	for _, n := range nodes {
		in := make([]*ir.Value, len(n.In))
		for i, v := range n.In {
			if v != nil && to[v] == nil {
				if v.Const == nil {
					return nil, false
				}
				to[v] = g.AddConst("c", v.Const)
			}
			in[i] = to[v]
		}
		v, err := g.Emit("v", n.Op, in...)
		if err != nil {
			return nil, false
		}
		to[n.Out[0]] = v
	}
	t, ok := eval.Const(to[y])
	if !ok {
		return nil, false
	}
	return t.Reshaped(ir.Shape{len(all)}), true
}

// compose replaces a node on integers by a table if its operands are functions of one
// tensor: a table of a table, or the product x·sigmoid(x), where the table of sigmoid(x) is
// the other operand.
func (f *former) compose(n *ir.Node) error {
	switch n.Op.(type) {
	case ir.Lookup, ir.QBinary:
	default:
		return nil
	}
	var x *ir.Value
	nodes := []*ir.Node{n}
	composed := false
	for i, v := range n.In {
		if _, isTable := n.Op.(ir.Lookup); isTable && i == ir.LookupTable {
			continue
		}
		if v.Const != nil {
			if v.Const.Shape.Len() != 1 || v.Type.Rank() > n.Out[0].Type.Rank() {
				return nil
			}
			composed = true
			continue
		}
		from := v
		if d := v.Def(); d != nil {
			if _, ok := d.Op.(ir.Lookup); ok && d.Const(ir.LookupTable) != nil {
				from = d.In[0]
				nodes = append(nodes, d)
				composed = true
			}
		}
		if from.Const != nil {
			return nil
		}
		x = from
	}
	_, isBinary := n.Op.(ir.QBinary)
	if x == nil || !composed && !isBinary || !x.Type.Shape.Equal(n.Out[0].Type.Shape) {
		return nil
	}
	slices.Reverse(nodes)
	table, ok := tabulate(x, nodes, n.Out[0], max(1, x.Type.Rank()))
	if !ok {
		return nil
	}
	return f.lookup(n, nodes, x, table)
}

// clamp makes a table that limits the integers of a layer the range of the layer. It is
// legal if no other node reads them.
func (f *former) clamp(n *ir.Node) error {
	if _, ok := n.Op.(ir.Lookup); !ok || n.Const(ir.LookupTable) == nil {
		return nil
	}
	d := n.In[0].Def()
	if d == nil || n.In[0].OnlyUse() != n || !n.In[0].Type.Equal(n.Out[0].Type) {
		return nil
	}
	var op ir.Op
	switch l := d.Op.(type) {
	case ir.Conv:
		if l.Integer.Requantises() && narrow(n, &l.Integer.Lo, &l.Integer.Hi) {
			op = l
		}
	case ir.Dense:
		if l.Integer.Requantises() && narrow(n, &l.Integer.Lo, &l.Integer.Hi) {
			op = l
		}
	case ir.QBinary:
		if narrow(n, &l.Lo, &l.Hi) {
			op = l
		}
	}
	if op == nil {
		return nil
	}
	return f.become(n, op, []*ir.Node{d}, d.In...)
}

// narrow replaces a range by the range of the table of n, if the table only limits integers
// of the range.
func narrow(n *ir.Node, lo, hi *int) bool {
	lowest, _ := n.Out[0].Type.DType.Range()
	table := n.Const(ir.LookupTable).Ints()
	l, h := table[*lo-lowest], table[*hi-lowest]
	for q := *lo; q <= *hi; q++ {
		if l > h || table[q-lowest] != min(max(q, l), h) {
			return false
		}
	}
	*lo, *hi = l, h
	return true
}
