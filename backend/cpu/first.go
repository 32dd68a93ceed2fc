package cpu

import (
	"slices"

	"modelc/backend/cpu/pack"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// Convolutions with few channels. The kernel gathers few input channels, from the
// model's input or from an image, so that it does not multiply the zeros of a
// block. For few output channels, vectors hold input channels.

const (
	// firstChannels is the maximum number of channels that a first layer reads
	// directly from the model's input.
	firstChannels = 4
	// fewChannels is the maximum number of channels gathered from an image.
	fewChannels = 12
	// lastChannels is the maximum number of output channels for which vectors
	// hold input channels.
	lastChannels = 4
	// lastVectors is the minimum number of such vectors in a sum. With fewer,
	// adding up the lanes costs more than the vectors save.
	lastVectors = 8
)

var first = algorithm{
	name:  "first",
	doc:   "first layer",
	why:   "it reads the model's input as it is",
	dense: true,
	refuses: func(o *conv) (why, note string) {
		if !readsUserLayout(o.node) {
			return "it does not read the model's input", ""
		}
		return "", ""
	},
	pads:    padsRows,
	leave:   leaveFirst,
	weights: firstWeights,
	kernel:  firstKernel,
	pool:    firstPool,
}

var gathered = algorithm{
	name:  "direct",
	doc:   "channels gathered",
	shown: &plan.Choice{Algorithm: "first", Why: "a block of 16 channels would be mostly zeros"},
	refuses: func(o *conv) (why, note string) {
		if !o.gathers() {
			return "it has many channels, or a prologue or residual", ""
		}
		return "", ""
	},
	cost:    func(o *conv) float64 { return o.productCost(o.in.c, alignTo(o.out.c, 8), gatherShare) },
	each:    true,
	pads:    padsRows,
	leave:   leaveFirst,
	weights: firstWeights,
	kernel:  firstKernel,
	pool:    firstPool,
}

var last = algorithm{
	name: "last",
	doc:  "few output channels",
	why:  "a block of 16 output channels would be mostly unused",
	refuses: func(o *conv) (why, note string) {
		if o.op.Groups > 1 || o.out.c > lastChannels || o.inBlocks()*o.win.Taps() < lastVectors || o.exact || o.gathers() || o.transforms() {
			return "it has many output channels, few inputs, a prologue or groups", ""
		}
		return "", ""
	},
	weights: func(b *builder, o *conv) kernel.Ref {
		oc, ic, kh, kw := shape4(o.w.Shape)
		return b.floats32(o.w, b.layerWeights("last", o.w, pack.LastLen(oc, ic, kh, kw), func() []float32 {
			return pack.Last(o.w.Float32s(), oc, ic, kh, kw)
		}))
	},
	kernel: func(o *conv, w kernel.Ref) kernel.Kernel {
		g := o.win
		return &kernel.ConvLast{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(), Act: o.act,
			KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW, PadTop: g.PadTop, PadLeft: g.PadLeft}
	},
}

// readsUserLayout reports whether the convolution n is a first layer that reads
// the model's input, or a constant, in the caller's layout.
func readsUserLayout(n *ir.Node) bool {
	return isFirst(n, n.In[0]) || roundedByFirst(n.In[0].Def())
}

// isFirst is readsUserLayout for the operand x in float32.
func isFirst(n *ir.Node, x *ir.Value) bool {
	c := n.Op.(ir.Conv)
	if x.Type.DType != ir.Float32 || x.Type.Shape[1] > firstChannels || c.Groups != 1 || n.Input(ir.ConvResidual) != nil || n.HasPrologue() || c.Padding == ir.PadCopy {
		return false
	}
	for _, p := range c.Pads {
		if p < 0 {
			return false
		}
	}
	return x.Def() == nil || movesChannelsFirst(x.Def())
}

// movesChannelsFirst reports whether n moves the channels of a model input or
// constant from the last axis to axis 1.
func movesChannelsFirst(n *ir.Node) bool {
	t, ok := n.Op.(ir.Transpose)
	return ok && n.In[0].Def() == nil && len(t.Perm) >= 3 && len(t.Perm) <= 4 && slices.Equal(t.Perm, ir.ChannelsFirst(len(t.Perm)))
}

// gathers reports whether the channels of an image are few enough to gather.
func (o *conv) gathers() bool {
	return o.op.Groups == 1 && o.in.c <= fewChannels && o.win.Taps() > 1 && !o.win.Crops() && !o.hasResidual() && !o.transforms()
}

func padsRows(*conv) string { return "the kernel pads rows as it gathers them" }

func firstWeights(b *builder, o *conv) kernel.Ref {
	oc, ic, kh, kw := shape4(o.w.Shape)
	return b.floats32(o.w, b.layerWeights("first", o.w, pack.FirstLen(oc, ic, kh, kw), func() []float32 {
		return pack.First(o.w.Float32s(), oc, ic, kh, kw)
	}))
}

func firstKernel(o *conv, w kernel.Ref) kernel.Kernel { return o.firstKernel(w) }

func (o *conv) firstKernel(w kernel.Ref) *kernel.ConvFirst {
	k := o.firstExtents()
	k.Dst, k.Wt, k.Bias, k.Act = o.dst.img(), w, o.bias, o.act
	if o.src.image {
		k.Image = o.src.img()
	} else {
		k.Src, k.NHWC = o.src.ref(), o.src.nhwc
	}
	return &k
}

// firstExtents returns the kernel without its operands. Its images have extents only.
func (o *conv) firstExtents() kernel.ConvFirst {
	g := o.win
	k := kernel.ConvFirst{N: o.in.n, C: o.in.c, H: o.in.h, W: o.in.w, Dst: extents(o.out),
		KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW, PadTop: g.PadTop, PadLeft: g.PadLeft}
	if o.src.image {
		k.Image = extents(o.in)
	}
	return k
}

// extents returns an image without memory.
func extents(d dims) kernel.Image { return kernel.Image{N: d.n, C: d.c, H: d.h, W: d.w} }

// leaveFirst leaves the convolution o to the step of the depthwise convolution after it, and
// reports whether it did.
func leaveFirst(b *builder, o *conv, doc string) bool {
	if !depthwiseFollows(b.layout, o.node) {
		return false
	}
	b.left[o.node.Out[0]] = &convBefore{conv: *o, weights: firstWeights(b, o), doc: doc, first: true}
	return true
}

// firstPool returns the constructor of a kernel that also computes the pool after
// a first layer, row by row, as in LeNet and ResNet.
func firstPool(b *builder, o *conv, w kernel.Ref, pool *ir.Node) (string, func(dst *place) kernel.Kernel) {
	p, doc := b.poolKernel(pool, pool.Op.(ir.Pool))
	out, _ := imageDims(pool.Out[0].Type.Shape)
	k := kernel.ConvFirstPool{Conv: o.firstExtents(), Pool: p}
	k.Pool.Src, k.Pool.Dst = k.Conv.Dst, extents(out)
	if !o.exact && b.format(o.w) == kernel.F32 && k.SuitsRows() {
		oc, ic, _, kw := shape4(o.w.Shape)
		k.Rows = b.floats("rows", o.w, pack.RowsLen(oc, ic, kw), func() []float32 { return pack.Rows(o.w.Float32s(), oc, ic, kw) })
		doc += ", pairs of rows by F(2,5)"
	}
	return "; " + doc, func(dst *place) kernel.Kernel {
		k.Conv = *o.firstKernel(w)
		k.Pool.Src, k.Pool.Dst = k.Conv.Dst, dst.img()
		return &k
	}
}
