// Package x86 describes the vector extensions of amd64 that kernels are
// generated for.
package x86

import . "github.com/mmcloughlin/avo/reg"

// ISA is a vector extension as the generators see it.
type ISA struct {
	Name  string // suffix of its kernels' names
	Bytes int    // of a vector
	Regs  []VecPhysical
}

// AVX512 has 32 registers of 16 floats.
var AVX512 = ISA{"AVX512", 64, []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}}

// AVX2 has 16 registers of 8 floats; with it comes FMA.
var AVX2 = ISA{"AVX2", 32, []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}}

// PerPixel returns how many vectors hold the 16 channels of a pixel.
func (s ISA) PerPixel() int { return 64 / s.Bytes }

// Last returns the i-th register from the end, from 0.
func (s ISA) Last(i int) VecPhysical { return s.Regs[len(s.Regs)-1-i] }
