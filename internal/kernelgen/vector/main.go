// Command vector writes the AVX-512 and AVX2 kernels that walk rows of NC16 pixels:
//
//	go run modelc/internal/kernelgen/vector -out zvector_amd64.s -stubs zvector_amd64.go -pkg simd
package main

import (
	"fmt"
	"math"
	"os"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

func main() {
	os.Setenv("GOFLAGS", "-tags=purego")
	Package("modelc/runtime/internal/simd")
	ConstraintExpr("!purego")
	for _, g := range []generator{{x86.AVX512}, {x86.AVX2}} {
		g.affine()
		g.binary("addRow", func(b Mem, a VecPhysical) { VADDPS(b, a, a) })
		g.binary("mulRow", func(b Mem, a VecPhysical) { VMULPS(b, a, a) })
		g.strassen()
		g.activation("tanh", g.tanh, slices.Concat(tanhAbove, tanhBelow, []float64{7.905, -7.905})...)
		g.activation("sigmoid", g.sigmoid)
		g.activation("exp", g.exp)
		g.activation("hardSwish", g.hardSwish)
		g.activation("gelu", g.gelu)
		g.parametric("leakyRelu", g.leakyRelu)
		g.parametric("silu", g.silu)
		g.quantizeRow()
		g.quantizePixels()
		g.dequantizeRow()
		g.rangeRow()
		g.byteBinary("addBytes", g.addBytes)
		g.byteBinary("mulBytes", g.mulBytes)
		g.affineBytes()
	}
	for _, g := range []generator{{x86.AVX512BF16}, {x86.AVX512}, {x86.AVX2}} {
		g.roundPairs()
		if g.Name == x86.AVX512BF16.Name {
			g.affinePairs()
			g.roundRow()
		}
		if g.Name != x86.AVX512BF16.Name {
			g.widenPixels()
			g.pairRows()
		}
	}
	interleaveAVX512()
	interleaveAVX2()
	normalize()
	gatherLanes()
	transpose()
	softmax()
	maxBytes()
	averageBytes()
	lookupBytes()
	lookupBytesAVX2()
	foldPixels()
	Generate()
}

// generator writes the kernels of one instruction set.
type generator struct{ x86.ISA }

// function starts a kernel.
func (g generator) function(name string) { g.Function(name, NOSPLIT) }

// unrolled writes a loop over pixels, four at a time, then one at a time.
func unrolled(n GPPhysical, ptrs []GPPhysical, body func(i int)) {
	CMPQ(n, Imm(4))
	JLT(LabelRef("tail"))
	Label("four")
	for i := range 4 {
		body(i)
	}
	for _, p := range ptrs {
		ADDQ(U32(256), p)
	}
	SUBQ(Imm(4), n)
	CMPQ(n, Imm(4))
	JGE(LabelRef("four"))
	Label("tail")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("one")
	body(0)
	for _, p := range ptrs {
		ADDQ(Imm(64), p)
	}
	DECQ(n)
	JNZ(LabelRef("one"))
	Label("done")
	VZEROUPPER()
	RET()
}

func (g generator) affine() {
	g.function("affine")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RCX)
	Load(Param("scale"), RAX)
	Load(Param("shift"), RBX)
	lo, hi := g.Last(0), g.Last(1)
	scale, shift := make([]VecPhysical, g.PerPixel()), make([]VecPhysical, g.PerPixel())
	for v := range g.PerPixel() {
		scale[v], shift[v] = g.Last(2+2*v), g.Last(3+2*v)
		VMOVUPS(Mem{Base: RAX, Disp: v * g.Bytes}, scale[v])
		VMOVUPS(Mem{Base: RBX, Disp: v * g.Bytes}, shift[v])
	}
	VBROADCASTSS(NewParamAddr("lo", 40), lo)
	VBROADCASTSS(NewParamAddr("hi", 44), hi)
	unrolled(RCX, []GPPhysical{RDI, RSI}, func(i int) {
		for v := range g.PerPixel() {
			off, x := 64*i+v*g.Bytes, g.Regs[i*g.PerPixel()+v]
			VMOVUPS(Mem{Base: RSI, Disp: off}, x)
			VFMADD132PS(scale[v], shift[v], x)
			// If one operand is NaN, the result is the last operand.
			VMAXPS(x, lo, x)
			VMINPS(x, hi, x)
			VMOVUPS(x, Mem{Base: RDI, Disp: off})
		}
	})
}

