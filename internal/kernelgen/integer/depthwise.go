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

// depthwiseBytes writes the depthwise kernel of AVX2 and of AVX-VNNI, which computes one
// pixel at a time. Without VNNI, an accumulator holds two sums for each channel.
func depthwiseBytes(isa x86.ISA) {
	vnni := isa.Name == x86.AVXVNNI.Name
	isa.Function("intDepthwiseRow", NOSPLIT)
	Load(Param("a"), RDI)
	MOVQ(arg(abi.IntIn), RSI)
	MOVQ(arg(abi.IntOut), RDX)
	MOVQ(arg(abi.IntDepthwisePixels), R15)
	// Of four channels each, or of eight with VNNI.
	acc, x, y := isa.Regs[:4], isa.Regs[4:8], isa.Regs[8:12]
	Label("pixel")
	for _, r := range acc {
		VPXOR(r, r, r)
	}
	MOVQ(arg(abi.IntW), RBX)
	MOVQ(arg(abi.IntDepthwiseTaps), RAX)
	MOVQ(arg(abi.IntDepthwiseGroups), RCX)
	Label("taps")
	for i, off := range []GPPhysical{R8, R9, R10, R11} {
		MOVQ(Mem{Base: RAX, Disp: 8 * i}, off)
		VMOVDQU(Mem{Base: RSI, Index: off, Scale: 1}, x[i].AsX())
	}
	interleave(half(x), half(y))
	if vnni {
		for i := range 2 {
			VINSERTI128(Imm(1), x[2*i+1].AsX(), x[2*i], x[2*i])
			VMOVDQU(Mem{Base: RBX, Disp: 32 * i}, y[i])
			dot(isa, dotBytes, y[i], x[2*i], acc[i])
		}
	} else {
		for i, r := range acc {
			VPMOVZXBW(x[i].AsX(), x[i])
			VPMOVSXBW(Mem{Base: RBX, Disp: 16 * i}, y[i])
			VPMADDWD(y[i], x[i], x[i])
			VPADDD(x[i], r, r)
		}
	}
	ADDQ(Imm(32), RAX)
	ADDQ(Imm(64), RBX)
	DECQ(RCX)
	JNZ(LabelRef("taps"))
	if !vnni {
		for i := range 2 { // see finish256
			VPHADDD(acc[2*i+1], acc[2*i], acc[2*i])
			VPERMQ(Imm(0xd8), acc[2*i], acc[2*i])
		}
		acc = []VecPhysical{acc[0], acc[2]}
	}
	acc = acc[:2]
	MOVQ(arg(abi.IntStart), RAX)
	for i, r := range acc {
		VPADDD(Mem{Base: RAX, Disp: 32 * i}, r, r)
	}
	MOVQ(arg(abi.IntMultiplier), RAX)
	TESTQ(RAX, RAX)
	JZ(LabelRef("sums"))
	q := loadRequantizer(isa, RDI, abi.IntDepthwiseZero)
	i := 0
	q.scale(acc, func(VecPhysical) Op { i += 32; return Mem{Base: RAX, Disp: i - 32} })
	r := q.pack(acc)
	VPERMD(r, q.perm, r)
	VMOVDQU(r.AsX(), Mem{Base: RDX})
	ADDQ(Imm(16), RDX)
	JMP(LabelRef("next"))
	Label("sums")
	for i, r := range acc {
		VMOVDQU(r, Mem{Base: RDX, Disp: 32 * i})
	}
	ADDQ(Imm(64), RDX)
	Label("next")
	ADDQ(arg(abi.IntDepthwisePix), RSI)
	DECQ(R15)
	JNZ(LabelRef("pixel"))
	VZEROUPPER()
	RET()
}

// half returns the lower halves of registers.
func half(regs []VecPhysical) []VecPhysical {
	var list []VecPhysical
	for _, r := range regs {
		list = append(list, r.AsX().(VecPhysical))
	}
	return list
}
