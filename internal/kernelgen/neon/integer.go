package main

import (
	"fmt"

	"modelc/internal/kernelgen/abi"
)

// integers writes the kernels on integers. With dot products, SDOT multiplies bytes with a
// sign, so 128 is subtracted from the operand, see Tier.IntOffset. Without, SMLAL
// multiplies words.
func integers(a *asm) {
	for _, width := range []int{32, 16} {
		for _, suffix := range []string{"NEONDOT", "NEON"} {
			intKernel(a, "intBlock", suffix, width)
			intKernel(a, "intPixel", suffix, width)
		}
		intKernel(a, "intProduct", "NEON", width)
	}
	intDepthwise(a)
	intFloats(a)
	intTransformIn(a)
	intTransformOut(a)
	intFilters(a)
}

// intTile writes the code for p pixels by 16 channels, a pass. Each pixel has four
// accumulators. The registers of operands, and those of weights, are consecutive.
//
// Registers: R0 holds the arguments, R1 the input block, R2 the weights, R3 the input row,
// R4 the input column, R5–R7 the counters of blocks, rows and columns, R8–R13 the pixels,
// R14 the offset of the weights of a pass in a row of weights, R15 the counter of parts,
// and R19–R22 strides. R16 and R17 are scratch.
type intTile struct {
	*asm
	name, suffix string
	p, width     int
	acc, x, w    vec
}

func intKernel(a *asm, name, suffix string, width int) {
	t := intTile{asm: a, name: name, suffix: suffix, width: width}
	pixels := 6
	switch {
	case suffix == "NEONDOT":
		t.acc, t.x, t.w = 0, 24, 30
	case name == "intProduct": // an element of SMLAL lies in the first 16 registers
		t.x, t.acc, t.w = 0, 6, 30
	default:
		pixels = 5
		t.x, t.acc, t.w = 0, 5, 25
	}
	a.textOf(fmt.Sprintf("%s%d", name, width), suffix, 8, 0)
	a.do("MOVD a+0(FP), R0")
	a.do("MOVD %d(R0), R16", abi.IntPixels)
	for p := pixels; p > 1; p-- { // 1 falls through
		a.do("CMP $%d, R16", p)
		a.do("BEQ p%d", p)
	}
	for t.p = 1; t.p <= pixels; t.p++ {
		t.code()
	}
}

func (t intTile) label(s string) { t.asm.label(t.at(s)) }

func (t intTile) at(s string) string { return fmt.Sprintf("p%d_%s", t.p, s) }

func (t intTile) arg(off int, r string) { t.do("MOVD %d(R0), %s", off, r) }

// sum returns accumulator v of pixel i.
func (t intTile) sum(i, v int) vec { return t.acc + vec(4*i+v) }

func (t intTile) code() {
	if t.p > 1 {
		t.asm.label(fmt.Sprintf("p%d", t.p))
	}
	t.do("MOVD $0, R14")
	t.label("pass")
	t.arg(abi.IntW, "R2")
	t.do("ADD R14, R2")
	t.arg(abi.IntStart, "R16")
	t.do("ADD R14, R16")
	for i := range t.p {
		t.do("VLD1 (R16), %s", t.sum(i, 0).list(4))
	}
	t.arg(abi.IntPix, "R22")
	t.arg(abi.IntColStride, "R21")
	t.arg(abi.IntRowStride, "R20")
	t.arg(abi.IntBlockStride, "R19")
	t.arg(abi.IntParts, "R15")
	t.label("part")
	t.arg(abi.IntIn, "R1")
	t.arg(abi.IntBlocks, "R5")
	t.label("block")
	t.do("MOVD R1, R3")
	t.arg(abi.IntRows, "R6")
	t.label("row")
	t.do("MOVD R3, R4")
	t.arg(abi.IntCols, "R7")
	t.label("col")
	t.do("MOVD R4, %s", pointer(0))
	for i := 1; i < t.p; i++ {
		t.do("ADD R22, %s, %s", pointer(i-1), pointer(i))
	}
	rows := map[string]int{"intBlock": 4, "intPixel": 1, "intProduct": 8}[t.name]
	switch {
	case t.suffix == "NEONDOT":
		t.dots(rows)
	case t.name == "intProduct":
		t.products()
	default:
		t.bytes(rows)
	}
	t.do("ADD $%d, R2", rows*t.width*4)
	t.do("ADD R21, R4")
	t.down("R7", t.at("col"))
	t.do("ADD R20, R3")
	t.down("R6", t.at("row"))
	t.do("ADD R19, R1")
	t.down("R5", t.at("block"))
	t.down("R15", t.at("part"))
	t.finish()
	t.do("ADD $64, R14")
	t.do("CMP $%d, R14", 4*t.width)
	t.do("BNE %s", t.at("pass"))
	t.do("RET")
}

