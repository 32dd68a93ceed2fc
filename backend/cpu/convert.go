package cpu

import (
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/bfloat"
	"modelc/runtime/kernel/integer"
	"modelc/runtime/kernel/plain"
)

// constant returns the place of a constant, stored dense and row-major.
func (b *builder) constant(v *ir.Value) *place {
	if p := b.dense[v]; p != nil {
		return p
	}
	p := b.tensor(v.Name, v.Const)
	b.dense[v] = p
	return p
}

// plain returns a dense, row-major place of v. It emits a conversion if v has
// none. It returns nil for nil.
func (b *builder) plain(v *ir.Value) *place {
	if v == nil {
		return nil
	}
	if v.Const != nil {
		return b.constant(v)
	}
	if p := b.dense[v]; p != nil {
		if !p.nhwc {
			return p
		}
		// The transposition was deferred: see transpose.
		q := b.temp(v.Name, v.Type)
		reader := b.Node
		b.Node = v.Def()
		b.permute("Transpose", p.asNHWC(), q, ir.ChannelsFirst(len(p.Shape)))
		b.Node = reader
		b.dense[v] = q
		return q
	}
	img := b.images[v]
	// An image of one pixel is a row of channels. Bytes of type i8 are stored in another
	// form.
	if v.Type.DType != ir.Int8 && img.dims.h*img.dims.w == 1 && img.contiguous() && (img.dims.n == 1 || img.dims.c%img.form.block == 0) {
		q := &place{Tensor: img.Tensor}
		q.Shape = v.Type.Shape
		b.dense[v] = q
		return q
	}
	q := b.newDense(v)
	b.unpack("Unpack from NC16", img, q, q)
	b.Last().Node = nil
	return q
}

// unpack emits a conversion of an image to the dense tensor dst. as is the same
// memory with the axes in the order that the kernel writes.
func (b *builder) unpack(doc string, img, dst, as *place) {
	b.emit(doc, []*place{img}, []*place{dst}, func() kernel.Kernel {
		if isByte(img.DType) {
			return &integer.Unpack{Src: img.img(), Dst: as.ref(), NHWC: as.nhwc, Flip: flip(img.DType)}
		}
		return &kernel.Unpack{Src: img.img(), Dst: as.ref(), NHWC: as.nhwc}
	})
	b.Last().MovesLayout = true
}

// asImage returns the place of v as an image. It emits a conversion if v is
// dense.
func (b *builder) asImage(v *ir.Value) *place {
	if p := b.images[v]; p != nil {
		return p
	}
	src := b.dense[v]
	if v.Const != nil {
		src = b.constant(v)
	}
	dst := b.newImage(v)
	b.emit("Pack to NC16", []*place{src}, []*place{dst}, func() kernel.Kernel {
		if isByte(v.Type.DType) {
			return &integer.Pack{Src: src.ref(), NHWC: src.nhwc, Dst: dst.img(), Flip: flip(v.Type.DType)}
		}
		return &kernel.Pack{Src: src.ref(), NHWC: src.nhwc, Dst: dst.img()}
	})
	b.Last().Node, b.Last().MovesLayout = nil, true
	return dst
}

// withBorder emits a copy of an image to a new image with the border bd, which has the
// value f.
func (b *builder) withBorder(src *place, bd border, f fill) *place {
	dst := b.ownImage(src.Buffer.Name+".padded", src.Type, src.form, bd, f)
	b.emit("Copy with border", []*place{src}, []*place{dst}, func() kernel.Kernel {
		if src.DType == ir.BFloat16 {
			return &bfloat.Copy{Src: src.img(), Dst: dst.img()}
		}
		return &kernel.Copy{Src: src.img(), Dst: dst.img(), Channels: src.dims.c}
	})
	return dst
}

// strided describes a copy between strided views of the same shape.
type strided struct {
	shape              []int
	srcStart, dstStart int
	src, dst           []int // strides
}

// copyStrided emits a copy, unless there are no elements. The kernel depends only on the
// size of an element.
func (b *builder) copyStrided(doc string, src, dst *place, s strided) {
	if ir.Shape(s.shape).Len() == 0 {
		return
	}
	shape, st := plan.Collapse(s.shape, s.src, s.dst)
	longestLast(shape, st)
	s.shape, s.src, s.dst = shape, st[0], st[1]
	b.emitPlain(doc, []*place{src}, []*place{dst}, func() kernel.Kernel {
		return ofSize[copier](src).copy(src, dst, s)
	})
}

type copier interface {
	copy(src, dst *place, s strided) kernel.Kernel
}

func (number[T]) copy(src, dst *place, s strided) kernel.Kernel {
	return &plain.StridedCopy[T]{Src: src.ref(), Dst: dst.ref(), Shape: s.shape, SrcStart: s.srcStart, DstStart: s.dstStart, SrcStride: s.src, DstStride: s.dst}
}

// shortLoop is the number of elements of an inner loop below which the outer
// loops cost more time.
const shortLoop = 8

// longestLast gives a copy a long inner loop: it swaps a short last axis with the
// longest one. It keeps a last axis that is contiguous in both views.
func longestLast(dims []int, strides [][]int) {
	last := len(dims) - 1
	if last < 1 || dims[last] >= shortLoop || strides[0][last] == 1 && strides[1][last] == 1 {
		return
	}
	longest := last
	for i, d := range dims[:last] {
		if d > dims[longest] || longest < last && d == dims[longest] { // of equal axes the inner one, which has smaller strides
			longest = i
		}
	}
	dims[last], dims[longest] = dims[longest], dims[last]
	for _, s := range strides {
		s[last], s[longest] = s[longest], s[last]
	}
}

func (b *builder) copyDense(doc string, src, dst *place) {
	b.copyStrided(doc, src, dst, strided{shape: []int{src.Shape.Len()}, src: []int{1}, dst: []int{1}})
}

// permute emits a copy with permuted axes: axis i of dst is axis perm[i] of src.
func (b *builder) permute(doc string, src, dst *place, perm []int) {
	from := src.Shape.Strides()
	s := strided{shape: make([]int, len(perm)), src: make([]int, len(perm))}
	for i, p := range perm {
		s.shape[i], s.src[i] = src.Shape[p], from[p]
	}
	s.dst = ir.Shape(s.shape).Strides()
	b.copyStrided(doc, src, dst, s)
}
