package schedule

import (
	"fmt"
	"math"

	"modelc/ir"
	"modelc/runtime"
)

func (b *builder) poolImage(n *ir.Node, p ir.Pool) error {
	if b.pooled[n] {
		return nil // by the convolution before it
	}
	src := b.asImage(n.In[0])
	dst := b.newImage(n.Out[0])
	k, doc := b.pool(n, p)
	if why := b.poolAlone(n); why != "" {
		doc += " (" + why + ")"
	}
	b.emit(doc, []*place{src}, []*place{dst}, func() runtime.Kernel {
		k := k
		k.Src, k.Dst = src.img(), dst.img()
		return &k
	})
	return nil
}

// pool returns the kernel of a pool without its images, and what it does.
func (b *builder) pool(n *ir.Node, p ir.Pool) (runtime.Pool, string) {
	c := n.In[0].Type.Shape[1]
	k := runtime.Pool{KH: 1, SH: 1, DH: 1, CountPad: p.CountPad,
		Scale: b.channels(n.Const(ir.PoolScale), c), Shift: b.channels(n.Const(ir.PoolShift), c), Pre: act(p.Prologue)}
	if p.Kind == ir.AvgPool {
		k.Kind = runtime.PoolAvg
	}
	i := 0
	if len(p.Kernel) == 2 {
		k.KH, k.SH, k.DH, k.PadTop, k.PadBottom = p.Kernel[0], p.Strides[0], p.Dilations[0], p.Pads[0], p.Pads[2]
		i = 1
	}
	k.KW, k.SW, k.DW, k.PadLeft, k.PadRight = p.Kernel[i], p.Strides[i], p.Dilations[i], p.Pads[i], p.Pads[2*i+1]
	return k, fmt.Sprintf("Pool %s %s/%s at %s", p.Kind, shapeDoc(p.Kernel...), shapeDoc(p.Strides...), shapeDoc(n.Out[0].Type.Shape[2:]...))
}

func (b *builder) globalPool(n *ir.Node, r ir.Reduce) error {
	src := b.asImage(n.In[0])
	d := src.dims
	dst := b.tempImage(n.Out[0].Name, ir.Shape{d.n, d.c, 1, 1}, border{})
	kind := runtime.PoolMax
	if r.Fn == ir.ReduceMean {
		kind = runtime.PoolAvg
	}
	v := n.Out[0]
	if r.KeepDims {
		dst = b.newImage(v)
	} else {
		// [N,C]: the same memory, seen without its pixel.
		b.images[v] = dst
		dst.shape = v.Type.Shape
	}
	doc := fmt.Sprintf("Global %s pool over %s", r.Fn, shapeDoc(d.h, d.w))
	pr, has := b.prologues[n.In[0]]
	if has {
		doc += ", " + pr.doc() + " before"
	}
	b.emit(doc, []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.GlobalPool{Kind: kind, Src: src.img(), Dst: dst.img(), Scale: pr.scale, Shift: pr.shift, Pre: pr.act}
	})
	if has {
		b.include(pr.node)
	}
	return nil
}

// elementwise gives the result of an elementwise step its place: the memory of
// the operand where the operand ends here and both have the same form.
func (b *builder) elementwise(n *ir.Node, src *place) *place { return b.overwrite(n, n.In[0], src) }

// overwrite gives the result of n the memory src of its operand x where x ends
// here and both have the same form, else memory of its own.
func (b *builder) overwrite(n *ir.Node, x *ir.Value, src *place) *place {
	v := n.Out[0]
	if b.layout.canOverwrite(n, x) && b.images[x] == src && b.dense[x] == nil {
		p := *src
		p.shape = v.Type.Shape
		b.images[v] = &p
		return &p
	}
	return b.newImage(v)
}

// canOverwrite reports whether the result of n may take the memory of its
// operand x: n is the last to read the image and reads it once, no view of it is left, neither
// is part of a shared buffer, and extents and borders agree.
func (l *layout) canOverwrite(n *ir.Node, x *ir.Value) bool {
	v := n.Out[0]
	_, xs := l.slots[x]
	_, vs := l.slots[v]
	if !l.image[x] || xs || vs || l.border[x] != l.border[v] || !x.Type.Shape.Equal(v.Type.Shape) || l.isView(x) || !ownsImage(x) {
		return false
	}
	reads := 0
	for _, u := range x.Uses() {
		switch {
		case u.Node == n:
			reads++
		case u.Node == nil || l.at[u.Node] > l.at[n] || l.isView(u.Node.Out[0]) || l.scattered[u.Node]:
			return false
		}
	}
	return reads == 1
}

