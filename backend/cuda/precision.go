package cuda

import (
	"fmt"
	"math"

	"modelc/ir"
)

// Precision is how convolutions and dense layers round the operands of their products: both
// operands on tensor cores, the weights alone in F16 for dense layers of few rows. Sums are
// float32, and so are all other kernels and all values in memory.
type Precision uint8

// The precisions. Those on tensor cores need compute capability 8.0.
const (
	Float32 Precision = iota
	TF32              // tensor cores, 10 bits of fraction, the range of float32
	F16               // tensor cores, half precision: 10 bits of fraction, at most 65504
)

var precisionNames = []string{"f32", "tf32", "f16"}

func (p Precision) String() string { return precisionNames[p] }

// MarshalText writes the name: f32, tf32 or f16.
func (p Precision) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the name.
func (p *Precision) UnmarshalText(b []byte) error {
	for i, n := range precisionNames {
		if n == string(b) {
			*p = Precision(i)
			return nil
		}
	}
	return fmt.Errorf("unknown precision %q, want one of %v", b, precisionNames)
}

// Round rounds an operand of a product to p.
func (p Precision) Round(x float32) float32 {
	switch p {
	case TF32:
		return math.Float32frombits(roundTF32(x))
	case F16:
		return ir.Float16ToFloat32(ir.Float32ToFloat16(x))
	}
	return x
}

// rate is the number of products per clock of a multiprocessor of the machine for which tiles
// are chosen.
func (p Precision) rate() float64 { return []float64{128, 1024, 2048}[p] }

// capability is the least compute capability, times 10.
func (p Precision) capability() int {
	if p == Float32 {
		return 70
	}
	return 80
}

// fits reports whether products of weights w can have precision p: no weight is too large.
func (p Precision) fits(w []float32) bool {
	if p == F16 {
		for _, x := range w {
			if math.Abs(float64(x)) > 65504 {
				return false
			}
		}
	}
	return true
}

// words returns a matrix [groups,k,m] of weights as tensor cores read it, see mma.cuh: an
// element of TF32 in a word, or the elements of two neighbouring rows in half precision.
func (p Precision) words(w []float32, groups, k, m int) []uint32 {
	if p == TF32 {
		out := make([]uint32, len(w))
		for i, x := range w {
			out[i] = roundTF32(x)
		}
		return out
	}
	out := make([]uint32, len(w)/2)
	for i := range groups * k / 2 {
		for j := range m {
			out[i*m+j] = pair(w[2*i*m+j], w[(2*i+1)*m+j])
		}
	}
	return out
}

// halves returns the pairs of neighbouring elements of w in half precision.
func halves(w []float32) []uint32 {
	out := make([]uint32, len(w)/2)
	for i := range out {
		out[i] = pair(w[2*i], w[2*i+1])
	}
	return out
}

// pair returns a word of two elements in half precision.
func pair(low, high float32) uint32 {
	return uint32(ir.Float32ToFloat16(low)) | uint32(ir.Float32ToFloat16(high))<<16
}

// roundTF32 rounds to 10 bits of fraction, ties away from zero, as cvt.rna.tf32.f32 does.
func roundTF32(x float32) uint32 {
	b := math.Float32bits(x)
	if b&0x7f800000 == 0x7f800000 {
		return b
	}
	return (b + 0x1000) &^ 0x1fff
}
