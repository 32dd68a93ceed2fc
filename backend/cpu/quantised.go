package cpu

import (
	"fmt"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/integer"
	"modelc/runtime/kernel/plain"
)

// quantisedLowerings has the rows of ops on quantised tensors. Conv and Dense on integers
// have the rows of those ops.
var quantisedLowerings = map[string]lowering{
	"Quantize":        {quantizeRules, do((*builder).quantizeImage), do((*builder).quantizePlain)},
	"Dequantize":      {dequantizeRules, do((*builder).dequantizeImage), do((*builder).dequantizePlain)},
	"DynamicQuantize": {dynamicQuantizeRules, do((*builder).dynamicQuantizeImage), do((*builder).dynamicQuantizePlain)},
	"Lookup":          {lookupRules, do((*builder).lookupImage), do((*builder).lookupPlain)},
	"QBinary":         {qBinaryRules, do((*builder).qBinaryImage), do((*builder).qBinaryPlain)},
	"QAveragePool":    {qAveragePoolRules, do((*builder).qAveragePoolImage), do((*builder).qAveragePoolPlain)},
}

// The rows of ops on images of bytes.
var (
	quantizeRules = rules{
		fits: func(l *layout, n *ir.Node) bool {
			return isByte(n.Out[0].Type.DType) && oneScale(n) && (l.image[n.In[0]] || readByConvolution(n.Out[0]))
		},
	}
	dequantizeRules = rules{
		types: bytesOnly,
		fits: func(l *layout, n *ir.Node) bool {
			return l.image[n.In[0]] && n.Out[0].Type.DType == ir.Float32 && oneScale(n)
		},
		view: func(l *layout, n *ir.Node) bool { return l.staysInBytes(n) },
	}
	dynamicQuantizeRules = rules{
		fits: func(l *layout, n *ir.Node) bool { return l.image[n.In[0]] || readByConvolution(n.Out[0]) },
	}
	lookupRules = rules{
		types: bytesOnly,
		fits: func(l *layout, n *ir.Node) bool {
			return l.image[n.In[0]] && isByte(n.Out[0].Type.DType) && n.Const(ir.LookupTable) != nil
		},
	}
	qBinaryRules = rules{
		types: bytesOnly,
		fits: func(l *layout, n *ir.Node) bool {
			x, y := n.In[0], n.In[1]
			return x.Const == nil && y.Const == nil && (l.image[x] || l.image[y]) && binaryOnImages(l, n, true)
		},
	}
	qAveragePoolRules = rules{
		types: bytesOnly,
		fits:  always,
	}
)

// oneScale reports whether the scale and zero point of n, a Quantize or Dequantize, are
// single constants.
func oneScale(n *ir.Node) bool {
	s, z := n.Const(ir.QuantizeScale), n.Const(ir.QuantizeZero)
	return s != nil && s.Shape.Len() == 1 && n.ConstOrAbsent(ir.QuantizeZero) && (z == nil || z.Shape.Len() == 1)
}

// readByConvolution reports whether a convolution reads v.
func readByConvolution(v *ir.Value) bool {
	for _, u := range v.Uses() {
		if u.Node != nil {
			if _, ok := u.Node.Op.(ir.Conv); ok && u.Index == 0 {
				return true
			}
		}
	}
	return false
}

// scaleOf returns the scale of n, for which oneScale holds, and its zero point as it is
// stored.
func scaleOf(n *ir.Node, d ir.DType) (scale float32, zero int) {
	if z := n.Const(ir.QuantizeZero); z != nil {
		zero = int(z.Int64s()[0])
	}
	return n.Const(ir.QuantizeScale).Float32s()[0], stored(d, zero)
}

// floatsOf returns the place of v as an image, or dense if it is no image.
func (b *builder) floatsOf(v *ir.Value) *place {
	if p := b.images[v]; p != nil {
		return p
	}
	if v.Const != nil {
		return b.constant(v)
	}
	return b.dense[v]
}

