package passes

import (
	"slices"

	"modelc/ir"
)

// foldPad makes a Pad part of the convolution or pool that reads it. The layer's
// own padding grows, or shrinks for crops.
//
// It is legal for constant zeros in front of a convolution without a prologue; on integers,
// the constant must be the zero point. It is legal for zeros in front of an average that counts its padding, or has none and then counts the
// zeros. It is legal for crops in front of windows without padding. The pads must be along
// spatial axes. The pass does not change max pools, to which the zeros of a Pad are values,
// the modes edge, reflect and wrap, and pads whose sum is outside the limits.
func foldPad(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if len(n.In) == 0 || n.In[0] == nil || n.In[0].Def() == nil {
			continue
		}
		d := n.In[0].Def()
		p, ok := d.Op.(ir.Pad)
		if !ok || p.Mode != ir.PadConstant {
			continue
		}
		r := len(p.Pads) / 2
		if r < 3 || p.Pads[0] != 0 || p.Pads[1] != 0 || p.Pads[r] != 0 || p.Pads[r+1] != 0 {
			continue
		}
		pads := slices.Concat(p.Pads[2:r], p.Pads[r+2:])
		switch op := n.Op.(type) {
		case ir.Conv:
			if n.HasPrologue() || !addable(pads, op.Pads) || p.Value != float64(op.Integer.XZero) || n.Input(ir.ConvXZero) != nil {
				continue
			}
			op.Pads = sum(pads, op.Pads)
			if ir.CheckAttributes(op) != nil {
				continue
			}
			n.Op = op
		case ir.Pool:
			own := padded(op.Pads) || op.Extra != nil
			if op.Kind != ir.AvgPool || p.Value != 0 || n.HasPrologue() || slices.Min(pads) < 0 || own && !op.CountPad || op.Extra != nil {
				continue
			}
			op.Pads, op.CountPad = sum(pads, op.Pads), true
			if ir.CheckAttributes(op) != nil {
				continue
			}
			n.Op = op
		default:
			continue
		}
		g.SetInput(n, 0, d.In[0])
		n.Absorb(d)
		changed++
	}
	return changed, nil
}

// addable reports whether padding by a and then by b is the same as padding by the sum. It is
// not if one of them pads a side and the other crops it.
func addable(a, b []int) bool {
	for i := range a {
		if a[i] < 0 && b[i] > 0 || a[i] > 0 && b[i] < 0 {
			return false
		}
	}
	return true
}

func sum(a, b []int) []int {
	out := make([]int, len(a))
	for i := range a {
		out[i] = a[i] + b[i]
	}
	return out
}
