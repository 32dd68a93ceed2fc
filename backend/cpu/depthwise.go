package cpu

import (
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/pack"
)

// A depthwise convolution has one filter for each channel.
//
// A 1×1 convolution before a depthwise one, as in MobileNet, makes the largest
// image of its network, which the other reads once. One step computes both, a
// few rows at a time; the image itself has no memory.

var depthwise = algorithm{
	name: "depthwise",
	why:  "one filter per channel",
	refuses: func(o *conv) (why, note string) {
		if !isDepthwise(o.node, o.op) {
			return "its channels share filters", ""
		}
		return "", ""
	},
	weights: func(b *builder, o *conv) runtime.Ref {
		c, _, kh, kw := shape4(o.w.Shape)
		return b.floats32(o.w, b.layerWeights("depthwise", o.w, pack.DepthwiseLen(c, kh, kw), func() []float32 {
			return pack.Depthwise(o.w.Float32s(), c, kh, kw)
		}))
	},
	kernel: func(o *conv, w runtime.Ref) runtime.Kernel {
		if p := o.point; p != nil {
			return &runtime.ConvDepthwise{Point: *p.directKernel(p.weights), Depth: *o.depthwiseKernel(w)}
		}
		return o.depthwiseKernel(w)
	},
}

func (o *conv) depthwiseKernel(w runtime.Ref) *runtime.Depthwise {
	g := o.win
	return &runtime.Depthwise{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act,
		KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW, PadTop: g.PadTop, PadLeft: g.PadLeft}
}

// isDepthwise reports whether each channel has one filter of its own.
func isDepthwise(n *ir.Node, c ir.Conv) bool {
	channels := n.In[0].Type.Shape[1]
	return c.Groups == channels && n.In[1].Type.Shape[0] == channels && channels > 1
}

// leaveToDepthwise lets the depthwise convolution that alone reads the result
// of the 1×1 convolution o compute it.
func leaveToDepthwise(b *builder, o *conv, doc string) bool {
	g := o.win
	if g.SH*g.SW != 1 || o.in.h != o.out.h || o.in.w != o.out.w || g.PadTop != 0 || g.PadLeft != 0 ||
		o.hasResidual() || o.transforms() || !depthwiseFollows(b.layout, o.node) {
		return false
	}
	b.points[o.node.Out[0]] = &pointwise{conv: *o, weights: directWeights(b, o), doc: doc}
	return true
}

// depthwiseFollows reports whether the node behind n is a depthwise convolution
// that alone reads its result, as it is.
func depthwiseFollows(l *layout, n *ir.Node) bool {
	v := n.Out[0]
	r := v.OnlyUse()
	if r == nil || !l.node[r] || !l.Follows(r, n) || r.In[0] != v {
		return false
	}
	c, ok := r.Op.(ir.Conv)
	return ok && !l.Shares(v) && isDepthwise(r, c) && c.Padding != ir.PadCopy && !c.HasPrologue(r) && r.Input(3) == nil &&
		!plan.ConvWindow(c, r.In[1].Type.Shape).Crops()
}
