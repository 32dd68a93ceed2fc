package passes

import (
	"slices"

	"modelc/ir"
)

// recogniseUpsampling replaces nearest upsampling by whole factors by Resize. Some exporters
// write it as Tile between reshapes and transpositions.
//
// The pass considers chains of nodes that reorder or repeat elements. It evaluates them on
// the positions of the elements and compares the result with that of Resize. It is legal if
// the values between have no other reader.
func recogniseUpsampling(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if _, ok := n.Op.(ir.Expand); !ok || !slices.Contains(g.Nodes, n) {
			continue
		}
		x := n.In[0]
		for x.Def() != nil && repeats(x.Def()) && x.OnlyUse() != nil {
			x = x.Def().In[0]
		}
		var ends []*ir.Node
		for e := n; e != nil && repeats(e); e = e.Out[0].OnlyUse() {
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

// repeats reports whether n gives each element of its operand at least once.
func repeats(n *ir.Node) bool {
	m := ir.InfoOf(n.Op).Moves
	return m == ir.Reorders || m == ir.Repeats
}

// upsampling returns the Resize of x that has the elements of y, which may have
// one more axis of extent one. ok is false if there is none.
func upsampling(x, y *ir.Value) (op ir.Resize, ok bool) {
	s := x.Type.Shape
	if len(s) < 3 || len(s) > 5 || s.Len() == 0 || s.Len() == y.Type.Shape.Len() || !x.Type.DType.IsFloat() {
		return op, false
	}
	got, alone, ok := positions(x, y)
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
		if len(op.Scales) < len(s) || op.Scales[0] != 1 { // the batch is not an axis of an image
			continue
		}
		first := op
		first.Shape = alone(shape)
		if want, ok := compute(numbered(alone(s)), []ir.Op{first}); ok && slices.Equal(got, want) {
			return op, true
		}
	}
	return op, false
}
