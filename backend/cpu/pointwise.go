package cpu

import (
	"modelc/backend/cpu/pack"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// A 1×1 convolution is a matrix product over the pixels. Strassen's algorithm
// divides the input channels, the output channels and the pixels into halves, and
// computes seven products of halves instead of eight.
//
// In networks like MobileNet, the largest images are results of a first layer or of 1×1
// convolutions that a depthwise convolution reads. One step computes both convolutions, a
// few rows at a time, so that the image needs no memory.

var pointwise = algorithm{
	name: "pointwise",
	why:  "a 1×1 kernel is a matrix product over the pixels",
	refuses: func(o *conv) (why, note string) {
		if o.op.Groups > 1 || o.win.Taps() > 1 {
			return "its kernel is larger than 1×1, or it has groups", ""
		}
		return "", ""
	},
	cost: func(o *conv) float64 {
		return o.productCost(alignTo(o.in.c, 8), alignTo(o.out.c, 16), tileEfficiency(o.out.h*o.out.w))
	},
	each:    true,
	leave:   leaveToDepthwise,
	weights: directWeights,
	kernel:  directKernel,
}

const (
	// strassenGain is the maximum ratio of the cost of Strassen's algorithm to that
	// of the direct product. Above it, the algorithm is not worth its memory and
	// rounding.
	strassenGain = 0.97
	// strassenSpan is the maximum number of blocks of input channels that are
	// computed together. strassenPixels is approximately the number of pixels.
	// These operands and their sums take less than half a megabyte.
	strassenSpan   = 32
	strassenPixels = 112
)

var strassen = algorithm{
	name:    "strassen",
	instead: pointwise.name,
	gain:    strassenGain,
	refuses: func(o *conv) (why, note string) {
		g := o.win
		if o.in.c%32 != 0 || o.out.c%64 != 0 || o.op.Groups > 1 || g.PadTop != 0 || g.PadLeft != 0 ||
			(o.out.h-1)*g.SH >= o.in.h || (o.out.w-1)*g.SW >= o.in.w {
			return "its channels have no halves of whole blocks, or padding takes part", ""
		}
		return o.steady()
	},
	cost:  strassenCost,
	leave: leaveToDepthwise,
	weights: func(b *builder, o *conv) kernel.Ref {
		w := o.w
		stored := b.packConv(w)
		_, span := strassenSpans(w.Shape[1])
		return b.transformed(w, strassenLen(w.Shape), "Strassen's sums of weights", stored, func(dst kernel.Ref) kernel.Kernel {
			return &kernel.StrassenWeights{IC: w.Shape[1], OC: w.Shape[0], Span: span, W: stored, Format: b.format(w), Dst: dst}
		})
	},
	prepared: strassenLen,
	kernel: func(o *conv, w kernel.Ref) kernel.Kernel {
		_, span := strassenSpans(o.in.c)
		return &kernel.Strassen{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
			Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act, SH: o.win.SH, SW: o.win.SW, Pixels: strassenPixels, Span: span}
	},
	work: func(l *plan.Layer, k kernel.Kernel) plan.Work {
		return plan.Work{Ops: float64(l.FLOPs) * 7 / 8, WeightBytes: float64(k.(*kernel.Strassen).W.Len * ir.Float32.Size())}
	},
}

func strassenLen(w ir.Shape) int { return pack.StrassenLen(w[0], w[1]) }

// strassenSpans returns the number of spans into which Strassen's algorithm
// divides the input channels, and the number of blocks of a span.
func strassenSpans(channels int) (spans, blocks int) {
	spans = (channels/16 + strassenSpan - 1) / strassenSpan
	return spans, alignTo((channels/16+spans-1)/spans, 2)
}

func strassenCost(o *conv) float64 {
	d, s := o.out, o.in
	spans, _ := strassenSpans(s.c)
	pixels := float64(d.n * d.h * d.w)
	if d.h%2 == 1 && o.win.SH*o.win.SW > 1 { // the halves differ by a row
		pixels *= float64(d.h+1) / float64(d.h)
	}
	moved := 3*s.c + 3*d.c*spans + 3*d.c*(spans-1) // the sums of pixels go to L2
	if o.hasResidual() {
		moved += 3 * d.c
	}
	return pixels*float64(s.c*d.c)*7/8/macsPerNs/tileEfficiency(d.h*d.w/2) + pixels*float64(moved)/sumPerNs +
		o.streamCost(d.c*s.c*7/4, d.h*d.w/2)
}

// leaveToDepthwise leaves the 1×1 convolution o to the step of the depthwise convolution
// after it, and reports whether it did.
func leaveToDepthwise(b *builder, o *conv, doc string) bool {
	g := o.win
	if g.SH*g.SW != 1 || o.in.h != o.out.h || o.in.w != o.out.w || g.PadTop != 0 || g.PadLeft != 0 ||
		o.hasResidual() || o.transforms() || !depthwiseFollows(b.layout, o.node) {
		return false
	}
	weights := directWeights
	if o.node.In[0].Type.DType == ir.BFloat16 {
		if _, _, clamps := o.act.Clamp(); !clamps {
			return false
		}
		weights = pairWeights
	}
	b.left[o.node.Out[0]] = &convBefore{conv: *o, weights: weights(b, o), doc: doc}
	return true
}