// strassen writes the sums of pixels of Strassen's algorithm.
func (g generator) strassen() {
	g.function("strassen")
	Load(Param("s"), RDI)
	Load(Param("stride"), RAX)
	LEAQ(Mem{Base: RAX, Index: RAX, Scale: 2}, RBX)
	Load(Param("a11"), RSI)
	Load(Param("a12"), RDX)
	Load(Param("a21"), R8)
	Load(Param("a22"), R9)
	Load(Param("n"), RCX)
	unrolled(RCX, []GPPhysical{RDI, RSI, RDX, R8, R9}, func(i int) {
		for v := range g.PerPixel() {
			off := 64*i + v*g.Bytes
			a11, a21, s1, s2 := g.Regs[0], g.Regs[1], g.Regs[2], g.Regs[3]
			if v%2 == 1 {
				a11, a21, s1, s2 = g.Regs[4], g.Regs[5], g.Regs[6], g.Regs[7]
			}
			VMOVUPS(Mem{Base: RSI, Disp: off}, a11)
			VMOVUPS(Mem{Base: R8, Disp: off}, a21)
			VADDPS(Mem{Base: R9, Disp: off}, a21, s1)
			VSUBPS(a11, s1, s2)
			VMOVUPS(s1, Mem{Base: RDI, Disp: off})
			VMOVUPS(s2, Mem{Base: RDI, Index: RAX, Scale: 1, Disp: off})
			VSUBPS(a21, a11, a11)
			VMOVUPS(a11, Mem{Base: RDI, Index: RAX, Scale: 2, Disp: off})
			VMOVUPS(Mem{Base: RDX, Disp: off}, a21)
			VSUBPS(s2, a21, a21)
			VMOVUPS(a21, Mem{Base: RDI, Index: RBX, Scale: 1, Disp: off})
		}
	})
}

func (g generator) binary(name string, op func(b Mem, a VecPhysical)) {
	g.function(name)
	Load(Param("dst"), RDI)
	Load(Param("a"), RSI)
	Load(Param("b"), RDX)
	Load(Param("n"), RCX)
	Load(Param("bStep"), RAX)
	lo, hi := g.Last(0), g.Last(1)
	VBROADCASTSS(NewParamAddr("lo", 40), lo)
	VBROADCASTSS(NewParamAddr("hi", 44), hi)
	unrolled(RCX, []GPPhysical{RDI, RSI}, func(i int) {
		for v := range g.PerPixel() {
			off, x := 64*i+v*g.Bytes, g.Regs[i*g.PerPixel()+v]
			VMOVUPS(Mem{Base: RSI, Disp: off}, x)
			op(Mem{Base: RDX, Disp: v * g.Bytes}, x)
			VMAXPS(x, lo, x)
			VMINPS(x, hi, x)
			VMOVUPS(x, Mem{Base: RDI, Disp: off})
		}
		ADDQ(RAX, RDX)
	})
}

// interleave starts the transposition of three planes of a picture to pixels.
func (g generator) interleave() {
	g.function("interleave3")
	Load(Param("dst"), RDI)
	Load(Param("a"), RSI)
	Load(Param("b"), RDX)
	Load(Param("c"), RBX)
	Load(Param("n"), RCX)
}

