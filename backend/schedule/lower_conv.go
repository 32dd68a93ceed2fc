package schedule

import (
	"fmt"
	"slices"

	"modelc/ir"
	"modelc/runtime"
)

// geometry is a convolution's window on two axes; one axis counts as height 1.
type geometry struct {
	kh, kw, sh, sw, dh, dw, padTop, padLeft int
}

func convGeometry(c ir.Conv, w ir.Shape) geometry {
	if len(w) == 3 {
		return geometry{1, w[2], 1, c.Strides[0], 1, c.Dilations[0], 0, c.Pads[0]}
	}
	return geometry{w[2], w[3], c.Strides[0], c.Strides[1], c.Dilations[0], c.Dilations[1], c.Pads[0], c.Pads[1]}
}

func (g geometry) String() string {
	s := shapeDoc(g.kh, g.kw)
	if g.sh != 1 || g.sw != 1 {
		s += fmt.Sprintf("/%d", g.sh)
		if g.sh != g.sw {
			s += fmt.Sprintf("×%d", g.sw)
		}
	}
	if g.dh != 1 || g.dw != 1 {
		s += fmt.Sprintf(" dilated %s", shapeDoc(g.dh, g.dw))
	}
	return s
}

// firstChannels is the most input channels that the first-layer kernel takes:
// pictures. Beyond it a block of 16 wastes too little to matter.
const firstChannels = 4

// readsUserLayout reports whether the convolution reads the dense tensor
// itself: the first layer of a network.
func readsUserLayout(n *ir.Node) bool {
	c := n.Op.(ir.Conv)
	x := n.In[0]
	if x.Type.Shape[1] > firstChannels || c.Groups != 1 || n.Input(ir.ConvResidual) != nil || n.HasPrologue() || c.Padding == ir.PadCopy {
		return false
	}
	for _, p := range c.Pads {
		if p < 0 {
			return false
		}
	}
	return x.Def() == nil || isChannelsFirst(x.Def())
}

// isChannelsFirst reports whether n moves the channels of a model input or
// constant from the last axis to axis 1.
func isChannelsFirst(n *ir.Node) bool {
	t, ok := n.Op.(ir.Transpose)
	return ok && n.In[0].Def() == nil && len(t.Perm) >= 3 && len(t.Perm) <= 4 && slices.Equal(t.Perm, ir.ChannelsFirst(len(t.Perm)))
}

func (b *builder) lowerConv(n *ir.Node, c ir.Conv) error {
	if !b.layout.node[n] {
		return b.convPlain(n, c)
	}
	w := n.Const(ir.Weights)
	geo := convGeometry(c, w.Shape)
	x := n.In[0]
	m := w.Shape[0]
	doc := fmt.Sprintf("Conv %s %d→%d at %s", geo, x.Type.Shape[1], m, shapeDoc(n.Out[0].Type.Shape[2:]...))
	if c.Groups > 1 {
		doc += fmt.Sprintf(", %d groups", c.Groups)
	}
	doc += operandsDoc(n, c)
	if readsUserLayout(n) {
		return b.convFirst(n, c, geo, doc)
	}
	src := b.asImage(x)
	bd := convBorder(c, w.Shape, x.Type.Shape, n.Out[0].Type.Shape)
	if c.Padding != ir.PadCopy && bd != (border{}) {
		doc += ", halo"
	}
	var residual *place
	if r := n.Input(ir.ConvResidual); r != nil {
		residual = b.asImage(r)
	}
	dst := b.convResult(n, residual)
	o := convOperands{
		node: n, src: src, dst: dst, residual: residual,
		bias: b.channels(n.Const(ir.Bias), m), scale: b.channels(n.Const(ir.ConvScale), x.Type.Shape[1]), shift: b.channels(n.Const(ir.ConvShift), x.Type.Shape[1]),
		pre: act(c.Prologue), act: act(c.Epilogue), geo: geo, cached: b.cached,
	}
	if c.Padding == ir.PadCopy {
		o.copied = bd
	}
	switch {
	case c.IsDepthwise(n.In[0].Type.Shape, n.In[ir.Weights].Type.Shape):
		b.depthwise(o, w, b.padded(&o, doc)+": depthwise")
	case c.Groups == 1:
		b.convDense(o, w, doc)
	default:
		b.convGrouped(o, w, c.Groups, b.padded(&o, doc))
	}
	return nil
}