// dots adds the products of a step by dot products.
func (t intTile) dots(rows int) {
	flip := t.w
	t.word(0x4F04E400|uint32(flip), "MOVI V%d.16B, $128", int(flip))
	for i := range t.p {
		x := t.x + vec(i)
		if rows == 1 {
			t.do("VLD1R (%s), [%v]", pointer(i), x)
		} else {
			t.load(x, 0, pointer(i))
		}
		t.do("VEOR V%d.B16, V%d.B16, V%[2]d.B16", int(flip), int(x))
	}
	for c := range rows {
		for v := range 4 {
			w := t.w + vec(v%2)
			t.load(w, c*t.width*4+16*v, "R2")
			for i := range t.p {
				code := 0x4F80E000 | uint32(c&1)<<21 | uint32(c>>1)<<11 | uint32(t.x+vec(i))<<16 | uint32(w)<<5 | uint32(t.sum(i, v))
				t.word(code, "SDOT V%d.4S, V%d.16B, V%d.4B[%d]", int(t.sum(i, v)), int(w), int(t.x)+i, c)
			}
		}
	}
}

// smlal adds the products of the four words in the lower or upper half of w with element
// lane of x.
func (t intTile) smlal(acc, w, x vec, lane int, upper bool) {
	code := 0x0F402000 | uint32(lane>>1&1)<<21 | uint32(lane&1)<<20 | uint32(x)<<16 | uint32(lane>>2)<<11 | uint32(w)<<5 | uint32(acc)
	name, size := "SMLAL", "4H"
	if upper {
		code, name, size = code|1<<30, "SMLAL2", "8H"
	}
	t.word(code, "%s V%d.4S, V%d.%s, V%d.H[%d]", name, int(acc), int(w), size, int(x), lane)
}

// widenSigned and widenUnsigned write the lower or upper eight bytes of x as words.
func (a *asm) widenSigned(dst, x vec, upper bool) {
	a.two("SXTL", 0x0F08A400|upperBit(upper), dst, x)
}
func (a *asm) widenUnsigned(dst, x vec, upper bool) {
	a.two("UXTL", 0x2F08A400|upperBit(upper), dst, x)
}

func upperBit(upper bool) uint32 {
	if upper {
		return 1 << 30
	}
	return 0
}

// bytes adds the products of a step of bytes as words.
func (t intTile) bytes(rows int) {
	wide := t.w + 4
	for c := range rows {
		if c%2 == 0 { // a vector has eight input channels
			for i := range t.p {
				x := t.x + vec(i)
				if rows == 1 {
					t.do("FMOVS (%s), F%d", pointer(i), int(x))
				} else {
					t.do("FMOVD %d(%s), F%d", 4*c, pointer(i), int(x))
				}
				t.widenUnsigned(x, x, false)
			}
		}
		t.do("ADD $%d, R2, R16", c*t.width*4)
		t.do("VLD4 (R16), [V%d.B16, V%d.B16, V%d.B16, V%d.B16]", int(t.w), int(t.w)+1, int(t.w)+2, int(t.w)+3)
		for j := range 4 {
			for half := range 2 {
				w := wide + vec(half)
				t.widenSigned(w, t.w+vec(j), half == 1)
				for i := range t.p {
					t.smlal(t.sum(i, 2*half), w, t.x+vec(i), c%2*4+j, false)
					t.smlal(t.sum(i, 2*half+1), w, t.x+vec(i), c%2*4+j, true)
				}
			}
		}
	}
}

// products adds the products of a step of words.
func (t intTile) products() {
	for c := range 8 {
		if c%4 == 0 { // a vector has eight input channels
			for i := range t.p {
				t.load(t.x+vec(i), 4*c, pointer(i))
			}
		}
		for half := range 2 {
			t.do("ADD $%d, R2, R16", c*t.width*4+half*32)
			t.do("VLD2 (R16), [V%d.H8, V%d.H8]", int(t.w), int(t.w)+1)
			for j := range 2 {
				for i := range t.p {
					t.smlal(t.sum(i, 2*half), t.w+vec(j), t.x+vec(i), c%4*2+j, false)
					t.smlal(t.sum(i, 2*half+1), t.w+vec(j), t.x+vec(i), c%4*2+j, true)
				}
			}
		}
	}
}

