package passes

import "modelc/ir"

// fusePrologue lets convolutions and pools read their operand through the
// Affine step or activation in front of them (pre-activation ResNet,
// DenseNet): x·scale+shift and the function are applied as the operand is
// read, and the padding stays zero.
//
// Legal when every reader of the step is a convolution or pool that reads it
// as its operand x and has no prologue yet, and the scale and shift are
// constants. A step with several readers is computed by each of them.
// It leaves operands that a reader would have to transform more often than it
// saves: first layers, grouped convolutions other than depthwise ones, and
// float64; and functions without a value at zero.
func fusePrologue(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		var fn ir.Act
		var scale, shift *ir.Value
		switch op := n.Op.(type) {
		case ir.Affine:
			fn, scale, shift = op.Epilogue, n.In[1], n.In[2]
			if scale.Const == nil || shift.Const == nil {
				continue
			}
		case ir.Unary:
			fn = op.Fn
		default:
			continue
		}
		x, v := n.In[0], n.Out[0]
		if !fn.FiniteAtZero() || v.Type.DType != ir.Float32 || x.Def() == nil || len(v.Uses()) == 0 {
			continue
		}
		ok := true
		for _, u := range v.Uses() {
			ok = ok && takesPrologue(u)
		}
		if !ok {
			continue
		}
		for len(v.Uses()) > 0 {
			u := v.Uses()[0]
			r := u.Node
			g.SetInput(r, 0, x)
			r.Absorb(n)
			switch op := r.Op.(type) {
			case ir.Conv:
				op.Prologue = fn
				r.Op = op
				setAffine(g, r, 4, scale, shift)
			case ir.Pool:
				op.Prologue = fn
				r.Op = op
				setAffine(g, r, 1, scale, shift)
			}
		}
		g.Remove(n)
		changed++
	}
	return changed, nil
}

func setAffine(g *ir.Graph, n *ir.Node, i int, scale, shift *ir.Value) {
	if scale != nil {
		g.SetInput(n, i, scale)
		g.SetInput(n, i+1, shift)
	}
}

// takesPrologue reports whether the reader can apply a prologue to operand 0.
func takesPrologue(u ir.Use) bool {
	if u.Node == nil || u.Index != 0 {
		return false
	}
	rank := u.Node.In[0].Type.Rank()
	switch op := u.Node.Op.(type) {
	case ir.Conv:
		depthwise := op.Groups == u.Node.In[0].Type.Shape[1] && op.Groups == u.Node.Out[0].Type.Shape[1]
		return (rank == 3 || rank == 4) && (op.Groups == 1 || depthwise) && !op.HasPrologue(u.Node) && u.Node.Const(1) != nil && u.Node.Input(3) != u.Node.In[0]
	case ir.Pool:
		return (rank == 3 || rank == 4) && op.Kind != ir.LpPool && !op.Indices && op.Prologue.IsIdentity() && u.Node.Input(1) == nil && u.Node.Input(2) == nil
	}
	return false
}