// floatOperand returns the operand of a kernel that reads an image or a dense tensor.
// Offsets must be final.
func floatOperand(p *place) (img kernel.Image, dense kernel.Ref, nhwc bool) {
	if p.image {
		return p.img(), kernel.Ref{}, false
	}
	return kernel.Image{}, p.ref(), p.nhwc
}

// A chain is arithmetic per channel on floats that starts and ends with bytes, as the batch
// normalisations of DenseNet in a quantised network. One step computes it.
type chain struct {
	nodes []*ir.Node
	src   *place
	k     integer.Affine // without images
}

// staysInBytes reports whether n, a Dequantize, starts a chain.
func (l *layout) staysInBytes(n *ir.Node) bool {
	if l.few[n.In[0]] {
		return false
	}
	affine, clamp := false, false
	for v := n.Out[0]; ; {
		r := v.OnlyUse()
		if r == nil || !l.node[r] || r.In[0] != v || l.Shares(v) {
			return false
		}
		var fn ir.Act
		switch op := r.Op.(type) {
		case ir.Affine:
			fn = op.Epilogue
		case ir.BatchNorm:
		case ir.Unary:
			fn = op.Fn
		case ir.Quantize:
			return !l.few[r.Out[0]]
		default:
			return false
		}
		_, isUnary := r.Op.(ir.Unary)
		if _, _, ok := act(fn).Clamp(); !ok || clamp || !isUnary && affine {
			return false
		}
		affine, clamp = affine || !isUnary, !fn.IsIdentity()
		v = r.Out[0]
	}
}

// extend adds n to the chain that computes its operand, and reports whether there is one.
func (b *builder) extend(n *ir.Node, scale, shift kernel.Ref, a kernel.Act) bool {
	c := b.chains[n.In[0]]
	if c == nil {
		return false
	}
	c.nodes = append(c.nodes, n)
	if scale.Present() || shift.Present() {
		c.k.Scale, c.k.Shift = scale, shift
	}
	if a.Fn != kernel.ActIdentity {
		c.k.Act = a
	}
	b.chains[n.Out[0]] = c
	return true
}

// endChain emits the step of the chain that computes the operand of n, a Quantize, and
// reports whether there is one.
func (b *builder) endChain(n *ir.Node, q ir.Quantize) bool {
	c := b.chains[n.In[0]]
	if c == nil {
		return false
	}
	k := c.k
	k.YScale, k.YZero = scaleOf(n, q.To)
	dst := b.newImage(n.Out[0])
	doc := "Dequantize"
	for _, n := range c.nodes[1:] {
		doc += ", " + n.Op.Name()
	}
	clamp := plan.ActDoc(ir.Act{Fn: ir.Fn(k.Act.Fn), Alpha: float64(k.Act.Alpha), Beta: float64(k.Act.Beta)})
	b.emit(fmt.Sprintf("%s%s, quantize to %s", doc, clamp, q.To), []*place{c.src}, []*place{dst}, func() kernel.Kernel {
		k := k
		k.Src, k.Dst = c.src.img(), dst.img()
		return &k
	})
	for _, n := range slices.Backward(c.nodes) {
		b.Include(n)
	}
	return true
}

func (b *builder) quantizeImage(n *ir.Node, q ir.Quantize) error {
	if b.endChain(n, q) {
		return nil
	}
	src, dst := b.floatsOf(n.In[0]), b.newImage(n.Out[0])
	scale, zero := scaleOf(n, q.To)
	b.emit("Quantize to "+q.To.String(), []*place{src}, []*place{dst}, func() kernel.Kernel {
		k := &integer.Quantize{Dst: dst.img(), Scale: scale, Zero: zero}
		k.Image, k.Src, k.NHWC = floatOperand(src)
		return k
	})
	return nil
}

func (b *builder) dequantizeImage(n *ir.Node, _ ir.Dequantize) error {
	src := b.asImage(n.In[0])
	scale, zero := scaleOf(n, src.DType)
	if b.staysInBytes(n) && !b.cfg.Exact {
		b.chains[n.Out[0]] = &chain{[]*ir.Node{n}, src, integer.Affine{XScale: scale, XZero: zero}}
		return nil
	}
	dst := b.newImage(n.Out[0])
	b.emit("Dequantize "+src.DType.String(), []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &integer.Dequantize{Src: src.img(), Image: dst.img(), Scale: scale, Zero: zero}
	})
	return nil
}

