package integer

import (
	"modelc/runtime/internal/simd"
	"modelc/runtime/kernel"
)

// Window is the windows of a pool. It clips windows to the image, so it never reads the
// border.
type Window struct {
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
}

// MaxPool is the maximum over windows of an image of bytes. It is Empty for a window
// without pixels of the image.
type MaxPool struct {
	Src, Dst kernel.Image
	Window
	Empty byte
}

// AveragePool is the average over windows of an image of bytes, requantised:
//
//	clamp(round(f32(Σ(x−XZero))·(XScale/(YScale·n))) + YZero, 0, 255)
//
// n is the number of elements that the average divides by. Every operation is rounded to
// float32, and round rounds half to even.
type AveragePool struct {
	Src, Dst kernel.Image
	Window
	// PadBottom and PadRight are the padding whose pixels an average with CountPad
	// counts.
	PadBottom, PadRight int
	CountPad            bool
	XScale, YScale      float32
	XZero, YZero        int
}

// check declares the memory of a pool.
func (k *Window) check(v *kernel.Verifier, src, dst *kernel.Image) {
	v.Bytes("Src", src, false)
	v.Bytes("Dst", dst, true)
	v.Require(src.N == dst.N && src.Blocks() == dst.Blocks() && src.Lanes() == dst.Lanes(), "the extents of the operands differ")
	v.Window(dst.H, k.SH, k.KH, k.DH, k.PadTop)
	v.Window(dst.W, k.SW, k.KW, k.DW, k.PadLeft)
}

// Check declares the memory of the step.
func (k *MaxPool) Check(v *kernel.Verifier) { k.check(v, &k.Src, &k.Dst) }

// ScratchBytes is zero.
func (k *MaxPool) ScratchBytes() int { return 0 }

// Run computes the pool.
func (k *MaxPool) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(parts(&k.Dst), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W*k.KH*k.KW/lanes, k)
}

// Part computes some rows of one block of one image.
func (k *MaxPool) Part(c *kernel.Context, i, worker int) {
	n, b, from, to := span(&k.Dst, i)
	src, dst, m := bytesOf(c, k.Src.Ref), bytesOf(c, k.Dst.Ref), &k.Src
	for y := from; y < to; y++ {
		k.maxRow(row(dst, &k.Dst, n, b, y), src, m.At(n, b, 0, 0), m.Row(), m.H, m.W, m.Lanes(), y, k.Empty)
	}
}

// maxRow writes row y of the maximum over the windows of h×w pixels, one block of
// channels. The first pixel is at src[origin], and rows are rowStride apart. empty is the
// result of a window without pixels.
func (k *Window) maxRow(out, src []byte, origin, rowStride, h, w, block, y int, empty byte) {
	lo, hi := k.inside(w, len(out)/block)
	y0, ny := taps(y*k.SH-k.PadTop, k.KH, k.DH, h)
	for x := 0; x < len(out)/block; {
		x0, nx := taps(x*k.SW-k.PadLeft, k.KW, k.DW, w)
		count := 1 // of windows with the same taps
		if x == lo && lo < hi {
			count = hi - lo
		}
		if o := out[x*block : (x+count)*block]; ny*nx > 0 {
			maxPixels(o, src[origin+y0*rowStride+x0*block:], block, k.SW*block, ny, k.DH*rowStride, nx, k.DW*block)
		} else {
			for ch := range o {
				o[ch] = empty
			}
		}
		x += count
	}
}

// maxPixels writes the maxima of windows, pix bytes apart, to the pixels of out. Windows
// have at least one tap.
func maxPixels(out, src []byte, block, pix, rows, rowStride, cols, colStride int) {
	if block == lanes && simd.MaxBytes(&out[0], &src[0], len(out)/block, pix, rows, rowStride, cols, colStride) {
		return
	}
	clear(out)
	for x := 0; x < len(out); x += block {
		o, at := out[x:x+block], x/block*pix
		for y := range rows {
			for c := range cols {
				for ch, v := range src[at+y*rowStride+c*colStride:][:block] {
					o[ch] = max(o[ch], v)
				}
			}
		}
	}
}

