package passes

import (
	"slices"

	"modelc/ir"
)

// fuseResidual adds the other branch of a residual block inside the last convolution of a
// branch, together with the activation of the sum: y = act(conv(x) + b + r). A convolution
// on integers rounds its own result first, as the QBinary that becomes its attribute Sum
// would read it.
//
// It is legal if the sum is the only reader of the convolution, the convolution has no
// epilogue or residual, both operands have the shape of the sum, and the other branch is
// computed before the convolution. A sum of integers must read the result with the zero point
// that the convolution adds. If both branches end in such a convolution, the later one
// takes the sum. The pass does not change sums with constants, sums of float64, sums of
// integers behind convolutions in groups, and floats that convolutions on integers compute.
func fuseResidual(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		switch b := n.Op.(type) {
		case ir.Binary:
			if b.Fn != ir.Add {
				continue
			}
		case ir.QBinary:
			if b.Fn != ir.Add {
				continue
			}
		default:
			continue
		}
		at := lastConv(g, n)
		if at < 0 {
			continue
		}
		conv := n.In[at].Def()
		op := conv.Op.(ir.Conv)
		switch b := n.Op.(type) {
		case ir.Binary:
			op.Epilogue = b.Epilogue
		case ir.QBinary:
			if at == 1 {
				b.AScale, b.BScale, b.AZero, b.BZero = b.BScale, b.AScale, b.BZero, b.AZero
			}
			op.Sum = b
		}
		g.SetInput(conv, ir.ConvResidual, n.In[1-at])
		conv.Op = op
		if err := g.Retype(conv); err != nil {
			return changed, err
		}
		replace(g, n, conv.Out[0])
		changed++
	}
	return changed, nil
}

// lastConv returns the operand of the sum that a convolution computes which can add the
// other one, −1 if there is none.
func lastConv(g *ir.Graph, sum *ir.Node) int {
	operand, at := -1, -1
	if sum.In[0] == sum.In[1] {
		return operand
	}
	for i, v := range sum.In {
		o := sum.In[1-i]
		d := v.Def()
		if d == nil || v.OnlyUse() != sum || !v.Type.Shape.Equal(sum.Out[0].Type.Shape) || !o.Type.Shape.Equal(v.Type.Shape) || o.Const != nil {
			continue
		}
		op, ok := d.Op.(ir.Conv)
		if !ok || d.Input(ir.ConvResidual) != nil || !freeEpilogue(d) {
			continue
		}
		if b, ok := sum.Op.(ir.QBinary); ok && op.Integer.YZero != []int{b.AZero, b.BZero}[i] {
			continue
		}
		if op.Integer.Requantises() && op.Groups > 1 || !op.Integer.Requantises() && (onIntegers(d) || v.Type.DType != ir.Float32) {
			continue
		}
		p := slices.Index(g.Nodes, d)
		if o.Def() != nil && slices.Index(g.Nodes, o.Def()) > p {
			continue
		}
		if p > at {
			operand, at = i, p
		}
	}
	return operand
}
