package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

// depthwiseAVX512 writes the depthwise kernel. It computes four pixels of 16 channels
// together: the bytes of four taps are interleaved, so that a dot product sums them for
// four channels of four pixels. The last group of pixels overlaps the one before.
//
// Registers: DI holds the arguments, SI the pixels, DX the result, and R15 the number of
// pixels that are left. R12 and R13 are the offsets of the second and of the last pixel of
// a group; R14 is that of the third.
func depthwiseAVX512() {
	isa := x86.AVX512VNNI
	isa.Function("intDepthwiseRow", NOSPLIT)
	Load(Param("a"), RDI)
	MOVQ(arg(abi.IntIn), RSI)
	MOVQ(arg(abi.IntOut), RDX)
	MOVQ(arg(abi.IntDepthwisePixels), R15)
	// Groups of fewer than four pixels repeat their last one.
	MOVQ(arg(abi.IntDepthwisePix), RAX)
	XORL(R12L, R12L)
	XORL(R13L, R13L)
	XORL(R14L, R14L)
	MOVL(U32(0xf), EBX)
	for i := range 3 {
		CMPQ(R15, Imm(uint64(i+2)))
		JLT(LabelRef("few"))
		for _, later := range []GPPhysical{R12, R14, R13}[i:] {
			ADDQ(RAX, later)
		}
		SHLL(Imm(4), EBX)
		ORL(Imm(0xf), EBX)
	}
	Label("few")
	KMOVW(EBX, K1) // the dwords of a group that exist

	Label("group")
	CMPQ(arg(abi.IntDepthwisePix), Imm(16))
	JNE(LabelRef("apart"))
	CMPQ(R15, Imm(4))
	JLT(LabelRef("apart"))
	depthwiseGroup(isa, "adjacent", func(off GPPhysical, to VecPhysical) {
		VMOVDQU32(Mem{Base: RSI, Index: off, Scale: 1}, to)
	})
	JMP(LabelRef("finish"))
	Label("apart")
	depthwiseGroup(isa, "apart", func(off GPPhysical, to VecPhysical) {
		ADDQ(RSI, off)
		VMOVDQU(Mem{Base: off}, to.AsX())
		VINSERTI32X4(Imm(1), Mem{Base: off, Index: R12, Scale: 1}, to, to)
		VINSERTI32X4(Imm(2), Mem{Base: off, Index: R14, Scale: 1}, to, to)
		VINSERTI32X4(Imm(3), Mem{Base: off, Index: R13, Scale: 1}, to, to)
	})

	Label("finish")
	acc := isa.Regs[:4]
	MOVQ(arg(abi.IntMultiplier), RAX)
	TESTQ(RAX, RAX)
	JZ(LabelRef("sums"))
	q := loadRequantizer(isa, RDI, abi.IntDepthwiseZero)
	for i := range acc {
		VBROADCASTF32X4(Mem{Base: RAX, Disp: 16 * i}, isa.Regs[4+i])
	}
	i := 4
	q.scale(acc, func(VecPhysical) Op { i++; return isa.Regs[i-1] })
	VMOVDQU32(q.pack(acc), K1, Mem{Base: RDX})
	MOVL(U32(64), EBX) // the size of a group in the result
	JMP(LabelRef("next"))
	Label("sums")
	MOVQ(arg(abi.IntDepthwisePixels), RAX)
	for p := range 4 {
		if p > 0 {
			CMPQ(RAX, Imm(uint64(p+1)))
			JLT(LabelRef("stored"))
		}
		for i, r := range acc {
			VEXTRACTI32X4(Imm(uint64(p)), r, Mem{Base: RDX, Disp: 64*p + 16*i})
		}
	}
	Label("stored")
	MOVL(U32(256), EBX)

	Label("next")
	SUBQ(Imm(4), R15)
	JLE(LabelRef("done"))
	MOVQ(arg(abi.IntDepthwisePix), RAX)
	LEAQ(Mem{Base: RSI, Index: RAX, Scale: 4}, RSI)
	ADDQ(RBX, RDX)
	CMPQ(R15, Imm(4))
	JGE(LabelRef("group"))
	// Step back, so that the last group has four pixels.
	MOVL(U32(4), ECX)
	SUBQ(R15, RCX)
	IMULQ(RCX, RAX)
	SUBQ(RAX, RSI)
	SHRQ(Imm(2), RBX)
	IMULQ(RCX, RBX)
	SUBQ(RBX, RDX)
	MOVL(U32(4), R15L)
	JMP(LabelRef("group"))
	Label("done")
	VZEROUPPER()
	RET()
}