func (b *builder) dynamicQuantizeImage(n *ir.Node, _ ir.DynamicQuantize) error {
	src, scale, zero := b.floatsOf(n.In[0]), b.newDense(n.Out[1]), b.newDense(n.Out[2])
	dst := b.newImage(n.Out[0])
	b.emit("Quantize to u8, with the range of x", []*place{src}, []*place{scale, zero, dst}, func() kernel.Kernel {
		k := &integer.DynamicQuantize{Dst: dst.img(), Scale: scale.ref(), Zero: zero.ref()}
		k.Image, k.Src, k.NHWC = floatOperand(src)
		return k
	})
	return nil
}

func (b *builder) lookupImage(n *ir.Node, _ ir.Lookup) error {
	src := b.asImage(n.In[0])
	t := n.Const(ir.LookupTable)
	table := b.bytes("table", t, 256, func() []byte {
		bit := flip(t.DType)
		list := slices.Clone(t.Bytes())
		for i := range list {
			list[i] ^= bit
		}
		return list
	})
	dst := b.elementwise(n, src)
	b.emit("Table", []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &integer.Lookup{Src: src.img(), Dst: dst.img(), Table: table}
	})
	return nil
}

// binaryBytes returns the kernel of q for operands of types x and y, without images.
func binaryBytes(q ir.QBinary, x, y ir.DType) integer.Binary {
	return integer.Binary{Fn: kernel.BinaryFn(q.Fn), AScale: float32(q.AScale), BScale: float32(q.BScale),
		AZero: stored(x, q.AZero), BZero: stored(y, q.BZero), Zero: stored(q.To, q.YZero), Lo: stored(q.To, q.Lo), Hi: stored(q.To, q.Hi)}
}

func (b *builder) qBinaryImage(n *ir.Node, q ir.QBinary) error {
	x, y := n.In[0], n.In[1]
	k := binaryBytes(q, x.Type.DType, y.Type.DType)
	if !x.Type.Shape.Equal(n.Out[0].Type.Shape) {
		x, y = y, x
		k.AZero, k.BZero = k.BZero, k.AZero
		if q.Fn == ir.Add {
			k.AScale, k.BScale = k.BScale, k.AScale
		}
	}
	src, second := b.asImage(x), b.asImage(y)
	var dst *place
	switch {
	case x == y:
		dst = b.newImage(n.Out[0])
	case b.CanOverwrite(n, x) || !y.Type.Shape.Equal(x.Type.Shape):
		dst = b.overwrite(n, x, src)
	default:
		dst = b.overwrite(n, y, second)
	}
	b.emit(q.Fn.String()+" of "+q.To.String(), []*place{src, second}, []*place{dst}, func() kernel.Kernel {
		k := k
		k.A, k.B, k.Dst = src.img(), second.img(), dst.img()
		return &k
	})
	return nil
}

func (b *builder) qAveragePoolImage(n *ir.Node, q ir.QAveragePool) error {
	src := b.asImage(n.In[0])
	dst := b.newImage(n.Out[0])
	k := integer.AveragePool{Window: byteWindow(q.Pool()), CountPad: q.CountPad, XScale: float32(q.XScale), YScale: float32(q.YScale),
		XZero: stored(src.DType, q.XZero), YZero: stored(q.To, q.YZero)}
	ends := q.Pads[len(q.Kernel):]
	if len(ends) == 2 {
		k.PadBottom = ends[0]
	}
	k.PadRight = ends[len(ends)-1]
	b.emit(plan.PoolDoc(q.Pool())+" of "+q.To.String(), []*place{src}, []*place{dst}, func() kernel.Kernel {
		k := k
		k.Src, k.Dst = src.img(), dst.img()
		return &k
	})
	b.Last().Padding = clipped(leaves(n, q.Pool()))
	return nil
}

// scaled are the operands of a Quantize or Dequantize.
type scaled struct {
	x, scale, zero, dst *place
	shape               []int
	strides             [][]int // of scale and zero
}

