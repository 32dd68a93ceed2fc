package cpu

import (
	"modelc/backend/cpu/pack"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// A depthwise convolution has one filter for each channel. Its step may also
// compute the 1×1 convolution before it: see leaveToDepthwise.

var depthwise = algorithm{
	name: "depthwise",
	why:  "one filter per channel",
	refuses: func(o *conv) (why, note string) {
		if !o.op.IsDepthwise(o.node.In[0].Type.Shape, o.node.In[ir.Weights].Type.Shape) {
			return "its channels share filters", ""
		}
		return "", ""
	},
	weights: func(b *builder, o *conv) kernel.Ref {
		c, _, kh, kw := shape4(o.w.Shape)
		return b.floats32(o.w, b.layerWeights("depthwise", o.w, pack.DepthwiseLen(c, kh, kw), func() []float32 {
			return pack.Depthwise(o.w.Float32s(), c, kh, kw)
		}))
	},
	kernel: func(o *conv, w kernel.Ref) kernel.Kernel {
		if p := o.point; p != nil {
			return &kernel.ConvDepthwise{Point: *p.directKernel(p.weights), Depth: *o.depthwiseKernel(w)}
		}
		return o.depthwiseKernel(w)
	},
}

func (o *conv) depthwiseKernel(w kernel.Ref) *kernel.Depthwise {
	g := o.win
	return &kernel.Depthwise{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act,
		KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW, PadTop: g.PadTop, PadLeft: g.PadLeft}
}
