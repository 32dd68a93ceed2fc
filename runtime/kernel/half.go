package kernel

import (
	"fmt"
	"math"

	"modelc/runtime/internal/team"
)

// Format is the number format of weights in the weights file.
type Format uint8

// The formats.
const (
	F32  Format = iota
	F16         // IEEE 754 binary16
	BF16        // the upper half of a float32
	I8          // integers of 8 bits
)

// String returns the name of the format.
func (f Format) String() string {
	switch f {
	case F32:
		return "f32"
	case F16:
		return "f16"
	case BF16:
		return "bf16"
	case I8:
		return "i8"
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// Bytes returns the size of an element in bytes.
func (f Format) Bytes() int {
	switch f {
	case F32:
		return 4
	case I8:
		return 1
	}
	return 2
}

// Widen converts weights stored in half precision to float32 at load, exactly.
type Widen struct {
	Format Format
	Src    Ref // in Weights, two bytes per element
	Dst    Ref // in Prepared
}

// widenChunk is the number of weights that a part of Widen converts.
const widenChunk = 1 << 16

// weights checks n weights that are stored in a format.
func (v *Verifier) weights(operand string, r Ref, f Format, n int64) {
	v.Require(f <= BF16, "there is no such format")
	v.Read(operand, r, f.Bytes(), n)
}

// Check declares the memory of the step.
func (k *Widen) Check(v *Verifier) {
	v.Require(k.Format == F16 || k.Format == BF16, "there is no such format")
	v.Read("Src", k.Src, 2, int64(k.Src.Len))
	v.Write("Dst", k.Dst, 4, int64(k.Src.Len))
}

// ScratchBytes is zero.
func (k *Widen) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Widen) Run(c *Context) { c.DoAll(team.Split(k.Src.Len, widenChunk), k) }

// Source returns the weights that the step reads, and their format.
func (k *Widen) Source() (Ref, Format) { return k.Src, k.Format }

// Prepares returns the weights that the step writes.
func (k *Widen) Prepares() Ref { return k.Dst }

// Part converts widenChunk weights.
func (k *Widen) Part(c *Context, i, worker int) {
	from, to := i*widenChunk, min((i+1)*widenChunk, k.Src.Len)
	widen(c.F32(k.Dst)[from:to], View[uint16](c, k.Src)[from:to], k.Format)
}

// widen converts src to float32, exactly.
func widen(dst []float32, src []uint16, f Format) {
	dst = dst[:len(src)]
	if f == BF16 {
		for i, h := range src {
			dst[i] = math.Float32frombits(uint32(h) << 16)
		}
		return
	}
	for i, h := range src {
		// Read as a float32, the shifted bits have an exponent that is 112 too small.
		// The product corrects it, for subnormals too.
		v := math.Float32frombits(uint32(h&0x7fff)<<13) * (1 << 112)
		bits := math.Float32bits(v) | uint32(h>>15)<<31
		if h&0x7c00 == 0x7c00 { // infinity or NaN
			bits |= 0x7f800000
		}
		dst[i] = math.Float32frombits(bits)
	}
}

// floatsOf returns n weights as float32, starting at element off of w. It converts
// weights in half precision to scratch.
func (c *Context) floatsOf(w Ref, f Format, off, n int, scratch []byte) []float32 {
	if f == F32 {
		return c.F32(w)[off:][:n]
	}
	out := Floats(scratch)[:n]
	widen(out, View[uint16](c, w)[off:][:n], f)
	return out
}
