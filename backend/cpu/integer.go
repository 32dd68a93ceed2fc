package cpu

import (
	"fmt"
	"math"

	"modelc/backend/cpu/pack"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/integer"
)

// Convolutions and dense layers on integers with packed weights. The zero point of x is
// folded into the bias, and the border of x holds it.

var bytesOnly = []ir.DType{ir.Uint8, ir.Int8}

// The rows of convolutions on images of bytes.
var (
	integerFirst = algorithm{
		name: "first", doc: "first layer", types: bytesOnly,
		why: "a pixel of at most 4 channels is one dword",
		refuses: func(o *conv) (why, note string) {
			if !o.few {
				return "its operand has blocks of 16 channels", ""
			}
			return "", ""
		},
		weights: func(b *builder, o *conv) kernel.Ref {
			oc, ic, kh, kw := shape4(o.w.Shape)
			parts := o.result.parts
			return b.bytes("first", o.w, pack.IntFirstLen(oc, kh, kw, parts), func() []byte {
				return packed(o.w, func(w []int8) []int8 { return pack.IntFirst(w, oc, ic, kh, kw, parts) }, func(w []int16) []int8 { return pack.IntFirst(w, oc, ic, kh, kw, parts) })
			})
		},
		kernel: integerKernel,
		pool:   integerPool,
	}
	integerDepthwise = algorithm{
		name: "depthwise", why: depthwise.why, types: bytesOnly,
		refuses: depthwise.refuses,
		weights: func(b *builder, o *conv) kernel.Ref {
			c, _, kh, kw := shape4(o.w.Shape)
			parts := o.result.parts
			return b.bytes("depthwise", o.w, pack.IntDepthwiseLen(c, kh, kw, parts), func() []byte {
				return packed(o.w, func(w []int8) []int8 { return pack.IntDepthwise(w, c, kh, kw, parts) }, func(w []int16) []int8 { return pack.IntDepthwise(w, c, kh, kw, parts) })
			})
		},
		kernel: func(o *conv, w kernel.Ref) kernel.Kernel {
			g := o.win
			return &integer.Depthwise{Src: o.src.img(), Dst: o.dst.img(), W: w, Parts: o.result.parts, KH: g.KH, KW: g.KW,
				SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW, PadTop: g.PadTop, PadLeft: g.PadLeft, Result: o.result.kernel()}
		},
	}
	integerGrouped = algorithm{
		name: "direct", why: grouped.why, types: bytesOnly,
		refuses: grouped.refuses,
		emit:    emitGrouped,
	}
	integerDirect = algorithm{
		name: "direct", kept: ", small", types: bytesOnly,
		refuses: direct.refuses,
		cost:    byteTiers.directTime,
		weights: integerWeights,
		kernel:  integerKernel,
		pool:    integerPool,
	}
	integerPointwise = algorithm{
		name: "pointwise", why: pointwise.why, types: bytesOnly,
		refuses: pointwise.refuses,
		weights: integerWeights,
		kernel:  integerKernel,
	}
	integerWinograd = algorithm{
		name: "winograd-integer", instead: direct.name, types: bytesOnly,
		refuses:  refusesIntegerWinograd,
		cost:     byteTiers.winogradTime,
		weights:  func(b *builder, o *conv) kernel.Ref { return integerWinogradWeights(b, o, integerWeights(b, o), false) },
		prepared: integerPrepared,
		kernel:   func(o *conv, w kernel.Ref) kernel.Kernel { return o.integerWinograd(w) },
		work: func(l *plan.Layer, k kernel.Kernel) plan.Work {
			return integerWinogradWork(l, k.(*integer.Winograd))
		},
	}
	integerByTier = algorithm{
		name: "direct", doc: "direct or Winograd by tier", kept: ", small", types: bytesOnly,
		refuses: func(o *conv) (why, note string) {
			if why, note := refusesIntegerWinograd(o); why != "" {
				return why, note
			}
			if wordTiers.winogradTime(o) > wordTiers.directTime(o) {
				return "direct convolution is faster on all tiers", ""
			}
			return "", ""
		},
		cost: byteTiers.directTime,
		emit: func(b *builder, o *conv, doc string) {
			bytes := integerWeights(b, o)
			words := integerWinogradWeights(b, o, bytes, true)
			b.emit(doc, o.reads(), []*place{o.dst}, func() kernel.Kernel {
				return &integer.ConvByTier{Bytes: *o.integerKernel(bytes), Words: *o.integerWinograd(words)}
			})
			b.steps[len(b.steps)-1].work = func(l *plan.Layer, k kernel.Kernel) plan.Work {
				if runtime.ByteRate() == runtime.WordRate() {
					return integerWinogradWork(l, &k.(*integer.ConvByTier).Words)
				}
				return plan.Work{WeightBytes: plan.ConstantBytes(l.Nodes)}
			}
		},
	}
)