// scaledOperands returns the operands of n, a Quantize or Dequantize.
func (b *builder) scaledOperands(n *ir.Node) scaled {
	s := scaled{x: b.plain(n.In[0]), scale: b.plain(n.In[ir.QuantizeScale]), zero: b.plain(n.Input(ir.QuantizeZero)), dst: b.newDense(n.Out[0])}
	zeroShape := ir.Shape{}
	if s.zero != nil {
		zeroShape = s.zero.Shape
	}
	s.shape, s.strides = plan.Collapse(s.x.Shape, plan.BroadcastStrides(s.scale.Shape, s.x.Shape), plan.BroadcastStrides(zeroShape, s.x.Shape))
	return s
}

func (b *builder) quantizePlain(n *ir.Node, q ir.Quantize) error {
	s := b.scaledOperands(n)
	m, ok := elements[s.x.DType].(quantizer)
	if !ok {
		return unsupportedType(s.x.DType)
	}
	b.emitPlain("Quantize to "+q.To.String(), []*place{s.x, s.scale, s.zero}, []*place{s.dst}, func() kernel.Kernel { return m.quantize(s) })
	return nil
}

type quantizer interface{ quantize(s scaled) kernel.Kernel }

func (floating[T]) quantize(s scaled) kernel.Kernel {
	switch s.dst.DType {
	case ir.Int8:
		return quantizeTo[T, int8](s)
	case ir.Int16:
		return quantizeTo[T, int16](s)
	case ir.Uint16:
		return quantizeTo[T, uint16](s)
	}
	return quantizeTo[T, uint8](s)
}

func quantizeTo[F, Q kernel.Number](s scaled) kernel.Kernel {
	lo, hi := s.dst.DType.Range()
	return &plain.Quantize[F, Q]{Src: s.x.ref(), Scale: s.scale.ref(), Zero: s.zero.ref(), Dst: s.dst.ref(),
		Shape: s.shape, ScaleStride: s.strides[0], ZeroStride: s.strides[1], Lo: lo, Hi: hi}
}

func (b *builder) dequantizePlain(n *ir.Node, _ ir.Dequantize) error {
	s := b.scaledOperands(n)
	m, ok := elements[s.dst.DType].(dequantizer)
	if !ok {
		return unsupportedType(s.dst.DType)
	}
	b.emitPlain("Dequantize "+s.x.DType.String(), []*place{s.x, s.scale, s.zero}, []*place{s.dst}, func() kernel.Kernel { return m.dequantize(s) })
	return nil
}

type dequantizer interface{ dequantize(s scaled) kernel.Kernel }

func (floating[T]) dequantize(s scaled) kernel.Kernel {
	switch s.x.DType {
	case ir.Int8:
		return dequantizeFrom[int8, T](s)
	case ir.Int16:
		return dequantizeFrom[int16, T](s)
	case ir.Int32:
		return dequantizeFrom[int32, T](s)
	case ir.Uint16:
		return dequantizeFrom[uint16, T](s)
	case ir.Uint32:
		return dequantizeFrom[uint32, T](s)
	}
	return dequantizeFrom[uint8, T](s)
}

func dequantizeFrom[Q, F kernel.Number](s scaled) kernel.Kernel {
	return &plain.Dequantize[Q, F]{Src: s.x.ref(), Scale: s.scale.ref(), Zero: s.zero.ref(), Dst: s.dst.ref(),
		Shape: s.shape, ScaleStride: s.strides[0], ZeroStride: s.strides[1]}
}

func (b *builder) dynamicQuantizePlain(n *ir.Node, _ ir.DynamicQuantize) error {
	x := b.plain(n.In[0])
	y, scale, zero := b.newDense(n.Out[0]), b.newDense(n.Out[1]), b.newDense(n.Out[2])
	b.emitPlain("Quantize to u8, with the range of x", []*place{x}, []*place{y, scale, zero}, func() kernel.Kernel {
		return &plain.DynamicQuantize{Src: x.ref(), Dst: y.ref(), Scale: scale.ref(), Zero: zero.ref()}
	})
	return nil
}