// operandsDoc names what is fused into the convolution.
func operandsDoc(n *ir.Node, c ir.Conv) string {
	s := ""
	if n.Input(ir.ConvScale) != nil || n.Input(ir.ConvShift) != nil {
		s += ", affine before"
	}
	if !c.Prologue.IsIdentity() {
		s += ", " + c.Prologue.String() + " before"
	}
	if n.Input(ir.Bias) != nil {
		s += ", bias"
	}
	if n.Input(ir.ConvResidual) != nil {
		s += ", residual"
	}
	return s + actDoc(c.Epilogue)
}

// convResult gives a convolution's result its place: the memory of the
// residual where that ends here, each of whose pixels is read just before its
// own is written.
func (b *builder) convResult(n *ir.Node, residual *place) *place {
	if residual != nil {
		return b.overwrite(n, n.In[ir.ConvResidual], residual)
	}
	return b.newImage(n.Out[0])
}

// convOperands is what the convolution kernels on images share.
type convOperands struct {
	node               *ir.Node
	src, dst, residual *place
	bias, scale, shift runtime.Ref
	pre, act           runtime.Act
	geo                geometry
	groups             int    // as in runtime.Conv
	copied             border // of a copy of src that padded makes
	cached             bool   // as in builder
}

func (o *convOperands) reads() []*place { return []*place{o.src, o.residual} }

func (b *builder) convFirst(n *ir.Node, c ir.Conv, geo geometry, doc string) error {
	src := b.dense[n.In[0]]
	if n.In[0].Const != nil {
		src = b.constPlace(n.In[0])
	}
	d, _ := imageDims(n.In[0].Type.Shape)
	o := convOperands{node: n, src: src, dst: b.newImage(n.Out[0]), bias: b.channels(n.Const(ir.Bias), n.Const(ir.Weights).Shape[0]), act: act(c.Epilogue), geo: geo}
	b.emitConvFirst(o, d, n.Const(ir.Weights), doc+": first layer")
	b.last().Choice = Choice{Algorithm: ir.AlgFirst, Why: "it reads the model's input as it is"}
	return nil
}

// fewChannels is up to how many input channels a convolution gathers them
// rather than multiply the zeros of a block.
const fewChannels = 12

// gathers reports whether a convolution on images is computed by the kernel
// of first layers.
func (o *convOperands) gathers() bool {
	g := o.geo
	return o.src.dims.c <= fewChannels && g.kh*g.kw > 1 && g.padTop >= 0 && g.padLeft >= 0 && o.residual == nil && !o.transforms()
}

// transforms reports whether the convolution has a prologue.
func (o *convOperands) transforms() bool {
	return o.scale.Present() || o.shift.Present() || o.pre != (runtime.Act{})
}

// emitConvFirst emits a convolution of an operand with extents d, and the pool
// behind it.
func (b *builder) emitConvFirst(o convOperands, d dims, w *ir.Tensor, doc string) {
	wref := b.floats32(w, b.packFirst(w))
	kernel := func() *runtime.ConvFirst {
		g := o.geo
		k := &runtime.ConvFirst{N: d.n, C: d.c, H: d.h, W: d.w, Dst: o.dst.img(), Wt: wref, Bias: o.bias, Act: o.act,
			KH: g.kh, KW: g.kw, SH: g.sh, SW: g.sw, DH: g.dh, DW: g.dw, PadTop: g.padTop, PadLeft: g.padLeft}
		if o.src.image {
			k.Image = o.src.img()
		} else {
			k.Src, k.NHWC = o.src.ref(), o.src.nhwc
		}
		return k
	}
	if pool := b.poolAfter(o.node); pool != nil {
		b.convFirstPool(o, kernel, pool, doc)
		return
	}
	b.emit(doc, []*place{o.src}, []*place{o.dst}, func() runtime.Kernel { return kernel() })
}

