package passes

import "modelc/ir"

// fuseActivation makes an activation the epilogue of the layer in front of it.
//
// Legal when nothing else reads the layer's result, it has no epilogue yet,
// and the type is floating point. It leaves functions that yield truth values
// and those without a value at zero, with which channels are padded.
func fuseActivation(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		u, ok := n.Op.(ir.Unary)
		if !ok || u.Fn.Fn.ResultBool() || !u.Fn.FiniteAtZero() || !n.In[0].Type.DType.IsFloat() {
			continue
		}
		x := n.In[0]
		if x.Def() == nil || x.OnlyUse() != n || !setEpilogue(x.Def(), u.Fn) {
			continue
		}
		replace(g, n, x)
		changed++
	}
	return changed, nil
}

// setEpilogue gives a layer without epilogue one, if its op has room for it.
func setEpilogue(n *ir.Node, a ir.Act) bool {
	if e, ok := epilogue(n.Op); !ok || !e.IsIdentity() {
		return false
	}
	switch op := n.Op.(type) {
	case ir.Conv:
		op.Epilogue = a
		n.Op = op
	case ir.ConvTranspose:
		op.Epilogue = a
		n.Op = op
	case ir.Dense:
		op.Epilogue = a
		n.Op = op
	case ir.Affine:
		op.Epilogue = a
		n.Op = op
	case ir.Binary:
		if op.Fn.ResultBool() {
			return false
		}
		op.Epilogue = a
		n.Op = op
	}
	return true
}

// epilogue returns the activation at the end of a layer; ok is false for ops
// without one.
func epilogue(op ir.Op) (a ir.Act, ok bool) {
	switch op := op.(type) {
	case ir.Conv:
		return op.Epilogue, true
	case ir.ConvTranspose:
		return op.Epilogue, true
	case ir.Dense:
		return op.Epilogue, true
	case ir.Affine:
		return op.Epilogue, true
	case ir.Binary:
		return op.Epilogue, true
	}
	return ir.Act{}, false
}
