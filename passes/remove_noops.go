package passes

import "modelc/ir"

// removeNoops removes nodes that return their operand: reshapes and expansions to the same
// shape, transpositions that keep the order, full slices, pads and casts without effect,
// concatenations of one value, and identity functions.
//
// It does not remove additions of zero and multiplications by one, which change −0 and the
// payloads of NaN. fold_batchnorm removes those that cost time.
func removeNoops(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if isNoop(n) {
			replace(g, n, n.In[0])
			changed++
		}
	}
	return changed, nil
}

func isNoop(n *ir.Node) bool {
	same := len(n.Out) == 1 && len(n.In) > 0 && n.In[0] != nil && n.In[0].Type.Equal(n.Out[0].Type)
	if !same {
		return false
	}
	switch op := n.Op.(type) {
	case ir.Reshape, ir.Expand, ir.Cast:
		return true
	case ir.Transpose:
		for i, p := range op.Perm {
			if i != p {
				return false
			}
		}
		return true
	case ir.Slice:
		for i := range op.Start {
			if op.Step[i] != 1 && n.In[0].Type.Shape[i] != 1 {
				return false
			}
		}
		return true
	case ir.Pad:
		for _, p := range op.Pads {
			if p != 0 {
				return false
			}
		}
		return true
	case ir.Concat:
		return len(n.In) == 1
	case ir.Unary:
		return op.Fn.IsIdentity()
	case ir.Resize:
		for _, s := range op.Scales {
			if s != 1 {
				return false
			}
		}
		return !op.Antialias
	}
	return false
}
