package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/x86"
)

// The transforms of F(2×2,3×3) between pairs of bfloat16 and their products. Both halves of
// a pixel are in registers, so that no float32 goes through memory.

// inputPairs writes the input transform. A tile shares two of its four columns with the
// next one. For each row of positions it combines two rows of pixels, then columns.
func inputPairs() {
	isa := x86.AVX512BF16
	isa.Function("pairTilesIn", NOSPLIT)
	Load(Param("in"), RSI)
	Load(Param("out"), RDI)
	Load(Param("rowStride"), R8)
	Load(Param("posStride"), R12)
	Load(Param("n"), RCX)
	LEAQ(Mem{Base: R8, Index: R8, Scale: 2}, R9)
	LEAQ(Mem{Base: R12, Index: R12, Scale: 2}, R13)
	order, upper := isa.Last(0), isa.Last(1)
	VMOVDQU16(x86.PairOrder("winogradPairOrder"), order)
	VPBROADCASTD(upperWords(), upper)
	column := func(c, half int) VecPhysical { return isa.Regs[2*c+half] }
	result := func(p, half int) VecPhysical { return isa.Regs[8+2*p+half] }
	t := isa.Regs[16:18]
	row := func(i, col int) Mem {
		m := Mem{Base: RBX, Disp: 64 * col}
		switch i {
		case 1, 2:
			m.Index, m.Scale = R8, uint8(i)
		case 3:
			m.Index, m.Scale = R9, 1
		}
		return m
	}
	// combine writes ± of two rows of pixels: column c of the tile.
	combine := func(i, c int) {
		a, b := [4]int{0, 1, 2, 3}[i], [4]int{2, 2, 1, 1}[i]
		VPSLLD(Imm(16), row(a, c), column(c, 0))
		VPANDD(row(a, c), upper, column(c, 1))
		VPSLLD(Imm(16), row(b, c), t[0])
		VPANDD(row(b, c), upper, t[1])
		for half := range 2 {
			if i == 1 {
				VADDPS(t[half], column(c, half), column(c, half))
			} else {
				VSUBPS(t[half], column(c, half), column(c, half))
			}
		}
	}
	for i := range 4 {
		MOVQ(RSI, RBX)
		MOVQ(RDI, RAX)
		MOVQ(RCX, RDX)
		combine(i, 0)
		combine(i, 1)
		loop := fmt.Sprintf("row%d", i)
		Label(loop)
		combine(i, 2)
		combine(i, 3)
		for half := range 2 {
			c := func(c int) VecPhysical { return column(c, half) }
			VSUBPS(c(2), c(0), result(0, half))
			VADDPS(c(2), c(1), result(1, half))
			VSUBPS(c(1), c(2), result(2, half))
			VSUBPS(c(1), c(3), result(3, half))
			VMOVAPS(c(2), c(0))
			VMOVAPS(c(3), c(1))
		}
		for p := range 4 {
			x86.VCVTNE2PS2BF16(result(p, 0), result(p, 1), result(p, 0))
			VPERMW(result(p, 0), order, result(p, 0))
			to := Mem{Base: RAX}
			switch p {
			case 1, 2:
				to.Index, to.Scale = R12, uint8(p)
			case 3:
				to.Index, to.Scale = R13, 1
			}
			VMOVDQU32(result(p, 0), to)
		}
		ADDQ(U32(128), RBX)
		ADDQ(Imm(64), RAX)
		DECQ(RDX)
		JNZ(LabelRef(loop))
		LEAQ(Mem{Base: RDI, Index: R12, Scale: 4}, RDI)
	}
	VZEROUPPER()
	RET()
}

