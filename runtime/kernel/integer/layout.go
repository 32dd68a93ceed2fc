package integer

import "modelc/runtime/kernel"

// Pack converts a dense tensor of bytes to an image. Flip is added to each byte: 128 for
// i8, otherwise 0.
type Pack struct {
	Src  kernel.Ref // [N,C,H,W], or [N,H,W,C] if NHWC is set
	NHWC bool
	Dst  kernel.Image
	Flip byte
}

// Unpack converts an image of bytes to a dense tensor. Flip is added to each byte: 128
// for i8, otherwise 0.
type Unpack struct {
	Src  kernel.Image
	Dst  kernel.Ref // [N,C,H,W], or [N,H,W,C] if NHWC is set
	NHWC bool
	Flip byte
}

// Check declares the memory of the step.
func (k *Pack) Check(v *kernel.Verifier) {
	v.Bytes("Dst", &k.Dst, true)
	v.Read("Src", k.Src, 1, kernel.Product(k.Dst.N, k.Dst.C, k.Dst.H, k.Dst.W))
}

// ScratchBytes is zero.
func (k *Pack) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Pack) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(parts(&k.Dst), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part writes some rows of one block of one image.
func (k *Pack) Part(c *kernel.Context, i, worker int) {
	m := &k.Dst
	n, b, from, to := span(m, i)
	dst := bytesOf(c, m.Ref)
	pixel, channel, first := dense(m, k.NHWC, b)
	src := bytesOf(c, k.Src)[n*m.C*m.H*m.W+first:]
	for y := from; y < to; y++ {
		out := row(dst, m, n, b, y)
		for ch := range min(m.Lanes(), m.C-b*m.Lanes()) {
			at := y*m.W*pixel + ch*channel
			for x := ch; x < len(out); x += m.Lanes() {
				out[x] = src[at] + k.Flip
				at += pixel
			}
		}
	}
}

// Check declares the memory of the step.
func (k *Unpack) Check(v *kernel.Verifier) {
	v.Bytes("Src", &k.Src, false)
	v.Write("Dst", k.Dst, 1, kernel.Product(k.Src.N, k.Src.C, k.Src.H, k.Src.W))
}

// ScratchBytes is zero.
func (k *Unpack) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Unpack) Run(c *kernel.Context) {
	c.Do(parts(&k.Src), k.Src.N*k.Src.C*k.Src.H*k.Src.W, k)
}

// Part reads some rows of one block of one image.
func (k *Unpack) Part(c *kernel.Context, i, worker int) {
	m := &k.Src
	n, b, from, to := span(m, i)
	src := bytesOf(c, m.Ref)
	pixel, channel, first := dense(m, k.NHWC, b)
	dst := bytesOf(c, k.Dst)[n*m.C*m.H*m.W+first:]
	for y := from; y < to; y++ {
		in := row(src, m, n, b, y)
		for ch := range min(m.Lanes(), m.C-b*m.Lanes()) {
			at := y*m.W*pixel + ch*channel
			for x := ch; x < len(in); x += m.Lanes() {
				dst[at] = in[x] + k.Flip
				at += pixel
			}
		}
	}
}

// dense returns the distances between the pixels and between the channels of a dense
// tensor with the extents of m, and the offset of block b.
func dense(m *kernel.Image, nhwc bool, b int) (pixel, channel, first int) {
	if nhwc {
		return m.C, 1, b * m.Lanes()
	}
	return 1, m.H * m.W, b * m.Lanes() * m.H * m.W
}
