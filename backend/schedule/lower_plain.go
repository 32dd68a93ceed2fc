package schedule

import (
	"fmt"
	"slices"

	"modelc/ir"
	"modelc/runtime"
)

// unsupportedType is the error for an element type without a kernel.
func unsupportedType(d ir.DType) error {
	return fmt.Errorf("no kernel for elements of type %s", d)
}

// checkFloat admits the types of kernels that compute in floating point.
func checkFloat(d ir.DType) error {
	if d != ir.Float32 && d != ir.Float64 {
		return unsupportedType(d)
	}
	return nil
}

// broadcastStrides returns the distances with which an operand of shape s is
// read at each position of out: 0 along axes that it is repeated on.
func broadcastStrides(s, out ir.Shape) []int {
	st := make([]int, len(out))
	own := s.Strides()
	for i := range s {
		if k := len(out) - len(s) + i; s[i] != 1 {
			st[k] = own[i]
		}
	}
	return st
}

// collapse merges neighbouring axes that every operand walks as one, so that
// kernels loop over few axes. It works on copies.
func collapse(shape []int, strides ...[]int) ([]int, [][]int) {
	var out []int
	st := make([][]int, len(strides))
	for i, d := range shape {
		if d == 1 && !(len(out) == 0 && i == len(shape)-1) {
			continue
		}
		merge := len(out) > 0
		for k, s := range strides {
			if merge && st[k][len(st[k])-1] != s[i]*d {
				merge = false
			}
		}
		if merge {
			out[len(out)-1] *= d
			for k, s := range strides {
				st[k][len(st[k])-1] = s[i]
			}
			continue
		}
		out = append(out, d)
		for k, s := range strides {
			st[k] = append(st[k], s[i])
		}
	}
	return out, st
}

// copyStrided emits a copy between strided views of one shape. Only the size
// of the elements matters.
func (b *builder) copyStrided(doc string, src, dst *place, shape []int, srcStart int, srcStride []int, dstStart int, dstStride []int) {
	dims, st := collapse(shape, srcStride, dstStride)
	longestLast(dims, st)
	b.emit(doc, []*place{src}, []*place{dst}, func() runtime.Kernel {
		switch src.dtype.Size() {
		case 1:
			return &runtime.StridedCopy[uint8]{Src: src.ref(), Dst: dst.ref(), Shape: dims, SrcStart: srcStart, DstStart: dstStart, SrcStride: st[0], DstStride: st[1]}
		case 2:
			return &runtime.StridedCopy[uint16]{Src: src.ref(), Dst: dst.ref(), Shape: dims, SrcStart: srcStart, DstStart: dstStart, SrcStride: st[0], DstStride: st[1]}
		case 4:
			return &runtime.StridedCopy[uint32]{Src: src.ref(), Dst: dst.ref(), Shape: dims, SrcStart: srcStart, DstStart: dstStart, SrcStride: st[0], DstStride: st[1]}
		}
		return &runtime.StridedCopy[uint64]{Src: src.ref(), Dst: dst.ref(), Shape: dims, SrcStart: srcStart, DstStart: dstStart, SrcStride: st[0], DstStride: st[1]}
	})
}

// shortLoop is the number of elements of an inner loop below which the loops
// around it cost more than it does.
const shortLoop = 8

// longestLast makes the inner loop of a copy worth its while: where it is short,
// as when channels become pixels, it changes places with the longest. Memory
// that lies together in both views is copied together.
func longestLast(dims []int, strides [][]int) {
	last := len(dims) - 1
	if last < 1 || dims[last] >= shortLoop || strides[0][last] == 1 && strides[1][last] == 1 {
		return
	}
	longest := last
	for i, d := range dims[:last] {
		if d > dims[longest] || longest < last && d == dims[longest] { // of equals the inner one, whose steps are shorter
			longest = i
		}
	}
	dims[last], dims[longest] = dims[longest], dims[last]
	for _, s := range strides {
		s[last], s[longest] = s[longest], s[last]
	}
}

func (b *builder) copyDense(doc string, src, dst *place) {
	n := []int{src.shape.Len()}
	b.copyStrided(doc, src, dst, n, 0, []int{1}, 0, []int{1})
}

