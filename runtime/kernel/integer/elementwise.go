package integer

import (
	"math"

	"modelc/runtime/internal/simd"
	"modelc/runtime/kernel"
)

// Lookup replaces each byte of an image by that of a table. Dst may be Src.
type Lookup struct {
	Src, Dst kernel.Image
	Table    kernel.Ref // 256 bytes
}

// Binary is the sum or product of images of bytes, requantised. Fn is BinAdd or BinMul:
//
//	Add: clamp(round(f32(a−AZero)·AScale + f32(b−BZero)·BScale) + Zero, Lo, Hi)
//	Mul: clamp(round(f32((a−AZero)·(b−BZero))·AScale) + Zero, Lo, Hi)
//
// Every operation is rounded to float32, and round rounds half to even. B has the rows and
// columns of A, or one pixel that is broadcast. Its N is that of A or 1. Dst may be A.
type Binary struct {
	Fn                 kernel.BinaryFn
	A, B, Dst          kernel.Image
	AScale, BScale     float32
	AZero, BZero, Zero int
	Lo, Hi             int
}

// Affine is arithmetic on floats between images of bytes, per channel:
//
//	Dst = saturate(round(Act(XScale·(x − XZero)·Scale + Shift)/YScale) + YZero)
//
// The second product and the sum are rounded once, every other operation is rounded to
// float32, and round rounds half to even. NaN becomes 0. Act is a clamp.
type Affine struct {
	Src, Dst       kernel.Image // in blocks of 16
	Scale, Shift   kernel.Ref   // float32, [C padded to 16], absent for 1 and 0
	Act            kernel.Act
	XScale, YScale float32
	XZero, YZero   int
}

// Check declares the memory of the step.
func (k *Lookup) Check(v *kernel.Verifier) {
	v.Bytes("Src", &k.Src, false)
	v.Bytes("Dst", &k.Dst, true)
	v.Same(&k.Src, &k.Dst)
	v.Read("Table", k.Table, 1, 256)
}

