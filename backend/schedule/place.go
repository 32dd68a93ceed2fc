package schedule

import (
	"modelc/ir"
	"modelc/runtime"
)

// buffer is memory that values live in: a piece of the arena, or a region
// that exists already (weights, a model input or output). Offsets in the
// arena are known only after memory.go has seen all lifetimes.
type buffer struct {
	name  string // of the value that it was made for, or of what is derived from that
	bytes int
	fixed bool          // not in the arena: space and off are final
	space runtime.Space // Arena unless fixed
	off   int

	first, last int  // steps that touch it, inclusive; first < 0 before any
	shared      bool // other buffers use its memory at other times
}

func (b *buffer) touch(step int) {
	if b.first < 0 {
		b.first = step
	}
	b.last = max(b.last, step)
}

// inArena reports whether the buffer has memory in the arena. A buffer that no
// step touches has none: an image that is never whole in memory.
func (b *buffer) inArena() bool { return !b.fixed && b.first >= 0 }

// place is where a value lives: part of a buffer, as an image or dense.
type place struct {
	buf   *buffer
	off   int // bytes from the start of buf
	dtype ir.DType
	shape ir.Shape // of the value
	image bool
	// nhwc: dense, but in memory the channels are last. A transposed model
	// input needs no work this way.
	nhwc bool
	// Of an image:
	dims        dims
	border      border
	batchStride int // floats
}

// dims is a value's shape seen as images.
type dims struct{ n, c, h, w int }

// border is how many zero pixels surround an image.
type border struct{ top, left, bottom, right int }

func (b border) union(o border) border {
	return border{max(b.top, o.top), max(b.left, o.left), max(b.bottom, o.bottom), max(b.right, o.right)}
}

func (b border) plus(o border) border {
	return border{b.top + o.top, b.left + o.left, b.bottom + o.bottom, b.right + o.right}
}

func (b border) minus(o border) border {
	return border{b.top - o.top, b.left - o.left, b.bottom - o.bottom, b.right - o.right}
}

// imageDims views a shape [N,C,H,W] or [N,C,W] as images.
func imageDims(s ir.Shape) (dims, bool) {
	switch len(s) {
	case 3:
		return dims{s[0], s[1], 1, s[2]}, true
	case 4:
		return dims{s[0], s[1], s[2], s[3]}, true
	}
	return dims{}, false
}

func (d dims) blocks() int { return (d.c + 15) / 16 }

// plane returns the floats of one block with its border.
func (d dims) plane(b border) int { return (b.top + d.h + b.bottom) * (b.left + d.w + b.right) * 16 }

// ref returns the place as a dense operand. Valid once offsets are final.
func (p *place) ref() runtime.Ref {
	if p == nil {
		return runtime.Ref{}
	}
	return runtime.Ref{Space: p.buf.space, Off: p.buf.off + p.off, Len: p.shape.Len()}
}

// img returns the place as an image operand. Valid once offsets are final. An
// image without memory has extents and strides alone.
func (p *place) img() runtime.Image {
	if p == nil {
		return runtime.Image{}
	}
	m := runtime.Image{
		N: p.dims.n, C: p.dims.c, H: p.dims.h, W: p.dims.w,
		Top: p.border.top, Left: p.border.left, Bottom: p.border.bottom, Right: p.border.right,
		BatchStride: p.batchStride,
		Clear:       p.buf.shared && p.border != border{},
	}
	if p.buf.fixed || p.buf.inArena() {
		m.Ref = runtime.Ref{Space: p.buf.space, Off: p.buf.off + p.off, Len: m.Size()}
	}
	return m
}

// location returns the place for people and for comparisons. Valid once
// offsets are final.
func (p *place) location() Location {
	if p.image {
		return Location{Image: p.img(), Rank: len(p.shape)}
	}
	return Location{Dense: p.ref(), Rank: len(p.shape)}
}

// contiguous reports whether an image without border holds its batch densely,
// so that its memory can be read as a matrix [N, blocks·H·W·16].
func (p *place) contiguous() bool {
	return p.border == border{} && (p.dims.n == 1 || p.batchStride == p.dims.blocks()*p.dims.plane(border{}))
}

// window returns the view of channels [c0,c0+c) of an image; c0 is a multiple
// of 16.
func (p *place) window(c0, c int) *place {
	q := *p
	q.off += c0 / 16 * p.dims.plane(p.border) * 4
	q.dims.c = c
	q.shape = append(ir.Shape{}, p.shape...)
	q.shape[1] = c
	return &q
}
