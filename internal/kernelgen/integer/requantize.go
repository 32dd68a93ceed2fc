package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

// requantizer has the registers with the constants of requantisation: the last four.
type requantizer struct {
	isa                x86.ISA
	zero, lo, hi, perm VecPhysical
}

var perm = map[int]Mem{}

// loadRequantizer loads the constants. zero is the offset of Zero from base, with Lo and
// Hi behind it. perm puts the pixels of pack in order.
func loadRequantizer(isa x86.ISA, base GPPhysical, zero int) requantizer {
	q := requantizer{isa, isa.Last(3), isa.Last(2), isa.Last(1), isa.Last(0)}
	VPBROADCASTW(Mem{Base: base, Disp: zero}, q.zero)
	q.loadBounds(base, zero)
	if len(perm) == 0 {
		perm[64] = permutation("intPixels4", 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
		perm[32] = permutation("intPixels2", 0, 4, 1, 5, 2, 6, 3, 7)
	}
	if isa.Bytes == 64 {
		VMOVDQU32(perm[64], q.perm)
	} else {
		VMOVDQU(perm[32], q.perm)
	}
	return q
}

func (q requantizer) loadBounds(base GPPhysical, zero int) {
	VPBROADCASTB(Mem{Base: base, Disp: zero + 2}, q.lo)
	VPBROADCASTB(Mem{Base: base, Disp: zero + 3}, q.hi)
}

// scale replaces sums by their products with multipliers, rounded half to even.
func (q requantizer) scale(sums []VecPhysical, multiplier func(VecPhysical) Op) {
	for _, r := range sums {
		VCVTDQ2PS(r, r)
	}
	for _, r := range sums {
		VMULPS(multiplier(r), r, r)
	}
	for _, r := range sums {
		VCVTPS2DQ(r, r)
	}
}

// add is scale for the sum of the requantised numbers and bytes of a residual, whose
// constants are an IntSum at base. It uses the registers of lo and hi, and loads them.
func (q requantizer) add(sums []VecPhysical, multiplier Op, base GPPhysical, residual func(i int) Mem) {
	constant := func(offset int) Mem { return Mem{Base: base, Disp: offset} }
	for _, r := range sums {
		VCVTDQ2PS(r, r)
	}
	for _, r := range sums {
		VMULPS(multiplier, r, r)
	}
	for _, r := range sums {
		VRNDSCALEPS(Imm(0), r, r)
	}
	for _, r := range sums {
		VMAXPS_BCST(constant(abi.IntSumLow), r, r)
		VMINPS_BCST(constant(abi.IntSumHigh), r, r)
		VMULPS_BCST(constant(abi.IntSumScale), r, r)
	}
	for i, r := range sums {
		b := []VecPhysical{q.lo, q.hi}[i%2]
		VPMOVZXBD(residual(i), b)
		VPSUBD_BCST(constant(abi.IntSumResidualZero), b, b)
		VCVTDQ2PS(b, b)
		VMULPS_BCST(constant(abi.IntSumResidualScale), b, b)
		VADDPS(b, r, r)
	}
	for _, r := range sums {
		VCVTPS2DQ(r, r)
	}
	q.loadBounds(base, abi.IntSumZero)
}

// pack packs up to four vectors to bytes, in their first register. Each group of four
// bytes has channels of one pixel. The zero point is added with saturation to 16 bits,
// which does not affect the bytes.
func (q requantizer) pack(r []VecPhysical) VecPhysical {
	second, third, fourth := r[len(r)-1], r[len(r)-1], r[len(r)-1]
	if len(r) > 1 {
		second = r[1]
	}
	if len(r) > 2 {
		third = r[2]
	}
	VPACKSSDW(second, r[0], r[0])
	VPADDSW(q.zero, r[0], r[0])
	last := r[0]
	if len(r) > 2 {
		last = third
		VPACKSSDW(fourth, third, third)
		VPADDSW(q.zero, third, third)
	}
	VPACKUSWB(last, r[0], r[0])
	VPMAXUB(q.lo, r[0], r[0])
	VPMINUB(q.hi, r[0], r[0])
	return r[0]
}