func (b *builder) lookupPlain(n *ir.Node, _ ir.Lookup) error {
	x, table := b.plain(n.In[0]), b.plain(n.In[ir.LookupTable])
	dst := b.newDense(n.Out[0])
	b.emitPlain("Table", []*place{x, table}, []*place{dst}, func() kernel.Kernel { return ofSize[lookuper](dst).lookup(x, table, dst) })
	return nil
}

type lookuper interface {
	lookup(x, table, dst *place) kernel.Kernel
}

func (number[T]) lookup(x, table, dst *place) kernel.Kernel {
	return &plain.Lookup[T]{Src: x.ref(), Table: table.ref(), Dst: dst.ref(), Flip: flip(x.DType)}
}

func (b *builder) qBinaryPlain(n *ir.Node, q ir.QBinary) error {
	x, y := b.plain(n.In[0]), b.plain(n.In[1])
	b.qBinaryStep(q, x, y, b.newDense(n.Out[0]))
	return nil
}

// qBinaryStep emits q on dense tensors.
func (b *builder) qBinaryStep(q ir.QBinary, x, y, dst *place) {
	o := broadcast(x, y, dst)
	c := binaryBytes(q, x.DType, y.DType)
	k := plain.QBinary{Mul: q.Fn == ir.Mul, Shape: o.shape, AStride: o.as, BStride: o.bs, AScale: c.AScale, BScale: c.BScale,
		AZero: c.AZero, BZero: c.BZero, YZero: c.Zero, Lo: c.Lo, Hi: c.Hi, AFlip: flip(x.DType), BFlip: flip(y.DType), Flip: flip(q.To)}
	b.emitPlain(q.Fn.String()+" of "+q.To.String(), []*place{x, y}, []*place{dst}, func() kernel.Kernel {
		k := k
		k.A, k.B, k.Dst = x.ref(), y.ref(), dst.ref()
		return &k
	})
}

func (b *builder) qAveragePoolPlain(n *ir.Node, q ir.QAveragePool) error {
	x := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	r := len(x.Shape) - 2
	k := plain.QAveragePool{N: x.Shape[0], C: x.Shape[1], In: x.Shape[2:], Out: dst.Shape[2:], Kernel: q.Kernel,
		Strides: q.Strides, Pads: q.Pads[:r], EndPads: q.Pads[r:], Dilations: q.Dilations, CountPad: q.CountPad,
		XScale: float32(q.XScale), YScale: float32(q.YScale), XZero: stored(x.DType, q.XZero), YZero: stored(q.To, q.YZero),
		XFlip: flip(x.DType), YFlip: flip(q.To)}
	b.emitPlain(plan.PoolDoc(q.Pool())+" of "+q.To.String(), []*place{x}, []*place{dst}, func() kernel.Kernel {
		k := k
		k.Src, k.Dst = x.ref(), dst.ref()
		return &k
	})
	b.Last().Padding = clipped(leaves(n, q.Pool()))
	return nil
}

// sums are the operands of a convolution or dense layer on integers. The extents are those
// of a convolution, which has a window of one element in a dense layer.
type sums struct {
	x, w, bias, multiplier, zero, dst *place
	q                                 ir.Integer
	conv                              ir.Conv
	in, out, kernel                   []int
	act                               ir.Act
}

func (b *builder) convInteger(n *ir.Node, c ir.Conv) error {
	s := sums{x: b.plain(n.In[0]), w: b.plain(n.In[ir.Weights]), bias: b.plain(n.Input(ir.Bias)),
		multiplier: b.plain(n.Input(ir.ConvMultiplier)), zero: b.plain(n.Input(ir.ConvXZero)),
		q: c.Integer, conv: c, act: c.Epilogue}
	residual := b.plain(n.Input(ir.ConvResidual))
	if t := n.Out[0].Type; residual != nil {
		s.dst = b.temp(n.Out[0].Name+".conv", ir.Type{DType: c.Integer.To, Shape: t.Shape})
	} else {
		s.dst = b.newDense(n.Out[0])
	}
	s.in, s.out, s.kernel = s.x.Shape[2:], s.dst.Shape[2:], s.w.Shape[2:]
	if err := b.integerStep(fmt.Sprintf("Conv %s %d→%d at %s of integers%s: plain loops", plan.Extents(s.kernel...), s.x.Shape[1], s.w.Shape[0], plan.Extents(s.out...), plan.FusedDoc(n, c)), s); err != nil {
		return err
	}
	b.Last().Padding = clipped(plan.Leaves(s.in, s.out, s.kernel, c.Strides, c.Dilations, c.Pads))
	if residual != nil {
		b.qBinaryStep(c.Sum, s.dst, residual, b.newDense(n.Out[0]))
	}
	return nil
}