// ScratchBytes is zero.
func (k *Lookup) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Lookup) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(parts(&k.Dst), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part computes some rows of one block of one image.
func (k *Lookup) Part(c *kernel.Context, i, worker int) {
	n, b, from, to := span(&k.Dst, i)
	src, dst, table := bytesOf(c, k.Src.Ref), bytesOf(c, k.Dst.Ref), (*[256]byte)(bytesOf(c, k.Table))
	count := lines(to-from, &k.Src, &k.Dst)
	for y := from; y < to; y += count {
		out, in := rows(dst, &k.Dst, n, b, y, count), rows(src, &k.Src, n, b, y, count)
		if whole := len(in) / 64; whole > 0 && simd.LookupBytes(&out[0], &in[0], whole, &table[0]) {
			out, in = out[whole*64:], in[whole*64:]
		}
		for j, v := range in {
			out[j] = table[v]
		}
	}
}

// Check declares the memory of the step.
func (k *Binary) Check(v *kernel.Verifier) {
	v.Require(k.Fn == kernel.BinAdd || k.Fn == kernel.BinMul, "there is no such function of bytes")
	v.Bytes("A", &k.A, false)
	v.Bytes("B", &k.B, false)
	v.Bytes("Dst", &k.Dst, true)
	v.Same(&k.A, &k.Dst)
	b := k.B // with the extents that it is broadcast to
	if b.H == 1 && b.W == 1 {
		b.H, b.W = k.A.H, k.A.W
	}
	if b.N == 1 {
		b.N = k.A.N
	}
	v.Same(&b, &k.Dst)
}

// ScratchBytes is zero.
func (k *Binary) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Binary) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(parts(&k.Dst), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part computes some rows of one block of one image.
func (k *Binary) Part(c *kernel.Context, i, worker int) {
	n, b, from, to := span(&k.Dst, i)
	x, y, dst := bytesOf(c, k.A.Ref), bytesOf(c, k.B.Ref), bytesOf(c, k.Dst.Ref)
	nb := n
	if k.B.N == 1 {
		nb = 0
	}
	block := k.Dst.Lanes()
	pixel := k.B.H*k.B.W == 1 && k.A.H*k.A.W > 1
	count := lines(to-from, &k.A, &k.B, &k.Dst)
	if pixel {
		count = lines(to-from, &k.A, &k.Dst)
	}
	for r := from; r < to; r += count {
		out, a := rows(dst, &k.Dst, n, b, r, count), rows(x, &k.A, n, b, r, count)
		if pixel {
			k.row(out, a, row(y, &k.B, nb, b, 0), block)
		} else {
			k.row(out, a, rows(y, &k.B, nb, b, r, count), len(a))
		}
	}
}

// row combines element i of a with element i mod period of b.
func (k *Binary) row(dst, a, b []byte, period int) {
	p := simd.ByteBinary{AScale: k.AScale, BScale: k.BScale, AZero: int32(k.AZero), BZero: int32(k.BZero),
		Zero: int32(k.Zero), Low: float32(k.Lo - k.Zero), High: float32(k.Hi - k.Zero)}
	step := lanes
	if period == lanes {
		step = 0
	}
	done := 0
	if whole := len(a) / lanes; whole > 0 && (period == lanes || period == len(a)) {
		if k.Fn == kernel.BinAdd && simd.AddBytes(&dst[0], &a[0], &b[0], whole, step, &p) ||
			k.Fn == kernel.BinMul && simd.MulBytes(&dst[0], &a[0], &b[0], whole, step, &p) {
			done = whole * lanes
		}
	}
	for i := done; i < len(a); i++ {
		dst[i] = k.eval(int(a[i]), int(b[i%period]))
	}
}

// eval computes one element.
func (k *Binary) eval(a, b int) byte {
	a, b = a-k.AZero, b-k.BZero
	if k.Fn == kernel.BinMul {
		return saturate(float32(a*b)*k.AScale, k.Zero, k.Lo, k.Hi)
	}
	// The conversions prevent a fused multiply-add.
	return saturate(float32(float32(a)*k.AScale)+float32(float32(b)*k.BScale), k.Zero, k.Lo, k.Hi)
}

// Check declares the memory of the step.
func (k *Affine) Check(v *kernel.Verifier) {
	v.Bytes("Src", &k.Src, false)
	v.Bytes("Dst", &k.Dst, true)
	v.Same(&k.Src, &k.Dst)
	v.Require(k.Dst.Lanes() == lanes, "the result is not in blocks of 16 channels")
	if v.Failed() {
		return
	}
	for _, r := range []kernel.Ref{k.Scale, k.Shift} {
		if r.Len != 0 {
			v.Read("Scale or Shift", r, 4, kernel.Product(k.Dst.Blocks(), lanes))
		}
	}
	v.Act(k.Act.Fn)
}

// ScratchBytes is zero.
func (k *Affine) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Affine) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(parts(&k.Dst), 2*k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

// Part computes some rows of one block of one image.
func (k *Affine) Part(c *kernel.Context, i, worker int) {
	n, b, from, to := span(&k.Dst, i)
	src, dst := bytesOf(c, k.Src.Ref), bytesOf(c, k.Dst.Ref)
	scale, shift := [lanes]float32{}, [lanes]float32{}
	for ch := range scale {
		scale[ch] = 1
	}
	if k.Scale.Present() {
		copy(scale[:], c.F32(k.Scale)[b*lanes:])
	}
	if k.Shift.Present() {
		copy(shift[:], c.F32(k.Shift)[b*lanes:])
	}
	lo, hi, _ := k.Act.Clamp()
	p := simd.ByteAffine{XScale: k.XScale, XZero: int32(k.XZero), Lo: lo, Hi: hi, Scale: k.YScale, Zero: int32(k.YZero),
		Low: float32(-k.YZero), High: float32(255 - k.YZero)}
	count := lines(to-from, &k.Src, &k.Dst)
	for y := from; y < to; y += count {
		in, out := rows(src, &k.Src, n, b, y, count), rows(dst, &k.Dst, n, b, y, count)
		if simd.AffineBytes(&out[0], &in[0], len(in)/lanes, &scale[0], &shift[0], &p) {
			continue
		}
		for j, q := range in {
			x := float32(int(q)-k.XZero) * k.XScale
			// As one operation of float32 would, but for results halfway between two.
			v := float32(math.FMA(float64(x), float64(scale[j%lanes]), float64(shift[j%lanes])))
			if v < lo {
				v = lo
			}
			if v > hi {
				v = hi
			}
			out[j] = saturate(v/k.YScale, k.YZero, 0, 255)
		}
	}
}