// lastChannels is up to how many output channels a convolution's vectors hold
// input channels instead, and lastVectors from how many of them on that pays for
// adding up their lanes.
const (
	lastChannels = 4
	lastVectors  = 8
)

// narrow reports whether the kernel for few output channels is the fastest.
func (o *convOperands) narrow(cfg Config) bool {
	g := o.geo
	return o.dst.dims.c <= lastChannels && o.src.dims.blocks()*g.kh*g.kw >= lastVectors && !cfg.Exact &&
		!o.gathers() && !o.transforms()
}

// convDense lowers a convolution in which every output channel reads every
// input channel.
func (b *builder) convDense(o convOperands, w *ir.Tensor, doc string) {
	if o.narrow(b.cfg) {
		doc = b.padded(&o, doc)
		wref := b.floats32(w, b.packLast(w))
		g := o.geo
		b.emit(doc+": few output channels", o.reads(), []*place{o.dst}, func() runtime.Kernel {
			return &runtime.ConvLast{Src: o.src.img(), Dst: o.dst.img(), W: wref, Bias: o.bias, Residual: o.residual.img(), Act: o.act,
				KH: g.kh, KW: g.kw, SH: g.sh, SW: g.sw, DH: g.dh, DW: g.dw, PadTop: g.padTop, PadLeft: g.padLeft}
		})
		b.last().Choice = Choice{Algorithm: ir.AlgLast, Why: "a block of 16 output channels would be mostly unused"}
		return
	}
	if b.leaveToDepthwise(o, w, doc) {
		return
	}
	choice, why := b.chooseAlgorithm(o)
	alg := choice.Algorithm
	if alg == ir.AlgDirect && o.gathers() {
		b.emitConvFirst(o, o.src.dims, w, doc+": channels gathered")
		b.last().Choice = Choice{Algorithm: ir.AlgFirst, Why: "a block of 16 channels would be mostly zeros"}
		return
	}
	if winogradTile(alg) == 0 || o.geo.dh == 1 { // the pixels of phases are gathered anyway
		doc = b.padded(&o, doc)
	}
	wref := b.packConv(w)
	doc += ": " + alg.String() + why
	if winogradTile(alg) > 0 {
		u := b.winogradWeights(w, wref, alg)
		if pool := b.poolBehind(o.node, alg); pool != nil {
			b.winogradPool(o, u, alg, pool, doc)
			b.last().Choice = choice
			return
		}
		b.emit(doc, o.reads(), []*place{o.dst}, func() runtime.Kernel { return o.winograd(u, alg) })
		b.last().Choice = choice
		return
	}
	if alg == ir.AlgStrassen {
		u := b.strassenWeights(w, wref)
		b.emit(doc, o.reads(), []*place{o.dst}, func() runtime.Kernel { return o.strassen(u) })
	} else {
		wref = b.floats32(w, wref)
		b.emit(doc, o.reads(), []*place{o.dst}, func() runtime.Kernel { return o.conv(wref) })
	}
	b.last().Choice = choice
}

func (o *convOperands) conv(w runtime.Ref) *runtime.Conv {
	g := o.geo
	return &runtime.Conv{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act,
		KH: g.kh, KW: g.kw, SH: g.sh, SW: g.sw, DH: g.dh, DW: g.dw, PadTop: g.padTop, PadLeft: g.padLeft, Groups: o.groups}
}

