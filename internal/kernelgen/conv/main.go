// Command conv writes the AVX-512 micro-kernels of convolution:
//
//	go run modelc/internal/kernelgen/conv -out zconv_amd64.s -stubs zconv_amd64.go -pkg runtime
//
// A micro-kernel computes a tile of P ≤ 14 pixels by 32 (or 16) output
// channels: 28 accumulators, two weight vectors and one broadcast operand per
// pixel fill the 32 registers. Weights are read strictly forwards.
package main

import (
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// maxPixels is the tile's width: 2·14 accumulators leave four registers.
const maxPixels = 14

var zmm = [32]VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}

// Offsets into tileArgs, see runtime/tile.go.
const (
	offIn = 8 * iota
	offW
	offOut
	offBias
	offRes
	offPix
	offOutPix
	offOutBlock
	offResPix
	offResBlock
	offBlocks
	offBlockStride
	offRows
	offRowStride
	offCols
	offColStride
	offRun
	offPixels
	offClamp
	offLoHi
	offNext
	offNextStep
)

func main() {
	// Types are read without the files that this program writes.
	os.Setenv("GOFLAGS", "-tags=purego")
	Package("modelc/runtime")
	ConstraintExpr("!purego")
	kernel("tile32AVX512", 2, 16, "tile32AVX512 computes a.pixels ≤ 14 pixels by 32 output channels, 16 input channels a step.")
	kernel("tile16AVX512", 1, 16, "tile16AVX512 computes a.pixels ≤ 14 pixels by 16 output channels, 16 input channels a step.")
	kernel("run32AVX512", 2, 1, "run32AVX512 computes a.pixels ≤ 14 pixels by 32 output channels, a.run input values a step.")
	kernel("run16AVX512", 1, 1, "run16AVX512 computes a.pixels ≤ 14 pixels by 16 output channels, a.run input values a step.")
	channelKernel("depthwiseAVX512", "depthwiseAVX512 computes a.pixels ≤ 14 pixels of one block of 16 channels, one filter per channel.",
		true, func(x Mem, w, acc VecPhysical) { VFMADD231PS(x, w, acc) })
	channelKernel("poolMaxAVX512", "poolMaxAVX512 takes the maximum over the windows of a.pixels ≤ 14 pixels of one block; a.bias is the start.",
		false, func(x Mem, _, acc VecPhysical) { VMAXPS(x, acc, acc) })
	channelKernel("poolSumAVX512", "poolSumAVX512 sums the windows of a.pixels ≤ 14 pixels of one block onto a.bias.",
		false, func(x Mem, _, acc VecPhysical) { VADDPS(x, acc, acc) })
	peak()
	Generate()
}

// kernel writes one function for all tile widths: b blocks of 16 output
// channels, unroll input values per innermost step.
func kernel(name string, b, unroll int, doc string) {
	TEXT(name, NOSPLIT, "func(a *tileArgs)")
	Doc(doc)
	Pragma("noescape")
	Load(Param("a"), RDI)
	dispatch()
	for p := 1; p <= maxPixels; p++ {
		tile(p, b, unroll)
	}
}

