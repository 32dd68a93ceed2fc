package passes

import "modelc/ir"

// removeNoops drops nodes that return their operand: reshapes and expansions
// to the same shape, transpositions that keep the order, full slices, pads
// and casts that change nothing, concatenations of one, identity functions.
//
// It leaves additions of zero and multiplications by one. They change −0 and the
// payloads of NaN, and fold_batchnorm removes them where they cost time.
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
