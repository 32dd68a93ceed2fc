package cpu

import (
	"fmt"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/bfloat"
	"modelc/runtime/kernel/plain"
)

// movementLowerings has the rows of ops that move elements.
var movementLowerings = map[string]lowering{
	"Reshape":    {dense: do((*builder).reshape)},
	"Transpose":  {dense: do((*builder).transpose)},
	"Concat":     {concatRules, do((*builder).concatImage), do((*builder).concatPlain)},
	"Interleave": {interleaveRules, do((*builder).interleaveImage), do((*builder).interleavePlain)},
	"Slice":      {sliceRules, do((*builder).sliceImage), do((*builder).slicePlain)},
	"Pad":        {padRules, do((*builder).padImage), do((*builder).padPlain)},
	"Expand":     {dense: do((*builder).expandPlain)},
	"Gather":     {gatherRules, do((*builder).selectImage), do((*builder).gatherPlain)},
	"Scatter":    {dense: do((*builder).scatterPlain)},
}

// reshape makes the result a view of the dense operand.
func (b *builder) reshape(n *ir.Node, _ ir.Reshape) error {
	v := n.Out[0]
	if b.onlyFlattened(n) {
		return nil // the readers read the operand
	}
	src := b.plain(n.In[0])
	p := &place{Tensor: src.Tensor}
	p.Type = v.Type
	b.dense[v] = p
	return nil
}

// onlyFlattened reports whether every reader of the reshaped value is a dense layer that
// reads the place of [builder.flattened]. The order of such a layer's packed weights is that
// of the place.
func (b *builder) onlyFlattened(n *ir.Node) bool {
	v := n.Out[0]
	if p, _ := b.flattened(v); p == nil {
		return false
	}
	for _, u := range v.Uses() {
		if u.Node == nil || u.Index != 0 {
			return false
		}
		d, ok := u.Node.Op.(ir.Dense)
		if !ok || u.Node.Const(ir.Weights) == nil || !u.Node.ConstOrAbsent(ir.Bias) || !denseOnFloats(u.Node) && !denseOnIntegers(u.Node, d) {
			return false
		}
	}
	return true
}

// flattened returns the place that x flattens if its memory can be read as a matrix: an
// image, or a dense tensor of floats that is transposed before. An image may be transposed
// too. For each column of the matrix, rows has the row of the weights that belongs to it, or
// −1 for an unused channel. The place is nil if there is none.
func (b *builder) flattened(x *ir.Value) (p *place, rows []int) {
	d := x.Def()
	if d == nil {
		return nil, nil
	}
	if _, ok := d.Op.(ir.Reshape); !ok {
		return nil, nil
	}
	from, perm := d.In[0], []int(nil)
	if t := from.Def(); t != nil && b.images[from] == nil {
		if op, ok := t.Op.(ir.Transpose); ok && len(op.Perm) > 0 && op.Perm[0] == 0 {
			from, perm = t.In[0], op.Perm
		}
	}
	if from.Type.Rank() == 0 || x.Type.Rank() == 0 || from.Type.Shape[0] != x.Type.Shape[0] {
		return nil, nil
	}
	stride := from.Type.Shape.Strides() // of the axes of from, in x
	if perm != nil {
		for i, st := range d.In[0].Type.Shape.Strides() {
			stride[perm[i]] = st
		}
	}
	if img := b.images[from]; img != nil {
		if !img.contiguous() {
			return nil, nil
		}
		return img, img.features(stride)
	}
	if p = b.dense[from]; p == nil || p.nhwc || perm == nil || x.Type.DType != ir.Float32 {
		return nil, nil
	}
	rows = []int{0}
	for axis := 1; axis < len(stride); axis++ {
		var next []int
		for _, r := range rows {
			for i := range from.Type.Shape[axis] {
				next = append(next, r+i*stride[axis])
			}
		}
		rows = next
	}
	return p, rows
}

// features returns, for each element of an example in the memory of an image, its position
// in a tensor in which the axes of the image have the given strides, or −1 for an unused
// channel.
func (p *place) features(stride []int) []int {
	// An image [N,C,W] has one row.
	channel, row, column := stride[1], stride[len(stride)-2], stride[len(stride)-1]
	lanes := p.form.block
	list := make([]int, 0, p.plane()*p.blocks())
	for cb := range p.blocks() {
		for h := range p.dims.h {
			for w := range p.dims.w {
				for c := cb * lanes; c < (cb+1)*lanes; c++ {
					if c < p.dims.c {
						list = append(list, c*channel+h*row+w*column)
					} else {
						list = append(list, -1)
					}
				}
			}
		}
	}
	return list
}

