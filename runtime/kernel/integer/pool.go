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

// MaxPool is the maximum over windows of an image of bytes. Every window has a pixel of
// the image.
type MaxPool struct {
	Src, Dst kernel.Image
	Window
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
	block := m.Lanes()
	for y := from; y < to; y++ {
		out := row(dst, &k.Dst, n, b, y)
		y0, ny := taps(y*k.SH-k.PadTop, k.KH, k.DH, m.H)
		lo, hi := k.inside(m.W, k.Dst.W)
		if ny > 0 && lo < hi && block == lanes {
			in := src[m.At(n, b, y0, lo*k.SW-k.PadLeft):]
			if !simd.MaxBytes(&out[lo*lanes], &in[0], hi-lo, k.SW*lanes, ny, k.DH*m.Row(), k.KW, k.DW*lanes) {
				lo, hi = 0, 0
			}
		} else {
			lo, hi = 0, 0
		}
		for x := 0; x < k.Dst.W; x++ {
			if x == lo && lo < hi {
				x = hi - 1
				continue
			}
			x0, nx := taps(x*k.SW-k.PadLeft, k.KW, k.DW, m.W)
			o := out[x*block : (x+1)*block]
			clear(o)
			for ky := range ny {
				for kx := range nx {
					for ch, v := range src[m.At(n, b, y0+ky*k.DH, x0+kx*k.DW):][:block] {
						o[ch] = max(o[ch], v)
					}
				}
			}
		}
	}
}

// taps returns the taps of a window along an axis of length n that lie inside it: the
// position of the first, and their number. The window starts at start.
func taps(start, size, dilation, n int) (first, count int) {
	for size > 0 && start < 0 {
		start += dilation
		size--
	}
	for size > 0 && start+(size-1)*dilation >= n {
		size--
	}
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
	for y := from; y < to; y++ {
		out := row(dst, &k.Dst, n, b, y)
		y0, ny := taps(y*k.SH-k.PadTop, k.KH, k.DH, m.H)
		for x := range k.Dst.W {
			x0, nx := taps(x*k.SW-k.PadLeft, k.KW, k.DW, m.W)
			var sums [lanes]int32
			for ky := range ny {
				if nx > 0 {
					sumPixels(&sums, src[m.At(n, b, y0+ky*k.DH, x0):], nx, k.DW*block, block)
				}
			}
			count := ny * nx
			if k.CountPad {
				count = kernel.Counted(y*k.SH-k.PadTop, k.KH, k.DH, m.H+k.PadBottom) * kernel.Counted(x*k.SW-k.PadLeft, k.KW, k.DW, m.W+k.PadRight)
			}
			by := k.XScale / (k.YScale * float32(count))
			for ch, s := range sums[:block] {
				out[x*block+ch] = saturate(float32(int(s)-ny*nx*k.XZero)*by, k.YZero, 0, 255)
			}
		}
	}
}

// sumPixels adds n pixels, step bytes apart, to sums.
func sumPixels(sums *[lanes]int32, src []byte, n, step, block int) {
	if block == lanes && simd.SumBytes(&sums[0], &src[0], n, step) {
		return
	}
	for i := range n {
		for ch, v := range src[i*step:][:block] {
			sums[ch] += int32(v)
		}
	}
}