// isView reports whether x lives in memory that another value may still read:
// an image that was not written by its own step.
func (l *layout) isView(x *ir.Value) bool {
	if x.Def() == nil {
		return false
	}
	switch x.Def().Op.(type) {
	case ir.Affine, ir.BatchNorm, ir.Unary:
		return l.leftToGlobalPool(x.Def())
	case ir.Conv, ir.Pool, ir.Binary, ir.LRN, ir.PRelu, ir.Normalize, ir.Resize, ir.Concat, ir.Gather, ir.Interleave:
		return false
	}
	return true
}

func (b *builder) affineImage(n *ir.Node, scale, shift *ir.Tensor, a ir.Act, doc string) error {
	src := b.asImage(n.In[0])
	c := src.dims.c
	s, t := b.channels(scale, c), b.channels(shift, c)
	if b.leaveToGlobalPool(n, src, prologue{n, s, t, act(a)}) {
		return nil
	}
	dst := b.elementwise(n, src)
	b.emit(doc, []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.Affine{Src: src.img(), Dst: dst.img(), Scale: s, Shift: t, Act: act(a)}
	})
	return nil
}

func (b *builder) affine(n *ir.Node, a ir.Affine, onImages bool) error {
	if onImages {
		return b.affineImage(n, n.Const(ir.AffineScale), n.Const(ir.AffineShift), a.Epilogue, "Affine"+actDoc(a.Epilogue))
	}
	return b.affinePlain(n, b.plain(n.In[ir.AffineScale]), b.plain(n.In[ir.AffineShift]), a.Epilogue)
}

// batchNorm lowers a normalisation that no pass folded.
func (b *builder) batchNorm(n *ir.Node, bn ir.BatchNorm, onImages bool) error {
	for i := 1; i < 5; i++ {
		if n.Const(i) == nil {
			return fmt.Errorf("its statistics must be constants")
		}
	}
	gamma, beta := n.Const(ir.BatchNormScale).Float64s(), n.Const(ir.BatchNormBias).Float64s()
	mean, variance := n.Const(ir.BatchNormMean).Float64s(), n.Const(ir.BatchNormVar).Float64s()
	scale, shift := make([]float64, len(gamma)), make([]float64, len(gamma))
	for i := range gamma {
		scale[i] = gamma[i] / math.Sqrt(variance[i]+bn.Epsilon)
		shift[i] = beta[i] - float64(mean[i]*scale[i]) // never fused: the same bits everywhere
	}
	if onImages && b.cfg.Exact {
		b.affineDouble(n, scale, shift)
		return nil
	}
	t := ir.T(n.In[0].Type.DType, len(gamma))
	s, h := ir.FromFloat64s(t, scale), ir.FromFloat64s(t, shift)
	if onImages {
		return b.affineImage(n, s, h, ir.Act{}, "BatchNorm")
	}
	return b.affinePlain(n, b.constTensor(s), b.constTensor(h), ir.Act{})
}

func (b *builder) affineDouble(n *ir.Node, scale, shift []float64) {
	src := b.asImage(n.In[0])
	padded := func(v []float64) runtime.Ref {
		n := alignTo(len(v), 16)
		return b.constTensor(ir.FromFloat64s(ir.T(ir.Float64, n), append(v, make([]float64, n-len(v))...))).ref()
	}
	s, h := padded(scale), padded(shift)
	dst := b.elementwise(n, src)
	b.emit("BatchNorm, in float64", []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.AffineDouble{Src: src.img(), Dst: dst.img(), Scale: s, Shift: h}
	})
}

func (b *builder) unaryImage(n *ir.Node, u ir.Unary) error {
	return b.affineImage(n, nil, nil, u.Fn, u.Fn.String())
}

func (b *builder) preluImage(n *ir.Node) error {
	src := b.asImage(n.In[0])
	slope := b.channels(n.Const(ir.PReluSlope), src.dims.c)
	dst := b.newImage(n.Out[0])
	b.emit("PRelu", []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.PRelu{Src: src.img(), Dst: dst.img(), Slope: slope}
	})
	return nil
}