// result has the operands of a convolution or dense layer on integers besides x and the
// weights.
type result struct {
	q                 ir.Integer
	act               ir.Act
	parts             int // bytes of a weight
	bias, sums, shift kernel.Ref
	multiplier, zero  *place // zero is nil unless the zero point of x is computed
	first, channels   int    // the range of output channels, all if channels is 0
	residual          *place // nil unless sum adds it to the result
	sum               integer.Binary
}

// integerResult stores the operands of n, whose weights w have m output channels first.
// xzero is the zero point of x as it is stored. multiplier and zero are the positions of
// the operands.
func (b *builder) integerResult(n *ir.Node, q ir.Integer, act ir.Act, w *ir.Tensor, m func() []int32, xzero, multiplier, zero int) *result {
	r := &result{q: q, act: act, parts: integerParts(w), multiplier: b.plain(n.Input(multiplier)), zero: b.plain(n.Input(zero))}
	count := n.Out[0].Type.Shape[1]
	r.sums = b.section("sums", w, count, ir.Int32.Size(), func() []byte { return runtime.BytesOf(m()) })
	bias := n.Const(ir.Bias)
	if q.To == ir.Float32 {
		if bias != nil {
			r.shift = b.tensor("bias", bias).ref()
		}
		bias = nil
	}
	if r.zero != nil {
		xzero = 0
	}
	key, form := w, fmt.Sprintf("zero %d", xzero)
	if bias != nil {
		key, form = bias, fmt.Sprintf("bias, zero %d of %s", xzero, plan.NodeName(n))
	}
	if bias != nil || xzero != 0 {
		r.bias = b.section(form, key, count, ir.Int32.Size(), func() []byte {
			var v []int32
			if bias != nil {
				v = ir.Elements[int32](bias)
			}
			folded, _ := pack.IntBias(v, m(), xzero) // sums are computed modulo 2³²
			return runtime.BytesOf(folded)
		})
	}
	return r
}

// kernel returns the operands as kernels read them. Offsets must be final.
func (r *result) kernel() integer.Result {
	k := integer.Result{Bias: r.part(r.bias), Sums: r.part(r.sums), XZero: r.zero.ref(), Multiplier: r.part(r.multiplier.ref()), Shift: r.part(r.shift)}
	if r.q.Requantises() {
		k.Zero, k.Lo, k.Hi = int16(stored(r.q.To, r.q.YZero)), uint8(stored(r.q.To, r.q.Lo)), uint8(stored(r.q.To, r.q.Hi))
	} else {
		k.Act = act(r.act)
	}
	if r.residual != nil {
		k.Sum = r.sum
		k.Sum.B = r.residual.img()
	}
	return k
}

// part returns the part of a per-channel operand for the channels of r.
func (r *result) part(v kernel.Ref) kernel.Ref {
	if r.channels > 0 && v.Len > 1 {
		v.Off += r.first * 4
		v.Len = r.channels
	}
	return v
}