// finish requantises and stores the pixels of a pass, or stores their sums.
func (t intTile) finish() {
	t.arg(abi.IntOut, "R16")
	t.do("CBZ R14, %s", t.at("first"))
	t.arg(abi.IntOutBlock, "R17")
	t.do("ADD R17, R16")
	t.label("first")
	if t.name != "intProduct" {
		t.arg(abi.IntMultiplier, "R17")
		t.do("CBZ R17, %s", t.at("sums"))
		t.do("ADD R14, R17")
		// The operands and weights are no longer needed: eight registers.
		q := t.requantizer(24, abi.IntZero)
		if t.suffix == "NEON" {
			q = t.requantizer(25, abi.IntZero)
		}
		t.do("VLD1 (R17), %s", q.multiplier.list(4))
		for i := range t.p {
			q.pack(t.asm, t.sum(i, 0), func(v int) vec { return q.multiplier + vec(v) })
			t.store(t.sum(i, 0), 16*i, "R16")
		}
		t.do("B %s", t.at("next"))
		t.label("sums")
	}
	for i := range t.p {
		t.do("VST1.P %s, 64(R16)", t.sum(i, 0).list(4))
	}
	if t.name != "intProduct" {
		t.label("next")
	}
}

// requantizer has registers with constants: multipliers, and the zero point and the bounds
// of bytes.
type requantizer struct{ multiplier, zero, lo, hi vec }

// requantizer loads the constants of the arguments, with Zero at offset zero, to the
// registers behind four for multipliers. It uses R15.
func (a *asm) requantizer(first vec, zero int) requantizer {
	q := requantizer{first, first + 4, first + 5, first + 6}
	for i, r := range []vec{q.zero, q.lo, q.hi} {
		a.do("ADD $%d, R0, R15", zero+[]int{0, 2, 3}[i])
		a.do("VLD1R (R15), [V%d.%s]", int(r), []string{"H8", "B16", "B16"}[i])
	}
	return q
}

// pack requantises four vectors of sums to bytes, in the first.
func (q requantizer) pack(a *asm, x vec, multiplier func(v int) vec) {
	for v := range vec(4) {
		a.two("SCVTF", 0x4E21D800, x+v, x+v)
	}
	for v := range vec(4) {
		a.mul(x+v, x+v, multiplier(int(v)))
	}
	for v := range vec(4) {
		a.toInt(x+v, x+v)
	}
	for v := vec(0); v < 4; v += 2 {
		a.two("SQXTN", 0x0E614800, x+v, x+v)
		a.two("SQXTN2", 0x4E614800, x+v, x+v+1)
		a.three("SQADD 8H", 0x4E600C00, x+v, x+v, q.zero)
	}
	a.two("SQXTUN 8B", 0x2E212800, x, x)
	a.two("SQXTUN2 16B", 0x6E212800, x, x+2)
	a.three("UMAX 16B", 0x6E206400, x, x, q.lo)
	a.three("UMIN 16B", 0x6E206C00, x, x, q.hi)
}

// intDepthwise computes one pixel at a time.
func intDepthwise(a *asm) {
	const acc, x, wide, taps vec = 0, 4, 6, 8
	a.text("intDepthwiseRow", 8, 0)
	a.do("MOVD a+0(FP), R0")
	for i, off := range []int{abi.IntIn, abi.IntW, abi.IntOut, abi.IntStart, abi.IntMultiplier, abi.IntDepthwiseTaps, abi.IntDepthwiseGroups, abi.IntDepthwisePix, abi.IntDepthwisePixels} {
		a.do("MOVD %d(R0), R%d", off, i+1)
	}
	a.label("pixel")
	a.do("VLD1 (R4), %s", acc.list(4))
	a.do("MOVD R2, R10")
	a.do("MOVD R6, R11")
	a.do("MOVD R7, R12")
	a.label("taps")
	a.do("VLD4.P 64(R10), [V%d.B16, V%d.B16, V%d.B16, V%d.B16]", int(taps), int(taps)+1, int(taps)+2, int(taps)+3)
	for t := range vec(4) {
		a.do("MOVD.P 8(R11), R13")
		a.do("ADD R1, R13")
		a.load(x, 0, "R13")
		a.widenUnsigned(x+1, x, true)
		a.widenUnsigned(x, x, false)
		for half := range vec(2) {
			a.widenSigned(wide+half, taps+t, half == 1)
			for v := range vec(2) {
				a.word(0x0E608000|upperBit(v == 1)|uint32(wide+half)<<16|uint32(x+half)<<5|uint32(acc+2*half+v), "SMLAL V%d.4S", int(acc+2*half+v))
			}
		}
	}
	a.down("R12", "taps")
	a.do("CBZ R5, sums")
	q := a.requantizer(16, abi.IntDepthwiseZero)
	a.do("VLD1 (R5), %s", q.multiplier.list(4))
	q.pack(a, acc, func(v int) vec { return q.multiplier + vec(v) })
	a.do("FMOVQ.P F%d, 16(R3)", int(acc))
	a.do("B next")
	a.label("sums")
	a.do("VST1.P %s, 64(R3)", acc.list(4))
	a.label("next")
	a.do("ADD R8, R1")
	a.down("R9", "pixel")
	a.do("RET")
}

