package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

// A tile of AVX-512 has at most 14 pixels by 32 channels: 28 accumulators, two vectors of
// weights and two operands fill the 32 registers. The other instruction sets compute a
// tile of at most 6 pixels in passes of 16 channels. Without VNNI, passes on bytes have 8
// channels: a vector holds two sums for each of four channels, because the four words of
// an operand are multiplied together.

// tiles writes the tile kernels of an instruction set.
func tiles(isa x86.ISA) {
	few := kind{"intPixel", 1, false}
	if isa.Name == x86.AVX2.Name {
		few = kind{"intPair", 1, true}
	}
	for _, width := range []int{32, 16} {
		for _, k := range []kind{{"intBlock", 4, false}, few, {"intProduct", 8, true}} {
			k.kernel(isa, width)
		}
	}
}

// kind is a kind of steps: a step has the given number of rows of weights, which are s8
// [width][4], or s16 [width][2] for words.
type kind struct {
	name  string
	rows  int
	words bool // x and the weights
}

// tile writes the code for p pixels. Each tile has separate labels.
//
// Registers: DI holds the arguments, SI the input block, DX the weights, R9 the input row,
// R11 the input column, and AX, CX and R15 that of pixels 4, 8 and 12. R14 and R13 hold
// the size of one and of three pixels. R8, R10 and R12 are counters of blocks, rows and
// columns; that of parts is in memory. BX is the address of weights to prefetch. Without
// AVX-512, R15 is the offset of the weights of a pass in a row of weights.
type tile struct {
	kind
	x86.ISA
	p, b, width int
	sets        int  // the number of sets of accumulators
	wide        bool // words that are widened weights: no VNNI, and bytes
}

func arg(off int) Mem { return Mem{Base: RDI, Disp: off} }

func (k kind) kernel(isa x86.ISA, width int) {
	t := tile{kind: k, ISA: isa, width: width, b: 1}
	pixels := 14
	switch isa.Name {
	case x86.AVX512VNNI.Name:
		t.b = width / 16
	case x86.AVXVNNI.Name:
		pixels, t.b = 6, 2
	case x86.AVX2.Name:
		pixels, t.b, t.wide = 6, 2, !k.words
	}
	isa.Function(fmt.Sprintf("%s%d", k.name, width), NOSPLIT)
	Load(Param("a"), RDI)
	MOVQ(arg(abi.IntPixels), RAX)
	for p := pixels; p > 1; p-- { // 1 falls through
		CMPQ(RAX, Imm(uint64(p)))
		JEQ(LabelRef(fmt.Sprintf("p%d", p)))
	}
	vectors := t.b
	for t.p = 1; t.p <= pixels; t.p++ {
		t.sets, t.b = 1, vectors
		if t.wide && t.p == 1 { // one pass, so that the weights of a dense layer are read once
			t.b = width / 4
		}
		if k.rows > 1 && isa.Name != x86.AVX2.Name {
			// A dot product takes four cycles or more, so few accumulators would wait for
			// one another.
			t.sets = max(1, min(4, 8/(t.p*t.b)))
		}
		t.code()
	}
}

func (t tile) label(s string) string { return fmt.Sprintf("p%d_%s", t.p, s) }

// acc returns the accumulator of vector blk of pixel i.
func (t tile) acc(blk, i int) VecPhysical { return t.Regs[blk*t.p+i] }

// zmm reports whether one pass computes all channels.
func (t tile) zmm() bool { return t.Bytes == 64 }

// octets returns the number of groups of 8 channels of a pass.
func (t tile) octets() int {
	if t.wide {
		return t.b / 2
	}
	return t.b
}

