package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

// rowsIn writes the input transform of F(2,5) along columns: B of the points 0, ±1, ±2 and
// ∞ for six rows, of the first 8 channels of each pixel.
func rowsIn() {
	g := generator{x86.AVX2, 6, 7}
	g.Function("rowsIn", NOSPLIT)
	Load(Param("a"), RDI)
	MOVQ(arg(abi.In), RSI)
	MOVQ(arg(abi.Out), RDX)
	MOVQ(arg(abi.RowStride), RAX)
	MOVQ(arg(abi.OutBlock), RBX)
	MOVQ(arg(abi.Cols), RCX)
	x, t, four, five := g.Regs[:6], g.Regs[6:12], g.Last(0), g.Last(1)
	VBROADCASTSS(factor(4), four)
	VBROADCASTSS(factor(5), five)
	Label("pixel")
	MOVQ(RSI, R9)
	for i := range x {
		VMOVUPS(Mem{Base: R9}, x[i])
		if i < 5 {
			ADDQ(RAX, R9)
		}
	}
	VMOVAPS(x[4], t[0]) // 4x0 − 5x2 + x4
	VFMADD231PS(x[0], four, t[0])
	VFNMADD231PS(x[2], five, t[0])
	VMOVAPS(x[4], t[3]) // x4 − 4x2
	VFNMADD231PS(x[2], four, t[3])
	VMOVAPS(x[3], t[4]) // x3 − 4x1
	VFNMADD231PS(x[1], four, t[4])
	VADDPS(t[4], t[3], t[1])
	VSUBPS(t[4], t[3], t[2])
	VFMADD231PS(x[1], four, x[5]) // 4x1 − 5x3 + x5
	VFNMADD231PS(x[3], five, x[5])
	VSUBPS(x[2], x[4], x[4]) // x4 − x2
	VSUBPS(x[1], x[3], x[3]) // 2(x3 − x1)
	VADDPS(x[3], x[3], x[3])
	VADDPS(x[3], x[4], t[3])
	VSUBPS(x[3], x[4], t[4])
	MOVQ(RDX, R9)
	for i, v := range []VecPhysical{t[0], t[1], t[2], t[3], t[4], x[5]} {
		VMOVUPS(v, Mem{Base: R9})
		if i < 5 {
			ADDQ(RBX, R9)
		}
	}
	ADDQ(Imm(64), RSI)
	ADDQ(Imm(32), RDX)
	DECQ(RCX)
	JNZ(LabelRef("pixel"))
	VZEROUPPER()
	RET()
}

// rowsOut writes the output transform of F(2,5) along columns, of two rows.
func rowsOut() {
	g := generator{x86.AVX2, 6, 7}
	g.Function("rowsOut", NOSPLIT)
	Load(Param("a"), RDI)
	MOVQ(arg(abi.In), RSI)
	MOVQ(arg(abi.Out), RDX)
	MOVQ(arg(abi.BlockStride), RAX)
	MOVQ(arg(abi.OutLine), RBX)
	MOVQ(arg(abi.Cols), RCX)
	ADDQ(RCX, RCX) // halves of pixels
	m, lo, hi := g.Regs[:6], g.Last(0), g.Last(1)
	VBROADCASTSS(arg(abi.LoHi), lo)
	VBROADCASTSS(arg(abi.LoHi+4), hi)
	Label("half")
	MOVQ(RSI, R9)
	for i := range m {
		VMOVUPS(Mem{Base: R9}, m[i])
		if i < 5 {
			ADDQ(RAX, R9)
		}
	}
	sum, difference := g.Regs[6], g.Regs[7]
	VADDPS(m[2], m[1], sum)
	VSUBPS(m[2], m[1], difference)
	VADDPS(sum, m[0], m[0])
	VADDPS(difference, m[5], m[5])
	VADDPS(m[4], m[3], sum)
	VSUBPS(m[4], m[3], difference)
	VADDPS(sum, m[0], m[0])
	VADDPS(difference, difference, difference)
	VADDPS(difference, m[5], m[5])
	for i, v := range []VecPhysical{m[0], m[5]} {
		VMAXPS(v, lo, v)
		VMINPS(v, hi, v)
		VMOVUPS(v, []Mem{{Base: RDX}, {Base: RDX, Index: RBX, Scale: 1}}[i])
	}
	ADDQ(Imm(32), RSI)
	ADDQ(Imm(32), RDX)
	DECQ(RCX)
	JNZ(LabelRef("half"))
	VZEROUPPER()
	RET()
}

var factors = map[int]Mem{}

// factor returns a small integer in memory, as a float.
func factor(n int) Mem {
	m, ok := factors[n]
	if !ok {
		m = GLOBL(fmt.Sprintf("factor%d", n), 8|16)
		DATA(0, U32(math.Float32bits(float32(n))))
		factors[n] = m
	}
	return m
}