// permute copies src with axes permuted: axis i of dst is axis perm[i].
func (b *builder) permute(doc string, src, dst *place, perm []int) {
	from := src.shape.Strides()
	shape := make([]int, len(perm))
	st := make([]int, len(perm))
	for i, p := range perm {
		shape[i], st[i] = src.shape[p], from[p]
	}
	b.copyStrided(doc, src, dst, shape, 0, st, 0, ir.Shape(shape).Strides())
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
		b.copyStrided(fmt.Sprintf("Concat: copy operand %d", i), src, dst, x.Type.Shape, 0, x.Type.Shape.Strides(), at*st[c.Axis], st)
		at += x.Type.Shape[c.Axis]
	}
	return nil
}

func (b *builder) slicePlain(n *ir.Node, s ir.Slice) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	own := src.shape.Strides()
	st := make([]int, len(own))
	start := 0
	for i := range own {
		start += s.Start[i] * own[i]
		st[i] = own[i] * s.Step[i]
	}
	b.copyStrided("Slice", src, dst, s.Count, start, st, 0, dst.shape.Strides())
	return nil
}

func (b *builder) expandPlain(n *ir.Node) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	b.copyStrided("Expand", src, dst, dst.shape, 0, broadcastStrides(src.shape, dst.shape), 0, dst.shape.Strides())
	return nil
}

func (b *builder) padPlain(n *ir.Node, p ir.Pad) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	r := len(src.shape)
	index := make([][]int32, r)
	for i := range index {
		index[i] = padTable(p.Mode, src.shape[i], p.Pads[i], p.Pads[r+i])
	}
	v, whole := p.Value, int64(p.Value)
	return b.emitTyped(src.dtype, fmt.Sprintf("Pad %s", p.Mode), []*place{src}, []*place{dst}, makers{
		f32: padKernel(src, dst, index, float32(v)), f64: padKernel(src, dst, index, v),
		i8: padKernel(src, dst, index, int8(whole)), i16: padKernel(src, dst, index, int16(whole)),
		i32: padKernel(src, dst, index, int32(whole)), i64: padKernel(src, dst, index, whole),
		u8: padKernel(src, dst, index, uint8(whole)), u16: padKernel(src, dst, index, uint16(whole)),
		u32: padKernel(src, dst, index, uint32(whole)), u64: padKernel(src, dst, index, uint64(v))})
}

func padKernel[T runtime.Number](src, dst *place, index [][]int32, value T) func() runtime.Kernel {
	return func() runtime.Kernel {
		return &runtime.PadPlain[T]{Src: src.ref(), Dst: dst.ref(), InShape: src.shape, Index: index, Value: value}
	}
}

func (b *builder) gatherPlain(n *ir.Node, g ir.Gather) error {
	src, idx := b.plain(n.In[0]), b.plain(n.In[ir.GatherIndices])
	dst := b.newDense(n.Out[0])
	outer, axis, inner := ir.Shape(src.shape[:g.Axis]).Len(), src.shape[g.Axis], ir.Shape(src.shape[g.Axis+1:]).Len()
	b.emit("Gather", []*place{src, idx}, []*place{dst}, func() runtime.Kernel {
		s, i, d := src.ref(), idx.ref(), dst.ref()
		if idx.dtype == ir.Int32 {
			return gatherKernel[int32](src.dtype.Size(), s, i, d, outer, axis, inner)
		}
		return gatherKernel[int64](src.dtype.Size(), s, i, d, outer, axis, inner)
	})
	return nil
}

func gatherKernel[I runtime.Number](size int, s, i, d runtime.Ref, outer, axis, inner int) runtime.Kernel {
	switch size {
	case 1:
		return &runtime.GatherPlain[uint8, I]{Src: s, Indices: i, Dst: d, Outer: outer, Axis: axis, Inner: inner}
	case 2:
		return &runtime.GatherPlain[uint16, I]{Src: s, Indices: i, Dst: d, Outer: outer, Axis: axis, Inner: inner}
	case 4:
		return &runtime.GatherPlain[uint32, I]{Src: s, Indices: i, Dst: d, Outer: outer, Axis: axis, Inner: inner}
	}
	return &runtime.GatherPlain[uint64, I]{Src: s, Indices: i, Dst: d, Outer: outer, Axis: axis, Inner: inner}
}

