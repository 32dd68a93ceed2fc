package plan

import (
	"fmt"

	"modelc/ir"
)

// ConvDoc describes a convolution: "Conv 3×3/2 64→128 at 28×28, 2 groups, bias,
// Relu".
func ConvDoc(n *ir.Node, c ir.Conv) string {
	s := fmt.Sprintf("Conv %s %d→%d at %s", ConvWindow(c, n.In[ir.Weights].Type.Shape), n.In[0].Type.Shape[1], n.In[ir.Weights].Type.Shape[0], Extents(n.Out[0].Type.Shape[2:]...))
	if c.Groups > 1 {
		s += fmt.Sprintf(", %d groups", c.Groups)
	}
	return s + FusedDoc(n, c)
}

// FusedDoc lists the operations that are fused into a convolution: ", affine
// before, bias, Relu".
func FusedDoc(n *ir.Node, c ir.Conv) string {
	s := ""
	if n.Input(ir.ConvScale) != nil || n.Input(ir.ConvShift) != nil {
		s += ", affine before"
	}
	if !c.Prologue.IsIdentity() {
		s += ", " + c.Prologue.String() + " before"
	}
	if n.Input(ir.Bias) != nil {
		s += ", bias"
	}
	if n.Input(ir.ConvResidual) != nil {
		s += ", residual"
	}
	return s + ActDoc(c.Epilogue)
}

// PoolDoc describes a pool: "Pool max 3×3/2×2".
func PoolDoc(p ir.Pool) string {
	return fmt.Sprintf("Pool %s %s/%s", p.Kind, Extents(p.Kernel...), Extents(p.Strides...))
}
