package passes

import "modelc/ir"

// denseBias makes a constant that is added to a dense layer the bias of the layer. Most
// exporters write a layer as MatMul and Add.
//
// It is legal if the layer has no bias or epilogue, the sum is its only reader, and the
// constant broadcasts with one value per output. A reshape of the rows of the layer may be
// between them. A layer on integers must have a result of floats: the sums and the bias of
// others could exceed 32 bits.
func denseBias(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		b, ok := n.Op.(ir.Binary)
		if !ok || b.Fn != ir.Add {
			continue
		}
		x, c := n.In[0], n.In[1]
		if x.Const != nil {
			x, c = c, x
		}
		d := x.Def()
		if c.Const == nil || d == nil || x.OnlyUse() != n {
			continue
		}
		last := x.Type.Rank() - 1
		if r, ok := d.Op.(ir.Reshape); ok && d.In[0].Def() != nil && d.In[0].OnlyUse() == d && last > 0 && d.In[0].Type.Rank() == 2 && d.In[0].Type.Shape[1] == r.Shape[last] {
			d = d.In[0].Def()
		}
		dense, ok := d.Op.(ir.Dense)
		if !ok || d.Input(ir.Bias) != nil || !freeEpilogue(d) || onIntegers(d) && dense.Integer.To != ir.Float32 {
			continue
		}
		m := x.Type.Shape[last]
		v, ok := perLast(c.Const, m)
		if !ok || !n.Out[0].Type.Equal(x.Type) {
			continue
		}
		g.SetInput(d, ir.Bias, g.AddConst(c.Name+".bias", v))
		dense.Epilogue = b.Epilogue
		d.Op = dense
		replace(g, n, x)
		changed++
	}
	return changed, nil
}

// perLast returns a constant of shape […,1,m], or one with a single element, as [m].
func perLast(t *ir.Tensor, m int) (*ir.Tensor, bool) {
	n := t.Shape.Len()
	if n != 1 && (n != m || t.Shape[len(t.Shape)-1] != m) {
		return nil, false
	}
	v := t.Float64s()
	out := make([]float64, m)
	for i := range out {
		out[i] = v[i%n]
	}
	return ir.FromFloat64s(ir.T(t.DType, m), out), true
}