func (b *builder) denseInteger(n *ir.Node, d ir.Dense) error {
	if b.denseIntegerPacked(n, d) {
		return nil
	}
	w := b.plain(n.In[ir.Weights])
	switch t := n.Const(ir.Weights); {
	case d.TransW:
	case t != nil:
		w = b.transposedConstant(t)
	default:
		w = b.transposed(n, w)
	}
	s := sums{x: b.plain(n.In[0]), w: w, bias: b.plain(n.Input(ir.Bias)),
		multiplier: b.plain(n.Input(ir.DenseMultiplier)), zero: b.plain(n.Input(ir.DenseXZero)), dst: b.newDense(n.Out[0]),
		q: d.Integer, conv: ir.Conv{Strides: []int{1}, Pads: []int{0, 0}, Dilations: []int{1}, Groups: 1},
		in: []int{1}, out: []int{1}, kernel: []int{1}, act: d.Epilogue}
	return b.integerStep(fmt.Sprintf("Dense %d→%d of integers%s", s.x.Shape[1], w.Shape[0], plan.ActDoc(d.Epilogue)), s)
}

// transposedConstant stores the transposition of a constant matrix.
func (b *builder) transposedConstant(t *ir.Tensor) *place {
	k, m, size := t.Shape[0], t.Shape[1], t.DType.Size()
	r := b.section("transposed", t, k*m, size, func() []byte {
		from, to := t.Bytes(), make([]byte, 0, k*m*size)
		for j := range m {
			for i := range k {
				to = append(to, from[(i*m+j)*size:][:size]...)
			}
		}
		return to
	})
	typ := ir.T(t.DType, m, k)
	return &place{Tensor: plan.Tensor{Buffer: fixed("weights", r.Space, r.Off, typ.Bytes()), Type: typ}}
}

// integerStep emits the convolution s.
func (b *builder) integerStep(doc string, s sums) error {
	b.emitPlain(doc, []*place{s.x, s.w, s.bias, s.multiplier, s.zero}, []*place{s.dst}, func() kernel.Kernel {
		if s.w.DType == ir.Int8 {
			return sumsOf[int8](s)
		}
		return sumsOf[int16](s)
	})
	return nil
}

func sumsOf[W kernel.Number](s sums) kernel.Kernel {
	switch s.q.To {
	case ir.Int32:
		return sumsTo[W, int32](s)
	case ir.Float32:
		return sumsTo[W, float32](s)
	}
	return sumsTo[W, uint8](s)
}

func sumsTo[W, R kernel.Number](s sums) kernel.Kernel {
	q, r := s.q, len(s.in)
	k := &plain.ConvInteger[W, R]{XFlip: flip(s.x.DType), XZero: stored(s.x.DType, q.XZero), Src: s.x.ref(), Dst: s.dst.ref(), W: s.w.ref(), Bias: s.bias.ref(), Multiplier: s.multiplier.ref(), Zero: s.zero.ref(),
		N: s.x.Shape[0], C: s.x.Shape[1], M: s.w.Shape[0], Groups: s.conv.Groups, In: s.in, Out: s.out, Kernel: s.kernel,
		Strides: s.conv.Strides, Pads: s.conv.Pads[:r], Dilations: s.conv.Dilations, Act: act(s.act)}
	if q.Requantises() {
		k.YFlip = flip(q.To)
		k.YZero, k.Lo, k.Hi = stored(q.To, q.YZero), stored(q.To, q.Lo), stored(q.To, q.Hi)
	}
	return k
}
