package onnx

import (
	"math"
	"slices"

	"modelc/ir"
)

// All operators that gather or scatter become the IR's Gather or Scatter on a flattened x,
// with positions computed from the indices.
var indexingOps = []operator{
	{name: "Gather", operands: 2, becomes: "Gather", limits: "constant indices lie inside the axis; at run time, others select the nearest element", build: gather},
	{name: "GatherElements", since: 11, operands: 2, becomes: "Reshape, Binary, Where, Gather", limits: "as Gather; at run time, the position in x is clamped to it", build: gatherElements},
	{name: "GatherND", since: 11, operands: 2, becomes: "Reshape, Binary, Where, Reduce, Gather", limits: "as GatherElements", build: gatherND},
	{name: "Scatter", since: 9, operands: 3, becomes: "as ScatterElements", limits: "as ScatterElements", build: scatterElements},
	{name: "ScatterElements", since: 11, operands: 3, becomes: "Reshape, Binary, Where, Scatter", limits: "constant indices lie inside the axis; at run time, updates at positions outside x are ignored; indices do not depend on NonMaxSuppression", build: scatterElements},
	{name: "ScatterND", since: 11, operands: 3, becomes: "Reshape, Binary, Where, Reduce, Scatter", limits: "as ScatterElements", build: scatterND},
	{name: "OneHot", since: 9, operands: 3, becomes: "Binary Equal, Where", limits: "the depth is constant", build: oneHot},
}

var selectionOps = []operator{
	{name: "TopK", operands: 1, most: []most{{10, 2}}, becomes: "TopK", limits: "k is constant", build: topK},
	{name: "NonMaxSuppression", since: 10, operands: 2, most: []most{{10, 5}}, becomes: "NonMaxSuppression", limits: "bounds are constant; the result has the maximum number of rows and an output NAME.count", build: nonMaxSuppression},
}

func gather(n *node) []*ir.Value {
	x := n.in[0]
	return n.one(ir.Gather{Axis: n.axis(n.int("axis", 0), x.Type.Rank())}, x, n.in[1])
}

// counted returns indices as i64. Negative indices are converted to positions from the
// end of their axis. extents has the shape [1], or one extent per index of the last
// axis.
func (n *node) counted(idx *ir.Value, extents ...int) *ir.Value {
	idx = n.cast(idx, ir.Int64)
	e := n.int64s(extents)
	return n.emit(ir.Where{}, n.binary(ir.Less, idx, n.number(ir.Int64, 0)), n.binary(ir.Add, idx, e), idx)
}

// checkIndices fails if constant indices lie outside their axes. extents are as for counted.
// In a compiled model, the position that such indices give is clamped to x.
func (n *node) checkIndices(idx *ir.Value, extents ...int) {
	t, ok := n.im.folder.Const(idx)
	if !ok {
		return
	}
	for i, k := range integersOf(t) {
		if d := int64(extents[i%len(extents)]); k < -d || k >= d {
			n.failf("index %d is outside an axis of %d elements", k, d)
		}
	}
}

// int64s adds a constant vector.
func (n *node) int64s(v []int) *ir.Value {
	t := make([]int64, len(v))
	for i, x := range v {
		t[i] = int64(x)
	}
	return n.constValue(ir.TensorOf(ir.Shape{len(t)}, t...))
}

// gatherElements returns, for each position of the indices, the element of x at this
// position with the coordinate along one axis replaced by the index.
func gatherElements(n *node) []*ir.Value {
	x := n.in[0]
	return n.one(ir.Gather{}, n.reshape(x, ir.Shape{x.Type.Shape.Len()}), n.elementPositions())
}

// elementPositions returns, for each position of the indices, the position in the flat x
// with the coordinate along the node's axis replaced by the index.
func (n *node) elementPositions() *ir.Value {
	x, idx := n.in[0], n.in[1]
	s, is := x.Type.Shape, idx.Type.Shape
	r := len(s)
	if r == 0 || len(is) != r {
		n.failf("indices %s for x %s", idx.Type, x.Type)
	}
	a := n.axis(n.int("axis", 0), r)
	st := s.Strides()
	n.checkIndices(idx, s[a])
	at := n.counted(idx, s[a])
	if st[a] != 1 {
		at = n.binary(ir.Mul, at, n.number(ir.Int64, float64(st[a])))
	}
	for i := range r {
		if i == a || is[i] == 1 {
			continue
		}
		if is[i] > s[i] {
			n.failf("indices %s reach beyond x %s", idx.Type, x.Type)
		}
		at = n.binary(ir.Add, at, n.steps(is[i], st[i], r-1-i))
	}
	return at
}

// scatterElements is gatherElements with updates in place of results.
func scatterElements(n *node) []*ir.Value {
	x := n.in[0]
	op := n.scatter()
	y := n.emit(op, n.reshape(x, ir.Shape{x.Type.Shape.Len()}), n.elementPositions(), n.in[2])
	return []*ir.Value{n.reshape(y, x.Type.Shape)}
}

// scatter returns the op of the node's reduction. It refuses indices that depend on boxes that
// NonMaxSuppression selects: the rows behind the selected ones would scatter too.
func (n *node) scatter() (op ir.Scatter) {
	if ofSelection(n.in[1]) {
		n.refuse("its indices depend on NonMaxSuppression, whose result is padded with rows of −1", "scatter outside the model")
	}
	if err := op.Reduction.UnmarshalText([]byte(n.str("reduction", "none"))); err != nil {
		n.failf("reduction: %v", err)
	}
	return op
}