// transpose emits a transposition. It defers one that moves the channels to axis
// 1, because packing can do it, and none that only flattened operands of dense layers
// read. A transposition of an image to channels last becomes the unpacking of the image.
func (b *builder) transpose(n *ir.Node, t ir.Transpose) error {
	x, v := n.In[0], n.Out[0]
	if !slices.ContainsFunc(v.Uses(), func(u ir.Use) bool { return u.Node == nil || !b.onlyFlattened(u.Node) }) {
		return nil // the readers read x
	}
	r := x.Type.Rank()
	isImageRank := (r == 3 || r == 4) && hasForm(v.Type)
	if src := b.dense[x]; src != nil && !src.nhwc && isImageRank && slices.Equal(t.Perm, ir.ChannelsFirst(r)) && plan.OutputOf(v) < 0 {
		p := &place{Tensor: src.Tensor, nhwc: true}
		p.Shape = v.Type.Shape
		b.dense[v] = p
		return nil
	}
	if img := b.images[x]; img != nil && b.dense[x] == nil && slices.Equal(t.Perm, ir.ChannelsLast(r)) {
		dst := b.newDense(v)
		// The memory of [N,H,W,C] is the value itself.
		as := *dst
		as.Shape, as.nhwc = x.Type.Shape, true
		b.unpack("Unpack from NC16, channels last", img, dst, &as)
		return nil
	}
	b.permute("Transpose", b.plain(x), b.newDense(v), t.Perm)
	return nil
}

var concatRules = rules{
	types: movedTypes,
	fits:  func(l *layout, n *ir.Node) bool { return n.Op.(ir.Concat).Axis == 1 && l.allImages(n) },
}

// concatImage copies the operands that were not written in place.
func (b *builder) concatImage(n *ir.Node, _ ir.Concat) error {
	if b.scattered[n] {
		return nil
	}
	v := n.Out[0]
	dst := b.newImage(v)
	at := 0
	for i, x := range n.In {
		src := b.asImage(x)
		first := b.FirstCopy(x, v, at)
		if !b.InPlace(x, v, at) && !(first && b.joined[x]) {
			b.joined[x] = b.joined[x] || first
			at := at
			c := src.dims.c
			// The step of the last copy completes the value.
			b.emit(fmt.Sprintf("Concat: copy operand %d, %d channels", i, c), []*place{src}, []*place{dst}, func() kernel.Kernel {
				if src.DType == ir.BFloat16 {
					return &bfloat.Copy{Src: src.img(), Dst: dst.img(), Block: at / src.form.block}
				}
				return &kernel.Copy{Src: src.img(), Dst: dst.img(), DstChannel: at, Channels: c}
			})
		}
		at += x.Type.Shape[1]
	}
	return nil
}

func (b *builder) concatPlain(n *ir.Node, c ir.Concat) error {
	v := n.Out[0]
	dst := b.newDense(v)
	st := v.Type.Shape.Strides()
	at := 0
	for i, x := range n.In {
		if x.Type.Shape.Len() == 0 {
			continue
		}
		src := b.plain(x)
		b.copyStrided(fmt.Sprintf("Concat: copy operand %d", i), src, dst, strided{shape: x.Type.Shape, src: x.Type.Shape.Strides(), dstStart: at * st[c.Axis], dst: st})
		at += x.Type.Shape[c.Axis]
	}
	return nil
}

var sliceRules = rules{
	types: imageTypes,
	fits: func(l *layout, n *ir.Node) bool {
		s, x := n.Op.(ir.Slice), n.In[0]
		return l.image[x] && s.Start[0] == 0 && s.Count[0] == x.Type.Shape[0] && s.Step[1] == 1
	},
	view: always,
}

