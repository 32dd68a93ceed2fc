package cpu

import (
	"fmt"

	"modelc/backend/cpu/pack"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// Direct convolution with register tiles, for windows larger than 1×1 and for
// groups of channels.

var direct = algorithm{
	name: "direct",
	kept: ", small",
	refuses: func(o *conv) (why, note string) {
		if o.op.Groups > 1 || o.win.Taps() == 1 {
			return "its kernel is 1×1, or it has groups", ""
		}
		return "", ""
	},
	cost: func(o *conv) float64 {
		return o.productCost(alignTo(o.in.c, 8), alignTo(o.out.c, 16), tileEfficiency(o.out.h*o.out.w)*windowShare)
	},
	weights: directWeights,
	kernel:  directKernel,
}

var grouped = algorithm{
	name: "direct",
	why:  "groups of channels, in blocks of 16",
	refuses: func(o *conv) (why, note string) {
		if o.op.Groups == 1 {
			return "it has one group", ""
		}
		return "", ""
	},
	kernel: directKernel,
	emit:   emitGrouped,
}

func directWeights(b *builder, o *conv) kernel.Ref { return b.floats32(o.w, b.packConv(o.w)) }

// packConv stores weights in blocks of 32 output and 16 input channels.
func (b *builder) packConv(t *ir.Tensor) kernel.Ref {
	oc, ic, kh, kw := shape4(t.Shape)
	return b.layerWeights("conv", t, pack.ConvLen(oc, ic, kh, kw), func() []float32 {
		return pack.Conv(t.Float32s(), oc, ic, kh, kw)
	})
}

func directKernel(o *conv, w kernel.Ref) kernel.Kernel { return o.directKernel(w) }

func (o *conv) directKernel(w kernel.Ref) *kernel.Conv {
	g := o.win
	return &kernel.Conv{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act,
		KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW, PadTop: g.PadTop, PadLeft: g.PadLeft, Groups: o.groups}
}

// emitGrouped emits a grouped convolution. The kernel needs groups that fill
// whole blocks of channels. emitGrouped merges neighbouring groups, with zero
// weights between them, until their input and output channels fill blocks. The
// remaining groups become a step of their own.
func emitGrouped(b *builder, o *conv, doc string) {
	groups := o.op.Groups
	cg, mg := o.w.Shape[1], o.w.Shape[0]/groups
	merge := 1
	for merge < groups && (merge*cg%o.src.form.block != 0 || merge*mg%o.dst.form.block != 0) {
		merge++
	}
	for first := 0; first < groups; {
		n := groups - first // groups of this step
		parts := max(1, n/merge)
		n = min(n, parts*merge)
		part := *o
		ci, mi := first*cg, first*mg
		if parts > 1 {
			part.groups = parts
		}
		part.src, part.dst = o.src.window(ci, n*cg), o.dst.window(mi, n*mg)
		if o.residual != nil {
			part.residual = o.residual.window(mi, n*mg)
		}
		part.bias = subChannels(o.bias, mi, n*mg)
		part.scale = subChannels(o.scale, ci, n*cg)
		part.shift = subChannels(o.shift, ci, n*cg)
		w, makeKernel := kernel.Ref{}, directKernel
		if r := o.result; r != nil {
			part.result, makeKernel = r.of(mi, n*mg), integerKernel
			w = b.integerGroups(o.w, groups, first, n, parts, r.parts)
		} else {
			w = b.floats32(o.w, b.packGrouped(o.w, groups, first, n, parts))
		}
		d := doc
		if n < groups {
			d += fmt.Sprintf(", groups %d–%d", first, first+n-1)
		}
		writes := []*place{part.dst}
		if first += n; first == groups {
			writes = []*place{o.dst} // this step completes the value
		}
		b.emit(d, part.reads(), writes, func() kernel.Kernel { return makeKernel(&part, w) })
	}
}

// subChannels returns the part of a per-channel operand for channels [c0,c0+c),
// padded to whole blocks.
func subChannels(r kernel.Ref, c0, c int) kernel.Ref {
	if !r.Present() {
		return r
	}
	return kernel.Ref{Space: r.Space, Off: r.Off + c0*ir.Float32.Size(), Len: nc16.whole(c)}
}

// packGrouped stores the packed weights of n groups, starting at group first, as
// the weights of the given number of convolutions. Each convolution merges n/parts
// groups, with zeros between them.
func (b *builder) packGrouped(t *ir.Tensor, groups, first, n, parts int) kernel.Ref {
	m, cg, kh, kw := shape4(t.Shape)
	mg := m / groups
	oc, ic := n/parts*mg, n/parts*cg
	return b.layerWeights(fmt.Sprintf("groups %d+%d of %d, %d parts", first, n, groups, parts), t, parts*pack.ConvLen(oc, ic, kh, kw), func() []float32 {
		src := t.Float32s()[first*mg*cg*kh*kw:]
		k := kh * kw
		var packed []float32
		for part := range parts {
			packed = append(packed, pack.Conv(merged(src, part, oc, mg, ic, cg, k), oc, ic, kh, kw)...)
		}
		return packed
	})
}

// merged returns the weights [oc,ic,k] of convolution i of those that merge groups with mg
// output and cg input channels each, with zeros between the groups.
func merged[T any](src []T, i, oc, mg, ic, cg, k int) []T {
	w := make([]T, oc*ic*k)
	for o := range oc {
		from := (i*oc + o) * cg * k
		copy(w[(o*ic+o/mg*cg)*k:], src[from:from+cg*k])
	}
	return w
}

// A depthwise convolution has one filter for each channel. Its step may also compute the
// convolution before it: see leaveToDepthwise.

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
		k := o.depthwiseKernel(w)
		switch p := o.before; {
		case p == nil:
			return k
		case p.first:
			return &kernel.ConvFirstDepthwise{First: *p.firstKernel(p.weights), Depth: *k}
		default:
			return &kernel.ConvDepthwise{Point: *p.directKernel(p.weights), Depth: *k}
		}
	},
}

func (o *conv) depthwiseKernel(w kernel.Ref) *kernel.Depthwise {
	g := o.win
	return &kernel.Depthwise{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act,
		KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW, PadTop: g.PadTop, PadLeft: g.PadLeft}
}
