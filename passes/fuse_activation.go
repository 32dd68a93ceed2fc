package passes

import "modelc/ir"

// fuseActivation makes an activation the epilogue of the layer in front of it.
//
// It is legal if the result of the layer has no other reader, the layer has no epilogue, and
// the type is floating point. The pass does not change functions whose results are truth
// values. It does not change functions that are infinite at zero, because back ends pad
// channels with zeros.
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