// tile writes the code for p pixels by b blocks. Register use:
//
//	DI args, SI input block, DX weights, R9 input row, R11 input column and
//	AX, CX, R15 the same 4, 8, 12 pixels on; R14 and R13 one and three pixels;
//	R8, R10, R12 counters; BX the counter of a run, or the weights to prefetch.
func tile(p, b, unroll int) {
	l := func(s string) string { return fmt.Sprintf("p%d_%s", p, s) }
	arg := func(off int) Mem { return Mem{Base: RDI, Disp: off} }
	acc := func(blk, i int) VecPhysical { return zmm[blk*p+i] }
	// Few accumulators would wait for one another: a multiply-add takes four
	// cycles. Several sets of them share the input values.
	sets := 1
	if unroll > 1 {
		sets = max(1, min(4, 8/(p*b)))
	}
	if p > 1 {
		Label(fmt.Sprintf("p%d", p))
	}
	MOVQ(arg(offIn), RSI)
	MOVQ(arg(offW), RDX)
	MOVQ(arg(offBias), R15)
	for blk := range b {
		VMOVUPS(Mem{Base: R15, Disp: 64 * blk}, acc(blk, 0))
	}
	for blk := range b {
		for i := 1; i < p; i++ {
			VMOVAPS(acc(blk, 0), acc(blk, i))
		}
	}
	for i := b * p; i < sets*b*p; i++ {
		VPXORQ(zmm[i], zmm[i], zmm[i])
	}
	MOVQ(arg(offPix), R14)
	LEAQ(Mem{Base: R14, Index: R14, Scale: 2}, R13)
	MOVQ(arg(offBlocks), R8)
	prefetch := unroll > 1 && b == 2
	if prefetch {
		MOVQ(arg(offNext), RBX)
	}

	Label(l("block"))
	MOVQ(RSI, R9)
	MOVQ(arg(offRows), R10)
	Label(l("row"))
	MOVQ(R9, R11)
	MOVQ(arg(offCols), R12)
	Label(l("col"))
	pixel := pixels(p)
	if unroll == 1 {
		MOVQ(arg(offRun), RBX)
		Label(l("run"))
	}
	for c := range unroll {
		for blk := range b {
			if prefetch {
				PREFETCHT1(Mem{Base: RBX, Disp: (c*b + blk) * 64})
			}
			VMOVUPS(Mem{Base: RDX, Disp: (c*b + blk) * 64}, zmm[28+blk])
		}
		set := c % sets * b * p
		for i := range p {
			if b == 1 {
				VFMADD231PS_BCST(pixel(i, c), zmm[28], zmm[set+i])
				continue
			}
			x := zmm[30+i%2]
			VBROADCASTSS(pixel(i, c), x)
			for blk := range b {
				VFMADD231PS(x, zmm[28+blk], zmm[set+blk*p+i])
			}
		}
	}
	ADDQ(U32(uint32(unroll*b*64)), RDX)
	if prefetch {
		ADDQ(arg(offNextStep), RBX)
	}
	if unroll == 1 {
		for i := 0; i*4 < p; i++ {
			ADDQ(Imm(4), pixelBases[i])
		}
		DECQ(RBX)
		JNZ(LabelRef(l("run")))
		// R11 moved along the run; back to where it started.
		MOVQ(arg(offRun), RBX)
		SHLQ(Imm(2), RBX)
		SUBQ(RBX, R11)
	}
	ADDQ(arg(offColStride), R11)
	DECQ(R12)
	JNZ(LabelRef(l("col")))
	ADDQ(arg(offRowStride), R9)
	DECQ(R10)
	JNZ(LabelRef(l("row")))
	ADDQ(arg(offBlockStride), RSI)
	DECQ(R8)
	JNZ(LabelRef(l("block")))
	for n := sets; n > 1; n = (n + 1) / 2 {
		for i := (n + 1) / 2 * b * p; i < n*b*p; i++ {
			VADDPS(zmm[i], zmm[i-(n+1)/2*b*p], zmm[i-(n+1)/2*b*p])
		}
	}

	epilogue(p, b, acc, arg, l)
}

// channelKernel writes a kernel that works on each channel alone: for every tap
// of the window one vector per pixel. weights tells whether a vector of them
// is read for each tap.
func channelKernel(name, doc string, weights bool, step func(x Mem, w, acc VecPhysical)) {
	TEXT(name, NOSPLIT, "func(a *tileArgs)")
	Doc(doc)
	Pragma("noescape")
	Load(Param("a"), RDI)
	dispatch()
	for p := 1; p <= maxPixels; p++ {
		l := func(s string) string { return fmt.Sprintf("p%d_%s", p, s) }
		arg := func(off int) Mem { return Mem{Base: RDI, Disp: off} }
		acc := func(_, i int) VecPhysical { return zmm[i] }
		if p > 1 {
			Label(fmt.Sprintf("p%d", p))
		}
		MOVQ(arg(offIn), R9)
		if weights {
			MOVQ(arg(offW), RDX)
		}
		MOVQ(arg(offBias), R15)
		for i := range p {
			VMOVUPS(Mem{Base: R15}, zmm[i])
		}
		MOVQ(arg(offPix), R14)
		LEAQ(Mem{Base: R14, Index: R14, Scale: 2}, R13)
		MOVQ(arg(offRows), R10)
		Label(l("row"))
		MOVQ(R9, R11)
		MOVQ(arg(offCols), R12)
		Label(l("col"))
		pixel := pixels(p)
		if weights {
			VMOVUPS(Mem{Base: RDX}, zmm[28])
			ADDQ(Imm(64), RDX)
		}
		for i := range p {
			step(pixel(i, 0), zmm[28], zmm[i])
		}
		ADDQ(arg(offColStride), R11)
		DECQ(R12)
		JNZ(LabelRef(l("col")))
		ADDQ(arg(offRowStride), R9)
		DECQ(R10)
		JNZ(LabelRef(l("row")))
		epilogue(p, 1, acc, arg, l)
	}
}