// of returns the operands for channels [first,first+n).
func (r *result) of(first, n int) *result {
	q := *r
	q.first, q.channels = first, n
	return &q
}

// integerFits reports whether kernels with packed weights compute n, a convolution or
// dense layer on integers with result type q.To: its weights and bias are constants, and
// the results of all operands fit the arithmetic of the kernels. multiplier and zero are
// the positions of the operands.
func integerFits(n *ir.Node, q ir.Integer, multiplier, zero int, ranges func(zero int) []pack.IntRange) bool {
	x := n.In[0].Type
	if n.Const(ir.Weights) == nil || !n.ConstOrAbsent(ir.Bias) || x.Shape.Len() == 0 || n.Out[0].Type.Shape.Len() == 0 {
		return false
	}
	by := n.Const(multiplier)
	if q.Requantises() && by == nil {
		return false
	}
	if n.Input(zero) != nil && x.DType == ir.Int8 {
		return false // the kernels read bytes with 128 added, and the zero point as it is
	}
	var bounds []pack.IntRange
	if n.Input(zero) != nil {
		bounds = ranges(0)
		for i, r := range ranges(255) {
			bounds[i] = bounds[i].Join(r)
		}
	} else {
		bounds = ranges(stored(x.DType, q.XZero))
	}
	var bias []int32
	if t := n.Const(ir.Bias); t != nil && q.To != ir.Float32 {
		bias = ir.Elements[int32](t)
	}
	for i, r := range bounds {
		if bias != nil {
			r = r.Add(int64(bias[i]))
		}
		if !r.FitsInt32() {
			return false
		}
		if q.Requantises() {
			if v := by.Float32s(); !r.Requantizes(v[i%len(v)]) {
				return false
			}
		}
	}
	return true
}

// integerParts returns the number of bytes of the weights w.
func integerParts(w *ir.Tensor) int {
	if w.DType == ir.Int8 {
		return 1
	}
	return pack.IntParts(ir.Elements[int16](w))
}

// packed returns the bytes of weights of either type in the form that f8 or f16 gives
// them.
func packed(w *ir.Tensor, f8 func([]int8) []int8, f16 func([]int16) []int8) []byte {
	if w.DType == ir.Int8 {
		return runtime.BytesOf(f8(ir.Elements[int8](w)))
	}
	return runtime.BytesOf(f16(ir.Elements[int16](w)))
}

// integerSums returns Σw of each output channel of w [M,…].
func integerSums(w *ir.Tensor) []int32 {
	if w.DType == ir.Int8 {
		return pack.IntSums(ir.Elements[int8](w), w.Shape[0])
	}
	return pack.IntSums(ir.Elements[int16](w), w.Shape[0])
}

// integerRanges returns the bounds of the sums of each output channel of w [M,…].
func integerRanges(w *ir.Tensor, zero int) []pack.IntRange {
	if w.DType == ir.Int8 {
		return pack.IntRanges(ir.Elements[int8](w), w.Shape[0], zero)
	}
	return pack.IntRanges(ir.Elements[int16](w), w.Shape[0], zero)
}

// convOnIntegers reports whether kernels with packed weights compute n. They add a residual
// without groups, and if the sums before they are rounded fit 32 bits.
func convOnIntegers(n *ir.Node, c ir.Conv) bool {
	if n.Input(ir.ConvResidual) != nil && (c.Groups > 1 || 255*(c.Sum.AScale+c.Sum.BScale) >= math.MaxInt32) {
		return false
	}
	return integerFits(n, c.Integer, ir.ConvMultiplier, ir.ConvXZero, func(zero int) []pack.IntRange { return integerRanges(n.Const(ir.Weights), zero) })
}

// bytes stores weights as bytes.
func (w *weights) bytes(form string, t *ir.Tensor, n int, pack func() []byte) kernel.Ref {
	return w.section("integer "+form, t, n, 1, pack)
}

