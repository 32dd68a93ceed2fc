package passes

import (
	"fmt"

	"modelc/ir"
)

// choosePadding decides how the padding of each convolution and pool is
// realised and records why:
//
//	none  no window leaves the operand
//	halo  the operand's buffer carries a border of zeros, so that the inner
//	      loop has no edge case; convolutions read it
//	peel  windows are clipped to the operand: pools, whose border is not zero,
//	      and first layers, which pad rows as they gather them
//	copy  a padded copy is made: the border would be wider than the operand
//	      itself is worth
func choosePadding(g *ir.Graph, cfg *Config) (int, error) {
	changed := 0
	for _, n := range g.Nodes {
		var p ir.Padding
		var why string
		switch op := n.Op.(type) {
		case ir.Conv:
			p, why = convPadding(n, op)
			op.Padding = p
			n.Op = op
		case ir.Pool:
			p, why = ir.PadNone, "no window leaves the operand"
			if padded(op.Pads) || op.Extra != nil {
				p, why = ir.PadPeel, "elements outside never count"
			}
			op.Padding = p
			n.Op = op
		default:
			continue
		}
		cfg.report.Padding[n.Out[0].Name] = fmt.Sprintf("%s: %s", p, why)
		changed++
	}
	return changed, nil
}

func convPadding(n *ir.Node, c ir.Conv) (ir.Padding, string) {
	x := n.In[0]
	switch {
	case !padded(c.Pads):
		return ir.PadNone, "no window leaves the operand"
	case x.Def() == nil && x.Type.Shape[1] <= 4:
		return ir.PadPeel, "the first layer pads rows as it reads them"
	case sharedWithout(x, n) && borderShare(x.Type.Shape, c.Pads) > 1:
		return ir.PadCopy, "the border would more than double a buffer that others read"
	}
	return ir.PadHalo, "the producer's buffer carries the border"
}

// sharedWithout reports whether others than n read x.
func sharedWithout(x *ir.Value, n *ir.Node) bool { return x.OnlyUse() != n }

// borderShare is the size of the border relative to the image.
func borderShare(s ir.Shape, pads []int) float64 {
	inner, outer := 1, 1
	r := len(s) - 2
	for i := range r {
		inner *= s[2+i]
		outer *= s[2+i] + max(0, pads[i]) + max(0, pads[r+i])
	}
	return float64(outer-inner) / float64(max(1, inner))
}
