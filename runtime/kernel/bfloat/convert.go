package bfloat

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Narrow rounds an image of float32 to bfloat16. Images have any borders.
type Narrow struct {
	Src kernel.Image // NC16
	Dst kernel.Image // BFloat16
}

// Widen converts an image of bfloat16 to float32, exactly. Images have any borders.
type Widen struct {
	Src kernel.Image // BFloat16
	Dst kernel.Image // NC16
}

// same requires that an image of bfloat16 and one of float32 have the same extents.
func same(v *kernel.Verifier, a, b *kernel.Image) {
	v.Require(a.N == b.N && a.C == b.C && a.H == b.H && a.W == b.W, "the extents of the operands differ")
}

// Check declares the memory of the step.
func (k *Narrow) Check(v *kernel.Verifier) {
	v.NC16("Src", &k.Src, false)
	image(v, "Dst", &k.Dst, true)
	same(v, &k.Src, &k.Dst)
	v.Scratch(kernel.Product(k.Dst.W, pixelBytes))
}

// Check declares the memory of the step.
func (k *Widen) Check(v *kernel.Verifier) {
	image(v, "Src", &k.Src, false)
	v.NC16("Dst", &k.Dst, true)
	same(v, &k.Src, &k.Dst)
	v.Scratch(kernel.Product(k.Src.W, pixelBytes))
}

// ScratchBytes is the size of a row of a block of 16 channels that one image lacks.
func (k *Narrow) ScratchBytes() int { return k.Dst.W * pixelBytes }

// ScratchBytes is the size of a row of a block of 16 channels that one image lacks.
func (k *Widen) ScratchBytes() int { return k.Src.W * pixelBytes }

// rowsPerPart is the number of rows of a block that one part of a conversion converts.
const rowsPerPart = 8

// Run computes the step.
func (k *Narrow) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks()*team.Split(k.Dst.H, rowsPerPart), k.Dst.Size()/8, k)
}

// Run computes the step.
func (k *Widen) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Src.N*k.Src.Blocks()*team.Split(k.Src.H, rowsPerPart), k.Src.Size()/8, k)
}

// rows calls f with the rows of the block of part i of a conversion. upper is nil if
// the image of float32 has no block for the upper halves.
func rows(c *kernel.Context, half, float *kernel.Image, i int, f func(pairs []uint32, lower, upper []float32)) {
	per := team.Split(half.H, rowsPerPart)
	n, b := i/per/half.Blocks(), i/per%half.Blocks()
	p, x := pairs(c, half.Ref), c.F32(float.Ref)
	for y := team.Cut(half.H, per, i%per); y < team.Cut(half.H, per, i%per+1); y++ {
		var upper []float32
		if 2*b+1 < float.Blocks() {
			upper = x[float.At(n, 2*b+1, y, 0):][:half.W*lanes]
		}
		f(p[at(half, n, b, y, 0):][:half.W*lanes], x[float.At(n, 2*b, y, 0):][:half.W*lanes], upper)
	}
}

// Part converts some rows of a block.
func (k *Narrow) Part(c *kernel.Context, i, worker int) {
	rows(c, &k.Dst, &k.Src, i, func(pairs []uint32, lower, upper []float32) {
		if upper == nil {
			upper = floats(c.Scratch(worker))[:len(pairs)]
			clear(upper)
		}
		simd.Narrow(pairs, lower, upper, nil, -kernel.Inf32, kernel.Inf32)
	})
}

// Part converts some rows of a block.
func (k *Widen) Part(c *kernel.Context, i, worker int) {
	rows(c, &k.Src, &k.Dst, i, func(pairs []uint32, lower, upper []float32) {
		if upper == nil {
			upper = floats(c.Scratch(worker))[:len(pairs)]
		}
		simd.WidenPairs(lower, upper, pairs)
	})
}

// floats and words return the memory b as float32 and as pairs.
func floats(b []byte) []float32 { return kernel.Floats(b) }
func words(b []byte) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// Uses lists no micro-kernel that a copy of the runtime may omit.
func (*Narrow) Uses(*simd.Tier, func(micro string, pixels int)) {}

// Uses lists no micro-kernel that a copy of the runtime may omit.
func (*Widen) Uses(*simd.Tier, func(micro string, pixels int)) {}

// Copy copies whole blocks of channels of an image of bfloat16 to blocks of another one, of
// the same rows and columns. Images have any borders.
type Copy struct {
	Src, Dst kernel.Image // BFloat16
	Block    int          // the block of Dst that receives the first block of Src
}

// Check declares the memory of the step.
func (k *Copy) Check(v *kernel.Verifier) {
	image(v, "Src", &k.Src, false)
	image(v, "Dst", &k.Dst, true)
	v.Require(k.Src.N == k.Dst.N && k.Src.H == k.Dst.H && k.Src.W == k.Dst.W, "the extents of the operands differ")
	v.Require(k.Block >= 0 && k.Block <= k.Dst.Blocks()-k.Src.Blocks(), "the channels are outside the images")
}

// ScratchBytes is zero.
func (k *Copy) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Copy) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Src.N*k.Src.Blocks(), k.Src.Size()/8, k)
}

// Part copies a block.
func (k *Copy) Part(c *kernel.Context, i, worker int) {
	n, b := i/k.Src.Blocks(), i%k.Src.Blocks()
	for y := range k.Src.H {
		to, from := pairs(c, k.Dst.Ref)[at(&k.Dst, n, k.Block+b, y, 0):], pairs(c, k.Src.Ref)[at(&k.Src, n, b, y, 0):]
		kernel.Move(to[:k.Src.W*lanes], from[:k.Src.W*lanes])
	}
}

// Uses lists no micro-kernel that a copy of the runtime may omit.
func (*Copy) Uses(*simd.Tier, func(micro string, pixels int)) {}