// sliceImage lowers a slice of an image. A slice of all pixels that starts with a
// block of channels becomes a view.
func (b *builder) sliceImage(n *ir.Node, s ir.Slice) error {
	x, v := n.In[0], n.Out[0]
	src := b.asImage(x)
	channels := s.Count[1] != x.Type.Shape[1]
	pixels := false
	for i := 2; i < len(s.Count); i++ {
		pixels = pixels || s.Count[i] != x.Type.Shape[i] || s.Step[i] != 1
	}
	if channels && !pixels && s.Start[1]%src.form.block == 0 && b.border[v] == (border{}) && !b.Shares(v) {
		p := src.window(s.Start[1], s.Count[1])
		p.Shape = v.Type.Shape
		b.images[v] = p
		return nil
	}
	if channels {
		dst := b.newImage(v)
		if pixels {
			t := ir.Type{DType: x.Type.DType, Shape: slices.Clone(x.Type.Shape)}
			t.Shape[1] = s.Count[1]
			dst = b.tempImage(v.Name+".channels", t, border{})
			delete(b.images, v)
		}
		from := src
		b.emit("Slice of channels", []*place{from}, []*place{dst}, func() kernel.Kernel {
			return &kernel.Copy{Src: from.img(), Dst: dst.img(), SrcChannel: s.Start[1], Channels: s.Count[1]}
		})
		src = dst
		if !pixels {
			return nil
		}
	}
	r := len(s.Count)
	b.pixels("Slice of pixels", src, b.newImage(v), 0, func(i int) []int32 {
		t := make([]int32, s.Count[i])
		for k := range t {
			t[k] = int32(s.Start[i] + k*s.Step[i])
		}
		return t
	}, r)
	return nil
}

// pixels emits a step that copies rows and columns of an image. For each of the
// last two of rank axes, table returns the positions to copy from. A position of
// −1 stands for the given value.
func (b *builder) pixels(doc string, src, dst *place, value float32, table func(axis int) []int32, rank int) {
	rows := []int32{0}
	if rank > 3 {
		rows = table(rank - 2)
	}
	cols := table(rank - 1)
	b.emit(doc, []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &kernel.PadImage{Src: src.img(), Dst: dst.img(), Rows: rows, Cols: cols, Value: value}
	})
}

func (b *builder) slicePlain(n *ir.Node, s ir.Slice) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	own := src.Shape.Strides()
	from := strided{shape: s.Count, src: make([]int, len(own)), dst: dst.Shape.Strides()}
	for i := range own {
		from.srcStart += s.Start[i] * own[i]
		from.src[i] = own[i] * s.Step[i]
	}
	b.copyStrided("Slice", src, dst, from)
	return nil
}

var padRules = rules{
	types: imageTypes,
	fits: func(l *layout, n *ir.Node) bool {
		p := n.Op.(ir.Pad).Pads
		r := len(p) / 2
		return l.image[n.In[0]] && p[0] == 0 && p[1] == 0 && p[r] == 0 && p[r+1] == 0
	},
	border: func(l *layout, n *ir.Node) (border, fill) {
		p, y := n.Op.(ir.Pad), n.Out[0]
		f := fill{}
		if isByte(y.Type.DType) {
			f.value = byte(stored(y.Type.DType, int(p.Value)))
		}
		if p.Mode != ir.PadConstant || p.Value != 0 && !isByte(y.Type.DType) || slices.Min(p.Pads) < 0 || l.border[y] != (border{}) && l.fill[y] != f {
			return border{}, fill{}
		}
		return padBorder(p).plus(l.border[y]), f
	},
	view: always,
}

// padBorder returns the spatial pads of p.
func padBorder(p ir.Pad) border {
	r := len(p.Pads) / 2
	b := border{left: p.Pads[r-1], right: p.Pads[2*r-1]}
	if r == 4 {
		b.top, b.bottom = p.Pads[2], p.Pads[6]
	}
	return b
}

// padImage lowers the padding of an image. Padding with the value of the border of the
// operand becomes a view: the operand with a part of its border.
func (b *builder) padImage(n *ir.Node, p ir.Pad) error {
	x := n.In[0]
	src := b.asImage(x)
	if v := n.Out[0]; b.padded[n] && !b.Shares(v) {
		pads := padBorder(p)
		q := *src
		q.Shape = v.Type.Shape
		q.dims.h += pads.top + pads.bottom
		q.dims.w += pads.left + pads.right
		q.border = src.border.minus(pads)
		b.images[v] = &q
		return nil
	}
	r := x.Type.Rank()
	value := p.Value
	if isByte(x.Type.DType) {
		value = float64(byte(stored(x.Type.DType, int(value))))
	}
	b.pixels(fmt.Sprintf("Pad %s", p.Mode), src, b.newImage(n.Out[0]), float32(value), func(i int) []int32 {
		return plan.PadTable(p.Mode, x.Type.Shape[i], p.Pads[i], p.Pads[r+i])
	}, r)
	return nil
}

func (b *builder) padPlain(n *ir.Node, p ir.Pad) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	r := len(src.Shape)
	index := make([][]int32, r)
	for i := range index {
		index[i] = plan.PadTable(p.Mode, src.Shape[i], p.Pads[i], p.Pads[r+i])
	}
	return emitTyped(b, src.DType, fmt.Sprintf("Pad %s", p.Mode), []*place{src}, []*place{dst}, func(m padder) kernel.Kernel { return m.pad(src, dst, index, p.Value) })
}

