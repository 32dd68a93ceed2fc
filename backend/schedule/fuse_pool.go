package schedule

import (
	"fmt"
	"slices"

	"modelc/ir"
	"modelc/runtime"
)

// Pools and what stands before them.
//
// Winograd's output transform makes M×M pixels of a channel at a time, in
// registers. A maximum over windows that lie inside such a tile is taken
// there, and the convolution's own result, four times larger, is never
// written (VGG). Convolutions of few channels, as of a picture, have their pool
// behind them row by row (LeNet, ResNet). Other pools are steps of their own.

// poolBehind returns the pool that a Winograd convolution can compute, nil if
// there is none.
func (b *builder) poolBehind(conv *ir.Node, a ir.Algorithm) *ir.Node {
	pool := b.poolAfter(conv)
	if pool == nil || conv.Input(3) != nil || a == ir.AlgWinogradStrided || conv.Op.(ir.Conv).Dilations[0] > 1 || conv.Const(1).Shape[2] != 3 {
		return nil
	}
	if p := pool.Op.(ir.Pool); sideBySide(pool, p) != "" || winogradTile(a)%p.Kernel[0] != 0 {
		return nil
	}
	return pool
}

// poolAfter returns the pool that alone reads a convolution's result, as it
// is, nil if there is none.
func (b *builder) poolAfter(conv *ir.Node) *ir.Node {
	pool := conv.Out[0].OnlyUse()
	if pool == nil || !b.layout.node[pool] {
		return nil
	}
	if p, ok := pool.Op.(ir.Pool); !ok || unfit(pool, p) != "" {
		return nil
	}
	return pool
}

// unfit returns what keeps a pool from being computed with the convolution
// before it, "" if nothing does.
func unfit(n *ir.Node, p ir.Pool) string {
	x, y := n.In[0].Type.Shape[2:], n.Out[0].Type.Shape[2:]
	for i, k := range p.Kernel {
		switch last := (y[i]-1)*p.Strides[i] - p.Pads[i]; {
		case p.Dilations[i] != 1:
			return "dilated"
		case p.Pads[i] < 0 || p.Pads[i] >= k || last >= x[i]:
			return "windows outside the operand"
		}
	}
	if !p.Prologue.IsIdentity() || n.Input(1) != nil || n.Input(2) != nil {
		return "transforms its operand"
	}
	return ""
}

// sideBySide returns what keeps the pool's windows from being squares side by
// side inside its operand whose maximum is wanted, "" if nothing does.
func sideBySide(n *ir.Node, p ir.Pool) string {
	x, y := n.In[0].Type.Shape, n.Out[0].Type.Shape
	switch {
	case p.Kind != ir.MaxPool:
		return "not a maximum"
	case len(p.Kernel) != 2 || p.Kernel[0] != p.Kernel[1]:
		return "windows are not square"
	case p.Kernel[0] == 1:
		return "windows are single pixels"
	case !slices.Equal(p.Kernel, p.Strides):
		return "windows overlap"
	case y[2]*p.Kernel[0] > x[2] || y[3]*p.Kernel[1] > x[3] || slices.ContainsFunc(p.Pads, func(p int) bool { return p != 0 }):
		return "windows leave the operand"
	}
	return ""
}

// poolAlone says why the pool is a step of its own.
func (b *builder) poolAlone(n *ir.Node) string {
	conv := n.In[0].Def()
	if conv == nil {
		return "reads the model's input"
	}
	if _, ok := conv.Op.(ir.Conv); !ok {
		return "no convolution is before it"
	}
	if n.In[0].OnlyUse() == nil {
		return "its operand is read elsewhere"
	}
	p := n.Op.(ir.Pool)
	if why := unfit(n, p); why != "" {
		return why
	}
	if why := sideBySide(n, p); why != "" {
		return why
	}
	return "the convolution is not in tiles"
}

// winogradPool emits the convolution with the pool behind it. o.dst, the
// convolution's own result, is never written.
func (b *builder) winogradPool(o convOperands, u runtime.Ref, a ir.Algorithm, pool *ir.Node, doc string) {
	size := pool.Op.(ir.Pool).Kernel[0]
	doc += fmt.Sprintf(", max pool %d×%d to %s", size, size, shapeDoc(pool.Out[0].Type.Shape[2:]...))
	b.emitPooled(o, pool, doc, func(dst *place) runtime.Kernel {
		k := o.winograd(u, a)
		k.Dst, k.Pool = dst.img(), size
		return k
	})
}

// convFirstPool does the same for a convolution of few channels.
func (b *builder) convFirstPool(o convOperands, conv func() *runtime.ConvFirst, pool *ir.Node, doc string) {
	p, poolDoc := b.pool(pool, pool.Op.(ir.Pool))
	b.emitPooled(o, pool, doc+"; "+poolDoc, func(dst *place) runtime.Kernel {
		k := &runtime.ConvFirstPool{Conv: *conv(), Pool: p}
		k.Pool.Src, k.Pool.Dst = k.Conv.Dst, dst.img()
		return k
	})
}

// emitPooled emits a step that computes a convolution and its pool.
func (b *builder) emitPooled(o convOperands, pool *ir.Node, doc string, kernel func(dst *place) runtime.Kernel) {
	dst := b.newImage(pool.Out[0])
	b.pooled[pool] = true
	b.node = pool // whose value the step completes
	b.emit(doc, o.reads(), []*place{dst}, func() runtime.Kernel { return kernel(dst) })
	b.node = o.node
	b.include(o.node)
	b.last().Node, b.last().Name = o.node, NodeName(o.node)
}

// prologue is arithmetic per channel and a function that a pool applies to
// what it reads.
type prologue struct {
	node         *ir.Node
	scale, shift runtime.Ref
	act          runtime.Act
}

func (p prologue) doc() string {
	switch op := p.node.Op.(type) {
	case ir.Affine:
		return "affine" + actDoc(op.Epilogue)
	case ir.Unary:
		return op.Fn.String()
	}
	return p.node.Op.Name()
}

// leaveToGlobalPool lets the global pool that alone reads the result of n
// compute it as it reads.
func (b *builder) leaveToGlobalPool(n *ir.Node, src *place, p prologue) bool {
	if !b.layout.leftToGlobalPool(n) {
		return false
	}
	b.prologues[n.Out[0]], b.images[n.Out[0]] = p, src
	return true
}

// leftToGlobalPool reports whether a global pool alone reads the result of n,
// a step of arithmetic per channel.
func (l *layout) leftToGlobalPool(n *ir.Node) bool {
	switch n.Op.(type) {
	case ir.Affine, ir.BatchNorm, ir.Unary:
		v := n.Out[0]
		r := v.OnlyUse()
		if r == nil || !l.node[r] {
			return false
		}
		_, isGlobal := r.Op.(ir.Reduce)
		_, inSlot := l.slots[v]
		return isGlobal && !inSlot
	}
	return false
}