// dispatch jumps to the code for a.pixels; 1 falls through.
func dispatch() {
	MOVQ(Mem{Base: RDI, Disp: offPixels}, RAX)
	for p := maxPixels; p > 1; p-- {
		CMPQ(RAX, Imm(uint64(p)))
		JEQ(LabelRef(fmt.Sprintf("p%d", p)))
	}
}

// pixelBases hold the input column of pixels 0, 4, 8 and 12.
var pixelBases = []GPPhysical{R11, RAX, RCX, R15}

// pixels sets the bases up from R11 and returns the address of value c of
// pixel i.
func pixels(p int) func(i, c int) Mem {
	for i := 1; i*4 < p; i++ {
		LEAQ(Mem{Base: pixelBases[i-1], Index: R14, Scale: 4}, pixelBases[i])
	}
	return func(i, c int) Mem {
		m := Mem{Base: pixelBases[i/4], Disp: 4 * c}
		switch i % 4 {
		case 1:
			m.Index, m.Scale = R14, 1
		case 2:
			m.Index, m.Scale = R14, 2
		case 3:
			m.Index, m.Scale = R13, 1
		}
		return m
	}
}

func epilogue(p, b int, acc func(blk, i int) VecPhysical, arg func(int) Mem, l func(string) string) {
	// Residual.
	MOVQ(arg(offRes), RSI)
	TESTQ(RSI, RSI)
	JZ(LabelRef(l("clamp")))
	MOVQ(arg(offResPix), R9)
	for blk := range b {
		MOVQ(RSI, R11)
		for i := range p {
			VADDPS(Mem{Base: R11}, acc(blk, i), acc(blk, i))
			if i < p-1 {
				ADDQ(R9, R11)
			}
		}
		if blk < b-1 {
			ADDQ(arg(offResBlock), RSI)
		}
	}
	Label(l("clamp"))
	CMPQ(arg(offClamp), Imm(0))
	JEQ(LabelRef(l("store")))
	VBROADCASTSS(arg(offLoHi), zmm[30])
	VBROADCASTSS(Mem{Base: RDI, Disp: offLoHi + 4}, zmm[31])
	// The first operand is what comes out of a comparison with NaN.
	for i := range b * p {
		VMAXPS(zmm[i], zmm[30], zmm[i])
	}
	CMPL(Mem{Base: RDI, Disp: offLoHi + 4}, Imm(0x7f800000)) // infinity: ReLU
	JEQ(LabelRef(l("store")))
	for i := range b * p {
		VMINPS(zmm[i], zmm[31], zmm[i])
	}
	Label(l("store"))
	MOVQ(arg(offOut), RBX)
	MOVQ(arg(offOutPix), R9)
	for blk := range b {
		MOVQ(RBX, R11)
		for i := range p {
			VMOVUPS(acc(blk, i), Mem{Base: R11})
			if i < p-1 {
				ADDQ(R9, R11)
			}
		}
		if blk < b-1 {
			ADDQ(arg(offOutBlock), RBX)
		}
	}
	VZEROUPPER()
	RET()
}

// peak writes a loop of independent multiply-adds on registers: the most the
// core can do.
func peak() {
	TEXT("peakAVX512", NOSPLIT, "func(n int)")
	Doc("peakAVX512 runs n rounds of 24 independent multiply-adds on 16 floats.")
	Load(Param("n"), RCX)
	for i := range zmm {
		VPXORQ(zmm[i], zmm[i], zmm[i])
	}
	Label("loop")
	for i := range 24 {
		VFMADD231PS(zmm[30], zmm[31], zmm[i])
	}
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
