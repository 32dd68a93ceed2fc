package passes

import "modelc/ir"

// choosePadding decides which convolutions read a padded copy of their operand.
//
// Padding costs no time if the memory of the operand has a border of zeros, or if the kernel
// clips its windows. The machine reports which of them it uses. A copy is better if the
// border would more than double a buffer that other nodes read too, because the border
// slows down every step that writes or reads the buffer.
func choosePadding(g *ir.Graph, cfg *Config) (int, error) {
	changed := 0
	for _, n := range g.Nodes {
		c, ok := n.Op.(ir.Conv)
		if !ok || !padded(c.Pads) {
			continue
		}
		x := n.In[0]
		alone := x.OnlyUse() == n
		input := x.Def() == nil && x.Type.Shape[1] <= pictureChannels
		if !alone && !input && borderShare(x.Type.Shape, c.Pads) > 1 {
			c.Padding = ir.PadCopy
			n.Op = c
			changed++
		}
	}
	return changed, nil
}

// pictureChannels is the maximum number of channels of a picture. For a first layer that
// reads a picture, machines gather the channels with padding, so a copy saves nothing.
const pictureChannels = 4

// borderShare returns the size of the border relative to the image.
func borderShare(s ir.Shape, pads []int) float64 {
	inner, outer := 1, 1
	r := len(s) - 2
	for i := range r {
		inner *= s[2+i]
		outer *= s[2+i] + max(0, pads[i]) + max(0, pads[r+i])
	}
	return float64(outer-inner) / float64(max(1, inner))
}