// integerWeights stores weights in blocks of 32 output and 16 input channels.
func integerWeights(b *builder, o *conv) kernel.Ref {
	oc, ic, kh, kw := shape4(o.w.Shape)
	parts := o.result.parts
	return b.bytes("conv", o.w, pack.IntConvLen(oc, ic, kh, kw, parts), func() []byte {
		return packed(o.w, func(w []int8) []int8 { return pack.IntConv(w, oc, ic, kh, kw, parts) }, func(w []int16) []int8 { return pack.IntConv(w, oc, ic, kh, kw, parts) })
	})
}

// integerGroups is packGrouped for integers.
func (b *builder) integerGroups(t *ir.Tensor, groups, first, n, convs, parts int) kernel.Ref {
	m, cg, kh, kw := shape4(t.Shape)
	mg := m / groups
	oc, ic := n/convs*mg, n/convs*cg
	form := fmt.Sprintf("groups %d+%d of %d, %d parts", first, n, groups, convs)
	return b.bytes(form, t, convs*pack.IntConvLen(oc, ic, kh, kw, parts), func() []byte {
		return packed(t,
			func(w []int8) []int8 { return groupsOf(w[first*mg*cg*kh*kw:], convs, oc, mg, ic, cg, kh, kw, parts) },
			func(w []int16) []int8 { return groupsOf(w[first*mg*cg*kh*kw:], convs, oc, mg, ic, cg, kh, kw, parts) })
	})
}

// groupsOf packs the weights of convolutions that merge groups with mg output and cg input
// channels each.
func groupsOf[T pack.Integer](src []T, convs, oc, mg, ic, cg, kh, kw, parts int) (all []int8) {
	for i := range convs {
		all = append(all, pack.IntConv(merged(src, i, oc, mg, ic, cg, kh*kw), oc, ic, kh, kw, parts)...)
	}
	return all
}

func integerKernel(o *conv, w kernel.Ref) kernel.Kernel { return o.integerKernel(w) }

func (o *conv) integerKernel(w kernel.Ref) *integer.Conv {
	g := o.win
	return &integer.Conv{Src: o.src.img(), Dst: o.dst.img(), W: w, Parts: o.result.parts, KH: g.KH, KW: g.KW, SH: g.SH, SW: g.SW, DH: g.DH, DW: g.DW,
		Groups: o.groups, PadTop: g.PadTop, PadLeft: g.PadLeft, Result: o.result.kernel()}
}

// integerPool returns the constructor of a kernel that also computes the pool after a
// convolution whose result is bytes, as in ResNet and SqueezeNet.
func integerPool(b *builder, o *conv, w kernel.Ref, pool *ir.Node) (string, func(dst *place) kernel.Kernel) {
	if !o.result.q.Requantises() || o.hasResidual() {
		return "", nil
	}
	p := pool.Op.(ir.Pool)
	_, doc := b.poolKernel(pool, p)
	return "; " + doc, func(dst *place) kernel.Kernel {
		return &integer.ConvPool{Conv: *o.integerKernel(w), Window: byteWindow(p), Dst: dst.img()}
	}
}

// refusesIntegerWinograd: the products are exact if the sums have 26 bits for every input.
func refusesIntegerWinograd(o *conv) (why, note string) {
	g := o.win
	switch {
	case o.op.Groups > 1 || g.KH != 3 || g.KW != 3 || g.SH*g.SW*g.DH*g.DW != 1:
		return "Winograd on integers needs a kernel of 3×3, stride 1 and one group", ""
	case g.Crops():
		return "it crops its operand", ", crops"
	case integerParts(o.w) > 1:
		return "Winograd on integers needs weights of 8 bits", ", 16-bit weights"
	}
	for _, r := range integerRanges(o.w, 0) {
		if !r.FitsWinograd() {
			return "the sums of a channel may have more than 26 bits", ", large sums"
		}
	}
	return "", ""
}