func intFloats(a *asm) {
	const x, multiplier, shift vec = 0, 16, 20
	a.text("intFloatRow", 40, 0)
	a.do("MOVD x+0(FP), R0")
	a.do("MOVD n+8(FP), R1")
	a.do("MOVD multiplier+16(FP), R2")
	a.do("MOVD shift+24(FP), R3")
	a.do("FMOVS lo+32(FP), F%d", int(lo))
	a.do("VDUP V%d.S[0], %v", int(lo), lo)
	a.do("FMOVS hi+36(FP), F%d", int(hi))
	a.do("VDUP V%d.S[0], %v", int(hi), hi)
	a.do("VLD1 (R2), %s", multiplier.list(4))
	a.do("VLD1 (R3), %s", shift.list(4))
	a.label("loop")
	a.do("VLD1 (R0), %s", x.list(4))
	for v := range vec(4) {
		a.two("SCVTF", 0x4E21D800, x+v, x+v)
		a.mul(x+v, x+v, multiplier+v)
		a.add(x+v, x+v, shift+v)
		a.clamp(x+v, lo, hi)
	}
	a.do("VST1.P %s, 64(R0)", x.list(4))
	a.down("R1", "loop")
	a.do("RET")
}

// intTransformIn transforms the columns of a run of tiles, and then the rows, as the
// kernel of amd64 does.
func intTransformIn(a *asm) {
	const temporaries vec = 16
	a.text("intTilesIn", 48, 0)
	for i, name := range []string{"in", "out", "row", "pos", "n", "scratch"} {
		a.do("MOVD %s+%d(FP), R%d", name, 8*i, i)
	}
	a.do("LSL $7, R4, R6")
	a.do("ADD $64, R6") // the size of a row of scratch
	a.do("LSL $2, R4, R7")
	a.do("ADD $2, R7")
	a.do("MOVD R5, R8")
	a.label("columns")
	a.do("MOVD R0, R9")
	for i := range vec(6) {
		a.load(i, 0, "R9")
		a.do("ADD R2, R9")
		a.widenUnsigned(6+i, i, true)
		a.widenUnsigned(i, i, false)
	}
	for half := range vec(2) {
		a.transformWords(6*half, temporaries, func(i int, r vec) {
			a.do("MOVD $%d, R10", i)
			a.do("MADD R10, R8, R6, R10")
			a.store(r, 16*int(half), "R10")
		})
	}
	a.do("ADD $16, R0")
	a.do("ADD $32, R8")
	a.down("R7", "columns")

	a.label("tile")
	for half := range vec(2) {
		a.do("ADD $%d, R5, R8", 16*half)
		a.do("ADD $%d, R1, R9", 16*half)
		for i := range 6 {
			for c := range vec(6) {
				a.load(c, 32*int(c), "R8")
			}
			a.transformWords(0, temporaries, func(j int, r vec) {
				a.do("MOVD $%d, R10", j)
				a.do("MADD R10, R9, R3, R10")
				a.store(r, 0, "R10")
			})
			if i < 5 {
				a.do("ADD R6, R8")
				a.do("MOVD $6, R10")
				a.do("MADD R10, R9, R3, R9")
			}
		}
	}
	a.do("ADD $128, R5")
	a.do("ADD $32, R1")
	a.down("R4", "tile")
	a.do("RET")
}

