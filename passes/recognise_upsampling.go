package passes

import (
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// recogniseUpsampling replaces nearest upsampling by whole factors, which some
// exporters write as Tile between reshapes and transpositions, by Resize.
//
// Whatever the nodes between two values are, as long as they only move
// elements (Reshape, Transpose, Expand): they are evaluated on the positions
// of the elements, and the result is compared with that of Resize. Legal when
// nothing else reads what lies between. It leaves chains that no upsampling of
// their operand along some axes equals.
func recogniseUpsampling(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if _, ok := n.Op.(ir.Expand); !ok || !slices.Contains(g.Nodes, n) {
			continue
		}
		x := n.In[0]
		for x.Def() != nil && moves(x.Def()) && x.OnlyUse() != nil {
			x = x.Def().In[0]
		}
		var ends []*ir.Node
		for e := n; e != nil && moves(e); e = e.Out[0].OnlyUse() {
			ends = append(ends, e)
		}
		for _, end := range slices.Backward(ends) {
			op, ok := upsampling(x, end.Out[0])
			if !ok {
				continue
			}
			m, err := g.InsertBefore(end, end.Name, op, x)
			resize := m
			if err == nil && !m.Out[0].Type.Equal(end.Out[0].Type) {
				m, err = g.InsertBefore(end, end.Name, ir.Reshape{Shape: end.Out[0].Type.Shape}, m.Out[0])
			}
			if err != nil {
				return changed, err
			}
			replaceAll(g, end, m.Out[0], resize)
			changed++
			break
		}
	}
	return changed, nil
}

// moves reports whether n only moves elements.
func moves(n *ir.Node) bool {
	switch n.Op.(type) {
	case ir.Reshape, ir.Transpose, ir.Expand:
		return true
	}
	return false
}

// upsampling returns the Resize of x that has the elements of y, which may
// have gained an axis of one, if there is one.
func upsampling(x, y *ir.Value) (op ir.Resize, ok bool) {
	s := x.Type.Shape
	if len(s) < 3 || len(s) > 5 || s.Len() == 0 || s.Len() == y.Type.Shape.Len() || !x.Type.DType.IsFloat() {
		return op, false
	}
	got, ok := positions(x, y)
	if !ok {
		return op, false
	}
	shapes := []ir.Shape{y.Type.Shape}
	for i, d := range y.Type.Shape {
		if d == 1 {
			shapes = append(shapes, slices.Delete(slices.Clone(y.Type.Shape), i, i+1))
		}
	}
	for _, shape := range shapes {
		op = ir.Resize{Mode: ir.ResizeNearest, Coord: ir.Asymmetric, Nearest: ir.RoundFloor, Shape: shape}
		for i := 0; i < len(s) && len(shape) == len(s) && shape[i]%s[i] == 0; i++ {
			op.Scales = append(op.Scales, float64(shape[i]/s[i]))
		}
		if len(op.Scales) < len(s) || op.Scales[0] != 1 { // the batch is not an image's axis
			continue
		}
		if want, ok := compute(numbered(s), []ir.Op{op}); ok && slices.Equal(got, want) {
			return op, true
		}
	}
	return op, false
}

// maxPositions bounds the tensors whose elements are followed, which takes some
// 8 bytes for each element and node. Those of pictures are far smaller.
const maxPositions = 1 << 25

// positions returns for each element of y, which a chain of nodes that move
// elements makes of x, its position in x. It gives up on large tensors.
func positions(x, y *ir.Value) ([]float64, bool) {
	if x.Type.Shape.Len() > maxPositions {
		return nil, false
	}
	var chain []ir.Op
	for v := y; v != x; v = v.Def().In[0] {
		if v.Type.Shape.Len() > maxPositions {
			return nil, false
		}
		chain = append(chain, v.Def().Op)
	}
	slices.Reverse(chain)
	return compute(numbered(x.Type.Shape), chain)
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

// compute applies ops of one operand in a row.
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
