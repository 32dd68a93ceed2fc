package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

// depthwise3AVX512 writes the depthwise kernel for 3×3 taps. It goes down the rows of four
// columns of the result. The bytes of three neighbouring pixels are interleaved once for
// each input row, and a dot product sums a row of taps of four channels of four pixels.
// With a stride of one row, an input row contributes to three rows of the result, whose
// accumulators rotate.
//
// Registers: DI holds the arguments, SI and DX the first pixels of a group of columns, R8
// and R9 those of a row, R10 and R11 the strides of rows, R13 and R14 the starts and the
// multipliers, CX the number of rows and R15 that of pixels that are left.
func depthwise3AVX512() {
	isa := x86.AVX512VNNI
	isa.Function("intDepthwise3", NOSPLIT)
	Load(Param("a"), RDI)
	MOVQ(arg(abi.IntIn), RSI)
	MOVQ(arg(abi.IntOut), RDX)
	MOVQ(arg(abi.IntStart), R13)
	MOVQ(arg(abi.IntMultiplier), R14)
	MOVQ(arg(abi.IntDepthwiseRow), R10)
	MOVQ(arg(abi.IntDepthwiseOutRow), R11)
	MOVQ(arg(abi.IntDepthwisePixels), R15)
	MOVQ(arg(abi.IntW), RAX)
	for i := range 12 {
		VBROADCASTI32X4(Mem{Base: RAX, Disp: 16 * i}, isa.Regs[i])
	}
	VPBROADCASTW(arg(abi.IntDepthwiseZero), Z30)
	VPBROADCASTB(arg(abi.IntDepthwiseZero+2), Z31)
	for stride := 1; stride <= 2; stride++ {
		if stride == 2 {
			Label("two")
		}
		label := func(s string) string { return fmt.Sprintf("s%d_%s", stride, s) }
		if stride == 1 {
			CMPQ(arg(abi.IntDepthwisePix), Imm(16))
			JNE(LabelRef("two"))
		}
		Label(label("columns"))
		MOVQ(RSI, R8)
		MOVQ(RDX, R9)
		MOVQ(arg(abi.IntDepthwiseRows), RCX)
		depthwise3Rows(stride, label)
		Label(label("next"))
		SUBQ(Imm(4), R15)
		JLE(LabelRef("done"))
		MOVL(U32(4), EAX) // columns to the next group, fewer for the last
		CMPQ(R15, RAX)
		JGE(LabelRef(label("move")))
		MOVQ(R15, RAX)
		MOVL(U32(4), R15L)
		Label(label("move"))
		SHLQ(Imm(4), RAX)
		ADDQ(RAX, RDX)
		if stride == 2 {
			ADDQ(RAX, RAX)
		}
		ADDQ(RAX, RSI)
		JMP(LabelRef(label("columns")))
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// depthwise3Rows computes the rows of four columns.
func depthwise3Rows(stride int, label func(string) string) {
	z := x86.AVX512.Regs
	taps := []VecPhysical{z[25], z[27], z[29], z[24]} // of channels 4i … 4i+3
	load := func() {
		if stride == 1 {
			for i := range 3 {
				VMOVDQU32(Mem{Base: R8, Disp: 16 * i}, z[24+i])
			}
		} else {
			VMOVDQU32(Mem{Base: R8}, z[27])
			VMOVDQU32(Mem{Base: R8, Disp: 32}, z[28])
			VMOVDQU32(Mem{Base: R8, Disp: 64}, z[29])
			VSHUFI32X4(Imm(0x88), z[29], z[27], z[24]) // pixels 0, 2, 4, 6
			VSHUFI32X4(Imm(0xdd), z[29], z[27], z[25])
			VSHUFI32X4(Imm(0x88), z[29], z[28], z[26]) // pixels 2, 4, 4, 6
			VSHUFI32X4(Imm(0xf4), z[26], z[26], z[26]) // pixels 2, 4, 6, 6
			VINSERTI32X4(Imm(3), Mem{Base: R8, Disp: 128}, z[26], z[26])
		}
		ADDQ(R10, R8)
		VPUNPCKLBW(z[25], z[24], z[27])
		VPUNPCKHBW(z[25], z[24], z[24])
		VPUNPCKLBW(z[26], z[26], z[28]) // the weight of a fourth tap is zero
		VPUNPCKHBW(z[26], z[26], z[26])
		VPUNPCKLWD(z[28], z[27], z[25])
		VPUNPCKHWD(z[28], z[27], z[27])
		VPUNPCKLWD(z[26], z[24], z[29])
		VPUNPCKHWD(z[26], z[24], z[24])
	}
	acc := func(slot int) []VecPhysical { return z[12+4*slot : 16+4*slot] }
	add := func(slot, row int) {
		for i, r := range acc(slot) {
			if row == 0 {
				VBROADCASTI32X4(Mem{Base: R13, Disp: 16 * i}, r)
			}
			dot(x86.AVX512VNNI, dotBytes, z[4*row+i], taps[i], r)
		}
	}
	finish := func(slot int) {
		q := requantizer{isa: x86.AVX512, zero: z[30], lo: z[31], hi: z[26]}
		VPBROADCASTB(arg(abi.IntDepthwiseZero+3), q.hi)
		i := 0
		q.scale(acc(slot), func(VecPhysical) Op {
			VBROADCASTF32X4(Mem{Base: R14, Disp: 16 * i}, z[28])
			i++
			return z[28]
		})
		VMOVDQU32(q.pack(acc(slot)), Mem{Base: R9})
		ADDQ(R11, R9)
		DECQ(RCX)
		JZ(LabelRef(label("next")))
	}
	load()
	add(0, 0)
	if stride == 1 {
		load()
		add(1, 0)
		add(0, 1)
		Label(label("rows"))
		for r := range 3 {
			load()
			add(r, 2)
			add((r+1)%3, 1)
			add((r+2)%3, 0)
			finish(r)
		}
	} else {
		Label(label("rows"))
		for r := range 2 {
			load()
			add(r, 1)
			load()
			add(r, 2)
			add(1-r, 0)
			finish(r)
		}
	}
	JMP(LabelRef(label("rows")))
}

// depthwise3AVX2 writes the depthwise kernel for 3×3 taps, for four pixels of 8 channels
// at a time. The words of the first two rows are multiplied together.
//
// Registers: DI holds the arguments, SI and DX the first pixels of a row, R8 and R9 those
// of a group, R10 the stride of rows, CX the number of rows that are left and R15 that of
// pixels, R11 the offset of the half, R12 the weights, R13 and R14 the starts and the
// multipliers of the half.
func depthwise3AVX2() {
	isa := x86.AVX2
	isa.Function("intDepthwise3", NOSPLIT)
	Load(Param("a"), RDI)
	MOVQ(arg(abi.IntIn), RSI)
	MOVQ(arg(abi.IntOut), RDX)
	MOVQ(arg(abi.IntDepthwiseRow), R10)
	MOVQ(arg(abi.IntDepthwiseRows), RCX)
	XORL(R11L, R11L)
	Label("half")
	IMUL3Q(U32(24), R11, R12)
	ADDQ(arg(abi.IntDepthwiseWide), R12)
	for i := range 6 {
		VMOVDQU(Mem{Base: R12, Disp: 32 * i}, isa.Regs[4+i])
	}
	MOVQ(arg(abi.IntStart), R13)
	LEAQ(Mem{Base: R13, Index: R11, Scale: 4}, R13)
	MOVQ(arg(abi.IntMultiplier), R14)
	LEAQ(Mem{Base: R14, Index: R11, Scale: 4}, R14)
	CMPQ(arg(abi.IntDepthwisePix), Imm(16))
	JNE(LabelRef("two"))
	for stride := 1; stride <= 2; stride++ {
		if stride == 2 {
			Label("two")
		}
		depthwise3Row(stride, func(s string) string { return fmt.Sprintf("s%d_%s", stride, s) })
	}
	Label("halves")
	ADDQ(Imm(8), R11)
	CMPQ(R11, Imm(16))
	JNE(LabelRef("half"))
	VZEROUPPER()
	RET()
}

// depthwise3Row computes all rows of one half of the channels.
func depthwise3Row(stride int, label func(string) string) {
	y := x86.AVX2.Regs
	acc, weights, pair, single, t := y[:4], y[4:10], y[10], y[11], y[12:16]
	LEAQ(Mem{Base: RSI, Index: R11, Scale: 1}, RAX) // the row
	LEAQ(Mem{Base: RDX, Index: R11, Scale: 1}, RBX)
	MOVQ(arg(abi.IntDepthwiseRows), RCX)
	Label(label("row"))
	MOVQ(RAX, R8)
	MOVQ(RBX, R9)
	MOVQ(arg(abi.IntDepthwisePixels), R15)
	Label(label("group"))
	for _, r := range acc {
		VMOVDQU(Mem{Base: R13}, r)
	}
	for c := range 3*stride + 3 {
		VMOVQ(Mem{Base: R8, Disp: 16 * c}, pair.AsX())
		VMOVQ(Mem{Base: R8, Index: R10, Scale: 1, Disp: 16 * c}, t[0].AsX())
		VPUNPCKLBW(t[0].AsX(), pair.AsX(), pair.AsX())
		VPMOVZXBW(pair.AsX(), pair)
		VPMOVZXBD(Mem{Base: R8, Index: R10, Scale: 2, Disp: 16 * c}, single)
		for tap := range 3 {
			i := (c - tap) / stride
			if c < tap || (c-tap)%stride != 0 || i > 3 {
				continue
			}
			VPMADDWD(weights[2*tap], pair, t[1])
			VPADDD(t[1], acc[i], acc[i])
			VPMADDWD(weights[2*tap+1], single, t[2])
			VPADDD(t[2], acc[i], acc[i])
		}
	}
	q := loadRequantizer(x86.AVX2, RDI, abi.IntDepthwiseZero)
	q.scale(acc, func(VecPhysical) Op { return Mem{Base: R14} })
	r := q.pack(acc)
	VPERMD(r, q.perm, r)
	store8(r.AsX(), 2, R9, 0)
	VEXTRACTI128(Imm(1), r, r.AsX())
	store8(r.AsX(), 2, R9, 32)
	SUBQ(Imm(4), R15)
	JLE(LabelRef(label("next")))
	MOVL(U32(4), R12L) // pixels to the next group, fewer for the last
	CMPQ(R15, R12)
	JGE(LabelRef(label("move")))
	MOVQ(R15, R12)
	MOVL(U32(4), R15L)
	Label(label("move"))
	SHLQ(Imm(4), R12)
	ADDQ(R12, R9)
	if stride == 2 {
		ADDQ(R12, R12)
	}
	ADDQ(R12, R8)
	JMP(LabelRef(label("group")))
	Label(label("next"))
	IMUL3Q(U32(uint32(stride)), R10, R12)
	ADDQ(R12, RAX)
	ADDQ(arg(abi.IntDepthwiseOutRow), RBX)
	DECQ(RCX)
	JNZ(LabelRef(label("row")))
	if stride == 1 {
		JMP(LabelRef("halves"))
	}
}

// widenTaps3 writes the conversion of the weights of depthwise3AVX2, for 8 channels and one
// column of taps at a time. A tap moves to the highest byte of a dword first.
func widenTaps3() {
	x86.AVX2.Function("intWidenTaps3", NOSPLIT)
	Load(Param("dst"), RDI)
	Load(Param("w"), RSI)
	VPXOR(Y6, Y6, Y6)
	for half := range 2 {
		w := []VecPhysical{Y0, Y1, Y2}
		for row, r := range w {
			VMOVDQU(Mem{Base: RSI, Disp: 64*row + 32*half}, r)
		}
		for x := range 3 {
			t := []VecPhysical{Y3, Y4, Y5}
			for row, r := range w {
				VPSLLD(Imm(uint64(24-8*x)), r, t[row])
			}
			VPSRAD(Imm(24), t[0], t[0])
			VPSRAD(Imm(8), t[1], t[1])
			VPSRAD(Imm(24), t[2], t[2])
			VPBLENDW(Imm(0xaa), t[1], t[0], t[0])
			VPBLENDW(Imm(0xaa), Y6, t[2], t[2])
			at := (half*3 + x) * 64
			VMOVDQU(t[0], Mem{Base: RDI, Disp: at})
			VMOVDQU(t[2], Mem{Base: RDI, Disp: at + 32})
		}
	}
	VZEROUPPER()
	RET()
}