func (t tile) code() {
	if t.p > 1 {
		Label(fmt.Sprintf("p%d", t.p))
	}
	n := t.b * t.p
	if t.zmm() {
		MOVQ(arg(abi.IntStart), R15)
		for blk := range t.b {
			VMOVDQU32(Mem{Base: R15, Disp: 64 * blk}, t.acc(blk, 0))
			for i := 1; i < t.p; i++ {
				VMOVDQA32(t.acc(blk, 0), t.acc(blk, i))
			}
		}
		for _, r := range t.Regs[n : n*t.sets] {
			VPXORD(r, r, r)
		}
	} else {
		Label(t.label("tile"))
		XORL(R15L, R15L)
		Label(t.label("pass"))
		zero := t.Regs[:n*t.sets]
		if !t.wide {
			MOVQ(arg(abi.IntStart), RBX)
			for o := range t.b {
				VMOVDQU(Mem{Base: RBX, Index: R15, Scale: 1, Disp: 32 * o}, t.acc(o, 0))
				for i := 1; i < t.p; i++ {
					VMOVDQA(t.acc(o, 0), t.acc(o, i))
				}
			}
			zero = t.Regs[n : n*t.sets]
		}
		for _, r := range zero {
			VPXOR(r, r, r)
		}
	}
	MOVQ(arg(abi.IntW), RDX)
	if !t.zmm() {
		ADDQ(R15, RDX)
	}
	MOVQ(arg(abi.IntPix), R14)
	LEAQ(Mem{Base: R14, Index: R14, Scale: 2}, R13)
	MOVQ(arg(abi.IntParts), RBX)
	MOVQ(RBX, arg(abi.IntLeft))
	if t.prefetches() {
		MOVQ(arg(abi.IntNext), RBX)
		if t.passes() > 1 { // each pass prefetches its part of what a step prefetches
			TESTQ(R15, R15)
			JZ(LabelRef(t.label("ahead")))
			MOVQ(arg(abi.IntNextStep), RAX)
			SHRQ(Imm(1), RAX)
			ADDQ(RAX, RBX)
			Label(t.label("ahead"))
		}
	}
	if t.skips() {
		if t.passes() > 1 {
			TESTQ(R15, R15)
			JZ(LabelRef(t.label("whole")))
		}
		CMPQ(arg(abi.IntHalfOut), Imm(0))
		JEQ(LabelRef(t.label("whole")))
		t.loop("_half", t.b/2)
		JMP(LabelRef(t.label("summed")))
		Label(t.label("whole"))
	}
	t.loop("", t.b)
	if t.skips() {
		Label(t.label("summed"))
	}
	for s := t.sets; s > 1; s /= 2 {
		for i := s / 2 * n; i < s*n; i++ {
			add(t.Regs[i], t.Regs[i-s/2*n])
		}
	}
	if t.zmm() {
		t.finish512()
		return
	}
	if t.wide && t.p == 1 {
		t.finishRow()
		return
	}
	t.finish256()
	ADDQ(Imm(uint64(t.octets()*32)), R15)
	CMPQ(R15, Imm(uint64(t.width*4)))
	JNE(LabelRef(t.label("pass")))
	if t.words && t.quantises() {
		t.nextTile()
	}
	VZEROUPPER()
	RET()
}

// loop adds the products of all steps, for the given number of vectors of a pass.
func (t tile) loop(suffix string, vectors int) {
	Label(t.label("part" + suffix))
	MOVQ(arg(abi.IntIn), RSI)
	MOVQ(arg(abi.IntBlocks), R8)
	Label(t.label("block" + suffix))
	MOVQ(RSI, R9)
	MOVQ(arg(abi.IntRows), R10)
	Label(t.label("row" + suffix))
	MOVQ(R9, R11)
	MOVQ(arg(abi.IntCols), R12)
	Label(t.label("col" + suffix))
	x86.SetPixelBases(t.p)
	for c := range t.rows {
		t.multiply(c, vectors, x86.Pixel)
		if t.rows > 1 && c == t.rows/2-1 { // the last block may have only 8 channels
			CMPQ(R8, arg(abi.IntHalf))
			JEQ(LabelRef(t.label("step" + suffix)))
		}
	}
	if t.rows > 1 {
		Label(t.label("step" + suffix))
	}
	if t.prefetches() {
		t.prefetch(suffix)
	}
	ADDQ(U32(uint32(t.rows*t.width*4)), RDX)
	ADDQ(arg(abi.IntColStride), R11)
	DECQ(R12)
	JNZ(LabelRef(t.label("col" + suffix)))
	ADDQ(arg(abi.IntRowStride), R9)
	DECQ(R10)
	JNZ(LabelRef(t.label("row" + suffix)))
	ADDQ(arg(abi.IntBlockStride), RSI)
	DECQ(R8)
	JNZ(LabelRef(t.label("block" + suffix)))
	DECQ(arg(abi.IntLeft))
	JNZ(LabelRef(t.label("part" + suffix)))
}

