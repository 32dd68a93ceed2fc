package cpu

import (
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// form is the form in memory of images of an element type:
// [N][blocks of channels][rows][columns][channels of a block].
type form struct {
	elem  int // bytes of an element
	block int // channels of a block
}

// channelBlocks has the number of channels in a block, for each element type of
// images. Tensors of other types are dense and row-major.
var channelBlocks = map[ir.DType]int{ir.Float32: 16, ir.BFloat16: 32, ir.Uint8: 16, ir.Int8: 16}

// imageElem has the runtime's constant for each of these types.
// Elements of type i8 are stored with 128 added.
var imageElem = map[ir.DType]kernel.Elem{ir.Float32: kernel.Float32, ir.BFloat16: kernel.BFloat16, ir.Uint8: kernel.Uint8, ir.Int8: kernel.Uint8}

// formOf returns the form of images with elements of type d.
func formOf(d ir.DType) form { return form{d.Size(), channelBlocks[d]} }

// nc16 is the form of images of float32.
var nc16 = formOf(ir.Float32)

// fewBytes is the form of images of bytes with at most 4 channels that only first layers
// read. A pixel is one dword.
var fewBytes = form{elem: 1, block: 4}

// isByte reports whether images with elements of type d have bytes.
func isByte(d ir.DType) bool { return imageElem[d] == kernel.Uint8 }

// flip returns the bit that kernels on bytes change in elements of type d, 8-bit integers.
// For i8 this adds 128 to each element.
func flip(d ir.DType) uint8 {
	if d == ir.Int8 {
		return 0x80
	}
	return 0
}

// stored returns q, an integer of type d, as kernels on bytes read it.
func stored(d ir.DType, q int) int { return q + int(flip(d)) }

// blocks returns the number of blocks of c channels.
func (f form) blocks(c int) int { return (c + f.block - 1) / f.block }

// whole returns c rounded up to whole blocks.
func (f form) whole(c int) int { return f.blocks(c) * f.block }

// alignTo returns the smallest multiple of k that is not below n.
func alignTo(n, k int) int { return plan.AlignUp(n, k) }

// align is the alignment in bytes of buffers and of sections of weights: the size
// of a cache line and of an AVX-512 register.
const align = 64

func alignUp(n int) int { return plan.AlignUp(n, align) }

// dims are the extents of a batch of images.
type dims struct{ n, c, h, w int }

// imageDims returns the extents of a tensor of shape [N,C,H,W] or [N,C,W] as
// images, and false for other shapes.
func imageDims(s ir.Shape) (dims, bool) {
	switch len(s) {
	case 3:
		return dims{s[0], s[1], 1, s[2]}, true
	case 4:
		return dims{s[0], s[1], s[2], s[3]}, true
	}
	return dims{}, false
}

// border is the number of pixels beyond each side of an image. They are zero, or the fill
// of an image of bytes.
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

// fill is the value of the border of an image of bytes.
type fill struct {
	value byte      // as stored in the image
	from  *ir.Value // unless nil, the computed value
}

// place is the place of a value in a buffer, as an image or dense. The space of
// the buffer is a kernel.Space.
type place struct {
	plan.Tensor
	image bool
	// nhwc reports whether a dense value lies in memory with its channels last.
	// With it, the transposition of a model's input needs no step.
	nhwc bool
	// The other fields belong to images.
	form        form
	dims        dims
	border      border
	fill        byte
	fillFrom    *place // unless nil, the computed value of the border
	batchStride int    // elements from one image to the next
}

// blocks returns the number of blocks of channels.
func (p *place) blocks() int { return p.form.blocks(p.dims.c) }

// plane returns the number of elements of a block of channels of one image, with
// the border.
func (p *place) plane() int {
	return (p.border.top + p.dims.h + p.border.bottom) * (p.border.left + p.dims.w + p.border.right) * p.form.block
}

// imageOf returns a place for an image of the given type and form, without a buffer.
// The images of its batch lie one after another.
func imageOf(t ir.Type, f form, bd border) *place {
	d, _ := imageDims(t.Shape)
	p := &place{Tensor: plan.Tensor{Type: t}, image: true, form: f, dims: d, border: bd}
	p.batchStride = p.blocks() * p.plane()
	return p
}

// bytes returns the size of an image that imageOf returned.
func (p *place) bytes() int { return p.dims.n * p.batchStride * p.form.elem }

// ref returns the place as a dense operand. Offsets must be final.
func (p *place) ref() kernel.Ref {
	if p == nil {
		return kernel.Ref{}
	}
	return kernel.Ref{Space: kernel.Space(p.Buffer.Space), Off: p.Buffer.Off + p.Off, Len: p.Shape.Len()}
}

// img returns the place as an image operand. Offsets must be final. An image that
// is never whole in memory has extents and strides, but no Ref.
func (p *place) img() kernel.Image {
	if p == nil {
		return kernel.Image{}
	}
	m := kernel.Image{
		Elem: imageElem[p.DType],
		N:    p.dims.n, C: p.dims.c, H: p.dims.h, W: p.dims.w,
		Top: p.border.top, Left: p.border.left, Bottom: p.border.bottom, Right: p.border.right,
		BatchStride: p.batchStride,
	}
	if p.border != (border{}) {
		m.Fill, m.FillFrom = p.fill, p.fillFrom.ref()
		m.Clear = p.Buffer.Shared || m.Fill != 0 || m.FillFrom.Present()
	}
	if p.form.block != nc16.block {
		m.Block = p.form.block
	}
	if p.Buffer.Space != 0 || p.Buffer.InArena() {
		m.Ref = kernel.Ref{Space: kernel.Space(p.Buffer.Space), Off: p.Buffer.Off + p.Off, Len: m.Size()}
	}
	return m
}

// location returns the place as a Location. Offsets must be final.
func (p *place) location() Location {
	if p.image {
		return Location{Image: p.img(), Rank: len(p.Shape)}
	}
	return Location{Dense: p.ref(), Rank: len(p.Shape)}
}

// contiguous reports whether the memory of an image, without gaps, is a matrix
// [N, blocks·H·W·block]. The image must have no border.
func (p *place) contiguous() bool {
	return p.border == border{} && (p.dims.n == 1 || p.batchStride == p.blocks()*p.plane())
}

// window returns the view of channels [c0,c0+c) of an image. c0 must be a multiple
// of the block.
func (p *place) window(c0, c int) *place {
	q := *p
	q.Off += c0 / p.form.block * p.plane() * p.form.elem
	q.dims.c = c
	q.Shape = append(ir.Shape{}, p.Shape...)
	q.Shape[1] = c
	return &q
}

// asNHWC returns the place with the shape of its memory, [N,H,W,C].
func (p *place) asNHWC() *place {
	q := *p
	q.nhwc = false
	r := len(p.Shape)
	q.Shape = append(append(ir.Shape{p.Shape[0]}, p.Shape[2:r]...), p.Shape[1])
	return &q
}

// act converts an activation to that of the kernels.
func act(a ir.Act) kernel.Act {
	return kernel.Act{Fn: kernel.Fn(a.Fn), Alpha: float32(a.Alpha), Beta: float32(a.Beta)}
}
