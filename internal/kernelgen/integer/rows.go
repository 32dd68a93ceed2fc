package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/x86"
)

// floats writes the conversion of sums to floats.
func floats(isa x86.ISA) {
	isa.Function("intFloatRow", NOSPLIT)
	Load(Param("x"), RDI)
	Load(Param("n"), RCX)
	Load(Param("multiplier"), RAX)
	Load(Param("shift"), RBX)
	n := isa.PerPixel()
	lo, hi := isa.Last(1), isa.Last(0)
	VBROADCASTSS(NewParamAddr("lo", 32), lo)
	VBROADCASTSS(NewParamAddr("hi", 36), hi)
	multiplier, shift := isa.Regs[4:4+n], isa.Regs[8:8+n]
	for i := range n {
		VMOVUPS(Mem{Base: RAX, Disp: i * isa.Bytes}, multiplier[i])
		VMOVUPS(Mem{Base: RBX, Disp: i * isa.Bytes}, shift[i])
	}
	Label("loop")
	for i, x := range isa.Regs[:n] {
		m := Mem{Base: RDI, Disp: i * isa.Bytes}
		VCVTDQ2PS(m, x)
		VMULPS(multiplier[i], x, x)
		VADDPS(shift[i], x, x)
		VMAXPS(x, lo, x)
		VMINPS(x, hi, x)
		VMOVUPS(x, m)
	}
	ADDQ(Imm(64), RDI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// widen writes the conversion of bytes to words.
func widen() {
	x86.AVX2.Function("intWidenRow", NOSPLIT)
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Label("loop")
	VPMOVZXBW(Mem{Base: RSI}, Y0)
	VMOVDQU(Y0, Mem{Base: RDI})
	ADDQ(Imm(16), RSI)
	ADDQ(Imm(32), RDI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// widenPixels writes the conversion of pixels of 4 bytes to 3 words. Each half of a vector
// has two pixels, 6 of whose 8 words remain.
func widenPixels() {
	x86.AVX2.Function("intWidenPixelsOf3", NOSPLIT)
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	words := GLOBL("intThreeOfFour", 8|16)
	for i, v := range []uint64{0x0908050403020100, 0x808080800d0c0b0a} {
		DATA(8*i, U64(v))
	}
	VBROADCASTI128(words, Y1)
	Label("loop")
	VPMOVZXBW(Mem{Base: RSI}, Y0)
	VPSHUFB(Y1, Y0, Y0)
	VMOVDQU(X0, Mem{Base: RDI})
	VEXTRACTI128(Imm(1), Y0, Mem{Base: RDI, Disp: 12})
	ADDQ(Imm(16), RSI)
	ADDQ(Imm(24), RDI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// widenWeights writes the conversion of weights to words: the pairs of the first and of
// the last two of four input channels become rows.
func widenWeights() {
	x86.AVX2.Function("intWidenWeightRows", NOSPLIT)
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Load(Param("width"), R8)
	MOVQ(R8, R9)
	SHLQ(Imm(2), R9) // the size of a row of the result
	SHRQ(Imm(3), R8) // groups of 8 channels
	VBROADCASTI128(pairsOfBytes(), Y3)
	Label("row")
	MOVQ(R8, RBX)
	Label("group")
	VMOVDQU(Mem{Base: RSI}, Y0)
	VPSHUFB(Y3, Y0, Y0)
	VPERMQ(Imm(0xd8), Y0, Y0)
	VPMOVSXBW(X0, Y1)
	VEXTRACTI128(Imm(1), Y0, X0)
	VPMOVSXBW(X0, Y2)
	VMOVDQU(Y1, Mem{Base: RDI})
	VMOVDQU(Y2, Mem{Base: RDI, Index: R9, Scale: 1})
	ADDQ(Imm(32), RSI)
	ADDQ(Imm(32), RDI)
	DECQ(RBX)
	JNZ(LabelRef("group"))
	ADDQ(R9, RDI)
	DECQ(RCX)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
