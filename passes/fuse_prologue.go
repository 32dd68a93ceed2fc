package passes

import "modelc/ir"

// fusePrologue lets convolutions and pools read their operand through the
// Affine step or activation in front of them, as in pre-activation ResNet and DenseNet. They
// apply x·scale+shift and the function to each element that they read. The padding stays
// zero.
//
// It is legal if every reader of the step is a convolution or pool without a prologue that
// reads it as its operand x, and if the scale and shift are constants. Each reader of the
// step computes it. The pass does not change first layers, grouped convolutions other than
// depthwise ones, and float64, because their readers would compute the step too often. It
// does not change functions that are infinite at zero.
func fusePrologue(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		var fn ir.Act
		var scale, shift *ir.Value
		switch op := n.Op.(type) {
		case ir.Affine:
			fn, scale, shift = op.Epilogue, n.In[ir.AffineScale], n.In[ir.AffineShift]
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
			g.SetPrologue(r, fn, scale, shift)
		}
		g.Remove(n)
		changed++
	}
	return changed, nil
}

// takesPrologue reports whether the reader can apply a prologue to operand 0.
func takesPrologue(u ir.Use) bool {
	if u.Node == nil || u.Index != 0 {
		return false
	}
	n, x := u.Node, u.Node.In[0]
	if r := x.Type.Rank(); r != 3 && r != 4 || n.HasPrologue() {
		return false
	}
	switch op := n.Op.(type) {
	case ir.Conv:
		depthwise := op.IsDepthwise(x.Type.Shape, n.In[ir.Weights].Type.Shape)
		return (op.Groups == 1 || depthwise) && n.Const(ir.Weights) != nil && n.Input(ir.ConvResidual) != x
	case ir.Pool:
		return op.Kind != ir.LpPool && !op.Indices
	}
	return false
}