type padder interface {
	pad(src, dst *place, index [][]int32, value float64) kernel.Kernel
}

func (number[T]) pad(src, dst *place, index [][]int32, value float64) kernel.Kernel {
	return &plain.Pad[T]{Src: src.ref(), Dst: dst.ref(), InShape: src.Shape, Index: index, Value: padValue[T](value)}
}

// padValue converts the constant of a Pad. Integers of up to 63 bits wrap
// around.
func padValue[T kernel.Number](v float64) T {
	switch any(T(0)).(type) {
	case float32, float64, uint64:
		return T(v)
	}
	return T(int64(v))
}

func (b *builder) expandPlain(n *ir.Node, _ ir.Expand) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	b.copyStrided("Expand", src, dst, strided{shape: dst.Shape, src: plan.BroadcastStrides(src.Shape, dst.Shape), dst: dst.Shape.Strides()})
	return nil
}

var gatherRules = rules{
	types: imageTypes,
	fits: func(l *layout, n *ir.Node) bool {
		return l.image[n.In[0]] && n.Op.(ir.Gather).Axis == 1 && n.Const(ir.GatherIndices) != nil && n.In[ir.GatherIndices].Type.Rank() == 1 && selects(n)
	},
}

// selects reports whether all indices of a Gather of channels are in range.
func selects(n *ir.Node) bool {
	c := float64(n.In[0].Type.Shape[1])
	for _, i := range n.Const(ir.GatherIndices).Float64s() {
		if i < -c || i >= c {
			return false
		}
	}
	return true
}

// selectImage lowers a Gather of channels. If the operand is a concatenation that
// no step computes, the step reads the operands of the concatenation.
func (b *builder) selectImage(n *ir.Node, _ ir.Gather) error {
	if b.scattered[n] {
		return nil
	}
	x := n.In[0]
	of := []*ir.Value{x}
	d := x.Def()
	joined := d != nil && b.scattered[d]
	if joined {
		of = d.In
	}
	var src []*place
	for _, v := range of {
		src = append(src, b.asImage(v))
	}
	from := channelIndices(n)
	dst := b.newImage(n.Out[0])
	b.emit(fmt.Sprintf("Select %d of %d channels", len(from), x.Type.Shape[1]), src, []*place{dst}, func() kernel.Kernel {
		k := &kernel.SelectChannels{Dst: dst.img(), From: from}
		for _, s := range src {
			k.Src = append(k.Src, s.img())
		}
		return k
	})
	if joined {
		b.Include(d)
	}
	return nil
}

// channelIndices returns the indices of a Gather of channels, with negative ones
// resolved.
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

func (b *builder) gatherPlain(n *ir.Node, g ir.Gather) error {
	src, idx := b.plain(n.In[0]), b.plain(n.In[ir.GatherIndices])
	dst := b.newDense(n.Out[0])
	b.emitPlain("Gather", []*place{src, idx}, []*place{dst}, func() kernel.Kernel {
		return ofSize[gatherer](src).gather(src, idx, dst, g.Axis)
	})
	return nil
}

type gatherer interface {
	gather(src, idx, dst *place, axis int) kernel.Kernel
}

func (number[T]) gather(src, idx, dst *place, axis int) kernel.Kernel {
	outer, n, inner := plan.Around(src.Shape, axis)
	if idx.DType == ir.Int32 {
		return &plain.Gather[T, int32]{Src: src.ref(), Indices: idx.ref(), Dst: dst.ref(), Outer: outer, Axis: n, Inner: inner}
	}
	return &plain.Gather[T, int64]{Src: src.ref(), Indices: idx.ref(), Dst: dst.ref(), Outer: outer, Axis: n, Inner: inner}
}

// scatterPlain lowers a scatter. Without a reduction the kernel depends only on the size of
// an element.
func (b *builder) scatterPlain(n *ir.Node, s ir.Scatter) error {
	o := scatter{b.plain(n.In[0]), b.plain(n.In[ir.ScatterIndices]), b.plain(n.In[ir.ScatterUpdates]), b.newDense(n.Out[0]), s.Reduction}
	m := ofSize[scatterer](o.src)
	if s.Reduction != ir.ReplaceUpdates {
		var ok bool
		if m, ok = elements[o.src.DType].(scatterer); !ok {
			return unsupportedType(o.src.DType)
		}
	}
	b.emitPlain("Scatter"+o.doc(), []*place{o.src, o.idx, o.updates}, []*place{o.dst}, func() kernel.Kernel { return m.scatter(o) })
	return nil
}

