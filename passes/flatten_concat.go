package passes

import (
	"slices"

	"modelc/ir"
)

// flattenConcat replaces an operand of a concatenation that is itself a concatenation along
// the same axis by the operands of the latter. It is always legal. An inner concatenation
// with other readers stays, and back ends may place both in the same memory.
func flattenConcat(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		c, ok := n.Op.(ir.Concat)
		if !ok {
			continue
		}
		var in []*ir.Value
		for _, v := range n.In {
			if d := v.Def(); d != nil {
				if inner, ok := d.Op.(ir.Concat); ok && inner.Axis == c.Axis {
					in = append(in, d.In...)
					if v.OnlyUse() == n {
						n.Absorb(d)
					}
					continue
				}
			}
			in = append(in, v)
		}
		if !slices.Equal(in, n.In) {
			g.SetInputs(n, in...)
			changed++
		}
	}
	return changed, nil
}