// winogradWeights has the weights w, stored as wref, transformed at load.
func (b *builder) winogradWeights(w *ir.Tensor, wref runtime.Ref, a ir.Algorithm) runtime.Ref {
	oc, ic := w.Shape[0], w.Shape[1]
	m, strided, five := winogradTile(a), a == ir.AlgWinogradStrided, w.Shape[2] == 5
	size, doc := runtime.WinogradLen(m, oc, ic), fmt.Sprintf("Winograd F(%d×%d) weights", m, m)
	switch {
	case strided:
		size, doc = runtime.StridedLen(oc, ic), "Winograd weights for stride 2"
	case five:
		size, doc = runtime.WinogradLen(4, oc, ic), "Winograd F(2×2,5×5) weights"
	}
	return b.prepare(size, doc, wref, func(dst runtime.Ref) runtime.Kernel {
		return &runtime.WinogradWeights{M: m, Strided: strided, Five: five, IC: ic, OC: oc, W: wref, Format: b.format(w), Dst: dst}
	})
}

func (o *convOperands) winograd(u runtime.Ref, a ir.Algorithm) *runtime.Winograd {
	tiles, blocks := winogradBlocking(a, *o)
	k := &runtime.Winograd{M: winogradTile(a), Strided: a == ir.AlgWinogradStrided, Five: o.geo.kh == 5, Src: o.src.img(), Dst: o.dst.img(), W: u, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act, PadTop: o.geo.padTop, PadLeft: o.geo.padLeft,
		Tiles: tiles, OutBlocks: blocks}
	if o.geo.dh > 1 {
		k.Dilation = o.geo.dh
	}
	return k
}

// strassenWeights has the sums of the weights w, stored as wref, made at load.
func (b *builder) strassenWeights(w *ir.Tensor, wref runtime.Ref) runtime.Ref {
	oc, ic := w.Shape[0], w.Shape[1]
	_, span := strassenSpans(ic)
	return b.prepare(runtime.StrassenLen(oc, ic), "Strassen's sums of weights", wref, func(dst runtime.Ref) runtime.Kernel {
		return &runtime.StrassenWeights{IC: ic, OC: oc, Span: span, W: wref, Format: b.format(w), Dst: dst}
	})
}

func (o *convOperands) strassen(w runtime.Ref) *runtime.Strassen {
	_, span := strassenSpans(o.src.dims.c)
	return &runtime.Strassen{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act, SH: o.geo.sh, SW: o.geo.sw, Pixels: strassenPixels, Span: span}
}

func (b *builder) depthwise(o convOperands, w *ir.Tensor, doc string) {
	wref := b.floats32(w, b.packDepthwise(w))
	if p, ok := b.points[o.node.In[0]]; ok {
		b.convDepthwise(p, o, wref, doc)
	} else {
		b.emit(doc, o.reads(), []*place{o.dst}, func() runtime.Kernel { return o.depthwise(wref) })
	}
	b.last().Choice = Choice{Algorithm: ir.AlgDepthwise, Why: "one filter per channel"}
}

func (o *convOperands) depthwise(w runtime.Ref) *runtime.Depthwise {
	g := o.geo
	return &runtime.Depthwise{Src: o.src.img(), Dst: o.dst.img(), W: w, Bias: o.bias, Residual: o.residual.img(),
		Scale: o.scale, Shift: o.shift, Pre: o.pre, Act: o.act,
		KH: g.kh, KW: g.kw, SH: g.sh, SW: g.sw, DH: g.dh, DW: g.dw, PadTop: g.padTop, PadLeft: g.padLeft}
}

