package passes

import "modelc/ir"

// mergeReshapes makes a reshape of a reshape read the operand of the first one. It is always
// legal, because both keep the row-major order.
func mergeReshapes(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if !isReshape(n) {
			continue
		}
		for d := n.In[0].Def(); isReshape(d); d = n.In[0].Def() {
			if n.In[0].OnlyUse() == n {
				n.Absorb(d)
			}
			g.SetInput(n, 0, d.In[0])
			changed++
		}
		if n.In[0].Type.Equal(n.Out[0].Type) {
			replace(g, n, n.In[0])
		}
	}
	return changed, nil
}