// alongChannels views a per-channel operand so that it broadcasts to rank
// axes.
func (p *place) alongChannels(rank int) *place {
	q := *p
	q.shape = slices.Concat(p.shape, slices.Repeat(ir.Shape{1}, rank-2))
	return &q
}

func (b *builder) affinePlain(n *ir.Node, scale, shift *place, a ir.Act) error {
	if err := checkFloat(n.Out[0].Type.DType); err != nil {
		return err
	}
	x := b.plain(n.In[0])
	r := len(x.shape)
	t := b.temp(n.Out[0].Name+".scaled", n.Out[0].Type)
	b.binaryStep("Affine: scale", ir.Mul, x, scale.alongChannels(r), t, ir.Act{})
	b.binaryStep("Affine: shift"+actDoc(a), ir.Add, t, shift.alongChannels(r), b.newDense(n.Out[0]), a)
	return nil
}

// resizePlain interpolates axis by axis.
func (b *builder) resizePlain(n *ir.Node, r ir.Resize) error {
	v := n.Out[0]
	if err := checkFloat(v.Type.DType); err != nil && r.Mode != ir.ResizeNearest {
		return err
	}
	src := b.plain(n.In[0])
	shape := slices.Clone(src.shape)
	var axes []int
	for i := range shape {
		if !r.Keeps(i, shape[i]) {
			axes = append(axes, i)
		}
	}
	if len(axes) == 0 {
		b.copyDense("Resize to the same extents", src, b.newDense(v))
		return nil
	}
	for k, i := range axes {
		from := src
		in := shape[i]
		shape = slices.Clone(shape)
		shape[i] = r.Shape[i]
		var dst *place
		if k == len(axes)-1 {
			dst = b.newDense(v)
		} else {
			dst = b.temp(v.Name+".resized", ir.Type{DType: v.Type.DType, Shape: shape})
		}
		taps, index, weight := resizeTable(r, i, in)
		outer, inner := shape[:i].Len(), shape[i+1:].Len()
		out := shape[i]
		t := resizeAxis{from, dst, outer, in, out, inner, taps, index, weight}
		if err := b.emitTyped(v.Type.DType, fmt.Sprintf("Resize %s, axis %d", r.Mode, i), []*place{from}, []*place{dst}, makers{
			f32: resizeKernel[float32](t), f64: resizeKernel[float64](t),
			i8: resizeKernel[int8](t), i16: resizeKernel[int16](t), i32: resizeKernel[int32](t), i64: resizeKernel[int64](t),
			u8: resizeKernel[uint8](t), u16: resizeKernel[uint16](t), u32: resizeKernel[uint32](t), u64: resizeKernel[uint64](t)}); err != nil {
			return err
		}
		src = dst
	}
	return nil
}

// resizeAxis is the interpolation along one axis.
type resizeAxis struct {
	from, dst             *place
	outer, in, out, inner int
	taps                  int
	index                 []int32
	weight                []float32
}

func resizeKernel[T runtime.Number](r resizeAxis) func() runtime.Kernel {
	return func() runtime.Kernel {
		return &runtime.ResizePlain[T]{Src: r.from.ref(), Dst: r.dst.ref(), Outer: r.outer, In: r.in, Out: r.out, Inner: r.inner, Taps: r.taps, Index: r.index, Weight: r.weight}
	}
}

func (b *builder) resizeImage(n *ir.Node, r ir.Resize) error {
	x := n.In[0]
	src := b.asImage(x)
	dst := b.newImage(n.Out[0])
	rank := x.Type.Rank()
	k := runtime.ResizeImage{RowTaps: 1, RowIndex: []int32{0}, RowWeight: []float32{1}}
	if rank == 4 {
		k.RowTaps, k.RowIndex, k.RowWeight = resizeTable(r, 2, x.Type.Shape[2])
	}
	k.ColTaps, k.ColIndex, k.ColWeight = resizeTable(r, rank-1, x.Type.Shape[rank-1])
	b.emit(fmt.Sprintf("Resize %s to %s", r.Mode, shapeDoc(r.Shape[2:]...)), []*place{src}, []*place{dst}, func() runtime.Kernel {
		k := k
		k.Src, k.Dst = src.img(), dst.img()
		return &k
	})
	return nil
}