func (b *builder) lrnImage(n *ir.Node, l ir.LRN) error {
	src := b.asImage(n.In[0])
	dst := b.newImage(n.Out[0])
	b.emit(fmt.Sprintf("LRN over %d channels", l.Size), []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.LRN{Src: src.img(), Dst: dst.img(), Size: l.Size, Alpha: float32(l.Alpha), Beta: float32(l.Beta), Bias: float32(l.Bias)}
	})
	return nil
}

func (b *builder) normalizeImage(n *ir.Node, nm ir.Normalize) error {
	src := b.asImage(n.In[0])
	scale, shift := b.channels(n.Const(ir.NormalizeScale), src.dims.c), b.channels(n.Const(ir.NormalizeBias), src.dims.c)
	dst := b.elementwise(n, src)
	b.emit("Normalize over the channels", []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.NormalizeChannels{Src: src.img(), Dst: dst.img(), Scale: scale, Shift: shift, Epsilon: float32(nm.Epsilon)}
	})
	return nil
}

func (b *builder) binaryImage(n *ir.Node, op ir.Binary) error {
	x, y := n.In[0], n.In[1]
	out := n.Out[0].Type.Shape
	if !x.Type.Shape.Equal(out) || !b.layout.image[x] && b.layout.image[y] && y.Type.Shape.Equal(out) && op.Fn.Commutative() {
		x, y = y, x
	}
	src := b.asImage(x)
	var second *place
	if y.Const != nil && ir.PerChannel(y.Type.Shape, out) {
		pad := float32(0)
		if op.Fn == ir.Div {
			pad = 1 // not 0/0
		}
		second = b.constChannels(y.Const, src.dims.c, pad)
	} else {
		second = b.asImage(y)
	}
	var dst *place
	if x == n.In[0] && x != y {
		dst = b.elementwise(n, src)
	} else {
		dst = b.newImage(n.Out[0])
	}
	b.emit(op.Fn.String()+actDoc(op.Epilogue), []*place{src, second}, []*place{dst}, func() runtime.Kernel {
		return &runtime.Binary{Fn: runtime.BinaryFn(op.Fn), A: src.img(), B: second.img(), Dst: dst.img(), Act: act(op.Epilogue)}
	})
	return nil
}

// concatImage copies the operands that were not written in place.
func (b *builder) concatImage(n *ir.Node) error {
	if b.layout.scattered[n] {
		return nil
	}
	v := n.Out[0]
	dst := b.newImage(v)
	at := 0
	for i, x := range n.In {
		src := b.asImage(x)
		here := b.layout.slotAt(v, at)
		first := b.layout.copies[x] == here
		if !b.layout.inSlot(x, v, at) && !(first && b.copied[x]) {
			b.copied[x] = b.copied[x] || first
			at := at
			c := src.dims.c
			// The step of the last copy completes the value.
			b.emit(fmt.Sprintf("Concat: copy operand %d, %d channels", i, c), []*place{src}, []*place{dst}, func() runtime.Kernel {
				return &runtime.Copy{Src: src.img(), Dst: dst.img(), DstChannel: at, Channels: c}
			})
		}
		at += x.Type.Shape[1]
	}
	return nil
}

// sliceImage is a view where it takes whole blocks of channels and all
// pixels.
func (b *builder) sliceImage(n *ir.Node, s ir.Slice) error {
	x, v := n.In[0], n.Out[0]
	src := b.asImage(x)
	channels := s.Count[1] != x.Type.Shape[1]
	pixels := false
	for i := 2; i < len(s.Count); i++ {
		pixels = pixels || s.Count[i] != x.Type.Shape[i] || s.Step[i] != 1
	}
	if channels && !pixels && s.Start[1]%16 == 0 && b.layout.border[v] == (border{}) && !b.inSlotAtAll(v) {
		p := src.window(s.Start[1], s.Count[1])
		p.shape = v.Type.Shape
		b.images[v] = p
		return nil
	}
	if channels {
		shape := append(ir.Shape{}, x.Type.Shape...)
		shape[1] = s.Count[1]
		dst := b.newImage(v)
		if pixels {
			dst = b.tempImage(v.Name+".channels", shape, border{})
			delete(b.images, v)
		}
		from := src
		b.emit("Slice of channels", []*place{from}, []*place{dst}, func() runtime.Kernel {
			return &runtime.Copy{Src: from.img(), Dst: dst.img(), SrcChannel: s.Start[1], Channels: s.Count[1]}
		})
		src = dst
		if !pixels {
			return nil
		}
	}
	table := func(i int) []int32 {
		if i < 2 {
			return []int32{0}
		}
		t := make([]int32, s.Count[i])
		for k := range t {
			t[k] = int32(s.Start[i] + k*s.Step[i])
		}
		return t
	}
	r := len(s.Count)
	rows, cols := table(r-2), table(r-1)
	dst := b.newImage(v)
	b.emit("Slice of pixels", []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.PadImage{Src: src.img(), Dst: dst.img(), Rows: rows, Cols: cols}
	})
	return nil
}