// nextTile continues with the tile beside this one, if there is one.
func (t tile) nextTile() {
	DECQ(arg(abi.IntTiles))
	JZ(LabelRef(t.label("done")))
	IMUL3Q(Imm(uint64(t.p)), R14, R14)
	ADDQ(R14, arg(abi.IntIn))
	MOVL(U32(uint32(16*t.p)), EAX)
	CMPQ(arg(abi.IntMultiplier), Imm(0))
	JNE(LabelRef(t.label("bytes")))
	SHLQ(Imm(2), RAX)
	Label(t.label("bytes"))
	ADDQ(RAX, arg(abi.IntOut))
	MOVQ(arg(abi.IntNextTile), RAX)
	ADDQ(RAX, arg(abi.IntNext))
	JMP(LabelRef(t.label("tile")))
	Label(t.label("done"))
}

// passes returns the number of passes over the channels.
func (t tile) passes() int {
	if t.zmm() {
		return 1
	}
	return t.width / (8 * t.octets())
}

// skips reports whether the last pass leaves out 8 channels that do not exist.
func (t tile) skips() bool { return t.words && t.Name == x86.AVX2.Name }

// quantises reports whether the kernel can requantise the sums.
func (t tile) quantises() bool { return !t.words || t.Name == x86.AVX2.Name }

// prefetches reports whether the tile prefetches weights.
func (t tile) prefetches() bool { return t.rows > 1 && !t.wide }

// prefetch requests nextStep bytes of the weights that later tiles read. The number of
// cache lines depends on the number of tiles that share them.
func (t tile) prefetch(suffix string) {
	line := func(i int) { PREFETCHT1(Mem{Base: RBX, Disp: 64 * i}) }
	all := t.rows * t.width * 4 / 64 / t.passes() // that a step of a pass reads
	some := max(2, all/4)
	line(0)
	for _, r := range [][2]int{{1, some}, {some, all}} {
		CMPQ(arg(abi.IntNextStep), U32(uint32(64*t.passes()*r[0])))
		JLE(LabelRef(t.label("asked" + suffix)))
		for i := r[0]; i < r[1]; i++ {
			line(i)
		}
	}
	Label(t.label("asked" + suffix))
	ADDQ(arg(abi.IntNextStep), RBX)
}

func add(x, acc VecPhysical) { VPADDD(x, acc, acc) }

// multiply adds the products of row c of the weights, for the given number of vectors of a
// pass. pixel returns the address of a byte of a pixel.
func (t tile) multiply(c, vectors int, pixel func(i, disp int) Mem) {
	set := c % t.sets * t.b * t.p
	row := c * t.width * 4
	opcode := byte(dotBytes)
	if t.words {
		opcode = dotWords
	}
	if t.wide && t.p == 1 {
		x := t.Last(3)
		VPBROADCASTQ(pixel(0, 8*c), x)
		for blk := range t.b {
			w := t.Last(blk % 3)
			VPMOVSXBW(Mem{Base: RDX, Disp: row + 16*blk}, w)
			VPMADDWD(x, w, w)
			VPADDD(w, t.acc(blk, 0), t.acc(blk, 0))
		}
		return
	}
	var weights []VecPhysical
	for blk := range vectors {
		w := t.Last(3 - blk)
		if t.Name == x86.AVX2.Name {
			w = t.Last(2 - blk)
		}
		weights = append(weights, w)
		switch {
		case t.zmm():
			VMOVDQU32(Mem{Base: RDX, Disp: row + 64*blk}, w)
		case t.wide:
			VPMOVSXBW(Mem{Base: RDX, Disp: row + 16*blk}, w)
		default:
			VMOVDQU(Mem{Base: RDX, Disp: row + 32*blk}, w)
		}
	}
	for i := range t.p {
		if t.Name != x86.AVX2.Name {
			x := t.Last(i % 2)
			VPBROADCASTD(pixel(i, 4*c), x)
			for blk, w := range weights {
				dot(t.ISA, opcode, w, x, t.Regs[set+blk*t.p+i])
			}
			continue
		}
		x, y := t.Last(3), t.Last(0)
		if t.wide {
			VPBROADCASTQ(pixel(i, 8*c), x)
		} else {
			VPBROADCASTD(pixel(i, 4*c), x)
		}
		for blk, w := range weights {
			if blk == vectors-1 {
				y = x
			}
			VPMADDWD(w, x, y)
			VPADDD(y, t.acc(blk, i), t.acc(blk, i))
		}
	}
}