// convGrouped lowers a grouped convolution. The kernel takes groups of whole
// blocks of 16 channels, so neighbouring groups are merged, with zero weights
// between them, until both sides fill blocks; what is left over is a convolution
// of its own.
func (b *builder) convGrouped(o convOperands, w *ir.Tensor, groups int, doc string) {
	cg, mg := w.Shape[1], w.Shape[0]/groups
	merge := 1
	for merge < groups && (merge*cg%16 != 0 || merge*mg%16 != 0) {
		merge++
	}
	doc += ": direct"
	for first := 0; first < groups; {
		n := groups - first // groups of this step
		parts := max(1, n/merge)
		n = min(n, parts*merge)
		part := o
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
		wref := b.floats32(w, b.packGrouped(w, groups, first, n, parts))
		d := doc
		if n < groups {
			d += fmt.Sprintf(", groups %d–%d", first, first+n-1)
		}
		writes := []*place{part.dst}
		if first += n; first == groups {
			writes = []*place{o.dst} // the step that completes the value
		}
		b.emit(d, part.reads(), writes, func() runtime.Kernel { return part.conv(wref) })
		b.last().Choice = Choice{Algorithm: ir.AlgDirect, Why: "groups of channels, in blocks of 16"}
	}
}

// subChannels narrows a per-channel operand to [c0,c0+c), padded to 16.
func subChannels(r runtime.Ref, c0, c int) runtime.Ref {
	if !r.Present() {
		return r
	}
	return runtime.Ref{Space: r.Space, Off: r.Off + c0*4, Len: alignTo(c, 16)}
}

// padded makes the copy of the operand that choose_padding asked for, and
// completes doc.
func (b *builder) padded(o *convOperands, doc string) string {
	if o.copied == (border{}) {
		return doc
	}
	o.src = b.bordered(o.src, o.copied)
	return doc + ", padded copy"
}

// bordered copies an image into one with a border.
func (b *builder) bordered(src *place, bd border) *place {
	dst := b.tempImage(src.buf.name+".padded", src.shape, bd)
	b.emit("Copy with border", []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.Copy{Src: src.img(), Dst: dst.img(), Channels: src.dims.c}
	})
	return dst
}

func (b *builder) lowerDense(n *ir.Node, d ir.Dense) error {
	w := n.Const(ir.Weights)
	if w == nil || !n.ConstOrAbsent(ir.Bias) || n.In[0].Type.DType != ir.Float32 || n.In[0].Type.Shape.Len() == 0 || n.Out[0].Type.Shape.Len() == 0 {
		return b.densePlain(n, d)
	}
	k, m := d.KM(w.Shape)
	doc := fmt.Sprintf("Dense %d→%d", k, m)
	if n.Input(ir.Bias) != nil {
		doc += ", bias"
	}
	doc += actDoc(d.Epilogue)
	src, rows := b.flattened(n.In[0])
	if src == nil {
		src = b.plain(n.In[0])
	} else {
		k = len(rows)
	}
	dst := b.newDense(n.Out[0])
	wref := b.floats32(w, b.packDense(w, d.TransW, rows))
	bias := b.channels(n.Const(ir.Bias), m)
	a := act(d.Epilogue)
	batch := n.Out[0].Type.Shape[0]
	b.emit(doc, []*place{src}, []*place{dst}, func() runtime.Kernel {
		x := src.ref()
		x.Len = batch * k
		return &runtime.Dense{X: x, Y: dst.ref(), W: wref, Bias: bias, N: batch, K: k, M: m, Act: a}
	})
	return nil
}

// flattened returns the image that x is a flattening of, when its memory can
// be read as the matrix itself, and for each of the matrix's columns the row
// of the weights that belongs to it, −1 for a padding channel.
func (b *builder) flattened(x *ir.Value) (*place, []int) {
	if x.Def() == nil {
		return nil, nil
	}
	if _, ok := x.Def().Op.(ir.Reshape); !ok {
		return nil, nil
	}
	v := x.Def().In[0]
	img := b.images[v]
	if img == nil || !img.contiguous() || img.dims.n != x.Type.Shape[0] {
		return nil, nil
	}
	d := img.dims
	rows := make([]int, 0, d.blocks()*16*d.h*d.w)
	for cb := range d.blocks() {
		for px := range d.h * d.w {
			for c := cb * 16; c < cb*16+16; c++ {
				if c < d.c {
					rows = append(rows, c*d.h*d.w+px)
				} else {
					rows = append(rows, -1)
				}
			}
		}
	}
	return img, rows
}