// halves writes an instruction on vectors of eight words.
func (a *asm) halves(op string, dst, x, y vec) {
	a.do("%s V%d.H8, V%d.H8, V%d.H8", op, int(y), int(x), int(dst))
}

// transformWords computes Bᵀ·d of six registers, which it overwrites, with six temporaries
// from t on. It calls store with each element of the result.
func (a *asm) transformWords(r, t vec, store func(i int, r vec)) {
	shift := func(dst, x vec) { a.do("VSHL $2, V%d.H8, V%d.H8", int(x), int(dst)) }
	add := func(dst, x, y vec) { a.halves("VADD", dst, x, y) }
	sub := func(dst, x, y vec) { a.halves("VSUB", dst, x, y) }
	shift(t, r+2)
	shift(t+1, r+1)
	sub(t, r+4, t)     // d4 − 4·d2
	sub(t+1, r+3, t+1) // d3 − 4·d1
	add(t+2, t, t+1)
	sub(t+3, t, t+1)
	store(1, t+2)
	store(2, t+3)
	sub(t+4, r+4, r+2) // d4 − d2
	sub(t+5, r+3, r+1)
	add(t+5, t+5, t+5) // 2·(d3 − d1)
	add(t+2, t+4, t+5)
	sub(t+3, t+4, t+5)
	store(3, t+2)
	store(4, t+3)
	shift(r, r)
	sub(t, t, r+2) // d4 − 5·d2
	add(t, t, r)
	store(0, t)
	shift(r+3, r+3)
	sub(t+1, r+5, t+1) // d5 − d3 + 4·d1
	sub(t+1, t+1, r+3)
	store(5, t+1)
}

// intTransformOut transforms four channels at a time. All intermediate values stay in
// registers.
func intTransformOut(a *asm) {
	a.text("intTilesOut", 8, 0)
	a.do("MOVD a+0(FP), R0")
	for i, off := range []int{abi.IntTransformIn, abi.IntTransformOut, abi.IntTransformStart, abi.IntTransformMultiplier, abi.IntTransformPosStride, abi.IntTransformRowStride, abi.IntTransformTiles} {
		a.do("MOVD %d(R0), R%d", off, i+1)
	}
	a.do("ADD R5, R5, R8")
	a.do("ADD R5, R8")
	a.do("ADD R8, R8") // six positions
	a.label("tile")
	a.do("MOVD $0, R9") // the offset of the channels in a position
	a.label("quarter")
	a.do("ADD R1, R9, R10")
	for j := range vec(6) {
		const m vec = 24
		a.do("MOVD R10, R11")
		for i := range vec(6) {
			a.load(m+i, 0, "R11")
			a.do("ADD R8, R11")
		}
		a.transformSums(m, [4]vec{j, 6 + j, 12 + j, 18 + j}, 30)
		a.do("ADD R5, R10")
	}
	for y := range vec(4) {
		m := 6 * y
		a.transformSums(m, [4]vec{m, m + 1, m + 2, m + 3}, 24)
	}
	const inverse, start, multiplier vec = 26, 27, 24
	a.constants(inverse, 954437177)
	a.do("ADD R3, R9, R11")
	a.load(start, 0, "R11")
	for y := range vec(4) {
		for x := range vec(4) {
			r := 6*y + x
			a.three("MUL", 0x4EA09C00, r, r, inverse)
			a.two("SSHR $6,", 0x4F3A0400, r, r)
			a.do("VADD %v, %v, %[2]v", start, r)
		}
	}
	a.do("CBZ R4, sums")
	q := a.requantizer(multiplier, abi.IntTransformZero)
	a.do("ADD R4, R9, R11")
	a.load(multiplier, 0, "R11")
	a.do("LSR $2, R9, R11")
	a.do("ADD R2, R11")
	for y := range vec(4) {
		q.pack(a, 6*y, func(int) vec { return multiplier })
		a.do("MOVD R11, R12")
		for x := range 4 {
			a.do("VST1 V%d.S[%d], (R12)", int(6*y), x)
			a.do("ADD $16, R12")
		}
		a.do("ADD R6, R11")
	}
	a.do("B next")
	a.label("sums")
	a.do("ADD R2, R9, R11")
	for y := range vec(4) {
		for x := range vec(4) {
			a.store(6*y+x, 64*int(x), "R11")
		}
		a.do("ADD R6, R11")
	}
	a.label("next")
	a.do("ADD $16, R9")
	a.do("CMP $64, R9")
	a.do("BNE quarter")
	a.do("ADD $64, R1")
	a.do("ADD $64, R2")
	a.do("CBNZ R4, bytes")
	a.do("ADD $192, R2")
	a.label("bytes")
	a.down("R7", "tile")
	a.do("RET")
}

