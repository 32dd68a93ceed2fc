package integer

import (
	"fmt"
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/kernel"
)

// Result says how a convolution or dense layer turns its sums into elements of the
// result. All sums are exact:
//
//	sum = Σ x·w + Bias − XZero·Sums
//
// If the result has the type
//
//   - u8, an element is clamp(round(float32(sum)·Multiplier) + Zero, Lo, Hi), rounded half
//     to even;
//   - f32, it is Act(float32(sum)·Multiplier + Shift), with a float32 product and sum;
//   - i32, it is sum. Only dense layers have it.
//
// Operands have one element for each output channel. Multiplier may have a single one.
type Result struct {
	// Bias is i32. It includes −zero·Σw if the zero point of x is a constant.
	Bias kernel.Ref
	// Sums is i32: Σw of each channel. Some tiers need it for every x.
	Sums kernel.Ref
	// XZero is the zero point of x if it is known only at run time: one byte, as x is
	// stored.
	XZero      kernel.Ref
	Multiplier kernel.Ref // f32
	Shift      kernel.Ref // f32, absent for none
	Act        kernel.Act
	Zero       int16 // 128 more for an i8 result
	Lo, Hi     uint8
	// Sum adds an image of bytes, B, to a result of bytes in a convolution without
	// groups. B may be the memory of the result. A and Dst are not used, and AZero is
	// Zero. Without B there is no sum.
	Sum Binary
}

// checkResult declares the result of a convolution of src, and the operands of r.
func (r *Result) checkResult(v *kernel.Verifier, src, dst *kernel.Image) {
	v.Image("Dst", dst, true)
	v.Require((dst.Elem == kernel.Uint8 || dst.Elem == kernel.Float32) && dst.Lanes() == lanes, "the result is not bytes or float32 in blocks of 16 channels")
	v.Require(src.N == dst.N, "the extents of the operands differ")
	r.check(v)
	if r.adds() {
		s := &r.Sum
		v.Bytes("Sum.B", &s.B, false)
		v.Same(&s.B, dst)
		v.Require(dst.Elem == kernel.Uint8 && s.Fn == kernel.BinAdd && s.AZero == int(r.Zero), "a residual does not fit the result")
	}
}

// adds reports whether a residual is added to the result.
func (r *Result) adds() bool { return r.Sum.B.N > 0 }

// inside requires that the windows of f lie inside src and its border.
func inside(v *kernel.Verifier, f kernel.Filter, src, dst *kernel.Image) {
	v.Require(v.Windows(f, dst.H, dst.W, src), "a window leaves the border of the operand")
}

// check declares the operands of r. Elements that they lack count as zero.
func (r *Result) check(v *kernel.Verifier) {
	for _, o := range []kernel.Ref{r.Bias, r.Sums, r.Multiplier, r.Shift} {
		if o.Len != 0 {
			v.Read("an operand per channel", o, 4, 1)
		}
	}
	if r.XZero.Len != 0 {
		v.Read("XZero", r.XZero, 1, 1)
	}
	v.Act(r.Act.Fn)
}

// channels has the operands of up to 32 output channels.
type channels struct {
	start             [32]int32
	multiplier, shift [32]float32
	sum               simd.IntSum // if a residual is added
}

// channels returns the operands of n output channels, starting at channel o. offset is
// subtracted from the elements of x by the micro-kernel.
func (r *Result) channels(c *kernel.Context, o, n int, offset uint8) (v channels) {
	operand(v.start[:n], kernel.View[int32](c, r.Bias), o)
	zero := int32(0)
	if r.XZero.Present() {
		zero = int32(c.Bytes(r.XZero, 1)[0])
	}
	if zero -= int32(offset); zero != 0 {
		var sums [32]int32
		operand(sums[:n], kernel.View[int32](c, r.Sums), o)
		for i, s := range sums {
			v.start[i] -= zero * s
		}
	}
	operand(v.shift[:n], c.F32(r.Shift), o)
	if s := &r.Sum; r.adds() {
		v.sum = simd.IntSum{Scale: s.AScale, ResidualScale: s.BScale, ResidualZero: int32(s.BZero), Low: float32(int(r.Lo) - int(r.Zero)), High: float32(int(r.Hi) - int(r.Zero)),
			Zero: int16(s.Zero), Lo: uint8(s.Lo), Hi: uint8(s.Hi)}
	}
	m := c.F32(r.Multiplier)
	if len(m) != 1 {
		operand(v.multiplier[:n], m, o)
		return v
	}
	for i := range v.multiplier {
		v.multiplier[i] = m[0]
	}
	return v
}

// operand copies the elements of v for the channels from o on that exist.
func operand[T any](dst, v []T, o int) {
	if o < len(v) {
		copy(dst, v[o:])
	}
}

// floats converts pixels of 16 sums to floats, for block b of the channels.
func (r *Result) floats(x []float32, v *channels, b int) {
	lo, hi, clamp := r.Act.Clamp()
	simd.IntFloats(x, len(x)/16, (*[16]float32)(v.multiplier[b*16:]), (*[16]float32)(v.shift[b*16:]), lo, hi)
	if !clamp {
		kernel.Apply(x, r.Act)
	}
}

// tile returns the arguments of a micro-kernel with the operands of v. The result has
// sums unless quantised is set.
func (r *Result) tile(v *channels, quantised bool) simd.IntTile {
	a := simd.IntTile{Start: unsafe.Pointer(&v.start), Parts: 1, Blocks: 1, Rows: 1, Cols: 1, Zero: r.Zero, Lo: r.Lo, Hi: r.Hi}
	if quantised {
		a.Multiplier = unsafe.Pointer(&v.multiplier)
	}
	if r.adds() {
		a.Sum, a.ResidualBlock = &v.sum, r.Sum.B.PlaneBytes()
	}
	return a
}

// residual returns the residual from a pixel of block b on.
func (r *Result) residual(c *kernel.Context, n, b, y, x int) *byte {
	return &bytesOf(c, r.Sum.B.Ref)[r.Sum.B.At(n, b, y, x)]
}

// work returns the amount of work, as [kernel.Context.Do] counts it, of multiply-adds in
// tiles.
func work(macs int) int { return macs / (2 * simd.Active().MACs) }

// usesBlocks lists the micro-kernel of each width that a number of output channels needs.
func usesBlocks(name string, channels int, use func(micro string, pixels int)) {
	for ob := range kernel.OutBlocks(channels) {
		use(fmt.Sprint(name, kernel.BlockWidth(channels, ob)), kernel.AnyPixels)
	}
}
