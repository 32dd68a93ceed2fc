package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

// transformIn writes the input transform, on words. First it transforms the columns of a
// whole run of tiles, so that the two columns that neighbouring tiles share are
// transformed once: scratch is [6][4n+2 columns][16]. Then it transforms the rows, tile by
// tile.
func transformIn(isa x86.ISA) {
	isa.Function("intTilesIn", NOSPLIT)
	Load(Param("in"), RSI)
	Load(Param("row"), R8)
	Load(Param("n"), RCX)
	Load(Param("scratch"), RDI)
	MOVQ(RCX, R12)
	SHLQ(Imm(7), R12)
	ADDQ(Imm(64), R12) // the size of a row of scratch
	in, rows := [3]GPPhysical{R8, R9, R10}, [3]GPPhysical{R12, R13, R14}
	multiples(in)
	multiples(rows)
	LEAQ(Mem{Base: RCX, Index: RCX, Scale: 1, Disp: 1}, RAX)
	if isa.Bytes == 32 {
		ADDQ(RAX, RAX)
	}
	move := func(from, to Op) { VMOVDQU(from, to) }
	if isa.Bytes == 64 {
		move = func(from, to Op) { VMOVDQU32(from, to) }
	}
	Label("columns")
	for i, r := range isa.Regs[:6] {
		VPMOVZXBW(stride(RSI, i, in, 0), r)
	}
	transformWords(isa.Regs, func(i int, r VecPhysical) { move(r, stride(RDI, i, rows, 0)) })
	ADDQ(Imm(uint64(isa.Bytes/2)), RSI)
	ADDQ(Imm(uint64(isa.Bytes)), RDI)
	DECQ(RAX)
	JNZ(LabelRef("columns"))

	Load(Param("scratch"), RDI)
	Load(Param("out"), RDX)
	Load(Param("pos"), R8)
	multiples(in)
	LEAQ(Mem{Base: R9, Index: R9, Scale: 1}, R11) // six positions
	Label("tile")
	MOVQ(RDX, RBX)
	for i := range 6 {
		for c, r := range x86.AVX2.Regs[:6] {
			VMOVDQU(stride(RDI, i, rows, 32*c), r)
		}
		transformWords(x86.AVX2.Regs, func(j int, r VecPhysical) { VMOVDQU(r, stride(RBX, j, in, 0)) })
		if i < 5 {
			ADDQ(R11, RBX)
		}
	}
	ADDQ(U32(128), RDI)
	ADDQ(Imm(32), RDX)
	DECQ(RCX)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// transformWords computes Bᵀ·d of registers 0 to 5, which it overwrites, with six further
// ones. It calls store with each element of the result.
func transformWords(regs []VecPhysical, store func(i int, r VecPhysical)) {
	r, t := regs[:6], regs[6:12]
	VPSLLW(Imm(2), r[2], t[0])
	VPSLLW(Imm(2), r[1], t[1])
	VPSUBW(t[0], r[4], t[0]) // d4 − 4·d2
	VPSUBW(t[1], r[3], t[1]) // d3 − 4·d1
	VPADDW(t[1], t[0], t[2])
	VPSUBW(t[1], t[0], t[3])
	store(1, t[2])
	store(2, t[3])
	VPSUBW(r[2], r[4], t[4]) // d4 − d2
	VPSUBW(r[1], r[3], t[5])
	VPADDW(t[5], t[5], t[5]) // 2·(d3 − d1)
	VPADDW(t[5], t[4], t[2])
	VPSUBW(t[5], t[4], t[3])
	store(3, t[2])
	store(4, t[3])
	VPSLLW(Imm(2), r[0], r[0])
	VPSUBW(r[2], t[0], t[0]) // d4 − 5·d2
	VPADDW(r[0], t[0], t[0])
	store(0, t[0])
	VPSLLW(Imm(2), r[3], r[3])
	VPSUBW(t[1], r[5], t[1]) // d5 − d3 + 4·d1
	VPSUBW(r[3], t[1], t[1])
	store(5, t[1])
}

// transformSums computes Aᵀ·m of six registers, which it overwrites, with two temporaries
// and four destinations. Destinations 0 and 2 may be registers 0 and 2, and destinations 1
// and 3 registers 1 and 3.
func transformSums(m, d []VecPhysical, t, u VecPhysical) {
	VPADDD(m[2], m[1], t)
	VPSUBD(m[2], m[1], m[1])
	VPADDD(m[4], m[3], u)
	VPSUBD(m[4], m[3], m[3])
	VPADDD(t, m[0], m[0])
	VPSLLD(Imm(2), u, m[2])
	VPADDD(m[3], m[3], m[4])
	VPSLLD(Imm(3), m[3], m[3])
	VPADDD(m[5], m[5], m[5])
	VPADDD(u, m[0], d[0])
	VPADDD(t, m[2], d[2])
	VPADDD(m[5], m[3], m[3])
	VPADDD(m[1], m[3], d[3])
	VPADDD(m[1], m[4], d[1])
}

var inverse9 Mem

// unscale divides sums by 576 and adds the start of each channel.
func unscale(sums []VecPhysical, inverse VecPhysical, start func() Op) {
	for _, r := range sums {
		VPMULLD(inverse, r, r)
	}
	for _, r := range sums {
		VPSRAD(Imm(6), r, r)
	}
	for _, r := range sums {
		VPADDD(start(), r, r)
	}
}

// outputArgs loads the arguments of an output transform. It returns multiples of six
// position strides. SI and DX point to the first position and pixel of a tile, R8 is the
// position stride, R13 the row stride, and R14 three of them. R15 points to the
// multipliers, or is 0.
func outputArgs() (six [3]GPPhysical) {
	six = [3]GPPhysical{R9, R10, R11}
	Load(Param("a"), RDI)
	MOVQ(arg(abi.IntTransformIn), RSI)
	MOVQ(arg(abi.IntTransformOut), RDX)
	MOVQ(arg(abi.IntTransformPosStride), R8)
	MOVQ(arg(abi.IntTransformRowStride), R13)
	MOVQ(arg(abi.IntTransformTiles), RCX)
	MOVQ(arg(abi.IntTransformStart), RAX)
	MOVQ(arg(abi.IntTransformMultiplier), R15)
	LEAQ(Mem{Base: R8, Index: R8, Scale: 2}, R9)
	ADDQ(R9, R9)
	multiples(six)
	LEAQ(Mem{Base: R13, Index: R13, Scale: 2}, R14)
	inverse9 = permutation(fmt.Sprintf("inverse9_%d", len(inverses)), 954437177)
	inverses = append(inverses, inverse9)
	return six
}

var inverses []Mem

// pixelRow returns the address of row y of a tile.
func pixelRow(y int) Mem {
	m := Mem{Base: RDX}
	switch y {
	case 1, 2:
		m.Index, m.Scale = R13, uint8(y)
	case 3:
		m.Index, m.Scale = R14, 1
	}
	return m
}

// transformOutAVX512 writes the output transform. All intermediate values stay in
// registers.
func transformOutAVX512() {
	x86.AVX512.Function("intTilesOut", NOSPLIT)
	six := outputArgs()
	z := x86.AVX512.Regs
	Label("tile")
	MOVQ(RSI, RBX)
	for j := range 6 {
		m := z[24:30]
		for i := range m {
			VMOVDQU32(stride(RBX, i, six, 0), m[i])
		}
		transformSums(m, []VecPhysical{z[j], z[6+j], z[12+j], z[18+j]}, z[30], z[31])
		if j < 5 {
			ADDQ(R8, RBX)
		}
	}
	for y := range 4 {
		m := z[6*y : 6*y+6]
		transformSums(m, m, z[24], z[25])
	}
	VPBROADCASTD(inverse9, z[24])
	VMOVDQU32(Mem{Base: RAX}, z[25])
	for y := range 4 {
		unscale(z[6*y:6*y+4], z[24], func() Op { return z[25] })
	}
	TESTQ(R15, R15)
	JZ(LabelRef("sums"))
	VMOVUPS(Mem{Base: R15}, z[26])
	q := loadRequantizer(x86.AVX512, RDI, abi.IntTransformZero)
	for y := range 4 {
		m := z[6*y : 6*y+4]
		q.scale(m, func(VecPhysical) Op { return z[26] })
		r := q.pack(m)
		VPERMD(r, q.perm, r)
		VMOVDQU32(r, pixelRow(y))
	}
	ADDQ(Imm(64), RDX)
	JMP(LabelRef("next"))
	Label("sums")
	for y := range 4 {
		for x, r := range z[6*y : 6*y+4] {
			m := pixelRow(y)
			m.Disp = 64 * x
			VMOVDQU32(r, m)
		}
	}
	ADDQ(U32(256), RDX)
	Label("next")
	ADDQ(Imm(64), RSI)
	DECQ(RCX)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// transformOutAVX2 writes the output transform for 8 channels at a time. The transformed
// columns are on the stack.
func transformOutAVX2() {
	x86.AVX2.Function("intTilesOut", 0)
	columns := AllocLocal(4 * 6 * 32)
	six := outputArgs()
	y := x86.AVX2.Regs
	Label("tile")
	XORL(R12L, R12L) // the offset of the channels in a position
	Label("half")
	LEAQ(Mem{Base: RSI, Index: R12, Scale: 1}, RBX)
	for j := range 6 {
		m, d := y[:6], y[8:12]
		for i := range m {
			VMOVDQU(stride(RBX, i, six, 0), m[i])
		}
		transformSums(m, d, y[6], y[7])
		for i, r := range d {
			VMOVDQU(r, columns.Offset((i*6+j)*32))
		}
		if j < 5 {
			ADDQ(R8, RBX)
		}
	}
	VPBROADCASTD(inverse9, y[8])
	VMOVDQU(Mem{Base: RAX, Index: R12, Scale: 1}, y[9])
	q := loadRequantizer(x86.AVX2, RDI, abi.IntTransformZero)
	for row := range 4 {
		m := y[:6]
		for i := range m {
			VMOVDQU(columns.Offset((row*6+i)*32), m[i])
		}
		transformSums(m, m, y[6], y[7])
		unscale(m[:4], y[8], func() Op { return y[9] })
		sums, next := fmt.Sprintf("sums%d", row), fmt.Sprintf("next%d", row)
		to := pixelRow(row)
		LEAQ(to, RBX)
		TESTQ(R15, R15)
		JZ(LabelRef(sums))
		q.scale(m[:4], func(VecPhysical) Op { return Mem{Base: R15, Index: R12, Scale: 1} })
		r := q.pack(m[:4])
		VPERMD(r, q.perm, r)
		SHRQ(Imm(2), R12) // the offset in a pixel of bytes
		ADDQ(R12, RBX)
		SHLQ(Imm(2), R12)
		store8(r.AsX(), 2, RBX, 0)
		VEXTRACTI128(Imm(1), r, r.AsX())
		store8(r.AsX(), 2, RBX, 32)
		JMP(LabelRef(next))
		Label(sums)
		for x, r := range m[:4] {
			VMOVDQU(r, Mem{Base: RBX, Index: R12, Scale: 1, Disp: 64 * x})
		}
		Label(next)
	}
	ADDQ(Imm(32), R12)
	CMPQ(R12, Imm(64))
	JNE(LabelRef("half"))
	ADDQ(Imm(64), RSI)
	TESTQ(R15, R15)
	JNZ(LabelRef("bytes"))
	ADDQ(U32(192), RDX)
	Label("bytes")
	ADDQ(Imm(64), RDX)
	DECQ(RCX)
	JNZ(LabelRef("tile"))
	VZEROUPPER()
	RET()
}
