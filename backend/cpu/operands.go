package cpu

import (
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// conv is a convolution on images as its algorithms see it.
type conv struct {
	node *ir.Node
	op   ir.Conv
	w    *ir.Tensor // [M,C/groups,K…]
	win  plan.Window
	// in and out are the extents of the operand and of the result. The cost of
	// some algorithms is that of one example.
	in, out dims
	reach   border // the part of the padding that windows touch
	exact   bool   // as in Config
	cached  bool   // the caches keep all weights of the network
	// The places and constants, which are set once the algorithm is chosen.
	src, dst, residual *place
	bias, scale, shift kernel.Ref
	pre, act           kernel.Act
	// groups is the number of groups that the kernel computes, 0 for one.
	groups int
	// point is the 1×1 convolution that the same step computes first; nil for
	// none.
	point *pointConv
}

// pointConv is a 1×1 convolution that the depthwise convolution behind it
// computes.
type pointConv struct {
	conv
	weights kernel.Ref
	doc     string
}

// prologue is arithmetic per channel and a function, which a pool applies to
// what it reads.
type prologue struct {
	node         *ir.Node
	scale, shift kernel.Ref
	act          kernel.Act
}

// newConv describes the convolution n on images.
func newConv(n *ir.Node, op ir.Conv) *conv {
	o := &conv{node: n, op: op, w: n.Const(ir.Weights), pre: act(op.Prologue), act: act(op.Epilogue)}
	o.win = plan.ConvWindow(op, o.w.Shape)
	o.in, _ = imageDims(n.In[0].Type.Shape)
	o.out, _ = imageDims(n.Out[0].Type.Shape)
	o.reach = reach(n, op)
	return o
}

// reach returns the part of the padding of n that windows touch.
func reach(n *ir.Node, c ir.Conv) border {
	w := plan.ConvWindow(c, n.In[ir.Weights].Type.Shape)
	d, _ := imageDims(n.In[0].Type.Shape)
	o, _ := imageDims(n.Out[0].Type.Shape)
	below, right := w.After(d.h, d.w, o.h, o.w)
	return border{top: max(0, w.PadTop), left: max(0, w.PadLeft), bottom: below, right: right}
}

// reads returns the operands that the step reads.
func (o *conv) reads() []*place {
	if o.point != nil {
		return o.point.reads()
	}
	return []*place{o.src, o.residual}
}

// transforms reports whether the convolution has a prologue.
func (o *conv) transforms() bool { return o.node.HasPrologue() }

// hasResidual reports whether the convolution adds another image.
func (o *conv) hasResidual() bool { return o.node.Input(ir.ConvResidual) != nil }

// inBlocks returns the number of blocks of input channels.
func (o *conv) inBlocks() int { return nc16.blocks(o.in.c) }

// single returns the convolution of one example.
func (o *conv) single() *conv {
	one := *o
	one.in.n, one.out.n = 1, 1
	return &one
}

// steady reports why the sums of the convolution must not be rounded otherwise
// than the direct ones, and a note for the documentation of the step; "" if
// they may.
func (o *conv) steady() (why, note string) {
	switch {
	case o.exact:
		return "exact", ", exact"
	case ir.SumsIntegers(o.node):
		return "sums of integers are exact without Winograd", ", integers"
	case ir.RoundsResult(o.node):
		return "its result is rounded, where a small error may become a whole step", ", rounded"
	}
	return "", ""
}