// finish512 requantises and stores, or stores the sums. Four pixels of 16 channels are
// packed and stored together.
func (t tile) finish512() {
	MOVQ(arg(abi.IntOut), R11)
	MOVQ(arg(abi.IntOutBlock), R9)
	if !t.words {
		MOVQ(arg(abi.IntMultiplier), R15)
		TESTQ(R15, R15)
		JZ(LabelRef(t.label("sums")))
		MOVQ(arg(abi.IntSum), RBX)
		TESTQ(RBX, RBX)
		JNZ(LabelRef(t.label("residual")))
		q := loadRequantizer(t.ISA, RDI, abi.IntZero)
		t.bytes512(q, func(group []VecPhysical, blk, _ int) {
			q.scale(group, func(VecPhysical) Op { return Mem{Base: R15, Disp: 64 * blk} })
		})
		Label(t.label("residual"))
		MOVQ(arg(abi.IntResidual), RDX)
		MOVQ(arg(abi.IntResidualBlock), R8)
		q = loadRequantizer(t.ISA, RBX, abi.IntSumZero)
		t.bytes512(q, func(group []VecPhysical, blk, i int) {
			q.add(group, Mem{Base: R15, Disp: 64 * blk}, RBX, func(j int) Mem {
				m := Mem{Base: RDX, Disp: 16 * (i + j)}
				if blk > 0 {
					m.Index, m.Scale = R8, 1
				}
				return m
			})
		})
		Label(t.label("sums"))
	}
	for blk := range t.b {
		for i := range t.p {
			VMOVDQU32(t.acc(blk, i), Mem{Base: R11, Disp: 64 * i})
		}
		if blk < t.b-1 {
			ADDQ(R9, R11)
		}
	}
	VZEROUPPER()
	RET()
}

// bytes512 packs and stores the bytes of the result, and returns. scale computes them, for
// the pixels from i on of a block of 16 channels.
func (t tile) bytes512(q requantizer, scale func(group []VecPhysical, blk, i int)) {
	for blk := range t.b {
		for i := 0; i < t.p; i += 4 {
			group := make([]VecPhysical, min(4, t.p-i))
			for j := range group {
				group[j] = t.acc(blk, i+j)
			}
			scale(group, blk, i)
			r := q.pack(group)
			VPERMD(r, q.perm, r)
			at := Mem{Base: R11, Disp: 16 * i}
			switch len(group) {
			case 4:
				VMOVDQU32(r, at)
			case 3:
				MOVL(U32(0xfff), EAX)
				KMOVW(EAX, K1)
				VMOVDQU32(r, K1, at)
			case 2:
				VMOVDQU32(r.AsY(), at)
			case 1:
				VMOVDQU32(r.AsX(), at)
			}
		}
		if blk < t.b-1 {
			ADDQ(R9, R11)
		}
	}
	VZEROUPPER()
	RET()
}

