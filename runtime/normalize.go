package runtime

import "math"

// NormalizeChannels shifts and scales the channels of each pixel to zero mean
// and unit variance, then by factors of their own: layer normalisation with
// channels last, NC16 to NC16. C is a multiple of 16. Dst may be Src.
type NormalizeChannels struct {
	Src, Dst     Image
	Scale, Shift Ref // [C], absent for 1 and 0
	Epsilon      float32
}

// ScratchBytes holds a scale of ones and a shift of zeros.
func (k *NormalizeChannels) ScratchBytes() int { return 2 * k.Src.C * 4 }

// Run computes the step.
func (k *NormalizeChannels) Run(c *Context) {
	k.Dst.clearBorder(c)
	c.do(k.Dst.N*k.Dst.H, 4*k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// part computes one row of pixels through all channels.
func (k *NormalizeChannels) part(c *Context, i, worker int) {
	n, y := i/k.Dst.H, i%k.Dst.H
	src := c.f32(k.Src.Ref)[n*k.Src.BatchStride+k.Src.Origin()+y*k.Src.Row():]
	dst := c.f32(k.Dst.Ref)[n*k.Dst.BatchStride+k.Dst.Origin()+y*k.Dst.Row():]
	scratch := floats(c.scratch[worker])
	scale, shift := c.f32(k.Scale), c.f32(k.Shift)
	if scale == nil {
		scale = scratch[:k.Src.C]
		for i := range scale {
			scale[i] = 1
		}
	}
	if shift == nil {
		shift = scratch[k.Src.C : 2*k.Src.C]
		clear(shift)
	}
	if active >= avx2 && !c.double {
		normalizePixels(&dst[0], &src[0], k.Dst.W, k.Src.Blocks(), k.Dst.Plane()*4, k.Src.Plane()*4, &scale[0], &shift[0], 1/float32(k.Src.C), k.Epsilon)
		return
	}
	for x := range k.Dst.W {
		k.pixel(dst[x*16:], src[x*16:], scale, shift)
	}
}

// pixel computes one pixel in Go.
func (k *NormalizeChannels) pixel(dst, src, scale, shift []float32) {
	in, out := k.Src.Plane(), k.Dst.Plane()
	blocks := k.Src.Blocks()
	sum := 0.0
	for b := range blocks {
		for _, v := range src[b*in:][:16] {
			sum += float64(v)
		}
	}
	mean := sum / float64(k.Src.C)
	squares := 0.0
	for b := range blocks {
		for _, v := range src[b*in:][:16] {
			d := float64(v) - mean
			squares += d * d
		}
	}
	r := 1 / math.Sqrt(squares/float64(k.Src.C)+float64(k.Epsilon))
	for b := range blocks {
		to := dst[b*out:][:16]
		for ch, v := range src[b*in:][:16] {
			to[ch] = float32((float64(v)-mean)*r)*scale[b*16+ch] + shift[b*16+ch]
		}
	}
}