// integerWinogradWeights returns the transformed weights of Winograd. They replace the
// stored ones unless they are only for some tiers.
func integerWinogradWeights(b *builder, o *conv, stored kernel.Ref, byTier bool) kernel.Ref {
	w, replaces, doc := o.w, stored.Len, "Winograd weights of 16 bits"
	if byTier {
		replaces, doc = 0, doc+", by tier"
	}
	return b.prepare(pack.IntWinogradLen(w.Shape[0], w.Shape[1]), 2, replaces, doc, stored, func(dst kernel.Ref) kernel.Kernel {
		return &integer.WinogradWeights{IC: w.Shape[1], OC: w.Shape[0], W: stored, Dst: dst, ByTier: byTier}
	})
}

func integerPrepared(w ir.Shape) int { return pack.IntWinogradLen(w[0], w[1]) / 2 }

func (o *conv) integerWinograd(w kernel.Ref) *integer.Winograd {
	tiles, blocks := integerBlocking(o)
	return &integer.Winograd{Src: o.src.img(), Dst: o.dst.img(), W: w, PadTop: o.win.PadTop, PadLeft: o.win.PadLeft,
		Tiles: tiles, OutBlocks: blocks, Result: o.result.kernel()}
}

func integerWinogradWork(l *plan.Layer, k *integer.Winograd) plan.Work {
	ops := float64(l.FLOPs) / 4 * runtime.ByteRate() / runtime.WordRate()
	return plan.Work{Ops: ops, WeightBytes: float64(k.W.Len * 2)}
}

// integerRates are the rates of the convolutions on integers, in multiply-adds per
// nanosecond: of direct convolution, and of the products of words of Winograd.
type integerRates struct{ direct, products float64 }

// The rates were measured on one core with a peak of 467 GOP/s with VNNI, and of 189
// without. Tiers without dot products of bytes multiply words in both algorithms.
var (
	byteTiers = integerRates{230, 115}
	wordTiers = integerRates{85, 94}
)

// Times that all tiers share.
const (
	byteStreamPerNs = 28.0 // bytes of weights read from memory, while tiles are computed
	byteTransformNs = 3.0  // transform of one channel of a tile, of the input or output
	byteTileNs      = 18.0 // overhead of a register tile
)

// directTime returns the time of direct convolution in nanoseconds.
func (r integerRates) directTime(o *conv) float64 {
	d, taps := o.out, o.win.Taps()
	macs := float64(d.n*d.h*d.w) * float64(alignTo(o.in.c, 8)*alignTo(d.c, 16)*taps)
	return max(macs/r.direct/tileEfficiency(d.h*d.w), float64(d.c*o.in.c*taps)/byteStreamPerNs) + tilesTime(d.n*d.h*d.w, d.c)
}

// winogradTime returns the time of Winograd in nanoseconds.
func (r integerRates) winogradTime(o *conv) float64 {
	d := o.out
	tiles := d.n * ((d.h + 3) / 4) * ((d.w + 3) / 4)
	ic, oc := alignTo(o.in.c, 16), alignTo(d.c, 16)
	macs := float64(tiles*36) * float64(alignTo(o.in.c, 8)*oc)
	return max(macs/r.products/tileEfficiency(tiles), float64(2*36*ic*oc)/byteStreamPerNs) + 36*tilesTime(tiles, oc) + float64(tiles*(ic+oc))*byteTransformNs
}

// tilesTime returns the overhead of the register tiles of n pixels and oc output channels.
func tilesTime(n, oc int) float64 {
	return float64((n+tilePixels-1)/tilePixels*(alignTo(oc, 32)/32)) * byteTileNs
}

