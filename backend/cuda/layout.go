package cuda

import (
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
)

// layout holds the values that are images. It implements [plan.Machine].
type layout struct {
	image map[*ir.Value]bool
}

// planLayout decides which values are images: results of f32 with one or two spatial axes
// that layers of images compute, and what elementwise ops and movements make of them. A
// value that is only an output of the graph lies dense in the output's memory.
func planLayout(g *ir.Graph) *layout {
	l := &layout{map[*ir.Value]bool{}}
	for _, n := range g.Nodes {
		v := n.Out[0]
		r := v.Type.Rank()
		if r != 3 && r != 4 || v.Type.DType != ir.Float32 || len(n.Out) > 1 || isView(n) || len(v.Uses()) == 1 && plan.OutputOf(v) >= 0 {
			continue
		}
		switch n.Op.(type) {
		case ir.Conv, ir.ConvTranspose, ir.Pool:
			l.image[v] = true
		case ir.Dense, ir.MatMul, ir.Softmax, ir.Reduce, ir.Gather, ir.GridSample:
		default:
			for _, x := range n.In {
				if x != nil && l.image[x] && x.Type.Rank() == r {
					l.image[v] = true
				}
			}
		}
	}
	return l
}

// isView reports whether the result of n may be a place in the buffer of its operand.
func isView(n *ir.Node) bool {
	switch op := n.Op.(type) {
	case ir.Reshape, ir.Transpose, ir.Expand:
		return true
	case ir.Slice:
		return len(op.Step) == 0 || slices.Min(op.Step) > 0
	}
	return false
}

// Joins reports whether the operands of n may be slices of its image.
func (l *layout) Joins(n *ir.Node) bool {
	c, ok := n.Op.(ir.Concat)
	return ok && c.Axis == 1 && l.image[n.Out[0]]
}

// ChannelStep returns the number of channels of a vector.
func (l *layout) ChannelStep(*ir.Value) int { return vector }

// Writes reports whether the step that computes v can write to a slice.
func (l *layout) Writes(v *ir.Value) bool { return l.image[v] }

// Holds reports whether v is an image.
func (l *layout) Holds(v *ir.Value) bool { return l.image[v] }

// Alike reports whether the images a and b have the same extents.
func (l *layout) Alike(a, b *ir.Value) bool {
	return a.Type.Equal(b.Type) && l.image[a] && l.image[b]
}

// View reports whether v may be a place in the buffer of another value.
func (l *layout) View(v *ir.Value) bool { return v.Def() != nil && isView(v.Def()) }

// Skips reports false: a step computes each node.
func (l *layout) Skips(*ir.Node) bool { return false }
