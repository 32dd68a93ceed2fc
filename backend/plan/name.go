package plan

import (
	"fmt"
	"strings"

	"modelc/ir"
)

// NodeName returns what steps and messages call a node: its name or, where the
// model gives none, the name of its first result. It returns "" for nil.
func NodeName(n *ir.Node) string {
	if n == nil {
		return ""
	}
	if n.Name == "" && len(n.Out) > 0 {
		return n.Out[0].Name
	}
	return n.Name
}

// Extents writes extents as 56×56.
func Extents(s ...int) string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = fmt.Sprint(d)
	}
	return strings.Join(parts, "×")
}

// ActDoc writes an activation behind a description: ", Relu". It returns ""
// for the identity.
func ActDoc(a ir.Act) string {
	if a.IsIdentity() {
		return ""
	}
	return ", " + a.String()
}

// ConvDoc describes a convolution: "Conv 3×3/2 64→128 at 28×28, 2 groups, bias,
// Relu".
func ConvDoc(n *ir.Node, c ir.Conv) string {
	s := fmt.Sprintf("Conv %s %d→%d at %s", ConvWindow(c, n.In[1].Type.Shape), n.In[0].Type.Shape[1], n.In[1].Type.Shape[0], Extents(n.Out[0].Type.Shape[2:]...))
	if c.Groups > 1 {
		s += fmt.Sprintf(", %d groups", c.Groups)
	}
	return s + FusedDoc(n, c)
}

// FusedDoc lists what is fused into a convolution: ", affine before, bias,
// Relu".
func FusedDoc(n *ir.Node, c ir.Conv) string {
	s := ""
	if n.Input(4) != nil || n.Input(5) != nil {
		s += ", affine before"
	}
	if !c.Prologue.IsIdentity() {
		s += ", " + c.Prologue.String() + " before"
	}
	if n.Input(2) != nil {
		s += ", bias"
	}
	if n.Input(3) != nil {
		s += ", residual"
	}
	return s + ActDoc(c.Epilogue)
}

// PoolDoc describes a pool: "Pool max 3×3/2×2".
func PoolDoc(p ir.Pool) string {
	return fmt.Sprintf("Pool %s %s/%s", p.Kind, Extents(p.Kernel...), Extents(p.Strides...))
}