// finish256 is finish512 for the channels of a pass.
func (t tile) finish256() {
	if t.wide {
		t.halves()
	}
	MOVQ(arg(abi.IntOut), R11)
	CMPQ(R15, Imm(64))
	JLT(LabelRef(t.label("first")))
	ADDQ(arg(abi.IntOutBlock), R11)
	Label(t.label("first"))
	if t.quantises() {
		MOVQ(arg(abi.IntMultiplier), RBX)
		TESTQ(RBX, RBX)
		JZ(LabelRef(t.label("sums")))
		ADDQ(R15, RBX)
		if t.octets() == 1 {
			TESTQ(U32(32), R15)
			JZ(LabelRef(t.label("half")))
			ADDQ(Imm(8), R11)
			Label(t.label("half"))
		}
		q := loadRequantizer(t.ISA, RDI, abi.IntZero)
		for i := 0; i < t.p; i += 4 / t.octets() {
			var group []VecPhysical
			for j := i; j < min(t.p, i+4/t.octets()); j++ {
				for o := range t.octets() {
					group = append(group, t.acc(o, j))
				}
			}
			o := 0
			q.scale(group, func(VecPhysical) Op { o++; return Mem{Base: RBX, Disp: (o - 1) % t.octets() * 32} })
			r := q.pack(group)
			VPERMD(r, q.perm, r)
			at := Mem{Base: R11, Disp: 16 * i}
			switch {
			case t.octets() == 1:
				store8(r.AsX(), len(group), R11, at.Disp)
				if len(group) > 2 {
					VEXTRACTI128(Imm(1), r, r.AsX())
					store8(r.AsX(), len(group)-2, R11, at.Disp+32)
				}
			case len(group) == 4:
				VMOVDQU(r, at)
			default:
				VMOVDQU(r.AsX(), at)
			}
		}
		JMP(LabelRef(t.label("next")))
		Label(t.label("sums"))
	}
	if t.octets() == 1 {
		TESTQ(U32(32), R15)
		JZ(LabelRef(t.label("even")))
		ADDQ(Imm(32), R11)
		Label(t.label("even"))
	}
	for i := range t.p {
		for o := range t.octets() {
			VMOVDQU(t.acc(o, i), Mem{Base: R11, Disp: 64*i + 32*o})
		}
	}
	if t.quantises() {
		Label(t.label("next"))
	}
}

// halves adds the two sums of each channel, [c0 c0 c1 c1 c2 c2 c3 c3] and [c4 …], and the
// start values. The accumulators of the first vectors hold the results.
func (t tile) halves() {
	MOVQ(arg(abi.IntStart), RBX)
	for i := range t.p {
		for o := range t.octets() {
			r := t.acc(o, i)
			VPHADDD(t.acc(2*o+1, i), t.acc(2*o, i), r)
			VPERMQ(Imm(0xd8), r, r)
			VPADDD(Mem{Base: RBX, Index: R15, Scale: 1, Disp: 32 * o}, r, r)
		}
	}
}

// finishRow is finish256 for all channels of one pixel.
func (t tile) finishRow() {
	t.halves()
	MOVQ(arg(abi.IntOut), R11)
	MOVQ(arg(abi.IntOutBlock), R9)
	MOVQ(arg(abi.IntMultiplier), RBX)
	TESTQ(RBX, RBX)
	JZ(LabelRef(t.label("sums")))
	q := loadRequantizer(t.ISA, RDI, abi.IntZero)
	var sums []VecPhysical
	for o := range t.octets() {
		sums = append(sums, t.acc(o, 0))
	}
	o := 0
	q.scale(sums, func(VecPhysical) Op { o++; return Mem{Base: RBX, Disp: (o - 1) * 32} })
	r := q.pack(sums)
	VPERMD(r, q.perm, r)
	VMOVDQU(r.AsX(), Mem{Base: R11})
	if t.width == 32 {
		VEXTRACTI128(Imm(1), r, Mem{Base: R11, Index: R9, Scale: 1})
	}
	VZEROUPPER()
	RET()
	Label(t.label("sums"))
	for o := range t.octets() {
		if o == 2 {
			ADDQ(R9, R11)
		}
		VMOVDQU(t.acc(o, 0), Mem{Base: R11, Disp: o % 2 * 32})
	}
	VZEROUPPER()
	RET()
}

// store8 stores the halves of x, 16 bytes apart. n is their number, 1 or more.
func store8(x Op, n int, base GPPhysical, disp int) {
	VMOVQ(x, Mem{Base: base, Disp: disp})
	if n > 1 {
		VMOVHPS(x, Mem{Base: base, Disp: disp + 16})
	}
}
