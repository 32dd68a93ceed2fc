package passes

import (
	"slices"

	"modelc/ir"
)

// fuseResidual adds the other branch of a residual block inside the last convolution of a
// branch, together with the activation of the sum: y = act(conv(x) + b + r).
//
// It is legal if the sum is the only reader of the convolution, the convolution has no
// epilogue or residual, both operands have the shape of the sum, and the other branch is
// computed before the convolution. If both branches end in such a convolution, the later one
// takes the sum. The pass does not change sums with constants, sums of float64, and
// convolutions on integers.
func fuseResidual(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		b, ok := n.Op.(ir.Binary)
		if !ok || b.Fn != ir.Add || n.In[0] == n.In[1] {
			continue
		}
		conv, other := lastConv(g, n)
		if conv == nil {
			continue
		}
		op := conv.Op.(ir.Conv)
		op.Epilogue = b.Epilogue
		g.SetInput(conv, ir.ConvResidual, other)
		conv.Op = op
		replace(g, n, conv.Out[0])
		changed++
	}
	return changed, nil
}

// lastConv returns the convolution that can add the other operand of the sum,
// nil if there is none.
func lastConv(g *ir.Graph, sum *ir.Node) (conv *ir.Node, other *ir.Value) {
	at := -1
	for i, v := range sum.In {
		o := sum.In[1-i]
		d := v.Def()
		if d == nil || v.OnlyUse() != sum || !v.Type.Equal(sum.Out[0].Type) || !o.Type.Equal(v.Type) || o.Const != nil || v.Type.DType != ir.Float32 {
			continue
		}
		if _, ok := d.Op.(ir.Conv); !ok || onIntegers(d) || d.Input(ir.ConvResidual) != nil || !freeEpilogue(d) {
			continue
		}
		p := slices.Index(g.Nodes, d)
		if o.Def() != nil && slices.Index(g.Nodes, o.Def()) > p {
			continue
		}
		if p > at {
			conv, other, at = d, o, p
		}
	}
	return conv, other
}
