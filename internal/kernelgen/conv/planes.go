package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

// The kernels of planes hold pixels in the lanes of a vector, not channels. For a first
// layer of one input channel and few output channels, all lanes do useful work.

// planeChannels is the maximum number of output channels of planes. Two vectors of pixels
// of each are the accumulators, which leaves four registers of AVX2. AVX-512 machines use that
// kernel too: most of its longer vectors would cross cache lines.
const planeChannels = 6

// planes writes a convolution of one plane. Tiles have two vectors of adjacent pixels and
// all output channels.
func planes() {
	g := generator{x86.AVX2, 6, 7}
	g.function("planes", planeChannels)
	for p := 1; p <= planeChannels; p++ {
		t := tile{generator: g, p: p, b: 2}
		if p > 1 {
			Label(fmt.Sprintf("p%d", p))
		}
		x := []VecPhysical{t.Last(3), t.Last(2)}
		MOVQ(arg(abi.In), R12)
		MOVQ(arg(abi.Out), R13)
		MOVQ(arg(abi.Lines), R8)
		Label(t.label("line"))
		MOVQ(R12, RSI)
		MOVQ(R13, R15)
		MOVQ(arg(abi.Blocks), R14)
		Label(t.label("tile"))
		MOVQ(arg(abi.Bias), RDX)
		for o := range p {
			VBROADCASTSS(Mem{Base: RDX, Disp: 4 * o}, t.acc(0, o))
			VMOVAPS(t.acc(0, o), t.acc(1, o))
		}
		MOVQ(arg(abi.W), RDX)
		MOVQ(RSI, R9)
		MOVQ(arg(abi.Rows), R10)
		Label(t.label("row"))
		MOVQ(R9, R11)
		MOVQ(arg(abi.Run), RBX)
		Label(t.label("tap"))
		for v := range x {
			VMOVUPS(Mem{Base: R11, Disp: v * t.Bytes}, x[v])
		}
		for o := range p {
			w := t.Last(o % 2)
			VBROADCASTSS(Mem{Base: RDX, Disp: 4 * o}, w)
			for v := range x {
				VFMADD231PS(x[v], w, t.acc(v, o))
			}
		}
		ADDQ(Imm(64), RDX)
		ADDQ(Imm(4), R11)
		DECQ(RBX)
		JNZ(LabelRef(t.label("tap")))
		ADDQ(arg(abi.RowStride), R9)
		DECQ(R10)
		JNZ(LabelRef(t.label("row")))
		lo, hi := t.Last(1), t.Last(0)
		VBROADCASTSS(arg(abi.LoHi), lo)
		VBROADCASTSS(arg(abi.LoHi+4), hi)
		MOVQ(R15, R11)
		for o := range p {
			for v := range x {
				VMAXPS(t.acc(v, o), lo, t.acc(v, o))
				VMINPS(t.acc(v, o), hi, t.acc(v, o))
				VMOVUPS(t.acc(v, o), Mem{Base: R11, Disp: v * t.Bytes})
			}
			if o < p-1 {
				ADDQ(arg(abi.OutBlock), R11)
			}
		}
		ADDQ(Imm(uint64(2*t.Bytes)), RSI)
		ADDQ(U32(uint32(2*t.Bytes)), R15)
		DECQ(R14)
		JNZ(LabelRef(t.label("tile")))
		ADDQ(arg(abi.InLine), R12)
		ADDQ(arg(abi.OutLine), R13)
		DECQ(R8)
		JNZ(LabelRef(t.label("line")))
		VZEROUPPER()
		RET()
	}
}

// poolPlanes writes a pool of 2×2 pixels of planes, whose result has pixels of 16 channels.
// It transposes squares of eight pixels by eight channels. The last square of a line
// overlaps the one before.
func poolPlanes(name string, maximum bool) {
	g := generator{x86.AVX2, 6, 7}
	g.function(name, planeChannels)
	for p := 1; p <= planeChannels; p++ {
		t := tile{generator: g, p: p, b: 1}
		if p > 1 {
			Label(fmt.Sprintf("p%d", p))
		}
		r, u := g.Regs[:8], g.Regs[8:]
		MOVQ(arg(abi.In), R12)
		MOVQ(arg(abi.Out), R13)
		MOVQ(arg(abi.Lines), R8)
		MOVQ(arg(abi.RowStride), R10)
		MOVQ(arg(abi.Cols), RBX)
		SUBQ(Imm(8), RBX) // the pixel at which the last square starts
		Label(t.label("line"))
		XORL(EAX, EAX)
		Label(t.label("square"))
		LEAQ(Mem{Base: R12, Index: RAX, Scale: 8}, RSI)
		for o := range p {
			for row, m := range []Mem{{Base: RSI}, {Base: RSI, Index: R10, Scale: 1}} { // in the order of the general kernel
				VMOVUPS(m, u[0])
				m.Disp = 32
				VSHUFPS(Imm(0x88), m, u[0], u[2+2*row]) // even pixels
				VSHUFPS(Imm(0xDD), m, u[0], u[3+2*row]) // odd pixels
			}
			for i := range 3 {
				if maximum {
					VMAXPS(u[3+i], u[2], u[2])
				} else {
					VADDPS(u[3+i], u[2], u[2])
				}
			}
			VPERMPD(Imm(0xD8), u[2], r[o])
			if o < p-1 {
				ADDQ(arg(abi.BlockStride), RSI)
			}
		}
		for o := p; o < 8; o++ {
			VXORPS(r[o], r[o], r[o])
		}
		x86.Transpose8(r, u)
		VXORPS(r[0], r[0], r[0])
		if !maximum {
			MOVQ(arg(abi.W), R9)
			VBROADCASTSS(Mem{Base: R9}, r[1])
			for _, pixel := range u {
				VMULPS(r[1], pixel, pixel)
			}
		}
		MOVQ(RAX, R11)
		SHLQ(Imm(6), R11)
		ADDQ(R13, R11)
		for i := range 8 {
			VMOVUPS(u[i], Mem{Base: R11, Disp: 64 * i})
			VMOVUPS(r[0], Mem{Base: R11, Disp: 64*i + 32})
		}
		CMPQ(RAX, RBX)
		JEQ(LabelRef(t.label("next")))
		ADDQ(Imm(8), RAX)
		CMPQ(RAX, RBX)
		CMOVQGT(RBX, RAX)
		JMP(LabelRef(t.label("square")))
		Label(t.label("next"))
		ADDQ(arg(abi.InLine), R12)
		ADDQ(arg(abi.OutLine), R13)
		DECQ(R8)
		JNZ(LabelRef(t.label("line")))
		VZEROUPPER()
		RET()
	}
}
