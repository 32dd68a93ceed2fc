package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

// Kernels on bytes. A byte becomes a 32-bit integer, then a float, and the result is
// rounded, which the conversion to an integer does half to even. Floats are clamped
// before that, so that the conversion is exact and a NaN becomes the lower bound.

// overPixels writes a loop of n steps. body computes one step; pointers advance by the
// given numbers of bytes.
func overPixels(n GPPhysical, body func(), advance map[GPPhysical]int) {
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("loop")
	body()
	for _, p := range []GPPhysical{RDI, RSI, RDX} {
		if by := advance[p]; by > 0 {
			ADDQ(Imm(uint64(by)), p)
		}
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// bounds sets low = −zero and high = 255−zero as floats, and zero to the parameter at
// offset at, in all lanes.
func (g generator) bounds(at int, low, high, zero VecPhysical) {
	VBROADCASTSS(NewParamAddr("zero", at), zero)
	VXORPS(low, low, low)
	VPSUBD(zero, low, low)
	VPADDD(bits(255), low, high)
	VCVTDQ2PS(low, low)
	VCVTDQ2PS(high, high)
}

// round replaces the floats x by clamped and rounded integers.
func round(x, low, high VecPhysical) {
	VMAXPS(low, x, x) // NaN becomes low
	VMINPS(high, x, x)
	VCVTPS2DQ(x, x)
}

// storeBytes writes the 16 integers in x, one or two registers, as bytes.
func (g generator) storeBytes(x []VecPhysical, m Mem) {
	if g.Name == "AVX512" {
		VPMOVDB(x[0], m)
		return
	}
	VPACKSSDW(x[1], x[0], x[0])
	VPERMQ(Imm(0xD8), x[0], x[0])
	VEXTRACTI128(Imm(1), x[0], x[1].AsX())
	VPACKUSWB(x[1].AsX(), x[0].AsX(), x[0].AsX())
	VMOVUPS(x[0].AsX(), m)
}

func (g generator) quantizeRow() {
	g.function("quantizeRow")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	scale, low, high, zero := g.Last(0), g.Last(1), g.Last(2), g.Last(3)
	VBROADCASTSS(NewParamAddr("scale", 24), scale)
	g.bounds(28, low, high, zero)
	x := g.Regs[:g.PerPixel()]
	overPixels(RCX, func() {
		for v, x := range x {
			VMOVUPS(Mem{Base: RSI, Disp: v * g.Bytes}, x)
			VDIVPS(scale, x, x)
			round(x, low, high)
			VPADDD(zero, x, x)
		}
		g.storeBytes(x, Mem{Base: RDI})
	}, map[GPPhysical]int{RDI: 16, RSI: 64})
}

// quantizePixels puts the bytes of the channels of a pixel side by side in a lane.
func (g generator) quantizePixels() {
	g.function("quantizePixels")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("plane"), RAX)
	Load(Param("n"), RCX)
	scale, low, high, zero, shift := g.Last(0), g.Last(1), g.Last(2), g.Last(3), g.Last(4)
	VBROADCASTSS(NewParamAddr("scale", 40), scale)
	g.bounds(44, low, high, zero)
	x, pixel := g.Regs[0], g.Regs[1]
	if g.PerPixel() == 2 {
		SHLQ(Imm(1), RCX)
	}
	eight := g.Last(5)
	MOVL(U32(8), R8L)
	VMOVD(R8L, eight.AsX())
	overPixels(RCX, func() {
		VXORPS(pixel, pixel, pixel)
		VXORPS(shift.AsX(), shift.AsX(), shift.AsX())
		MOVQ(RSI, R9)
		Load(Param("channels"), RBX)
		Label("channel")
		VMOVUPS(Mem{Base: R9}, x)
		VDIVPS(scale, x, x)
		round(x, low, high)
		VPADDD(zero, x, x)
		VPSLLD(shift.AsX(), x, x)
		VORPS(x, pixel, pixel)
		VPADDD(eight.AsX(), shift.AsX(), shift.AsX())
		ADDQ(RAX, R9)
		DECQ(RBX)
		JNZ(LabelRef("channel"))
		VMOVUPS(pixel, Mem{Base: RDI})
	}, map[GPPhysical]int{RDI: g.Bytes, RSI: g.Bytes})
}

func (g generator) dequantizeRow() {
	g.function("dequantizeRow")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	scale, zero := g.Last(0), g.Last(1)
	VBROADCASTSS(NewParamAddr("scale", 24), scale)
	VBROADCASTSS(NewParamAddr("zero", 28), zero)
	overPixels(RCX, func() {
		for v, x := range g.Regs[:g.PerPixel()] {
			VPMOVZXBD(Mem{Base: RSI, Disp: v * g.Bytes / 4}, x)
			VPSUBD(zero, x, x)
			VCVTDQ2PS(x, x)
			VMULPS(scale, x, x)
			VMOVUPS(x, Mem{Base: RDI, Disp: v * g.Bytes})
		}
	}, map[GPPhysical]int{RDI: 64, RSI: 16})
}

// rangeRow computes in vectors of eight on every machine, because it waits for memory.
func (g generator) rangeRow() {
	if g.Name == "AVX512" {
		return
	}
	g.function("rangeRow")
	Load(Param("bounds"), RDI)
	Load(Param("x"), RSI)
	Load(Param("n"), RCX)
	low, high, nan := []VecPhysical{Y0, Y1}, []VecPhysical{Y2, Y3}, Y4
	for i := range 2 {
		VBROADCASTSS(Mem{Base: RDI}, low[i])
		VBROADCASTSS(Mem{Base: RDI, Disp: 4}, high[i])
	}
	VCMPPS(Imm(3), high[0], low[0], nan)
	Label("loop")
	for i := range 2 {
		x, t := []VecPhysical{Y5, Y6}[i], []VecPhysical{Y7, Y8}[i]
		VMOVUPS(Mem{Base: RSI, Disp: 32 * i}, x)
		VMINPS(x, low[i], low[i])
		VMAXPS(x, high[i], high[i])
		VCMPPS(Imm(3), x, x, t) // unordered
		VORPS(t, nan, nan)
	}
	ADDQ(Imm(64), RSI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VMINPS(low[1], low[0], low[0])
	VMAXPS(high[1], high[0], high[0])
	across := func(a VecPhysical, op func(x, y, z VecPhysical)) {
		VPERM2F128(Imm(1), a, a, Y8)
		op(Y8, a, a)
		VPERMILPS(Imm(0x4E), a, Y8)
		op(Y8, a, a)
		VPERMILPS(Imm(0xB1), a, Y8)
		op(Y8, a, a)
	}
	across(low[0], func(x, y, z VecPhysical) { VMINPS(x, y, z) })
	across(high[0], func(x, y, z VecPhysical) { VMAXPS(x, y, z) })
	across(nan, func(x, y, z VecPhysical) { VORPS(x, y, z) })
	for i, v := range []VecPhysical{low[0], high[0]} {
		VORPS(nan, v, v)
		VMOVSS(v.AsX(), Mem{Base: RDI, Disp: 4 * i})
	}
	VZEROUPPER()
	RET()
}

// byteBinary writes a function of two bytes. f replaces a by the result as floats.
func (g generator) byteBinary(name string, f func(a, b, aScale, bScale VecPhysical)) {
	g.function(name)
	Load(Param("dst"), RDI)
	Load(Param("a"), RSI)
	Load(Param("b"), RDX)
	Load(Param("n"), RCX)
	Load(Param("bStep"), RAX)
	Load(Param("p"), R8)
	constant := make([]VecPhysical, 7)
	for i := range constant {
		constant[i] = g.Last(i)
		VBROADCASTSS(Mem{Base: R8, Disp: 4 * i}, constant[i])
	}
	at := func(offset int) VecPhysical { return constant[offset/4] }
	pixels := func(count int) {
		var x []VecPhysical
		for v := range count * g.PerPixel() {
			a, b := g.Regs[v], g.Regs[4+v]
			x = append(x, a)
			VPMOVZXBD(Mem{Base: RSI, Disp: v * g.Bytes / 4}, a)
			VPMOVZXBD(Mem{Base: RDX, Disp: v % g.PerPixel() * g.Bytes / 4}, b)
			if v%g.PerPixel() == g.PerPixel()-1 {
				ADDQ(RAX, RDX)
			}
			VPSUBD(at(abi.ByteAZero), a, a)
			VPSUBD(at(abi.ByteBZero), b, b)
		}
		for v, a := range x {
			f(a, g.Regs[4+v], at(abi.ByteAScale), at(abi.ByteBScale))
		}
		for _, a := range x {
			round(a, at(abi.ByteLow), at(abi.ByteHigh))
			VPADDD(at(abi.ByteZero), a, a)
		}
		if count == 1 {
			g.storeBytes(x, Mem{Base: RDI})
		} else {
			VPACKSSDW(x[1], x[0], x[0])
			VPACKSSDW(x[3], x[2], x[2])
			VPACKUSWB(x[2], x[0], x[0])
			VPERMD(x[0], g.Last(7), x[0])
			VMOVUPS(x[0], Mem{Base: RDI})
		}
		ADDQ(Imm(uint64(16*count)), RDI)
		ADDQ(Imm(uint64(16*count)), RSI)
	}
	VMOVUPS(g.unpacked(), g.Last(7))
	fewOrMany(4/g.PerPixel(), pixels)
}

// fewOrMany writes a loop over RCX pixels: together many at a time, then one at a time.
func fewOrMany(together int, pixels func(count int)) {
	CMPQ(RCX, Imm(uint64(together)))
	JLT(LabelRef("tail"))
	Label("many")
	pixels(together)
	SUBQ(Imm(uint64(together)), RCX)
	CMPQ(RCX, Imm(uint64(together)))
	JGE(LabelRef("many"))
	Label("tail")
	TESTQ(RCX, RCX)
	JZ(LabelRef("done"))
	Label("one")
	pixels(1)
	DECQ(RCX)
	JNZ(LabelRef("one"))
	Label("done")
	VZEROUPPER()
	RET()
}

// unpacked returns the order of the groups of four bytes that packs of four registers
// write: lane l of register r is group 4·l+r of the result.
func (g generator) unpacked() Mem {
	lanes := g.Bytes / 16
	m, ok := orders[g.Name]
	if !ok {
		m = GLOBL("unpacked"+g.Name, 8|16)
		for i := range 4 * lanes {
			DATA(4*i, U32(uint32(i%lanes*4+i/lanes)))
		}
		orders[g.Name] = m
	}
	return m
}

var orders = map[string]Mem{}

func (g generator) addBytes(a, b, aScale, bScale VecPhysical) {
	VCVTDQ2PS(a, a)
	VCVTDQ2PS(b, b)
	VMULPS(aScale, a, a)
	VMULPS(bScale, b, b)
	VADDPS(b, a, a)
}

func (g generator) mulBytes(a, b, aScale, _ VecPhysical) {
	VPMULLD(b, a, a)
	VCVTDQ2PS(a, a)
	VMULPS(aScale, a, a)
}

// maxBytes writes the maxima of windows, four at a time.
func maxBytes() {
	generator{x86.AVX2}.function("maxBytes")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Load(Param("pix"), RAX)
	LEAQ(Mem{Base: RAX, Index: RAX, Scale: 2}, RBX)
	windows := func(count int) {
		acc := []VecPhysical{X0, X1, X2, X3}[:count]
		for _, a := range acc {
			VPXOR(a, a, a)
		}
		label := map[int]string{1: "One", 4: "Four"}[count]
		MOVQ(RSI, R8)
		Load(Param("rows"), R9)
		Label("row" + label)
		MOVQ(R8, R10)
		Load(Param("cols"), R11)
		Label("col" + label)
		for i, a := range acc {
			VPMAXUB([]Mem{{Base: R10}, {Base: R10, Index: RAX, Scale: 1}, {Base: R10, Index: RAX, Scale: 2}, {Base: R10, Index: RBX, Scale: 1}}[i], a, a)
		}
		ADDQ(NewParamAddr("colStride", 56), R10)
		DECQ(R11)
		JNZ(LabelRef("col" + label))
		ADDQ(NewParamAddr("rowStride", 40), R8)
		DECQ(R9)
		JNZ(LabelRef("row" + label))
		for i, a := range acc {
			VMOVUPS(a, Mem{Base: RDI, Disp: 16 * i})
		}
		ADDQ(Imm(uint64(16*count)), RDI)
		for range count / 4 {
			ADDQ(RBX, RSI)
		}
		ADDQ(RAX, RSI)
	}
	CMPQ(RCX, Imm(4))
	JLT(LabelRef("tail"))
	Label("four")
	windows(4)
	SUBQ(Imm(4), RCX)
	CMPQ(RCX, Imm(4))
	JGE(LabelRef("four"))
	Label("tail")
	TESTQ(RCX, RCX)
	JZ(LabelRef("done"))
	Label("one")
	windows(1)
	DECQ(RCX)
	JNZ(LabelRef("one"))
	Label("done")
	VZEROUPPER()
	RET()
}

// averageBytes sums windows in 32 bits.
func averageBytes() {
	g := generator{x86.AVX2}
	g.function("averageBytes")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Load(Param("pix"), RAX)
	Load(Param("p"), RDX)
	constant := make([]VecPhysical, 5)
	for i := range constant {
		constant[i] = g.Last(i)
		VBROADCASTSS(Mem{Base: RDX, Disp: 4 * i}, constant[i])
	}
	at := func(offset int) VecPhysical { return constant[offset/4] }
	sums := []VecPhysical{Y0, Y1}
	Label("window")
	for _, s := range sums {
		VMOVAPS(at(abi.AverageStart), s)
	}
	MOVQ(RSI, R8)
	Load(Param("rows"), R9)
	Label("row")
	MOVQ(R8, R10)
	Load(Param("cols"), R11)
	Label("col")
	for i, s := range sums {
		x := []VecPhysical{Y2, Y3}[i]
		VPMOVZXBD(Mem{Base: R10, Disp: 8 * i}, x)
		VPADDD(x, s, s)
	}
	ADDQ(NewParamAddr("colStride", 56), R10)
	DECQ(R11)
	JNZ(LabelRef("col"))
	ADDQ(NewParamAddr("rowStride", 40), R8)
	DECQ(R9)
	JNZ(LabelRef("row"))
	for _, s := range sums {
		VCVTDQ2PS(s, s)
		VMULPS(at(abi.AverageBy), s, s)
		round(s, at(abi.AverageLow), at(abi.AverageHigh))
		VPADDD(at(abi.AverageZero), s, s)
	}
	g.storeBytes(sums, Mem{Base: RDI})
	ADDQ(Imm(16), RDI)
	ADDQ(RAX, RSI)
	DECQ(RCX)
	JNZ(LabelRef("window"))
	VZEROUPPER()
	RET()
}

// affineBytes writes arithmetic per channel on bytes.
func (g generator) affineBytes() {
	g.function("affineBytes")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Load(Param("scale"), RAX)
	Load(Param("shift"), RBX)
	Load(Param("p"), R8)
	constant := make([]VecPhysical, 8)
	for i := range constant {
		constant[i] = g.Last(i)
		VBROADCASTSS(Mem{Base: R8, Disp: 4 * i}, constant[i])
	}
	at := func(offset int) VecPhysical { return constant[offset/4] }
	var scale, shift []VecPhysical
	for v := range g.PerPixel() {
		scale, shift = append(scale, g.Last(8+2*v)), append(shift, g.Last(9+2*v))
		VMOVUPS(Mem{Base: RAX, Disp: v * g.Bytes}, scale[v])
		VMOVUPS(Mem{Base: RBX, Disp: v * g.Bytes}, shift[v])
	}
	pixels := func(count int) {
		x := g.Regs[:count*g.PerPixel()]
		for v, x := range x {
			VPMOVZXBD(Mem{Base: RSI, Disp: v * g.Bytes / 4}, x)
			VPSUBD(at(abi.AffineXZero), x, x)
			VCVTDQ2PS(x, x)
			VMULPS(at(abi.AffineXScale), x, x)
			VFMADD132PS(scale[v%g.PerPixel()], shift[v%g.PerPixel()], x)
			// If one operand is NaN, the result is the last operand.
			VMAXPS(x, at(abi.AffineLo), x)
			VMINPS(x, at(abi.AffineHi), x)
			VDIVPS(at(abi.AffineScale), x, x)
			round(x, at(abi.AffineLow), at(abi.AffineHigh))
			VPADDD(at(abi.AffineZero), x, x)
		}
		if count == 1 {
			g.storeBytes(x, Mem{Base: RDI})
		} else {
			VPACKSSDW(x[1], x[0], x[0])
			VPACKSSDW(x[3], x[2], x[2])
			VPACKUSWB(x[2], x[0], x[0])
			VMOVUPS(g.unpacked(), x[1])
			VPERMD(x[0], x[1], x[0])
			VMOVUPS(x[0], Mem{Base: RDI})
		}
		ADDQ(Imm(uint64(16*count)), RDI)
		ADDQ(Imm(uint64(16*count)), RSI)
	}
	fewOrMany(4/g.PerPixel(), pixels)
}

// lookupBytesAVX2 looks bytes up in 16 tables of 16 bytes. It selects among the results by
// one bit of the upper half after the other. A blend reads the highest bit of a byte.
func lookupBytesAVX2() {
	g := generator{x86.AVX2}
	g.function("lookupBytes")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Load(Param("table"), RAX)
	ADDQ(RCX, RCX)
	low, selectors := g.Regs[0], g.Regs[1:5]
	// find leaves the bytes of tables [first,first+1<<level) in the first of regs.
	var find func(level, first int, regs []VecPhysical)
	find = func(level, first int, regs []VecPhysical) {
		if level == 0 {
			VBROADCASTI128(Mem{Base: RAX, Disp: 16 * first}, regs[0])
			VPSHUFB(low, regs[0], regs[0])
			return
		}
		find(level-1, first, regs)
		find(level-1, first+1<<(level-1), regs[1:])
		VPBLENDVB(selectors[level-1], regs[1], regs[0], regs[0])
	}
	Label("loop")
	VMOVDQU(Mem{Base: RSI}, selectors[3])
	for i := 3; i > 0; i-- {
		VPADDB(selectors[i], selectors[i], selectors[i-1])
	}
	VPAND(bits(0x0F0F0F0F), selectors[3], low)
	find(4, 0, g.Regs[5:])
	VMOVDQU(g.Regs[5], Mem{Base: RDI})
	ADDQ(Imm(32), RSI)
	ADDQ(Imm(32), RDI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// lookupBytes selects among 16 tables of 16 bytes by the upper half of a byte. Two vectors
// at a time hide the latency of the selections.
func lookupBytes() {
	g := generator{x86.AVX512}
	g.function("lookupBytes")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Load(Param("table"), RAX)
	for h := range 16 {
		VBROADCASTI32X4(Mem{Base: RAX, Disp: 16 * h}, g.Regs[h])
	}
	vectors := func(count int) {
		low, high, acc := g.Regs[16:18], g.Regs[18:20], g.Regs[20:22]
		for i := range count {
			VMOVDQU8(Mem{Base: RSI, Disp: 64 * i}, low[i])
			VPSRLW(Imm(4), low[i], high[i])
			VPANDD(bits(0x0F0F0F0F), low[i], low[i])
			VPANDD(bits(0x0F0F0F0F), high[i], high[i])
			VPSHUFB(low[i], g.Regs[0], acc[i])
		}
		masks := []Register{K1, K2, K3, K4}
		for h := 1; h < 16; h++ {
			for i := range count {
				k := masks[(2*h+i)%len(masks)]
				VPCMPEQB(bits(uint32(h)*0x01010101), high[i], k)
				VPSHUFB(low[i], g.Regs[h], k, acc[i])
			}
		}
		for i := range count {
			VMOVDQU8(acc[i], Mem{Base: RDI, Disp: 64 * i})
		}
		ADDQ(Imm(uint64(64*count)), RDI)
		ADDQ(Imm(uint64(64*count)), RSI)
	}
	fewOrMany(2, vectors)
}
