package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/x86"
)

// Pairs of bfloat16 hold two floats: one in the lower half of a word, one in the upper.

// roundPairs writes the conversion of two rows of pixels to pairs. Rounding to nearest
// even adds half of the last place to the bits of a float, less one if the result is even.
func (g generator) roundPairs() {
	g.function("roundPairs")
	Load(Param("dst"), RDI)
	Load(Param("lower"), RSI)
	Load(Param("upper"), RDX)
	Load(Param("n"), RCX)
	Load(Param("residual"), RAX)
	r := g.Regs
	lo, hi := r[8], r[9]
	VBROADCASTSS(NewParamAddr("lo", 40), lo)
	VBROADCASTSS(NewParamAddr("hi", 44), hi)
	if g.Name == x86.AVX512BF16.Name {
		VMOVDQU16(x86.PairOrder("pairOrder"), r[10])
	}
	convert := func(off int, residual bool) {
		VMOVUPS(Mem{Base: RSI, Disp: off}, r[0])
		VMOVUPS(Mem{Base: RDX, Disp: off}, r[1])
		if residual {
			VMOVUPS(Mem{Base: RAX, Disp: off}, r[2])
			VPSLLD(Imm(16), r[2], r[3])
			VANDPS(g.words(0xffff0000), r[2], r[2])
			VADDPS(r[3], r[0], r[0])
			VADDPS(r[2], r[1], r[1])
		}
		for _, x := range r[:2] { // if one operand is NaN, the result is the last operand
			VMAXPS(x, lo, x)
			VMINPS(x, hi, x)
		}
		if g.Name == x86.AVX512BF16.Name {
			x86.VCVTNE2PS2BF16(r[0], r[1], r[0])
			VPERMW(r[0], r[10], r[0])
		} else {
			g.round(r[0], r[2], r[3])
			g.round(r[1], r[2], r[3])
			VPSRLD(Imm(16), r[0], r[0])
			VANDPS(g.words(0xffff0000), r[1], r[1])
			VORPS(r[1], r[0], r[0])
		}
		VMOVUPS(r[0], Mem{Base: RDI, Disp: off})
	}
	loop := func(name string, residual bool) {
		Label(name)
		for v := range g.PerPixel() {
			convert(v*g.Bytes, residual)
		}
		for _, p := range []GPPhysical{RDI, RSI, RDX} {
			ADDQ(Imm(64), p)
		}
		if residual {
			ADDQ(Imm(64), RAX)
		}
		DECQ(RCX)
		JNZ(LabelRef(name))
		VZEROUPPER()
		RET()
	}
	TESTQ(RAX, RAX)
	JNZ(LabelRef("sum"))
	loop("plain", false)
	loop("sum", true)
}

