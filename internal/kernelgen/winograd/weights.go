package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/x86"
)

// weights writes the transform of weights, G·w·Gᵀ, in float64, half a vector of output
// channels at a time. A rounding error of the weights would affect every tile.
func weights(isa x86.ISA, m int) {
	al := m + 2
	isa.Function(fmt.Sprintf("winogradWeights%d", m), NOSPLIT)
	Load(Param("w"), RSI)
	Load(Param("dst"), RDI)
	Load(Param("matrix"), RBX)
	Load(Param("n"), RCX)
	Load(Param("row"), R8)
	Load(Param("posStride"), R9)
	MOVQ(R8, R10)
	SHLQ(Imm(4), R10) // the distance between taps

	coefficient := func(i, k int) Mem { return Mem{Base: RBX, Disp: (i*3 + k) * 8} }
	taps, r, sums := isa.Regs[:9], isa.Regs[9:12], isa.Regs[12:16]
	narrow := []VecPhysical{Y12, Y13, Y14, Y15}
	mul := func(c Mem, x, dst VecPhysical) { VMULPD_BCST(c, x, dst) }
	fma := func(c Mem, x, dst VecPhysical) { VFMADD231PD_BCST(c, x, dst) }
	round := func(x, dst VecPhysical) { VCVTPD2PS(x, dst) }
	if isa.Name == x86.AVX2.Name { // AVX2 operands are not broadcast from memory, so two registers alternate
		sums, narrow = sums[:2], []VecPhysical{X12, X13}
		free, other := Y14, Y15
		broadcast := func(c Mem) VecPhysical {
			free, other = other, free
			VBROADCASTSD(c, free)
			return free
		}
		mul = func(c Mem, x, dst VecPhysical) { VMULPD(broadcast(c), x, dst) }
		fma = func(c Mem, x, dst VecPhysical) { VFMADD231PD(broadcast(c), x, dst) }
		round = func(x, dst VecPhysical) { VCVTPD2PSY(x, dst) }
	}
	// combine emits dst = Σ G[i][k]·x[k]. The outermost rows have one term.
	combine := func(i int, x []VecPhysical, dst VecPhysical) {
		switch i {
		case 0:
			mul(coefficient(i, 0), x[0], dst)
		case al - 1:
			mul(coefficient(i, 2), x[2], dst)
		default:
			mul(coefficient(i, 0), x[0], dst)
			fma(coefficient(i, 1), x[1], dst)
			fma(coefficient(i, 2), x[2], dst)
		}
	}

	Label("channel")
	XORQ(R12, R12) // the offset in the row in bytes
	Label("lanes")
	LEAQ(Mem{Base: RSI, Index: R12, Scale: 1}, R11)
	for i, t := range taps {
		VCVTPS2PD(Mem{Base: R11}, t)
		if i < len(taps)-1 {
			ADDQ(R10, R11)
		}
	}
	LEAQ(Mem{Base: RDI, Index: R12, Scale: 1}, R13)
	for i := range al {
		for x := range r {
			combine(i, []VecPhysical{taps[x], taps[3+x], taps[6+x]}, r[x])
		}
		for j := range al {
			sum, out := sums[j%len(sums)], narrow[j%len(sums)]
			combine(j, r, sum)
			round(sum, out)
			VMOVUPS(out, Mem{Base: R13})
			if i*al+j < al*al-1 {
				ADDQ(R9, R13)
			}
		}
	}
	ADDQ(Imm(uint64(isa.Bytes/2)), R12)
	CMPQ(R12, R8)
	JLT(LabelRef("lanes"))
	ADDQ(R8, RSI)
	ADDQ(R8, RDI)
	DECQ(RCX)
	JNZ(LabelRef("channel"))
	VZEROUPPER()
	RET()
}
