package cpu

import (
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// conv describes a convolution on images to the algorithms.
type conv struct {
	node *ir.Node
	op   ir.Conv
	w    *ir.Tensor // [M,C/groups,K…]
	win  plan.Window
	// in and out are the extents of the operand and of the result.
	in, out dims
	reach   border // the part of the padding that windows read
	exact   bool   // Config.Exact
	cached  bool   // whether the caches hold all weights of the network
	batch   int    // number of images whose convolutions may share a reading of the weights
	few     bool   // whether the operand has the form fewBytes
	copied  bool   // whether the step reads a copy, because others need a border of another value
	// The places and constants are set when the algorithm has been chosen.
	src, dst, residual *place
	bias, scale, shift kernel.Ref
	pre, act           kernel.Act
	result             *result // of a convolution on integers
	// groups is the number of groups that the kernel computes. 0 stands for one.
	groups int
	// before, unless nil, is the convolution that the same step computes first.
	before *convBefore
}

// convBefore is a convolution that the step of the depthwise convolution after it
// computes: a first layer, or one of 1×1.
type convBefore struct {
	conv
	weights kernel.Ref
	doc     string
	first   bool // whether the kernel is that of first layers
}

// prologue is arithmetic per channel and a function that a pool applies to its
// operand.
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
	o.reach, o.batch = reach(n, op), o.out.n
	return o
}

// reach returns the part of the padding of n that windows read.
func reach(n *ir.Node, c ir.Conv) border {
	w := plan.ConvWindow(c, n.In[ir.Weights].Type.Shape)
	d, _ := imageDims(n.In[0].Type.Shape)
	o, _ := imageDims(n.Out[0].Type.Shape)
	below, right := w.After(d.h, d.w, o.h, o.w)
	return border{top: max(0, w.PadTop), left: max(0, w.PadLeft), bottom: below, right: right}
}

// reads returns the operands that the step reads.
func (o *conv) reads() []*place {
	if o.before != nil {
		return o.before.reads()
	}
	if r := o.result; r != nil {
		return []*place{o.src, r.multiplier, r.zero, r.residual}
	}
	return []*place{o.src, o.residual}
}

// transforms reports whether the convolution has a prologue, so that it transforms
// its operand.
func (o *conv) transforms() bool { return o.node.HasPrologue() }

// hasResidual reports whether the convolution adds another image to its result.
func (o *conv) hasResidual() bool { return o.node.Input(ir.ConvResidual) != nil }

// inBlocks returns the number of blocks of input channels.
func (o *conv) inBlocks() int { return nc16.blocks(o.in.c) }

// single returns the same convolution of a batch of one example.
func (o *conv) single() *conv {
	one := *o
	one.in.n, one.out.n, one.batch = 1, 1, 1
	return &one
}

// steady returns the reason why the sums of the convolution must be rounded as
// those of direct convolution, and a note for the documentation of the step. The
// reason is "" if they may be rounded differently.
func (o *conv) steady() (why, note string) {
	switch {
	case o.exact:
		return "exact", ", exact"
	case ir.Rounds(o.node.Op), slices.ContainsFunc(o.node.Out[0].Uses(), func(u ir.Use) bool { return u.Node != nil && ir.Rounds(u.Node.Op) }):
		return "its result is rounded, where a small error may become a whole step", ", rounded"
	}
	return "", ""
}

// depthwiseFollows reports whether the node after n is a depthwise convolution
// that is the only reader of n's result and has no prologue and no residual.
func depthwiseFollows(l *layout, n *ir.Node) bool {
	v := n.Out[0]
	r := depthwiseReader(v)
	if r == nil || !l.node[r] || !l.Follows(r, n) || l.Shares(v) || r.HasPrologue() || r.Input(ir.ConvResidual) != nil {
		return false
	}
	c := r.Op.(ir.Conv)
	return c.Padding != ir.PadCopy && !plan.ConvWindow(c, r.In[ir.Weights].Type.Shape).Crops()
}

// depthwiseReader returns the only reader of v if it is a depthwise convolution of v, or nil.
func depthwiseReader(v *ir.Value) *ir.Node {
	r := v.OnlyUse()
	if r == nil || r.In[0] != v {
		return nil
	}
	if c, ok := r.Op.(ir.Conv); !ok || !c.IsDepthwise(v.Type.Shape, r.In[ir.Weights].Type.Shape) {
		return nil
	}
	return r
}