// roundRow writes a conversion of consecutive floats.
func (g generator) roundRow() {
	g.function("roundRow")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Label("loop")
	VMOVUPS(Mem{Base: RSI}, g.Regs[0])
	VMOVUPS(Mem{Base: RSI, Disp: 64}, g.Regs[1])
	x86.VCVTNE2PS2BF16(g.Regs[0], g.Regs[1], g.Regs[0])
	VMOVDQU32(g.Regs[0], Mem{Base: RDI})
	ADDQ(U32(128), RSI)
	ADDQ(Imm(64), RDI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// affinePairs writes arithmetic per channel on pairs.
func (g generator) affinePairs() {
	g.function("affinePairs")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Load(Param("scale"), RAX)
	Load(Param("shift"), RBX)
	lo, hi, order, upper := g.Last(0), g.Last(1), g.Last(2), g.Last(3)
	scale, shift := g.Regs[8:10], g.Regs[10:12]
	for half := range 2 {
		VMOVUPS(Mem{Base: RAX, Disp: 64 * half}, scale[half])
		VMOVUPS(Mem{Base: RBX, Disp: 64 * half}, shift[half])
	}
	VBROADCASTSS(NewParamAddr("lo", 40), lo)
	VBROADCASTSS(NewParamAddr("hi", 44), hi)
	VMOVDQU16(x86.PairOrder("pairOrder"), order)
	VMOVDQU32(g.words(0xffff0000), upper)
	unrolled(RCX, []GPPhysical{RDI, RSI}, func(i int) {
		x := g.Regs[2*i:][:2]
		VPSLLD(Imm(16), Mem{Base: RSI, Disp: 64 * i}, x[0])
		VPANDD(Mem{Base: RSI, Disp: 64 * i}, upper, x[1])
		for half := range x {
			VFMADD132PS(scale[half], shift[half], x[half])
			// If one operand is NaN, the result is the last operand.
			VMAXPS(x[half], lo, x[half])
			VMINPS(x[half], hi, x[half])
		}
		x86.VCVTNE2PS2BF16(x[0], x[1], x[0])
		VPERMW(x[0], order, x[0])
		VMOVDQU32(x[0], Mem{Base: RDI, Disp: 64 * i})
	})
}

// round rounds x to a bfloat16 in its upper half. NaN becomes quiet.
func (g generator) round(x, t, nan VecPhysical) {
	if g.Bytes == 64 {
		VCMPPS(Imm(3), x, x, K1)
	} else {
		VCMPPS(Imm(3), x, x, nan)
	}
	VPSRLD(Imm(16), x, t)
	VANDPS(g.words(1), t, t)
	VPADDD(g.words(0x7fff), t, t)
	if g.Bytes == 64 {
		VORPS(g.words(0x400000), x, nan)
		VPADDD(t, x, x)
		VMOVDQA32(nan, K1, x)
		return
	}
	VPADDD(t, x, t)
	VORPS(g.words(0x400000), x, x)
	VBLENDVPS(nan, x, t, x)
}

// widenPixels writes the conversion of pairs to two rows of pixels.
func (g generator) widenPixels() {
	g.function("widenPixels")
	Load(Param("lower"), RSI)
	Load(Param("upper"), RDX)
	Load(Param("src"), RDI)
	Load(Param("n"), RCX)
	Label("loop")
	for v := range g.PerPixel() {
		x, y := g.Regs[2*v], g.Regs[2*v+1]
		VMOVUPS(Mem{Base: RDI, Disp: v * g.Bytes}, x)
		VPSLLD(Imm(16), x, y)
		VANDPS(g.words(0xffff0000), x, x)
		VMOVUPS(y, Mem{Base: RSI, Disp: v * g.Bytes})
		VMOVUPS(x, Mem{Base: RDX, Disp: v * g.Bytes})
	}
	for _, p := range []GPPhysical{RDI, RSI, RDX} {
		ADDQ(Imm(64), p)
	}
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// foldPixels writes a permutation of pixels of 16 channels.
func foldPixels() {
	g := generator{x86.AVX2}
	g.function("foldPixels")
	Load(Param("pixels"), RSI)
	Load(Param("n"), RCX)
	Label("loop")
	VMOVDQU(Mem{Base: RSI, Disp: 32}, Y0)
	VPSLLD(Imm(16), Y0, Y0)
	VMOVDQU(Mem{Base: RSI}, Y1)
	VPBLENDW(Imm(0xaa), Y0, Y1, Y1)
	VMOVDQU(Y1, Mem{Base: RSI})
	ADDQ(Imm(64), RSI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// pairRows writes the sums of a fully connected layer. Several sets of accumulators hide the
// latency of a multiply-add.
func (g generator) pairRows() {
	g.function("pairRows")
	Load(Param("sums"), RDI)
	Load(Param("x"), RSI)
	Load(Param("w"), RDX)
	Load(Param("n"), RCX)
	n := g.PerPixel()
	sets := map[int]int{64: 4, 32: 2}[g.Bytes]
	acc := func(set, half, v int) VecPhysical { return g.Regs[(set*2+half)*n+v] }
	free := g.Regs[sets*2*n:]
	for set := range sets {
		for half := range 2 {
			for v := range n {
				a := acc(set, half, v)
				if set == 0 {
					VMOVUPS(Mem{Base: RDI, Disp: 64*half + v*g.Bytes}, a)
				} else {
					VXORPS(a, a, a)
				}
			}
		}
	}
	Label("loop")
	for row := range 4 {
		x, lower, upper := free[0], free[1], free[2]
		VBROADCASTSS(Mem{Base: RSI, Disp: 4 * row}, x)
		for v := range n {
			VMOVUPS(Mem{Base: RDX, Disp: 64*row + v*g.Bytes}, upper)
			VPSLLD(Imm(16), upper, lower)
			VANDPS(g.words(0xffff0000), upper, upper)
			VFMADD231PS(lower, x, acc(row%sets, 0, v))
			VFMADD231PS(upper, x, acc(row%sets, 1, v))
		}
	}
	ADDQ(Imm(16), RSI)
	ADDQ(U32(256), RDX)
	SUBQ(Imm(4), RCX)
	JNZ(LabelRef("loop"))
	for half := range 2 {
		for v := range n {
			for set := 1; set < sets; set++ {
				VADDPS(acc(set, half, v), acc(0, half, v), acc(0, half, v))
			}
			VMOVUPS(acc(0, half, v), Mem{Base: RDI, Disp: 64*half + v*g.Bytes})
		}
	}
	VZEROUPPER()
	RET()
}

var wordVectors = map[string]Mem{}

// words returns a vector in memory with equal words.
func (g generator) words(word uint32) Mem {
	name := fmt.Sprintf("words%x_%d", word, g.Bytes)
	m, ok := wordVectors[name]
	if !ok {
		m = GLOBL(name, 8|16)
		for i := range g.Bytes / 4 {
			DATA(4*i, U32(word))
		}
		wordVectors[name] = m
	}
	return m
}