// depthwiseGroup adds the products of all taps of a group of pixels. load loads their
// bytes at an offset. It may change the offset.
func depthwiseGroup(isa x86.ISA, name string, load func(off GPPhysical, to VecPhysical)) {
	acc, x, y := isa.Regs[:4], isa.Regs[4:8], isa.Regs[8:12]
	MOVQ(arg(abi.IntStart), RAX)
	for i, r := range acc {
		VBROADCASTI32X4(Mem{Base: RAX, Disp: 16 * i}, r)
	}
	MOVQ(arg(abi.IntW), RBX)
	MOVQ(arg(abi.IntDepthwiseTaps), RAX)
	MOVQ(arg(abi.IntDepthwiseGroups), RCX)
	Label(name + "_taps")
	for i, off := range []GPPhysical{R8, R9, R10, R11} {
		MOVQ(Mem{Base: RAX, Disp: 8 * i}, off)
		load(off, x[i])
	}
	interleave(x, y)
	for i, r := range acc {
		w := isa.Regs[12+i]
		VBROADCASTI32X4(Mem{Base: RBX, Disp: 16 * i}, w)
		dot(isa, dotBytes, w, x[i], r)
	}
	ADDQ(Imm(32), RAX)
	ADDQ(Imm(64), RBX)
	DECQ(RCX)
	JNZ(LabelRef(name + "_taps"))
}

// interleave interleaves the bytes of four registers: in each lane of 16 bytes, register i
// gets those of channels 4i … 4i+3. y has temporaries.
func interleave(x, y []VecPhysical) {
	VPUNPCKLBW(x[1], x[0], y[0])
	VPUNPCKHBW(x[1], x[0], y[1])
	VPUNPCKLBW(x[3], x[2], y[2])
	VPUNPCKHBW(x[3], x[2], y[3])
	VPUNPCKLWD(y[2], y[0], x[0])
	VPUNPCKHWD(y[2], y[0], x[1])
	VPUNPCKLWD(y[3], y[1], x[2])
	VPUNPCKHWD(y[3], y[1], x[3])
}

// depthwiseAVX2 writes the depthwise kernel for one pixel at a time. The words of two taps
// are interleaved, multiplied and added. The weights are those of Wide. Accumulator 0 has
// channels 0 to 3 and 8 to 11, accumulator 1 the others, which packing puts in order.
func depthwiseAVX2() {
	isa := x86.AVX2
	isa.Function("intDepthwiseRow", NOSPLIT)
	Load(Param("a"), RDI)
	MOVQ(arg(abi.IntIn), RSI)
	MOVQ(arg(abi.IntOut), RDX)
	MOVQ(arg(abi.IntDepthwisePixels), R15)
	MOVQ(arg(abi.IntStart), R12)
	MOVQ(arg(abi.IntMultiplier), R13)
	acc, x, t := isa.Regs[:2], isa.Regs[2:6], isa.Regs[6:10]
	start, multiplier := isa.Regs[10:12], isa.Regs[8:10] // the multipliers replace products
	load := func(base GPPhysical, to []VecPhysical) {
		for i, r := range to {
			VMOVDQU(Mem{Base: base, Disp: 16 * i}, r.AsX())
			VINSERTI128(Imm(1), Mem{Base: base, Disp: 16*i + 32}, r, r)
		}
	}
	load(R12, start)
	q := loadRequantizer(isa, RDI, abi.IntDepthwiseZero)
	Label("pixel")
	for i, r := range acc {
		VMOVDQA(start[i], r)
	}
	MOVQ(arg(abi.IntDepthwiseWide), RBX)
	MOVQ(arg(abi.IntDepthwiseTaps), RAX)
	MOVQ(arg(abi.IntDepthwiseGroups), RCX)
	Label("taps")
	for i, off := range []GPPhysical{R8, R9, R10, R11} {
		MOVQ(Mem{Base: RAX, Disp: 8 * i}, off)
		VPMOVZXBW(Mem{Base: RSI, Index: off, Scale: 1}, x[i])
	}
	for pair := range 2 {
		a, b := x[2*pair], x[2*pair+1]
		VPUNPCKLWD(b, a, t[0])
		VPUNPCKHWD(b, a, t[1])
		for i, r := range acc {
			VPMADDWD(Mem{Base: RBX, Disp: 64*pair + 32*i}, t[i], t[i])
			VPADDD(t[i], r, r)
		}
	}
	ADDQ(Imm(32), RAX)
	ADDQ(U32(128), RBX)
	DECQ(RCX)
	JNZ(LabelRef("taps"))
	TESTQ(R13, R13)
	JZ(LabelRef("sums"))
	load(R13, multiplier)
	i := 0
	q.scale(acc, func(VecPhysical) Op { i++; return multiplier[i-1] })
	VPACKSSDW(acc[1], acc[0], acc[0])
	VPADDSW(q.zero, acc[0], acc[0])
	VEXTRACTI128(Imm(1), acc[0], acc[1].AsX())
	VPACKUSWB(acc[1].AsX(), acc[0].AsX(), acc[0].AsX())
	VPMAXUB(q.lo.AsX(), acc[0].AsX(), acc[0].AsX())
	VPMINUB(q.hi.AsX(), acc[0].AsX(), acc[0].AsX())
	VMOVDQU(acc[0].AsX(), Mem{Base: RDX})
	ADDQ(Imm(16), RDX)
	JMP(LabelRef("next"))
	Label("sums")
	for i, r := range acc {
		VMOVDQU(r.AsX(), Mem{Base: RDX, Disp: 16 * i})
		VEXTRACTI128(Imm(1), r, Mem{Base: RDX, Disp: 16*i + 32})
	}
	ADDQ(Imm(64), RDX)
	Label("next")
	ADDQ(arg(abi.IntDepthwisePix), RSI)
	DECQ(R15)
	JNZ(LabelRef("pixel"))
	VZEROUPPER()
	RET()
}
