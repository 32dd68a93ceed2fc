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
