package schedule

import (
	"modelc/ir"
	"modelc/runtime"
)

// A 1×1 convolution before a depthwise one, as in MobileNet, makes the largest
// image of its network, which the other reads once. One step computes both, a
// few rows at a time; the image itself has no memory.

// pointwise is a 1×1 convolution that the depthwise convolution behind it
// computes.
type pointwise struct {
	o   convOperands
	w   runtime.Ref
	doc string
}

// leaveToDepthwise lets the depthwise convolution that alone reads the result
// of o compute it.
func (b *builder) leaveToDepthwise(o convOperands, w *ir.Tensor, doc string) bool {
	g := o.geo
	if g.kh*g.kw != 1 || g.sh*g.sw != 1 || o.src.dims.h != o.dst.dims.h || o.src.dims.w != o.dst.dims.w || g.padTop != 0 || g.padLeft != 0 ||
		o.residual != nil || o.transforms() || !b.layout.depthwiseFollows(o.node) {
		return false
	}
	wref := b.floats32(w, b.packConv(w))
	b.points[o.node.Out[0]] = pointwise{o: o, w: wref, doc: doc}
	return true
}

// depthwiseFollows reports whether the node after n is a depthwise convolution
// that alone reads its result, as it is.
func (l *layout) depthwiseFollows(n *ir.Node) bool {
	v := n.Out[0]
	r := v.OnlyUse()
	if r == nil || !l.node[r] || l.at[r] != l.at[n]+1 || r.In[0] != v {
		return false
	}
	c, ok := r.Op.(ir.Conv)
	_, inSlot := l.slots[v]
	return ok && !inSlot && c.IsDepthwise(r.In[0].Type.Shape, r.In[ir.Weights].Type.Shape) && c.Padding != ir.PadCopy && !r.HasPrologue() && r.Input(ir.ConvResidual) == nil &&
		c.Pads[0] >= 0 && c.Pads[len(c.Pads)/2-1] >= 0
}

// convDepthwise emits both convolutions as one step.
func (b *builder) convDepthwise(p pointwise, o convOperands, w runtime.Ref, doc string) {
	b.emit(p.doc+"; "+doc, p.o.reads(), []*place{o.dst}, func() runtime.Kernel {
		return &runtime.ConvDepthwise{Point: *p.o.conv(p.w), Depth: *o.depthwise(w)}
	})
	b.include(p.o.node)
}
