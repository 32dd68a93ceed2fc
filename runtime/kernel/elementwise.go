package kernel

import "math"

// Affine computes Dst = Act(Src·Scale+Shift) per channel, NC16 to NC16. Dst may be
// Src.
type Affine struct {
	Src, Dst     Image
	Scale, Shift Ref // [C padded to 16], absent for 1 and 0
	Act          Act
}

// AffineDouble computes Dst = Src·Scale+Shift in float64 and rounds once. It is batch
// normalisation with the parameters of the model.
type AffineDouble struct {
	Src, Dst     Image
	Scale, Shift Ref // float64, [C padded to 16]
}

// Binary computes Dst = Act(Fn(A, B)) on images. Fn is one of BinAdd … BinMin. B has
// the rows and columns of A, or one pixel that is broadcast. Its N is that of A or 1.
// Dst may be A.
type Binary struct {
	Fn        BinaryFn
	A, B, Dst Image
	Act       Act
}

// PRelu is a leaky ReLU with one slope per channel, NC16 to NC16.
type PRelu struct {
	Src, Dst Image
	Slope    Ref // [C padded to 16]
}

// LRN is local response normalisation across channels, NC16 to NC16:
// x / (Bias + Alpha/Size · Σ x²)^Beta.
type LRN struct {
	Src, Dst          Image
	Size              int
	Alpha, Beta, Bias float32
}

// Check declares the memory of the step.
func (k *Affine) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.Same(&k.Src, &k.Dst)
	v.prologue(k.Scale, k.Shift, k.Act, k.Dst.Blocks())
}

// ScratchBytes is zero.
func (k *Affine) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Affine) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks(), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part computes one block of 16 channels of one image.
func (k *Affine) Part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	src, dst := c.F32(k.Src.Ref), c.F32(k.Dst.Ref)
	scale, shift := blockOf(c.F32(k.Scale), b), blockOf(c.F32(k.Shift), b)
	for y := range k.Dst.H {
		affineRow(k.Dst.row(dst, n, b, y), k.Src.row(src, n, b, y), scale, shift, k.Act)
	}
}

// Check declares the memory of the step.
func (k *AffineDouble) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.Same(&k.Src, &k.Dst)
	v.Read("Scale", k.Scale, 8, Product(k.Dst.Blocks(), lanes))
	v.Read("Shift", k.Shift, 8, Product(k.Dst.Blocks(), lanes))
}

// ScratchBytes is zero.
func (k *AffineDouble) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *AffineDouble) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks(), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part computes one block of 16 channels of one image.
func (k *AffineDouble) Part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	src, dst := c.F32(k.Src.Ref), c.F32(k.Dst.Ref)
	scale, shift := View[float64](c, k.Scale)[b*16:b*16+16], View[float64](c, k.Shift)[b*16:b*16+16]
	for y := range k.Dst.H {
		out := k.Dst.row(dst, n, b, y)
		for i, v := range k.Src.row(src, n, b, y) {
			out[i] = float32(float64(v)*scale[i&15] + shift[i&15])
		}
	}
}

// Check declares the memory of the step.
func (k *Binary) Check(v *Verifier) {
	v.reads("A", &k.A)
	v.reads("B", &k.B)
	v.writes("Dst", &k.Dst)
	v.Same(&k.A, &k.Dst)
	v.Require(k.B.Blocks() == k.Dst.Blocks() && (k.B.N == 1 || k.B.N == k.Dst.N) && (k.B.H == 1 && k.B.W == 1 || k.B.H == k.Dst.H && k.B.W == k.Dst.W),
		"the extents of the operands differ")
	v.Act(k.Act.Fn)
}

// ScratchBytes is zero.
func (k *Binary) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Binary) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks(), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part computes one block of 16 channels of one image.
func (k *Binary) Part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	x, y, dst := c.F32(k.A.Ref), c.F32(k.B.Ref), c.F32(k.Dst.Ref)
	nb := n
	if k.B.N == 1 {
		nb = 0
	}
	pixel := k.B.H*k.B.W == 1 && k.A.H*k.A.W > 1
	for r := range k.Dst.H {
		out := k.Dst.row(dst, n, b, r)
		if pixel {
			binaryRow(out, k.A.row(x, n, b, r), k.B.row(y, nb, b, 0), 15, k.Fn, k.Act)
		} else {
			binaryRow(out, k.A.row(x, n, b, r), k.B.row(y, nb, b, r), -1, k.Fn, k.Act)
		}
	}
}

// Check declares the memory of the step.
func (k *PRelu) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.Same(&k.Src, &k.Dst)
	v.floats("Slope", k.Slope, Product(k.Dst.Blocks(), lanes))
}

// ScratchBytes is zero.
func (k *PRelu) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *PRelu) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks(), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part computes one block of 16 channels of one image.
func (k *PRelu) Part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	src, dst := c.F32(k.Src.Ref), c.F32(k.Dst.Ref)
	slope := blockOf(c.F32(k.Slope), b)
	for y := range k.Dst.H {
		out := k.Dst.row(dst, n, b, y)
		for j, v := range k.Src.row(src, n, b, y) {
			if v < 0 {
				v *= slope[j&15]
			}
			out[j] = v
		}
	}
}

// Check declares the memory of the step.
func (k *LRN) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.Same(&k.Src, &k.Dst)
	v.Positive("Size", k.Size)
}

// ScratchBytes is zero.
func (k *LRN) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *LRN) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.H, k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W*8, k)
}

// Part computes all channels of one row of pixels.
func (k *LRN) Part(c *Context, i, worker int) {
	n, y := i/k.Dst.H, i%k.Dst.H
	src, dst := c.F32(k.Src.Ref), c.F32(k.Dst.Ref)
	plane := k.Src.Plane()
	at := k.Src.At(n, 0, y, 0)
	below, above := (k.Size-1)/2, k.Size-1-(k.Size-1)/2
	for b := range k.Dst.Blocks() {
		out := k.Dst.row(dst, n, b, y)
		clear(out)
		for ch := b * 16; ch < min(b*16+16, k.Src.C); ch++ {
			lo, hi := max(0, ch-below), min(k.Src.C-1, ch+above)
			for x := range k.Dst.W {
				sum := 0.0
				for j := lo; j <= hi; j++ {
					v := float64(src[at+j/16*plane+x*16+j%16])
					sum += v * v
				}
				v := float64(src[at+ch/16*plane+x*16+ch%16])
				out[x*16+ch%16] = float32(v / math.Pow(float64(k.Bias)+float64(k.Alpha)/float64(k.Size)*sum, float64(k.Beta)))
			}
		}
	}
}