// steps returns 0, step, 2·step, … along an axis that is followed by the given number
// of axes.
func (n *node) steps(k, step, behind int) *ir.Value {
	v := make([]int64, n.budget(ir.Shape{k}))
	for i := range v {
		v[i] = int64(i) * int64(step)
	}
	return n.constValue(ir.TensorOf(append(ir.Shape{k}, repeat(1, behind)...), v...))
}

// gatherND returns slices of x. The last axis of the indices has the coordinates of a
// slice along the axes after the batch axes.
func gatherND(n *node) []*ir.Value {
	x, idx := n.in[0], n.in[1]
	s, is := x.Type.Shape, idx.Type.Shape
	b := n.int("batch_dims", 0)
	if len(is) == 0 || b >= len(is) || b > len(s) || is[len(is)-1] > len(s)-b || is[len(is)-1] < 1 || !slices.Equal(is[:b], s[:b]) {
		n.failf("indices %s with %d batch axes for x %s", idx.Type, b, x.Type)
	}
	k := is[len(is)-1]
	batch, picked, rest := s[:b].Len(), s[b:b+k], s[b+k:]
	at := n.slicePositions(n.reshape(idx, ir.Shape{batch, is[b : len(is)-1].Len(), k}), picked)
	if batch > 1 {
		at = n.binary(ir.Add, at, n.steps(batch, picked.Len(), 1))
	}
	y := n.emit(ir.Gather{}, n.reshape(x, append(ir.Shape{batch * picked.Len()}, rest...)), at)
	return []*ir.Value{n.reshape(y, slices.Concat(is[:len(is)-1], rest))}
}

// ofSelection reports whether v depends on a NonMaxSuppression.
func ofSelection(v *ir.Value) bool {
	seen := map[*ir.Node]bool{nil: true}
	for todo := []*ir.Node{v.Def()}; len(todo) > 0; {
		m := todo[len(todo)-1]
		if todo = todo[:len(todo)-1]; seen[m] {
			continue
		}
		if _, ok := m.Op.(ir.NonMaxSuppression); ok {
			return true
		}
		seen[m] = true
		for _, in := range m.In {
			if in != nil {
				todo = append(todo, in.Def())
			}
		}
	}
	return false
}

// slicePositions returns the position of each slice of x in an axis that stands for the axes
// picked. The last axis of the indices has the coordinates of a slice.
func (n *node) slicePositions(idx *ir.Value, picked ir.Shape) *ir.Value {
	n.checkIndices(idx, picked...)
	at := n.counted(idx, picked...)
	return n.emit(ir.Reduce{Fn: ir.ReduceSum, Axes: []int{idx.Type.Rank() - 1}}, n.binary(ir.Mul, at, n.int64s(picked.Strides())))
}

// scatterND is gatherND with updates in place of results and without batch axes.
func scatterND(n *node) []*ir.Value {
	op := n.scatter()
	x, idx, updates := n.in[0], n.in[1], n.in[2]
	s, is := x.Type.Shape, idx.Type.Shape
	if len(is) == 0 || is[len(is)-1] > len(s) || is[len(is)-1] < 1 {
		n.failf("indices %s for x %s", idx.Type, x.Type)
	}
	k := is[len(is)-1]
	picked, rest, slots := s[:k], s[k:], is[:len(is)-1]
	if want := slices.Concat(slots, rest); !updates.Type.Shape.Equal(want) {
		n.failf("updates are %s, want the shape %s", updates.Type, want)
	}
	at := n.slicePositions(idx, picked)
	y := n.emit(op, n.reshape(x, slices.Concat(ir.Shape{picked.Len()}, rest)), at, updates)
	return []*ir.Value{n.reshape(y, s)}
}

// oneHot compares 0, …, depth−1 along a new axis with the indices.
func oneHot(n *node) []*ir.Value {
	idx, values := n.in[0], n.in[2]
	depth := n.legal("depth", n.whole(1, "the depth"))
	r := idx.Type.Rank()
	a := n.axis(n.int("axis", -1), r+1)
	if values.Type.Shape.Len() != 2 {
		n.failf("values are %s, want two", values.Type)
	}
	value := n.parts(n.reshape(values, ir.Shape{2}), 0, []int{1, 1})
	at := n.reshape(n.counted(idx, depth), slices.Insert(slices.Clone(idx.Type.Shape), a, 1))
	hit := n.binary(ir.Equal, n.steps(depth, 1, r-a), at)
	return n.one(ir.Where{}, hit, value[1], value[0])
}

// topK imports TopK. Before opset 10, k is an attribute.
func topK(n *node) []*ir.Value {
	x := n.in[0]
	k := n.int("k", -1)
	if n.attr("k") == nil {
		k = n.legal("k", n.integer(1, "k", -1))
	}
	return n.one(ir.TopK{Axis: n.axis(n.int("axis", -1), x.Type.Rank()), K: k, Smallest: !n.flag("largest", true)}, x)
}

// nonMaxSuppression imports NonMaxSuppression. Without a maximum number of boxes it
// selects none.
func nonMaxSuppression(n *node) []*ir.Value {
	op := ir.NonMaxSuppression{
		Overlap: n.scalar(3, "iou_threshold", 0),
		Score:   n.scalar(4, "score_threshold", math.Inf(-1)),
		Center:  n.flag("center_point_box", false),
	}
	// Exporters write the largest integer for all boxes.
	const most = "max_output_boxes_per_class"
	op.PerClass = n.legal(most, min(n.integer(2, most, 0), ir.MaxExtent))
	m := n.append(op, n.in[0], n.in[1])
	n.im.padded = append(n.im.padded, m)
	return m.Out[:1]
}