// interleaveAVX512 fills each of three output vectors with lanes of all planes, in two
// steps.
func interleaveAVX512() {
	generator{x86.AVX512}.interleave()
	index := []VecPhysical{Z16, Z17, Z18, Z19, Z20, Z21}
	for v := range 3 {
		var ab, abc [16]uint32
		for lane := range uint32(16) {
			e := uint32(v)*16 + lane // element e of the result is lane e/3 of plane e%3
			switch e % 3 {
			case 0:
				ab[lane], abc[lane] = e/3, lane
			case 1:
				ab[lane], abc[lane] = 16+e/3, lane
			case 2:
				abc[lane] = 16 + e/3
			}
		}
		for step, table := range [][16]uint32{ab, abc} {
			m := GLOBL(fmt.Sprintf("interleave%d%d", v, step), 8|16)
			for i, x := range table {
				DATA(4*i, U32(x))
			}
			VMOVUPS(m, index[2*v+step])
		}
	}
	out := []VecPhysical{Z4, Z5, Z6}
	Label("loop")
	VMOVUPS(Mem{Base: RSI}, Z0)
	VMOVUPS(Mem{Base: RDX}, Z1)
	VMOVUPS(Mem{Base: RBX}, Z2)
	for v, z := range out {
		VMOVAPS(Z0, z)
		VPERMT2PS(Z1, index[2*v], z)
		VPERMT2PS(Z2, index[2*v+1], z)
		VMOVUPS(z, Mem{Base: RDI, Disp: 64 * v})
	}
	for _, p := range []GPPhysical{RSI, RDX, RBX} {
		ADDQ(Imm(64), p)
	}
	ADDQ(U32(192), RDI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// interleaveAVX2 permutes the lanes of all three planes alike. Element e of the result is
// lane e/3 of plane e%3, so the permutation brings lanes to their places.
func interleaveAVX2() {
	generator{x86.AVX2}.interleave()
	planes := []GPPhysical{RSI, RDX, RBX}
	index := []VecPhysical{Y13, Y14, Y15}
	for v, y := range index {
		m := GLOBL(fmt.Sprintf("interleave%d", v), 8|16)
		for lane := range 8 {
			DATA(4*lane, U32(uint32(8*v+lane)/3))
		}
		VMOVUPS(m, y)
	}
	SHLQ(Imm(1), RCX)
	Label("loop")
	for v := range 3 {
		for p, base := range planes {
			VPERMPS(Mem{Base: base}, index[v], []VecPhysical{Y0, Y1, Y2}[p])
		}
		var mask [3]uint64
		for lane := range 8 {
			mask[(8*v+lane)%3] |= 1 << lane
		}
		VBLENDPS(Imm(mask[1]), Y1, Y0, Y0)
		VBLENDPS(Imm(mask[2]), Y2, Y0, Y0)
		VMOVUPS(Y0, Mem{Base: RDI, Disp: 32 * v})
	}
	for _, p := range planes {
		ADDQ(Imm(32), p)
	}
	ADDQ(Imm(96), RDI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// normalize writes layer normalisation over the channels of each pixel. AVX-512 machines
// use it too: it mostly waits for sums across a register, so wider registers would gain
// little.
func normalize() {
	generator{x86.AVX2}.function("normalize")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("pixels"), RCX)
	Load(Param("dstBlock"), RAX)
	Load(Param("srcBlock"), RBX)
	Load(Param("scale"), R8)
	Load(Param("shift"), R9)
	inverse, epsilon, one := Y13, Y14, Y15
	VBROADCASTSS(NewParamAddr("inverse", 64), inverse)
	VBROADCASTSS(NewParamAddr("epsilon", 68), epsilon)
	VMOVUPS(constant(1), one)
	mean, r, x := Y0, Y2, []VecPhysical{Y4, Y5}
	// overBlocks runs body with R10 at each block of the pixel.
	overBlocks := func(label string, body func(at []Mem)) {
		MOVQ(RSI, R10)
		Load(Param("blocks"), RDX)
		Label(label)
		body([]Mem{{Base: R10}, {Base: R10, Disp: 32}})
		ADDQ(RBX, R10)
		DECQ(RDX)
		JNZ(LabelRef(label))
	}
	// average replaces all lanes of a by the sum of the lanes of a and b, times inverse.
	average := func(a, b VecPhysical) {
		VADDPS(b, a, a)
		VEXTRACTF128(Imm(1), a, b.AsX())
		VADDPS(b.AsX(), a.AsX(), a.AsX())
		VHADDPS(a.AsX(), a.AsX(), a.AsX())
		VHADDPS(a.AsX(), a.AsX(), a.AsX())
		VBROADCASTSS(a.AsX(), a)
		VMULPS(inverse, a, a)
	}
	Label("pixel")
	VXORPS(Y0, Y0, Y0)
	VXORPS(Y1, Y1, Y1)
	overBlocks("sum", func(at []Mem) {
		VADDPS(at[0], Y0, Y0)
		VADDPS(at[1], Y1, Y1)
	})
	average(mean, Y1)
	VXORPS(Y2, Y2, Y2)
	VXORPS(Y3, Y3, Y3)
	overBlocks("squares", func(at []Mem) {
		for i, sum := range []VecPhysical{Y2, Y3} {
			VMOVUPS(at[i], x[i])
			VSUBPS(mean, x[i], x[i])
			VFMADD231PS(x[i], x[i], sum)
		}
	})
	average(r, Y3)
	VADDPS(epsilon, r, r)
	VSQRTPS(r, r)
	VDIVPS(r, one, r)
	MOVQ(R8, R11)
	MOVQ(R9, R12)
	MOVQ(RDI, R13)
	overBlocks("write", func(at []Mem) {
		for i, x := range x {
			VMOVUPS(at[i], x)
			VSUBPS(mean, x, x)
			VMULPS(r, x, x)
			VMOVUPS(Mem{Base: R11, Disp: 32 * i}, Y6)
			VFMADD213PS(Mem{Base: R12, Disp: 32 * i}, Y6, x)
			VMOVUPS(x, Mem{Base: R13, Disp: 32 * i})
		}
		ADDQ(Imm(64), R11)
		ADDQ(Imm(64), R12)
		ADDQ(RAX, R13)
	})
	ADDQ(Imm(64), RSI)
	ADDQ(Imm(64), RDI)
	DECQ(RCX)
	JNZ(LabelRef("pixel"))
	VZEROUPPER()
	RET()
}

// gatherLanes writes the permutation of channels between blocks of pixels. It permutes
// eight lanes at a time on every machine.
func gatherLanes() {
	generator{x86.AVX2}.function("gatherLanes")
	Load(Param("dst"), RDI)
	Load(Param("pixels"), RCX)
	Load(Param("groups"), RSI)
	Load(Param("n"), RDX)
	Load(Param("keep"), AX)
	XORQ(R8, R8) // the offset from the first pixel in bytes
	pixels := func(count int) {
		label := func(name string) string { return fmt.Sprintf("%s%d", name, count) }
		acc := []VecPhysical{Y0, Y1, Y2, Y3}[:count]
		for _, a := range acc {
			VXORPS(a, a, a)
		}
		TESTB(AL, AL)
		JZ(LabelRef(label("groups")))
		for i, a := range acc {
			VMOVUPS(Mem{Base: RDI, Index: R8, Scale: 1, Disp: 64 * i}, a)
		}
		Label(label("groups"))
		MOVQ(RSI, R9)
		MOVQ(RDX, R10)
		TESTQ(R10, R10)
		JZ(LabelRef(label("store")))
		Label(label("group"))
		MOVQ(Mem{Base: R9, Disp: abi.LaneIn}, R11)
		VMOVUPS(Mem{Base: R9, Disp: abi.LanePerm}, Y14)
		VMOVUPS(Mem{Base: R9, Disp: abi.LaneMask}, Y15)
		for i, a := range acc {
			t := []VecPhysical{Y4, Y5, Y6, Y7}[i]
			VPERMPS(Mem{Base: R11, Index: R8, Scale: 1, Disp: 64 * i}, Y14, t)
			VBLENDVPS(Y15, t, a, a)
		}
		ADDQ(Imm(abi.LaneGroupSize), R9)
		DECQ(R10)
		JNZ(LabelRef(label("group")))
		Label(label("store"))
		for i, a := range acc {
			VMOVUPS(a, Mem{Base: RDI, Index: R8, Scale: 1, Disp: 64 * i})
		}
		ADDQ(U32(uint32(64*count)), R8)
		SUBQ(Imm(uint64(count)), RCX)
	}
	CMPQ(RCX, Imm(4))
	JLT(LabelRef("tail"))
	Label("four")
	pixels(4)
	CMPQ(RCX, Imm(4))
	JGE(LabelRef("four"))
	Label("tail")
	TESTQ(RCX, RCX)
	JZ(LabelRef("done"))
	Label("one")
	pixels(1)
	JNZ(LabelRef("one"))
	Label("done")
	VZEROUPPER()
	RET()
}

// transpose writes the transposition of squares of 8×8 floats, between planes and pixels.
func transpose() {
	generator{x86.AVX2}.function("transpose")
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("dstRow"), RAX)
	Load(Param("srcRow"), RBX)
	Load(Param("dstStep"), R8)
	Load(Param("srcStep"), R9)
	Load(Param("n"), RCX)
	rows := func(base, stride, at GPPhysical, f func(i int, m Mem)) {
		MOVQ(base, at)
		for i := range 8 {
			f(i, Mem{Base: at})
			if i < 7 {
				ADDQ(stride, at)
			}
		}
	}
	r, t := x86.AVX2.Regs[:8], x86.AVX2.Regs[8:]
	Label("square")
	rows(RSI, RBX, R10, func(i int, m Mem) { VMOVUPS(m, r[i]) })
	x86.Transpose8(r, t)
	rows(RDI, RAX, R10, func(i int, m Mem) { VMOVUPS(t[i], m) })
	ADDQ(R9, RSI)
	ADDQ(R8, RDI)
	DECQ(RCX)
	JNZ(LabelRef("square"))
	VZEROUPPER()
	RET()
}

// softmax writes the softmax of short rows. A detector has thousands of them. Every
// machine computes them in vectors of eight.
func softmax() {
	g := generator{x86.AVX2}
	g.function("softmax")
	// A load from mask, at an offset that depends on the size of the rest, gives a
	// mask of the rest.
	mask := GLOBL("rest", 8|16)
	for pair := range 8 {
		DATA(8*pair, U64(uint64(int64(pair-4)>>63)))
	}
	Load(Param("dst"), RDI)
	Load(Param("src"), RSI)
	Load(Param("n"), RAX)
	Load(Param("rows"), RCX)
	rest, top, sum, x := Y15, Y14, Y13, Y0
	LEAQ(mask.Offset(32), R8)
	MOVQ(RAX, R9)
	ANDQ(Imm(7), R9)
	SHLQ(Imm(2), R9) // the size of the rest in bytes
	SUBQ(R9, R8)
	VMOVUPS(Mem{Base: R8}, rest)
	SHRQ(Imm(3), RAX) // the number of whole vectors
	// over runs body at each vector of the row, then at its rest.
	over := func(name string, body func(off Register, whole bool)) {
		MOVQ(RAX, RDX)
		XORQ(R10, R10)
		TESTQ(RDX, RDX)
		JZ(LabelRef(name + "rest"))
		Label(name)
		body(R10, true)
		ADDQ(Imm(32), R10)
		DECQ(RDX)
		JNZ(LabelRef(name))
		Label(name + "rest")
		TESTQ(R9, R9)
		JZ(LabelRef(name + "done"))
		body(R10, false)
		Label(name + "done")
	}
	at := func(base, off Register) Mem { return Mem{Base: base, Index: off, Scale: 1} }
	// across combines all lanes of a by op and replaces each lane by the result.
	across := func(a VecPhysical, op func(x, y, z VecPhysical)) {
		VPERM2F128(Imm(1), a, a, Y4)
		op(Y4, a, a)
		VPERMILPS(Imm(0x4E), a, Y4)
		op(Y4, a, a)
		VPERMILPS(Imm(0xB1), a, Y4)
		op(Y4, a, a)
	}
	Label("row")
	VMOVUPS(constant(math.Inf(-1)), top)
	over("max", func(off Register, whole bool) {
		if whole {
			VMAXPS(at(RSI, off), top, top)
			return
		}
		VMASKMOVPS(at(RSI, off), rest, x)
		VMOVUPS(constant(math.Inf(-1)), Y1)
		VBLENDVPS(rest, x, Y1, x)
		VMAXPS(x, top, top)
	})
	across(top, func(x, y, z VecPhysical) { VMAXPS(x, y, z) })
	VXORPS(sum, sum, sum)
	over("exp", func(off Register, whole bool) {
		if whole {
			VMOVUPS(at(RSI, off), x)
		} else {
			VMASKMOVPS(at(RSI, off), rest, x)
		}
		VSUBPS(top, x, x)
		g.exp(x)
		if whole {
			VMOVUPS(x, at(RDI, off))
		} else {
			VMASKMOVPS(x, rest, at(RDI, off))
			VANDPS(rest, x, x)
		}
		VADDPS(x, sum, sum)
	})
	across(sum, func(x, y, z VecPhysical) { VADDPS(x, y, z) })
	VMOVUPS(constant(1), x)
	VDIVPS(sum, x, sum)
	over("scale", func(off Register, whole bool) {
		if whole {
			VMULPS(at(RDI, off), sum, x)
			VMOVUPS(x, at(RDI, off))
			return
		}
		VMASKMOVPS(at(RDI, off), rest, x)
		VMULPS(sum, x, x)
		VMASKMOVPS(x, rest, at(RDI, off))
	})
	// Skip the rest of the row.
	LEAQ(Mem{Base: R10, Index: R9, Scale: 1}, R10)
	ADDQ(R10, RSI)
	ADDQ(R10, RDI)
	DECQ(RCX)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// constants holds vectors in read-only memory, by the bits of their elements.
var constants = map[uint32]Mem{}

// constant returns a vector of x.
func constant(x float64) Op {
	if r, ok := held[x]; ok {
		return r
	}
	return bits(math.Float32bits(float32(x)))
}

// held has the constants that registers hold during a loop. AVX-512 reads one vector in a
// cycle, so constants in memory take longer than the arithmetic.
var held = map[float64]VecPhysical{}

// hold loads constants into the last registers of AVX-512.
func (g generator) hold(values ...float64) {
	clear(held)
	if g.Bytes < 64 {
		return
	}
	for _, x := range values {
		if _, ok := held[x]; !ok {
			r := g.Last(len(held))
			VMOVUPS(constant(x), r)
			held[x] = r
		}
	}
}

func bits(b uint32) Mem {
	m, ok := constants[b]
	if !ok {
		m = GLOBL(fmt.Sprintf("f%08x", b), 8|16)
		for i := range 8 {
			DATA(8*i, U64(uint64(b)<<32|uint64(b)))
		}
		constants[b] = m
	}
	return m
}

// activation writes a function of one variable.
func (g generator) activation(name string, f func(x VecPhysical), hold ...float64) {
	g.function(name)
	g.hold(hold...)
	g.loop(f)
	clear(held)
}

// parametric writes a function of one variable with a parameter.
func (g generator) parametric(name string, f func(x, alpha VecPhysical)) {
	g.function(name)
	alpha := g.Last(0)
	VBROADCASTSS(NewParamAddr("alpha", 16), alpha)
	g.loop(func(x VecPhysical) { f(x, alpha) })
}

// loop applies f to each vector. f may use all registers but the last.
func (g generator) loop(f func(x VecPhysical)) {
	Load(Param("x"), RSI)
	Load(Param("n"), RCX)
	if g.PerPixel() == 2 {
		SHLQ(Imm(1), RCX)
	}
	Label("loop")
	x := g.Regs[0]
	VMOVUPS(Mem{Base: RSI}, x)
	f(x)
	VMOVUPS(x, Mem{Base: RSI})
	ADDQ(Imm(uint64(g.Bytes)), RSI)
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// exp replaces x by eˣ = 2ⁿ·eʳ with |r| ≤ ln2/2, and by infinity if x ≥ 88.73. It computes
// r with Cody and Waite's split of ln2, and eʳ with the polynomial of Cephes' expf. It uses
// registers 1 to 3.
func (g generator) exp(x VecPhysical) {
	n, p, t := g.Regs[1], g.Regs[2], g.Regs[3]
	// x is the operand whose NaN becomes the result.
	VMOVUPS(constant(89), t)
	VMINPS(x, t, x)
	VMOVUPS(constant(-104), t)
	VMAXPS(x, t, x)
	VMULPS(constant(1.4426950408889634), x, n)
	if g.Name == "AVX512" {
		VRNDSCALEPS(Imm(0), n, n)
	} else {
		VROUNDPS(Imm(0), n, n)
	}
	VFNMADD231PS(constant(0.693359375), n, x)
	VFNMADD231PS(constant(-2.12194440e-4), n, x)
	VMOVUPS(constant(1.9875691500e-4), p)
	for _, c := range []float64{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		VFMADD213PS(constant(c), x, p)
	}
	VMULPS(x, x, t)
	VFMADD213PS(x, t, p)
	VADDPS(constant(1), p, p)
	if g.Name == "AVX512" {
		VSCALEFPS(n, p, x)
		return
	}
	// 2ⁿ may exceed the normal numbers. Its two factors do not.
	VCVTPS2DQ(n, n)
	VPSRAD(Imm(1), n, t)
	VPSUBD(t, n, n)
	for _, half := range []VecPhysical{t, n} {
		VPADDD(bits(127), half, half)
		VPSLLD(Imm(23), half, half)
		VMULPS(half, p, p)
	}
	VMOVAPS(p, x)
}

func (g generator) sigmoid(x VecPhysical) {
	// 1/(1+e^−x)
	t := g.Regs[4]
	VXORPS(t, t, t)
	VSUBPS(x, t, x)
	g.exp(x)
	VADDPS(constant(1), x, x)
	VMOVUPS(constant(1), t)
	VDIVPS(x, t, x)
}

// tanh computes a quotient of polynomials of degree 9 and 8 between −7.905 and 7.905. At
// these bounds it is 1 in float32, but for one unit in the last place.
func (g generator) tanh(x VecPhysical) {
	s, p, q := g.Regs[1], g.Regs[2], g.Regs[3]
	// x is the operand whose NaN becomes the result.
	VMOVUPS(constant(7.905), s)
	VMINPS(x, s, x)
	VMOVUPS(constant(-7.905), s)
	VMAXPS(x, s, x)
	VMULPS(x, x, s)
	horner(p, s, tanhAbove...)
	horner(q, s, tanhBelow...)
	VMULPS(x, p, p)
	VDIVPS(q, p, x)
}

// horner sets p to a polynomial in s. The coefficient of the highest power comes first.
func horner(p, s VecPhysical, coefficients ...float64) {
	VMOVUPS(constant(coefficients[0]), p)
	for _, c := range coefficients[1:] {
		VFMADD213PS(constant(c), s, p)
	}
}

// The coefficients of the numerator and the denominator of tanh(x)/x in x², the highest
// power first. The relative error is at most 6e-9 before rounding.
var (
	tanhAbove = []float64{1.54194497968620e-08, 2.20178272707193e-05, 3.57868492606125e-03, 1.34503674964859e-01, 1}
	tanhBelow = []float64{8.59552861296433e-07, 3.42313423186762e-04, 2.61910874315076e-02, 4.67836954862206e-01, 1}
)

// hardSwish computes x·min(max(x/6+1/2, 0), 1).
func (g generator) hardSwish(x VecPhysical) {
	t, zero := g.Regs[1], g.Regs[2]
	VMOVUPS(constant(1.0/6), t)
	VFMADD213PS(constant(0.5), x, t)
	VXORPS(zero, zero, zero)
	VMAXPS(t, zero, t)
	VMINPS(constant(1), t, t)
	VMULPS(t, x, x)
}

// leakyRelu computes max(x, 0)+alpha·min(x, 0). The sum is exact.
func (g generator) leakyRelu(x, alpha VecPhysical) {
	t, zero := g.Regs[1], g.Regs[2]
	VXORPS(zero, zero, zero)
	VMINPS(x, zero, t)
	VMAXPS(x, zero, x)
	VFMADD231PS(alpha, t, x)
}

func (g generator) silu(x, alpha VecPhysical) {
	t := g.Regs[5]
	VMOVAPS(x, t)
	VMULPS(alpha, x, x)
	g.sigmoid(x)
	VMULPS(t, x, x)
}

// gelu computes x/2·(1+erf(x/√2)). erf is a quotient of polynomials of degree 13 and 8
// between −4 and 4. At these bounds it differs from 1 by 2e-8.
func (g generator) gelu(x VecPhysical) {
	z, s, p, q := g.Regs[1], g.Regs[2], g.Regs[3], g.Regs[4]
	VMULPS(constant(math.Sqrt2/2), x, z)
	// z is the operand whose NaN becomes the result.
	VMOVUPS(constant(4), p)
	VMINPS(z, p, z)
	VMOVUPS(constant(-4), p)
	VMAXPS(z, p, z)
	VMULPS(z, z, s)
	horner(p, s, erfAbove...)
	horner(q, s, erfBelow...)
	VMULPS(z, p, p)
	VDIVPS(q, p, p)
	VMULPS(constant(0.5), x, x)
	VFMADD213PS(x, x, p)
	VMOVAPS(p, x)
}

// The coefficients of the numerator and the denominator of erf(z)/z in z², the highest
// power first.
var (
	erfAbove = []float64{-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02}
	erfBelow = []float64{-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02}
)