// scatter is a scatter along the first axis.
type scatter struct {
	src, idx, updates, dst *place
	reduction              ir.Reduction
}

func (o scatter) doc() string {
	if o.reduction == ir.ReplaceUpdates {
		return ""
	}
	return ", " + o.reduction.String()
}

type scatterer interface {
	scatter(o scatter) kernel.Kernel
}

func (number[T]) scatter(o scatter) kernel.Kernel {
	fn, combines := o.reduction.Fn()
	k := plain.Scatter[T, int64]{Src: o.src.ref(), Indices: o.idx.ref(), Updates: o.updates.ref(), Dst: o.dst.ref(),
		Axis: o.src.Shape[0], Inner: o.src.Shape[1:].Len(), Combine: combines, Fn: kernel.BinaryFn(fn)}
	if o.idx.DType == ir.Int32 {
		of32 := plain.Scatter[T, int32](k)
		return &of32
	}
	return &k
}

// wovenChannels is the minimum number of channels for which the result of a pixel
// shuffle is an image. With fewer channels, most of the image would be padding.
const wovenChannels = 8

var interleaveRules = rules{
	types: imageTypes,
	fits:  func(l *layout, n *ir.Node) bool { return !weaves(l, n) && l.allImages(n) },
}

// weaves reports whether n interleaves selections of few channels of one image.
// One kernel then does the selections and the interleaving. weaves marks the
// selections as scattered.
func weaves(l *layout, n *ir.Node) bool {
	first := n.In[0].Def()
	if n.In[0].Type.Shape[1] >= wovenChannels || first == nil || n.In[0].Type.DType != ir.Float32 {
		return false
	}
	for _, v := range n.In {
		d := v.Def()
		if d == nil || !l.node[d] || v.OnlyUse() != n || d.In[0] != first.In[0] {
			return false
		}
		if _, ok := d.Op.(ir.Gather); !ok {
			return false
		}
	}
	for _, v := range n.In {
		l.scattered[v.Def()] = true
	}
	return true
}

// interleaveImage emits, for each operand, a step that writes its pixels of the
// result.
func (b *builder) interleaveImage(n *ir.Node, op ir.Interleave) error {
	grid := ir.Shape(op.Strides)
	var srcs []*place
	for _, x := range n.In {
		srcs = append(srcs, b.asImage(x))
	}
	dst := b.newImage(n.Out[0])
	width := grid[len(grid)-1]
	for i, src := range srcs {
		b.emit(fmt.Sprintf("Interleave: operand %d", i), []*place{src}, []*place{dst}, func() kernel.Kernel {
			k := &kernel.Spread{Src: src.img(), Dst: dst.img(), SY: grid.Len() / width, SX: width, Y: i / width, X: i % width}
			k.Dst.Clear = k.Dst.Clear && i == 0
			return k
		})
	}
	return nil
}

func (b *builder) interleavePlain(n *ir.Node, op ir.Interleave) error {
	grid := ir.Shape(op.Strides)
	if d := n.In[0].Def(); d != nil && b.scattered[d] {
		return b.weave(n, grid)
	}
	at := grid.Strides()
	var srcs []*place
	for _, x := range n.In {
		srcs = append(srcs, b.plain(x))
	}
	dst := b.newDense(n.Out[0])
	st := dst.Shape.Strides()
	for i, src := range srcs {
		to := strided{shape: src.Shape, src: src.Shape.Strides(), dst: slices.Clone(st[:2])}
		for a, s := range op.Strides {
			to.dstStart += i / at[a] % s * st[2+a]
			to.dst = append(to.dst, s*st[2+a])
		}
		b.copyStrided(fmt.Sprintf("Interleave: operand %d", i), src, dst, to)
	}
	return nil
}

// weave emits a step that writes selected channels of an image as the pixels of a
// dense result.
func (b *builder) weave(n *ir.Node, grid ir.Shape) error {
	src := b.asImage(n.In[0].Def().In[0])
	dst := b.newDense(n.Out[0])
	var from []int32
	for _, v := range n.In {
		from = append(from, channelIndices(v.Def())...)
	}
	width := grid[len(grid)-1]
	b.emit(fmt.Sprintf("Unpack from NC16, %s pixels each", plan.Extents(grid...)), []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &kernel.UnpackWoven{Src: src.img(), Dst: dst.ref(), SY: grid.Len() / width, SX: width, From: from}
	})
	for _, v := range n.In {
		b.Include(v.Def())
	}
	return nil
}