// outputPairs writes the output transform, or, with pool, that with the maximum of each
// tile as its only pixel.
func outputPairs(name string, pool bool) {
	isa := x86.AVX512BF16
	isa.Function(name, NOSPLIT)
	Load(Param("in"), R9)
	Load(Param("half"), R8)
	Load(Param("posStride"), RAX)
	Load(Param("out"), RDI)
	Load(Param("n"), RCX)
	rows := []GPPhysical{R9, R10, R11, R13}
	for i, r := range rows[1:] {
		LEAQ(Mem{Base: rows[i], Index: RAX, Scale: 4}, r)
	}
	LEAQ(Mem{Base: RAX, Index: RAX, Scale: 2}, RBX)
	LEAQ(Mem{Base: R8, Disp: -64}, R15)
	position := func(i, j int) Mem {
		m := Mem{Base: rows[i]}
		switch j {
		case 1, 2:
			m.Index, m.Scale = RAX, uint8(j)
		case 3:
			m.Index, m.Scale = RBX, 1
		}
		return m
	}
	order, lo, hi, upper := isa.Last(0), isa.Last(1), isa.Last(2), isa.Last(3)
	VMOVDQU16(x86.PairOrder("winogradPairOrder"), order)
	pixel := func(p, half int) VecPhysical { return isa.Regs[2*p+half] }
	t := func(r, j int) VecPhysical { return isa.Regs[8+4*r+j] } // a row of a transformed column
	d := isa.Regs[16]
	if pool {
		VBROADCASTSS(NewParamAddr("lo", 40), lo)
		VBROADCASTSS(NewParamAddr("hi", 44), hi)
	} else {
		Load(Param("row"), R12)
		Load(Param("residual"), RDX)
		Load(Param("residualRow"), R14)
		VPBROADCASTD(upperWords(), upper)
		VBROADCASTSS(NewParamAddr("lo", 64), lo)
		VBROADCASTSS(NewParamAddr("hi", 68), hi)
	}
	Label("tile")
	for half := range 2 {
		for j := range 4 {
			VMOVUPS(position(1, j), t(0, j))
			VSUBPS(position(2, j), t(0, j), t(1, j))
			VADDPS(position(2, j), t(0, j), t(0, j))
			VADDPS(position(0, j), t(0, j), t(0, j))
			VADDPS(position(3, j), t(1, j), t(1, j))
		}
		for r := range 2 {
			VSUBPS(t(r, 2), t(r, 1), d)
			VADDPS(t(r, 2), t(r, 1), t(r, 1))
			VADDPS(t(r, 1), t(r, 0), pixel(2*r, half))
			VADDPS(d, t(r, 3), pixel(2*r+1, half))
		}
		for _, r := range rows {
			if half == 0 {
				ADDQ(R8, r)
			} else {
				SUBQ(R15, r)
			}
		}
	}
	finish := func(p int, to Mem) {
		for half := range 2 { // if one operand is NaN, the result is the first operand
			VMAXPS(pixel(p, half), lo, pixel(p, half))
			VMINPS(pixel(p, half), hi, pixel(p, half))
		}
		x86.VCVTNE2PS2BF16(pixel(p, 0), pixel(p, 1), pixel(p, 0))
		VPERMW(pixel(p, 0), order, pixel(p, 0))
		VMOVDQU32(pixel(p, 0), to)
	}
	if pool {
		for half := range 2 {
			VMAXPS(pixel(1, half), pixel(0, half), pixel(0, half))
			VMAXPS(pixel(3, half), pixel(2, half), pixel(2, half))
			VMAXPS(pixel(2, half), pixel(0, half), pixel(0, half))
		}
		finish(0, Mem{Base: RDI})
		ADDQ(Imm(64), RDI)
	} else {
		TESTQ(RDX, RDX)
		JZ(LabelRef("clamp"))
		for p := range 4 {
			m := Mem{Base: RDX, Disp: 64 * (p % 2)}
			if p > 1 {
				m.Index, m.Scale = R14, 1
			}
			VPSLLD(Imm(16), m, d)
			VADDPS(d, pixel(p, 0), pixel(p, 0))
			VPANDD(m, upper, d)
			VADDPS(d, pixel(p, 1), pixel(p, 1))
		}
		ADDQ(U32(128), RDX)
		Label("clamp")
		for p := range 4 {
			m := Mem{Base: RDI, Disp: 64 * (p % 2)}
			if p > 1 {
				m.Index, m.Scale = R12, 1
			}
			finish(p, m)
		}
		ADDQ(U32(128), RDI)
	}
	DECQ(RCX)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

var upperWord *Mem

// upperWords returns a word in memory that selects the upper half of a pair.
func upperWords() Mem {
	if upperWord == nil {
		m := GLOBL("upperWord", 8|16)
		DATA(0, U32(0xffff0000))
		upperWord = &m
	}
	return *upperWord
}
