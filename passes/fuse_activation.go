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
		d := x.Def()
		if d == nil || x.OnlyUse() != n || !freeEpilogue(d) {
			continue
		}
		d.Op = ir.WithEpilogue(d.Op, u.Fn)
		replace(g, n, x)
		changed++
	}
	return changed, nil
}
