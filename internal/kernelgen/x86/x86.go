// Package x86 describes the vector extensions of amd64 that have kernels.
package x86

import . "github.com/mmcloughlin/avo/reg"

// ISA describes a vector extension.
type ISA struct {
	Name  string // the suffix of the names of its kernels
	Bytes int    // the size of a vector
	Regs  []VecPhysical
}

// AVX512 has 32 registers of 16 floats.
var AVX512 = ISA{"AVX512", 64, []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}}

// AVX2 has 16 registers of 8 floats. It includes FMA.
var AVX2 = ISA{"AVX2", 32, []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}}

// AVX512VNNI is AVX512 with VPDPBUSD and VPDPWSSD.
var AVX512VNNI = ISA{"AVX512VNNI", 64, AVX512.Regs}

// AVXVNNI is AVX2 with VPDPBUSD and VPDPWSSD.
var AVXVNNI = ISA{"AVXVNNI", 32, AVX2.Regs}

// PerPixel returns the number of vectors that hold the 16 channels of a pixel.
func (s ISA) PerPixel() int { return 64 / s.Bytes }

// Last returns register i from the end. Last(0) is the last register.
func (s ISA) Last(i int) VecPhysical { return s.Regs[len(s.Regs)-1-i] }
