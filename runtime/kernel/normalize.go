package kernel

import (
	"math"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// NormalizeChannels is layer normalisation over channels, NC16 to NC16. It normalises
// the channels of each pixel to zero mean and unit variance, then scales and shifts
// each channel. C is a multiple of 16. Dst may be Src.
type NormalizeChannels struct {
	Src, Dst     Image
	Scale, Shift Ref // [C], absent for 1 and 0
	Epsilon      float32
}

// Check declares the memory of the step.
func (k *NormalizeChannels) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.Same(&k.Src, &k.Dst)
	v.Require(k.Src.C%lanes == 0, "the channels are not whole blocks")
	v.prologue(k.Scale, k.Shift, Act{}, k.Src.Blocks())
}

// ScratchBytes is the size of a scale of ones and a shift of zeros.
func (k *NormalizeChannels) ScratchBytes() int { return 2 * k.Src.C * 4 }

// Run computes the step.
func (k *NormalizeChannels) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.H, 4*k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part computes all channels of one row of pixels.
func (k *NormalizeChannels) Part(c *Context, i, worker int) {
	n, y := i/k.Dst.H, i%k.Dst.H
	src := c.F32(k.Src.Ref)[k.Src.At(n, 0, y, 0):]
	dst := c.F32(k.Dst.Ref)[k.Dst.At(n, 0, y, 0):]
	scratch := Floats(c.scratch[worker])
	scale, shift := c.F32(k.Scale), c.F32(k.Shift)
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
	for x := 0; x < k.Dst.W; {
		n := min(k.Dst.W-x, max(1, callFloats/k.Src.C))
		if c.double || !simd.Normalize(&dst[x*16], &src[x*16], n, k.Src.Blocks(), k.Dst.PlaneBytes(), k.Src.PlaneBytes(), &scale[0], &shift[0], 1/float32(k.Src.C), k.Epsilon) {
			n = 1
			k.pixel(dst[x*16:], src[x*16:], scale, shift)
		}
		x += n
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

// SoftmaxRows writes exp(x−max)/Σ exp(x−max) of each row of Src [Rows,N] to Dst.
type SoftmaxRows struct {
	Src, Dst Ref
	Rows, N  int
}

// softmaxChunk is the approximate number of floats that a part computes.
const softmaxChunk = 1 << 12

// Check declares the memory of the step.
func (k *SoftmaxRows) Check(v *Verifier) {
	v.Positive("extents", k.Rows, k.N)
	v.floats("Src", k.Src, Product(k.Rows, k.N))
	v.Write("Dst", k.Dst, 4, Product(k.Rows, k.N))
}

// ScratchBytes is zero.
func (k *SoftmaxRows) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *SoftmaxRows) Run(c *Context) { c.Do(k.parts(), 8*k.Rows*k.N, k) }

func (k *SoftmaxRows) parts() int { return min(k.Rows, team.Split(k.Rows*k.N, softmaxChunk)) }

// Part computes a range of rows.
func (k *SoftmaxRows) Part(c *Context, i, worker int) {
	first, last := team.Cut(k.Rows, k.parts(), i), team.Cut(k.Rows, k.parts(), i+1)
	src, dst := c.F32(k.Src)[first*k.N:last*k.N], c.F32(k.Dst)[first*k.N:last*k.N]
	if k.N <= 8*callFloats && simd.Softmax(&dst[0], &src[0], k.N, last-first) {
		return
	}
	for at := 0; at < len(src); at += k.N {
		softmaxRowGo(dst[at:at+k.N], src[at:at+k.N])
	}
}

func softmaxRowGo(dst, src []float32) {
	top := src[0]
	for _, v := range src {
		top = max(top, v)
	}
	for i, v := range src {
		dst[i] = v - top
	}
	Apply(dst, Act{Fn: ActExp})
	sum := 0.0
	for _, v := range dst {
		sum += float64(v)
	}
	for i, v := range dst {
		dst[i] = float32(float64(v) / sum)
	}
}

// uses lists Exp for tiers without the micro-kernel Softmax.
func (k *SoftmaxRows) uses(_ *simd.Tier, use useFunc) { use("Exp", AnyPixels) }
