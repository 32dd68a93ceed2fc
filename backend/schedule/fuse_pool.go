package schedule

import (
	"fmt"
	"slices"

	"modelc/ir"
	"modelc/runtime"
)

// Winograd's output transform makes M×M pixels of a channel at a time, in
// registers. A maximum over windows that lie inside such a tile is taken
// there, and the convolution's own result, four times larger, is never
// written (VGG). Other kernels write row by row: their pools are steps of
// their own.

// poolBehind returns the pool that a Winograd convolution with M×M tiles can
// compute, nil if there is none.
func (b *builder) poolBehind(conv *ir.Node, m int) *ir.Node {
	pool := conv.Out[0].OnlyUse()
	if pool == nil || !b.layout.node[pool] {
		return nil
	}
	p, ok := pool.Op.(ir.Pool)
	if !ok || conv.Input(3) != nil || sideBySide(pool, p) != "" || m%p.Kernel[0] != 0 {
		return nil
	}
	return pool
}

// sideBySide returns what keeps the pool's windows from being squares side by
// side inside its operand whose maximum is wanted, "" if nothing does.
func sideBySide(n *ir.Node, p ir.Pool) string {
	x, y := n.In[0].Type.Shape, n.Out[0].Type.Shape
	switch {
	case p.Kind != ir.MaxPool:
		return "not a maximum"
	case len(p.Kernel) != 2 || p.Kernel[0] != p.Kernel[1] || p.Kernel[0] < 2:
		return "windows are not square"
	case !slices.Equal(p.Kernel, p.Strides):
		return "windows overlap"
	case p.Dilations[0] != 1 || p.Dilations[1] != 1:
		return "dilated"
	case !p.Prologue.IsIdentity() || n.Input(1) != nil || n.Input(2) != nil:
		return "transforms its operand"
	case y[2]*p.Kernel[0] > x[2] || y[3]*p.Kernel[1] > x[3] || slices.ContainsFunc(p.Pads, func(p int) bool { return p != 0 }):
		return "windows leave the operand"
	}
	return ""
}

// poolAlone says why the pool of a convolution's result is a step of its own.
func (b *builder) poolAlone(n *ir.Node) string {
	conv := n.In[0].Def()
	if conv == nil {
		return ""
	}
	if _, ok := conv.Op.(ir.Conv); !ok {
		return ""
	}
	if why := sideBySide(n, n.Op.(ir.Pool)); why != "" {
		return why
	}
	if n.In[0].OnlyUse() == nil {
		return "its operand is read elsewhere"
	}
	return "the convolution is not in tiles"
}

// winogradPool emits the convolution with the pool behind it. o.dst, the
// convolution's own result, is never written.
func (b *builder) winogradPool(o convOperands, u runtime.Ref, m int, pool *ir.Node, doc string) {
	size := pool.Op.(ir.Pool).Kernel[0]
	dst := b.newImage(pool.Out[0])
	b.pooled[pool] = true
	b.node = pool // whose value the step completes
	b.emit(doc+fmt.Sprintf(", max pool %d×%d to %s", size, size, shapeDoc(pool.Out[0].Type.Shape[2:]...)), o.reads(), []*place{dst}, func() runtime.Kernel {
		k := o.winograd(u, m)
		k.Dst, k.Pool = dst.img(), size
		return k
	})
	b.node = o.node
	l := &b.steps[len(b.steps)-1].layer
	l.Nodes = append([]string{o.node.Name}, l.Nodes...)
	l.FLOPs += ir.FLOPs(o.node)
}