// integerBlocking returns the number of tiles that are transformed together, and the
// number of blocks of 32 output channels that are multiplied before their output
// transform. The transformed input takes at most half of L2.
func integerBlocking(o *conv) (tiles, outBlocks int) {
	const l2 = 1 << 19
	all := (o.out.h + 3) / 4 * ((o.out.w + 3) / 4)
	ic := alignTo(o.in.c, 16)
	tiles = max(2*tilePixels, l2/(36*2*ic)/tilePixels*tilePixels)
	blocks := (all + tiles - 1) / tiles
	tiles = (all + blocks - 1) / blocks
	outBlocks = 1
	for outBlocks < 4 && outBlocks*2 <= alignTo(o.out.c, 32)/32 && 36*4*tiles*outBlocks*64 < l2/2 {
		outBlocks *= 2
	}
	return tiles, outBlocks
}

// denseIntegerPacked lowers a dense layer on integers to the kernel with packed weights,
// and reports whether it did.
func (b *builder) denseIntegerPacked(n *ir.Node, d ir.Dense) bool {
	if !denseOnIntegers(n, d) {
		return false
	}
	w, x := n.Const(ir.Weights), n.In[0]
	k, m := d.KM(w.Shape)
	src, rows := b.flattened(x)
	signed := false
	zero := stored(x.Type.DType, d.Integer.XZero)
	doc := fmt.Sprintf("Dense %d→%d", k, m)
	if src == nil {
		src, signed = b.plain(x), x.Type.DType == ir.Int8
	} else {
		k = len(rows)
	}
	r := b.integerResult(n, d.Integer, d.Epilogue, w, func() []int32 { return integerSums(outputsFirst(w, d)) }, zero, ir.DenseMultiplier, ir.DenseXZero)
	form := fmt.Sprintf("dense %v %d", d.TransW, len(rows))
	if rows != nil {
		form += fmt.Sprint(" ", rows[:min(len(rows), 33)])
	}
	ref := b.bytes(form, w, pack.IntDenseLen(k, m, r.parts), func() []byte {
		return packed(w, func(w []int8) []int8 { return pack.IntDense(w, k, m, d.TransW, rows, r.parts) },
			func(w []int16) []int8 { return pack.IntDense(w, k, m, d.TransW, rows, r.parts) })
	})
	dst := b.newDense(n.Out[0])
	to := map[ir.DType]integer.Output{ir.Uint8: integer.Bytes, ir.Int8: integer.SignedBytes, ir.Float32: integer.Floats, ir.Int32: integer.Integers}[d.Integer.To]
	if n.Input(ir.Bias) != nil {
		doc += ", bias"
	}
	b.emit(doc+plan.ActDoc(d.Epilogue)+resultDoc(x.Type.DType, d.Integer), []*place{src, r.multiplier, r.zero}, []*place{dst}, func() kernel.Kernel {
		in := src.ref()
		in.Len = x.Type.Shape[0] * k
		return &integer.Dense{X: in, Signed: signed, Y: dst.ref(), To: to, W: ref, Parts: r.parts, N: x.Type.Shape[0], K: k, M: m, Result: r.kernel()}
	})
	return true
}

// denseOnIntegers reports whether the kernel with packed weights computes n.
func denseOnIntegers(n *ir.Node, d ir.Dense) bool {
	return !d.Integer.IsZero() && integerFits(n, d.Integer, ir.DenseMultiplier, ir.DenseXZero, func(zero int) []pack.IntRange {
		return integerRanges(outputsFirst(n.Const(ir.Weights), d), zero)
	})
}

// outputsFirst returns the weights of a dense layer as [M,K].
func outputsFirst(w *ir.Tensor, d ir.Dense) *ir.Tensor {
	if d.TransW {
		return w
	}
	k, m, size := w.Shape[0], w.Shape[1], w.DType.Size()
	t := ir.NewTensor(ir.T(w.DType, m, k))
	from, to := w.Bytes(), t.Bytes()
	for i := range k {
		for j := range m {
			copy(to[(j*k+i)*size:][:size], from[(i*m+j)*size:])
		}
	}
	return t
}

// resultDoc describes the types of a step on integers.
func resultDoc(x ir.DType, q ir.Integer) string {
	if x == q.To {
		return ", " + x.String()
	}
	return fmt.Sprintf(", %s to %s", x, q.To)
}
