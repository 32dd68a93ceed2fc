package integer

import (
	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Quantize converts floats to an image of bytes:
//
//	Dst = saturate(round(x/Scale) + Zero)
//
// rounded half to even. NaN becomes 0. The operand is an image in NC16, or a dense tensor
// if Image has no elements.
type Quantize struct {
	Image kernel.Image // float32, in blocks of 16
	Src   kernel.Ref   // float32, [N,C,H,W], or [N,H,W,C] if NHWC is set
	NHWC  bool
	Dst   kernel.Image
	Scale float32
	Zero  int
}

// Dequantize converts an image of bytes to an image in NC16, or to a dense tensor if
// Image has no elements: Scale·(q − Zero).
type Dequantize struct {
	Src   kernel.Image
	Image kernel.Image // float32, in blocks of 16
	Dst   kernel.Ref   // float32, [N,C,H,W], or [N,H,W,C] if NHWC is set
	NHWC  bool
	Scale float32
	Zero  int
}

// DynamicQuantize converts floats to an image of bytes with the smallest scale that holds
// the range of all elements and zero. It writes the scale and the zero point. FillFrom of
// Dst may be Zero.
type DynamicQuantize struct {
	Image       kernel.Image // float32, in blocks of 16
	Src         kernel.Ref   // float32, [N,C,H,W], or [N,H,W,C] if NHWC is set
	NHWC        bool
	Dst         kernel.Image
	Scale, Zero kernel.Ref // one float32, one byte
}

// check declares the operand of a step that quantises it to dst.
func (s source) check(v *kernel.Verifier, dst *kernel.Image) {
	v.Bytes("Dst", dst, true)
	if s.img.N > 0 {
		v.NC16("Image", s.img, false)
		v.Require(s.img.N == dst.N && s.img.Blocks() == dst.Blocks() && s.img.H == dst.H && s.img.W == dst.W, "the extents of the operands differ")
	} else {
		v.Read("Src", s.dense, 4, kernel.Product(dst.N, dst.C, dst.H, dst.W))
	}
	v.Scratch(kernel.Product(dst.W, max(dst.C, lanes)))
}

// Check declares the memory of the step.
func (k *Quantize) Check(v *kernel.Verifier) { source{&k.Image, k.Src, k.NHWC}.check(v, &k.Dst) }

// ScratchBytes is the size of a row of bytes.
func (k *Quantize) ScratchBytes() int { return rowScratch(&k.Dst) }

// rowScratch returns the size of the scratch memory that quantizeRows needs.
func rowScratch(dst *kernel.Image) int { return dst.W * max(dst.C, lanes) }

// Run computes the step.
func (k *Quantize) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(parts(&k.Dst), 2*k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part computes some rows of one block of one image.
func (k *Quantize) Part(c *kernel.Context, i, worker int) {
	s := source{&k.Image, k.Src, k.NHWC}
	s.quantize(c, &k.Dst, i, k.Scale, k.Zero, c.Scratch(worker))
}

// source is a float32 operand: an image, or a dense tensor with the extents of the
// result.
type source struct {
	img   *kernel.Image
	dense kernel.Ref
	nhwc  bool
}

// quantize writes the rows of part i of dst.
func (s source) quantize(c *kernel.Context, dst *kernel.Image, i int, scale float32, zero int, scratch []byte) {
	n, b, from, to := span(dst, i)
	out := bytesOf(c, dst.Ref)
	block := dst.Lanes()
	channels := min(block, dst.C-b*block)
	if s.img.N > 0 {
		src := c.F32(s.img.Ref)
		for y := from; y < to; y++ {
			to := row(out, dst, n, b, y)
			if block == lanes {
				quantizeRow(to, row(src, s.img, n, b, y), scale, zero)
				continue
			}
			line := scratch[:dst.W*lanes]
			quantizeRow(line, row(src, s.img, n, 0, y), scale, zero)
			for x := range dst.W {
				copy(to[x*block:(x+1)*block], line[x*lanes:])
			}
		}
		return
	}
	plane := dst.H * dst.W
	src := c.F32(s.dense)[n*dst.C*plane:]
	for y := from; y < to; y++ {
		to := row(out, dst, n, b, y)
		switch {
		case s.nhwc:
			// All channels of a row lie side by side. Usually there is one block.
			in := src[y*dst.W*dst.C:][:dst.W*dst.C]
			if block == 4 {
				line := scratch[:len(in)]
				quantizeRow(line, in, scale, zero)
				widen(to, line, channels)
				continue
			}
			for x := range dst.W {
				quantizeRow(to[x*block:][:channels], in[x*dst.C+b*block:][:channels], scale, zero)
			}
		case block == 4:
			quantizePixels(to, src[y*dst.W:], plane, channels, dst.W, scale, zero)
		default:
			in := src[b*block*plane+y*dst.W:]
			line := scratch[:dst.W]
			for ch := range channels {
				quantizeRow(line, in[ch*plane:][:dst.W], scale, zero)
				for x, v := range line {
					to[x*block+ch] = v
				}
			}
		}
	}
}

// widen writes pixels of the given number of channels, at most 4, to pixels of 4.
func widen(dst, src []byte, channels int) {
	if channels == 3 {
		for i := 0; len(src) >= 3; i += 4 {
			d := dst[i : i+4]
			d[0], d[1], d[2], d[3] = src[0], src[1], src[2], 0
			src = src[3:]
		}
		return
	}
	for i := 0; len(src) >= channels; i += 4 {
		copy(dst[i:i+4], src[:channels])
		src = src[channels:]
	}
}

// quantizePixels quantises n pixels from planes of src, plane floats apart, to pixels of
// 4 bytes.
func quantizePixels(dst []byte, src []float32, plane, channels, n int, scale float32, zero int) {
	whole := n / lanes
	if whole > 0 && !simd.QuantizePixels(&dst[0], &src[0], plane*4, channels, whole, scale, int32(zero)) {
		whole = 0
	}
	for ch := range channels {
		for x := whole * lanes; x < n; x++ {
			dst[x*4+ch] = saturate(src[ch*plane+x]/scale, zero, 0, 255)
		}
	}
}

// Check declares the memory of the step.
func (k *Dequantize) Check(v *kernel.Verifier) {
	v.Bytes("Src", &k.Src, false)
	if k.Image.N > 0 {
		v.NC16("Image", &k.Image, true)
		v.Require(k.Image.N == k.Src.N && k.Image.Blocks() == k.Src.Blocks() && k.Image.H == k.Src.H && k.Image.W == k.Src.W, "the extents of the operands differ")
	} else {
		v.Write("Dst", k.Dst, 4, kernel.Product(k.Src.N, k.Src.C, k.Src.H, k.Src.W))
	}
	v.Scratch(kernel.Product(k.Src.W, k.Src.Lanes(), 4))
}

// ScratchBytes is the size of a row of floats.
func (k *Dequantize) ScratchBytes() int { return k.Src.W * k.Src.Lanes() * 4 }

// Run computes the step.
func (k *Dequantize) Run(c *kernel.Context) {
	if k.Image.N > 0 {
		k.Image.ClearBorder(c)
	}
	c.Do(parts(&k.Src), k.Src.N*k.Src.C*k.Src.H*k.Src.W, k)
}

// Part computes some rows of one block of one image.
func (k *Dequantize) Part(c *kernel.Context, i, worker int) {
	m := &k.Src
	n, b, from, to := span(m, i)
	src := bytesOf(c, m.Ref)
	block := m.Lanes()
	channels := min(block, m.C-b*block)
	if k.Image.N > 0 {
		dst := c.F32(k.Image.Ref)
		for y := from; y < to; y++ {
			in, out := row(src, m, n, b, y), row(dst, &k.Image, n, b, y)
			if block == lanes {
				dequantizeRow(out, in, k.Scale, k.Zero)
				continue
			}
			clear(out)
			for x := range m.W {
				dequantizeRow(out[x*lanes:], in[x*block:][:block], k.Scale, k.Zero)
			}
		}
		return
	}
	plane := m.H * m.W
	dst := c.F32(k.Dst)[n*m.C*plane:]
	line := kernel.Floats(c.Scratch(worker))[:m.W*block]
	for y := from; y < to; y++ {
		dequantizeRow(line, row(src, m, n, b, y), k.Scale, k.Zero)
		if k.NHWC {
			for x := range m.W {
				copy(dst[(y*m.W+x)*m.C+b*block:][:channels], line[x*block:])
			}
			continue
		}
		for ch := range channels {
			out := dst[(b*block+ch)*plane+y*m.W:][:m.W]
			for x := range out {
				out[x] = line[x*block+ch]
			}
		}
	}
}

// Check declares the memory of the step.
func (k *DynamicQuantize) Check(v *kernel.Verifier) {
	source{&k.Image, k.Src, k.NHWC}.check(v, &k.Dst)
	v.Write("Scale", k.Scale, 4, 1)
	v.Write("Zero", k.Zero, 1, 1)
}

// ScratchBytes is the size of a row of bytes, which also has room for two bounds.
func (k *DynamicQuantize) ScratchBytes() int { return rowScratch(&k.Dst) }

// Run computes the step.
func (k *DynamicQuantize) Run(c *kernel.Context) {
	for w := range c.Threads() {
		*bounds(c, w) = [2]float32{}
	}
	work := k.Dst.N * k.Dst.C * k.Dst.H * k.Dst.W
	c.Do(parts(&k.Dst), work/2, (*rangeOfSource)(k))
	lo, hi := float32(0), float32(0)
	for w := range c.Threads() {
		b := bounds(c, w)
		lo, hi = min(lo, b[0]), max(hi, b[1])
	}
	scale := (hi - lo) / 255
	if hi == lo {
		scale = 1
	}
	zero := saturate((0-lo)/scale, 0, 0, 255)
	c.F32(k.Scale)[0] = scale
	bytesOf(c, k.Zero)[0] = zero
	k.Dst.ClearBorder(c)
	c.Do(parts(&k.Dst), 2*work, k)
}

// bounds returns the memory for the bounds that a worker finds.
func bounds(c *kernel.Context, worker int) *[2]float32 {
	return (*[2]float32)(kernel.Floats(c.Scratch(worker)))
}

// rangeOfSource computes the range of the elements. Each worker has bounds of its own.
type rangeOfSource DynamicQuantize

// Part reads some rows of one block of one image, or as large a part of a dense tensor.
func (k *rangeOfSource) Part(c *kernel.Context, i, worker int) {
	b := bounds(c, worker)
	if k.Image.N <= 0 {
		n, all := parts(&k.Dst), c.F32(k.Src)
		b[0], b[1] = rangeOf(all[team.Cut(len(all), n, i):team.Cut(len(all), n, i+1)], b[0], b[1])
		return
	}
	src := c.F32(k.Image.Ref)
	n, block, from, to := span(&k.Image, i)
	channels := min(lanes, k.Image.C-block*lanes)
	for y := from; y < to; y++ {
		in := row(src, &k.Image, n, block, y)
		if channels == lanes {
			b[0], b[1] = rangeOf(in, b[0], b[1])
			continue
		}
		for ; len(in) > 0; in = in[lanes:] {
			b[0], b[1] = rangeOf(in[:channels], b[0], b[1])
		}
	}
}

// Part computes some rows of one block of one image.
func (k *DynamicQuantize) Part(c *kernel.Context, i, worker int) {
	s := source{&k.Image, k.Src, k.NHWC}
	s.quantize(c, &k.Dst, i, c.F32(k.Scale)[0], int(bytesOf(c, k.Zero)[0]), c.Scratch(worker))
}

// rangeOf returns the smallest and the largest of lo, hi and the elements of x.
func rangeOf(x []float32, lo, hi float32) (float32, float32) {
	if whole := len(x) / lanes; whole > 0 {
		bounds := [2]float32{lo, hi}
		if simd.RangeRow(&bounds[0], &x[0], whole) {
			lo, hi, x = bounds[0], bounds[1], x[whole*lanes:]
		}
	}
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}