// selectImage lowers a Gather of channels, of a concatenation straight from
// its operands.
func (b *builder) selectImage(n *ir.Node) error {
	if b.layout.scattered[n] {
		return nil
	}
	x := n.In[0]
	of := []*ir.Value{x}
	if d := x.Def(); d != nil && b.layout.scattered[d] {
		of = d.In
	}
	var src []*place
	for _, v := range of {
		src = append(src, b.asImage(v))
	}
	from := channelIndices(n)
	dst := b.newImage(n.Out[0])
	b.emit(fmt.Sprintf("Select %d of %d channels", len(from), x.Type.Shape[1]), src, []*place{dst}, func() runtime.Kernel {
		k := &runtime.SelectChannels{Dst: dst.img(), From: from}
		for _, s := range src {
			k.Src = append(k.Src, s.img())
		}
		return k
	})
	if d := x.Def(); d != nil && b.layout.scattered[d] {
		b.include(d)
	}
	return nil
}

// channelIndices returns the indices of a Gather of channels, none negative.
func channelIndices(n *ir.Node) []int32 {
	var list []int32
	for _, i := range n.Const(ir.GatherIndices).Float64s() {
		if i < 0 {
			i += float64(n.In[0].Type.Shape[1])
		}
		list = append(list, int32(i))
	}
	return list
}

func (b *builder) inSlotAtAll(v *ir.Value) bool {
	_, ok := b.layout.slots[v]
	return ok
}

// padImage is a view where the padding is zeros: the operand with part of its
// border.
func (b *builder) padImage(n *ir.Node, p ir.Pad) error {
	x := n.In[0]
	src := b.asImage(x)
	if v := n.Out[0]; padsWithBorder(p) && !b.inSlotAtAll(v) {
		pads := padBorder(p)
		q := *src
		q.shape = v.Type.Shape
		q.dims.h += pads.top + pads.bottom
		q.dims.w += pads.left + pads.right
		q.border = src.border.minus(pads)
		b.images[v] = &q
		return nil
	}
	dst := b.newImage(n.Out[0])
	r := x.Type.Rank()
	table := func(i int) []int32 {
		if i < 2 {
			return []int32{0}
		}
		return padTable(p.Mode, x.Type.Shape[i], p.Pads[i], p.Pads[r+i])
	}
	rows, cols := table(r-2), table(r-1)
	b.emit(fmt.Sprintf("Pad %s", p.Mode), []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.PadImage{Src: src.img(), Dst: dst.img(), Rows: rows, Cols: cols, Value: float32(p.Value)}
	})
	return nil
}

// padTable returns, for each position of a padded axis, the source position,
// −1 for the constant. Crops come before the border is made.
func padTable(mode ir.PadMode, n, begin, end int) []int32 {
	first := max(0, -begin)
	inner := n - first - max(0, -end)
	t := make([]int32, n+begin+end)
	for i := range t {
		k := i - max(0, begin)
		if k < 0 || k >= inner {
			switch mode {
			case ir.PadConstant:
				t[i] = -1
				continue
			case ir.PadEdge:
				k = min(max(k, 0), inner-1)
			case ir.PadReflect:
				k = mirror(k, inner, 2*(inner-1), 0)
			case ir.PadSymmetric:
				k = mirror(k, inner, 2*inner, 1)
			case ir.PadWrap:
				k = floorMod(k, inner)
			}
		}
		t[i] = int32(first + k)
	}
	return t
}

func floorMod(a, n int) int { return (a%n + n) % n }

// mirror folds k back into [0,n) with the given period; edge is 1 when the
// border repeats the edge element.
func mirror(k, n, period, edge int) int {
	if period == 0 {
		return 0
	}
	k = floorMod(k, period)
	if k >= n {
		k = period - edge - k
	}
	return k
}