// transformSums computes Aᵀ·m of six registers, which it overwrites, with two temporaries
// from t on. Destinations 0 to 3 may be registers 0 to 3.
func (a *asm) transformSums(m vec, d [4]vec, t vec) {
	add := func(dst, x, y vec) { a.do("VADD %v, %v, %v", y, x, dst) }
	sub := func(dst, x, y vec) { a.do("VSUB %v, %v, %v", y, x, dst) }
	shift := func(dst, x vec, n int) { a.do("VSHL $%d, %v, %v", n, x, dst) }
	u := t + 1
	add(t, m+1, m+2)
	sub(m+1, m+1, m+2)
	add(u, m+3, m+4)
	sub(m+3, m+3, m+4)
	add(m, m, t)
	shift(m+2, u, 2)
	add(m+4, m+3, m+3)
	shift(m+3, m+3, 3)
	add(m+5, m+5, m+5)
	add(d[0], m, u)
	add(d[2], m+2, t)
	add(m+3, m+3, m+5)
	add(d[3], m+3, m+1)
	add(d[1], m+4, m+1)
}

// intFilters transforms the weights of 4 output and 2 input channels at a time, which are
// adjacent in the result.
func intFilters(a *asm) {
	const columns, g, temporaries vec = 0, 18, 21
	a.text("intFilters", 32, 0)
	for i, name := range []string{"w", "dst", "width", "pos"} {
		a.do("MOVD %s+%d(FP), R%d", name, 8*i, i)
	}
	a.do("LSL $4, R2, R4") // the size of a tap
	a.do("LSL $2, R2, R5") // of a pair of input channels in the result
	a.do("MOVD $4, R6")
	a.label("quad")
	a.do("LSR $2, R2, R7")
	a.label("group")
	for half := range 2 {
		for x := range 3 {
			for y := range vec(3) {
				a.do("MOVD $%d, R8", 3*int(y)+x)
				a.do("MADD R8, R0, R4, R8")
				a.load(g+y, 0, "R8")
				a.three([]string{"UZP1", "UZP2"}[half], []uint32{0x4E401800, 0x4E405800}[half], g+y, g+y, g+y) // words
				a.widenSigned(g+y, g+y, false)
			}
			a.transformFilter(g, temporaries, func(i int, r vec) { a.move(columns+vec(3*i+x), r) })
		}
		a.do("MOVD R1, R9")
		if half == 1 {
			a.do("ADD R5, R9")
		}
		for i := range vec(6) {
			a.transformFilter(columns+3*i, temporaries, func(_ int, r vec) {
				a.store(r, 0, "R9")
				a.do("ADD R3, R9")
			})
		}
	}
	a.do("ADD $16, R0")
	a.do("ADD $16, R1")
	a.down("R7", "group")
	a.do("ADD R5, R1") // the pair that the second half wrote
	a.down("R6", "quad")
	a.do("RET")
}

// transformFilter computes G·g of three registers, with four temporaries from t on, and
// calls store with each element of the result, as that of amd64 does.
func (a *asm) transformFilter(g, t vec, store func(i int, r vec)) {
	shift := func(dst, x vec) { a.do("VSHL $2, V%d.H8, V%d.H8", int(x), int(dst)) }
	add := func(dst, x, y vec) { a.halves("VADD", dst, x, y) }
	sub := func(dst, x, y vec) { a.halves("VSUB", dst, x, y) }
	add(t, g, g)
	shift(t+1, g)
	add(t, t, t+1)
	store(0, t)
	add(t, g, g+2)
	add(t+1, t, g+1)
	sub(t+2, g+1, t)
	shift(t+1, t+1)
	a.zero(t + 3)
	sub(t+1, t+3, t+1)
	store(1, t+1)
	shift(t+2, t+2)
	store(2, t+2)
	shift(t, g+2)
	add(t+1, t, g)
	add(t+2, g+1, g+1)
	add(t+3, t+1, t+2)
	store(3, t+3)
	sub(t+1, t+1, t+2)
	store(4, t+1)
	add(t+1, t, t)
	add(t, t, t+1)
	store(5, t)
}