// taps returns the taps of a window along an axis of length n that lie inside it: the
// position of the first, and their number. The window starts at start.
func taps(start, size, dilation, n int) (first, count int) {
	if start < 0 {
		skipped := min(size, (dilation-1-start)/dilation)
		start, size = start+skipped*dilation, size-skipped
	}
	if start >= n {
		return start, 0
	}
	size = min(size, (n-1-start)/dilation+1)
	return start, size
}

// inside returns the range of columns of a result of width out whose windows lie inside
// an image of width in.
func (k *Window) inside(in, out int) (lo, hi int) {
	last := in - (k.KW-1)*k.DW - 1 + k.PadLeft
	if last < 0 {
		return 0, 0
	}
	lo = min((max(k.PadLeft, 0)+k.SW-1)/k.SW, out)
	return lo, max(lo, min(out, last/k.SW+1))
}

// Check declares the memory of the step.
func (k *AveragePool) Check(v *kernel.Verifier) {
	k.check(v, &k.Src, &k.Dst)
	v.Window(1, 1, 1, 1, k.PadBottom)
	v.Window(1, 1, 1, 1, k.PadRight)
}

// ScratchBytes is zero.
func (k *AveragePool) ScratchBytes() int { return 0 }

// Run computes the pool.
func (k *AveragePool) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(parts(&k.Dst), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W*k.KH*k.KW/4, k)
}

// Part computes some rows of one block of one image.
func (k *AveragePool) Part(c *kernel.Context, i, worker int) {
	n, b, from, to := span(&k.Dst, i)
	src, dst, m := bytesOf(c, k.Src.Ref), bytesOf(c, k.Dst.Ref), &k.Src
	block := m.Lanes()
	lo, hi := k.inside(m.W, k.Dst.W)
	for y := from; y < to; y++ {
		out := row(dst, &k.Dst, n, b, y)
		y0, ny := taps(y*k.SH-k.PadTop, k.KH, k.DH, m.H)
		rows := ny
		if k.CountPad {
			rows = kernel.Counted(y*k.SH-k.PadTop, k.KH, k.DH, m.H+k.PadBottom)
		}
		for x := 0; x < k.Dst.W; {
			x0, nx := taps(x*k.SW-k.PadLeft, k.KW, k.DW, m.W)
			count, cols := 1, nx
			if x == lo && lo < hi {
				count = hi - lo
			} else if k.CountPad {
				cols = kernel.Counted(x*k.SW-k.PadLeft, k.KW, k.DW, m.W+k.PadRight)
			}
			p := simd.ByteAverage{Start: int32(-ny * nx * k.XZero), By: k.XScale / float32(k.YScale*float32(rows*cols)),
				Zero: int32(k.YZero), Low: float32(-k.YZero), High: float32(255 - k.YZero)}
			o := out[x*block : (x+count)*block]
			if ny*nx > 0 {
				averagePixels(o, src[m.At(n, b, y0, x0):], block, k.SW*block, ny, k.DH*m.Row(), nx, k.DW*block, &p)
			} else {
				averagePixels(o, src, block, 0, 0, 0, 0, 0, &p)
			}
			x += count
		}
	}
}

// averagePixels writes the averages of windows, pix bytes apart, to the pixels of out.
func averagePixels(out, src []byte, block, pix, rows, rowStride, cols, colStride int, p *simd.ByteAverage) {
	if block == lanes && rows*cols > 0 && simd.AverageBytes(&out[0], &src[0], len(out)/block, pix, rows, rowStride, cols, colStride, p) {
		return
	}
	for x := 0; x < len(out); x += block {
		at := x / block * pix
		for ch := range block {
			sum := p.Start
			for y := range rows {
				for c := range cols {
					sum += int32(src[at+y*rowStride+c*colStride+ch])
				}
			}
			out[x+ch] = saturate(float32(sum)*p.By, int(p.Zero), 0, 255)
		}
	}
}
