package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/x86"
)

var pairs *Mem

// pairsOfBytes returns an operand of VPSHUFB that puts the first two bytes of every four
// before the others.
func pairsOfBytes() Mem {
	if pairs == nil {
		m := GLOBL("intPairs", 8|16)
		for i, v := range []uint32{0x05040100, 0x0d0c0908, 0x07060302, 0x0f0e0b0a} {
			DATA(4*i, U32(v))
		}
		pairs = &m
	}
	return *pairs
}

// filters writes the transform of the weights of Winograd. A vector holds the words of 8
// output and 2 input channels, which are adjacent in the result.
//
// Registers: SI and DI point to the weights and the result of 8 output and 4 input
// channels, R8 and R10 hold the size of one and of three taps, R11 that of a pair of input
// channels in the result, CX and R9 count groups of input and of output channels. BX and
// AX are scratch.
func filters() {
	x86.AVX2.Function("intFilters", 0)
	columns := AllocLocal(6 * 3 * 32)
	Load(Param("w"), RSI)
	Load(Param("dst"), RDI)
	Load(Param("width"), R11)
	Load(Param("pos"), R12)
	positions := [3]GPPhysical{R12, R13, R14}
	multiples(positions)
	LEAQ(Mem{Base: R13, Index: R13, Scale: 1}, R15) // six positions
	SHLQ(Imm(2), R11)
	MOVQ(R11, R8)
	SHLQ(Imm(2), R8)
	LEAQ(Mem{Base: R8, Index: R8, Scale: 2}, R10)
	shuffle, y := Y15, x86.AVX2.Regs
	VBROADCASTI128(pairsOfBytes(), shuffle)
	MOVL(U32(4), ECX)
	Label("quad")
	MOVQ(R11, R9)
	SHRQ(Imm(5), R9)
	Label("group")
	for half := range 2 {
		for x := range 3 {
			MOVQ(RSI, RBX)
			for range x {
				ADDQ(R8, RBX)
			}
			for i, m := range []Mem{{Base: RBX}, {Base: RBX, Index: R10, Scale: 1}, {Base: RBX, Index: R10, Scale: 2}} {
				VMOVDQU(m, y[i])
				VPSHUFB(shuffle, y[i], y[i])
				VPERMQ(Imm(0xd8), y[i], y[i])
				if half == 1 {
					VEXTRACTI128(Imm(1), y[i], y[i].AsX())
				}
				VPMOVSXBW(y[i].AsX(), y[i])
			}
			transformFilter(y, func(i int, r VecPhysical) { VMOVDQU(r, columns.Offset((i*3+x)*32)) })
		}
		MOVQ(RDI, RBX)
		if half == 1 {
			ADDQ(R11, RBX)
		}
		for i := range 6 {
			for x := range 3 {
				VMOVDQU(columns.Offset((i*3+x)*32), y[x])
			}
			transformFilter(y, func(j int, r VecPhysical) { VMOVDQU(r, stride(RBX, j, positions, 0)) })
			if i < 5 {
				ADDQ(R15, RBX)
			}
		}
	}
	ADDQ(Imm(32), RSI)
	ADDQ(Imm(32), RDI)
	DECQ(R9)
	JNZ(LabelRef("group"))
	ADDQ(R11, RDI) // the pair that the second half wrote
	DECQ(RCX)
	JNZ(LabelRef("quad"))
	VZEROUPPER()
	RET()
}

// transformFilter computes G·g of registers 0 to 2, with four further ones, and calls
// store with each element of the result. The rows of G are scaled to integers: (6,0,0),
// (−4,−4,−4), (−4,4,−4), (1,2,4), (1,−2,4) and (0,0,12).
func transformFilter(y []VecPhysical, store func(i int, r VecPhysical)) {
	g, t := y[:3], y[3:7]
	VPADDW(g[0], g[0], t[0])
	VPSLLW(Imm(2), g[0], t[1])
	VPADDW(t[1], t[0], t[0])
	store(0, t[0])
	VPADDW(g[2], g[0], t[0]) // g0 + g2
	VPADDW(g[1], t[0], t[1])
	VPSUBW(t[0], g[1], t[2])
	VPSLLW(Imm(2), t[1], t[1])
	VPXOR(t[3], t[3], t[3])
	VPSUBW(t[1], t[3], t[1])
	store(1, t[1])
	VPSLLW(Imm(2), t[2], t[2])
	store(2, t[2])
	VPSLLW(Imm(2), g[2], t[0]) // 4·g2
	VPADDW(g[0], t[0], t[1])
	VPADDW(g[1], g[1], t[2])
	VPADDW(t[2], t[1], t[3])
	store(3, t[3])
	VPSUBW(t[2], t[1], t[1])
	store(4, t[1])
	VPADDW(t[0], t[0], t[1])
	VPADDW(t[1], t[0], t[0])
	store(5, t[0])
}
