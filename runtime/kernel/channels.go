package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
)

// SelectChannels assembles an image from channels of other images, of floats or bytes.
// Channel c of Dst is channel From[c] of the sources, whose channels are numbered
// consecutively.
type SelectChannels struct {
	Src  []Image // with the extents of Dst
	Dst  Image
	From []int32
}

// Check declares the memory of the step.
func (k *SelectChannels) Check(v *Verifier) {
	v.Require(len(k.Src) > 0 && k.Dst.Lanes() == lanes, "there is no source, or the result is not in blocks of 16 channels")
	channels := 0
	for i := range k.Src {
		m := &k.Src[i]
		v.moves(m, &k.Dst)
		v.Require(m.N == k.Dst.N && m.H == k.Dst.H && m.W == k.Dst.W, "the extents of the operands differ")
		channels = min(channels+m.C, MaxExtent)
	}
	v.Require(len(k.From) == k.Dst.C, "the table of channels does not have the channels of the result")
	v.Indices("channels", k.From, 0, channels)
}

// ScratchBytes is zero.
func (k *SelectChannels) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *SelectChannels) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks(), 2*k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part fills one block of one image.
func (k *SelectChannels) Part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	floats := k.Dst.Elem == Float32
	var s laneSources
	for lane, from := range k.From[b*16 : min(b*16+16, len(k.From))] {
		at := int(from)
		img := 0
		for at >= k.Src[img].C {
			at -= k.Src[img].C
			img++
		}
		if floats {
			s.add(c, lane, &k.Src[img], n, at)
		} else {
			copyLane(c, &k.Dst, &k.Src[img], n, b*16+lane, at)
		}
	}
	if !floats {
		return
	}
	s.gather(c, &k.Dst, n, b, false)
}

// laneSources lists the sources of the 16 lanes of a block.
type laneSources struct {
	half [2]struct {
		groups [8]simd.LaneGroup
		n      int
	}
}

// add makes channel ch of batch element n of img the source of a lane.
func (s *laneSources) add(c *Context, lane int, img *Image, n, ch int) {
	h := &s.half[lane/8]
	at := img.At(n, ch/16, 0, 0) + ch%16&8
	in := unsafe.Pointer(&c.F32(img.Ref)[at])
	g := 0
	for g < h.n && h.groups[g].In != in {
		g++
	}
	if g == h.n {
		h.groups[g].In, h.groups[g].Row = in, img.RowBytes()
		h.n++
	}
	h.groups[g].Perm[lane%8], h.groups[g].Mask[lane%8] = int32(ch%8), -1
}

// gather writes the lanes of block b of image n of dst. Lanes without a source
// become zero, or keep their values.
func (s *laneSources) gather(c *Context, dst *Image, n, b int, keep bool) {
	out := c.F32(dst.Ref)[dst.At(n, b, 0, 0):]
	for i := range s.half {
		h := &s.half[i]
		// Rows without a border between them are one row.
		rows, width := dst.H, dst.W
		flat := dst.Left+dst.Right == 0
		for g := range h.groups[:h.n] {
			flat = flat && h.groups[g].Row == dst.W*pixelBytes
		}
		if flat {
			rows, width = 1, dst.H*dst.W
		}
		for y := range rows {
			for x := 0; x < width; {
				pixels := min(callFloats/16, width-x)
				simd.Gather(out[y*dst.Row()+x*16+i*8:], pixels, &h.groups, h.n, keep)
				x += pixels
				for g := range h.groups[:h.n] {
					step := pixels * pixelBytes
					switch {
					case x == width && y == rows-1:
						step = 0 // a pointer must not leave the memory
					case x == width:
						step += h.groups[g].Row - width*pixelBytes
					}
					h.groups[g].In = unsafe.Add(h.groups[g].In, step)
				}
			}
		}
	}
}

// Spread writes an image to every SY-th row and SX-th column of another, starting at
// row Y and column X. Dst and Src have the same element type and number of channels.
type Spread struct {
	Src, Dst     Image
	SY, SX, Y, X int
}

// Check declares the memory of the step.
func (k *Spread) Check(v *Verifier) {
	v.moves(&k.Src, &k.Dst)
	v.Require(k.Src.N == k.Dst.N && k.Src.Blocks() == k.Dst.Blocks() && k.Src.Lanes() == k.Dst.Lanes(), "the extents of the operands differ")
	top, bottom := v.Window(k.Src.H, k.SY, 1, 1, -k.Y)
	left, right := v.Window(k.Src.W, k.SX, 1, 1, -k.X)
	v.Require(top >= 0 && left >= 0 && bottom < int64(k.Dst.H) && right < int64(k.Dst.W), "the pixels leave the result")
}

// ScratchBytes is zero.
func (k *Spread) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Spread) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Src.N*k.Src.Blocks(), k.Src.N*k.Src.C*k.Src.H*k.Src.W, k)
}

// Part spreads one block of 16 channels of one image.
func (k *Spread) Part(c *Context, i, worker int) {
	n, b := i/k.Src.Blocks(), i%k.Src.Blocks()
	src, dst, pixel := k.Src.bytes(c), k.Dst.bytes(c), k.Src.PixelBytes()
	for y := range k.Src.H {
		in := k.Src.line(src, n, b, y)
		out := k.Dst.line(dst, n, b, y*k.SY+k.Y)[k.X*pixel:]
		for x := 0; x < len(in); x += pixel {
			copy(out[x*k.SX:], in[x:x+pixel])
		}
	}
}

// UnpackWoven converts an image to a dense tensor with fewer channels of more pixels:
// channel c of Dst [N,C,SY·H,SX·W] at row y·SY+i, column x·SX+j is channel
// From[(i·SX+j)·C+c] of pixel (y,x).
type UnpackWoven struct {
	Src    Image
	Dst    Ref
	SY, SX int
	From   []int32
}

// Check declares the memory of the step.
func (k *UnpackWoven) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.Positive("SY and SX", k.SY, k.SX)
	v.Require(v.err != nil || len(k.From) > 0 && int64(len(k.From))%Product(k.SY, k.SX) == 0, "the table of channels does not have whole pixels")
	if v.err == nil {
		v.Write("Dst", k.Dst, 4, Product(k.Src.N, len(k.From), k.Src.H, k.Src.W))
		v.Indices("channels", k.From, 0, k.Src.C)
	}
}

// ScratchBytes is zero.
func (k *UnpackWoven) ScratchBytes() int { return 0 }

func (k *UnpackWoven) channels() int { return len(k.From) / (k.SY * k.SX) }

// Run computes the step.
func (k *UnpackWoven) Run(c *Context) {
	c.Do(k.Src.N*k.channels()*k.Src.H, k.Dst.Len, k)
}

// Part writes the rows of one channel that come from one row of pixels.
func (k *UnpackWoven) Part(c *Context, i, worker int) {
	src, channels := c.F32(k.Src.Ref), k.channels()
	n, ch := i/k.Src.H/channels, i/k.Src.H%channels
	rows := c.F32(k.Dst)[i*k.SY*k.SX*k.Src.W:]
	for r := range k.SY {
		row := rows[r*k.SX*k.Src.W:][:k.SX*k.Src.W]
		for j := range k.SX {
			from := int(k.From[(r*k.SX+j)*channels+ch])
			in := k.Src.row(src, n, from/16, i%k.Src.H)[from%16:]
			for x := range k.Src.W {
				row[x*k.SX+j] = in[x*16]
			}
		}
	}
}
