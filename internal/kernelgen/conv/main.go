// Command conv writes the AVX-512 and AVX2 micro-kernels of convolution:
//
//	go run modelc/internal/kernelgen/conv -out zconv_amd64.s -stubs zconv_amd64.go -pkg simd
//
// A micro-kernel computes a tile of pixels by 32 or 16 output channels in registers. It
// reads weights strictly forwards.
//
// A tile of AVX-512 has at most 14 pixels: 28 accumulators and two weight vectors, with
// operands broadcast from memory, fit into 32 registers. A tile of AVX2 has at most six
// pixels by 16 channels: 12 accumulators, two weight vectors and two broadcasts fill 16
// registers. With AVX2, a tile of 32 channels is computed in two halves, whose weights
// are every other cache line; at most three pixels fit undivided. A tile of 8 channels
// has at most 14 pixels, and AVX-512 machines use it too.
package main

import (
	"fmt"
	"os"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

func main() {
	// Load package simd without the files that this program writes.
	os.Setenv("GOFLAGS", "-tags=purego")
	Package("modelc/runtime/internal/simd")
	ConstraintExpr("!purego")
	for _, g := range []generator{{x86.AVX512, 14, 14}, {x86.AVX2, 6, 7}} {
		if g.Bytes == 32 {
			g.kernel("run8", 8, 1)
		}
		g.kernel("tile32", 32, 16)
		g.kernel("tile16", 16, 16)
		if g.Bytes == 64 {
			g.kernel("tile24", 32, 16)
		}
		g.kernel("run32", 32, 1)
		g.kernel("run16", 16, 1)
		g.channelKernel("depthwise", 16, true, func(x Mem, w, acc VecPhysical) { VFMADD231PS(x, w, acc) })
		g.depthwise3()
		maximum := func(x Mem, _, acc VecPhysical) { VMAXPS(x, acc, acc) }
		sum := func(x Mem, _, acc VecPhysical) { VADDPS(x, acc, acc) }
		g.channelKernel("poolMax", 16, false, maximum)
		g.channelKernel("poolSum", 16, false, sum)
		if g.Bytes == 32 {
			g.channelKernel("poolMax8", 8, false, maximum)
			g.channelKernel("poolSum8", 8, false, sum)
		}
		g.peak()
	}
	planes()
	poolPlanes("poolMaxPlanes", true)
	poolPlanes("poolSumPlanes", false)
	rowsIn()
	rowsOut()
	for _, width := range []int{32, 16} {
		double(width)
	}
	for _, g := range []generator{{x86.AVX512BF16, 14, 14}, {x86.AVX512, 14, 14}, {x86.AVX2, 6, 7}} {
		g.kernel("pair32", 32, 16)
		g.kernel("pair16", 16, 16)
		g.kernel("pairRun32", 32, 1)
		g.kernel("pairRun16", 16, 1)
	}
	generator{x86.AVX512BF16, 14, 14}.channelPairs("pairDepthwise", true)
	generator{x86.AVX512BF16, 14, 14}.channelPairs("pairMax", false)
	generator{x86.AVX512BF16, 14, 14}.peakOfPairs()
	Generate()
}

// narrowPixels is the maximum number of pixels of kernels of 8 channels. The accumulators
// leave two registers.
const narrowPixels = 14

// generator writes the kernels of one instruction set, for tiles of at most the given
// numbers of pixels.
type generator struct {
	x86.ISA
	pixels        int
	channelPixels int // for kernels that compute each channel alone
}

// function starts a kernel for at most the given number of pixels. The code for each
// number of pixels follows.
func (g generator) function(name string, pixels int) {
	g.Function(name, NOSPLIT)
	Load(Param("a"), RDI)
	MOVQ(arg(abi.Pixels), RAX)
	for p := pixels; p > 1; p-- { // 1 falls through
		CMPQ(RAX, Imm(uint64(p)))
		JEQ(LabelRef(fmt.Sprintf("p%d", p)))
	}
}

// kernel writes one function for all numbers of pixels. It computes width output channels,
// with unroll input values per innermost step.
func (g generator) kernel(name string, width, unroll int) {
	pixels := g.pixels
	if width == 8 {
		pixels = narrowPixels
	}
	g.function(name, pixels)
	for p := 1; p <= pixels; p++ {
		t := tile{generator: g, p: p, b: width * 4 / g.Bytes, row: max(64, width*4), sets: 1}
		if width == 32 && t.p*t.b > g.pixels*2 { // the accumulators do not fit
			t.b /= 2
			t.halves = true
		}
		t.pairs, t.narrow = strings.HasPrefix(name, "pair"), name == "tile24"
		if unroll > 1 && !t.pairs {
			t.sets = g.sets(p)
		}
		t.convolution(unroll)
	}
}

// sets returns the number of sets of accumulators for p pixels. A multiply-add takes four
// cycles, so few accumulators would wait for one another. Both widths have the number of
// sets that fits the wider one, and so sum in the same order: filters with equal weights
// give equal results in any block.
func (g generator) sets(p int) int {
	room := 8
	if g.Bytes < 64 {
		room = 12
	}
	return max(1, min(4, room/(p*32*4/g.Bytes)))
}

// tile writes the code for p pixels by b vectors of output channels. Each tile has
// separate labels.
//
// Registers: DI holds the arguments, SI the input block, DX the weights, R9 the input row,
// R11 the input column, and AX, CX and R15 that of pixels 4, 8 and 12. R14 and R13 hold
// the size of one and of three pixels. R8, R10 and R12 are counters. BX is the counter of a
// run, or the address of weights to prefetch. With halves, CX is the offset of the weights
// of a half in a row of weights.
type tile struct {
	generator
	p, b   int
	sets   int  // the number of sets of accumulators, which share the input values
	row    int  // the size in bytes of the weights of an input value
	halves bool // whether the tile is computed in two halves of 16 channels
	pairs  bool // whether an input value is a pair of bfloat16, with one set of accumulators
	narrow bool // whether the last 8 of 32 channels do not exist
}

func arg(off int) Mem { return Mem{Base: RDI, Disp: off} }

func (t tile) label(s string) string { return fmt.Sprintf("p%d_%s", t.p, s) }

func (t tile) acc(blk, i int) VecPhysical { return t.Regs[blk*t.p+i] }

func (t tile) convolution(unroll int) {
	p, b, sets := t.p, t.b, t.sets
	if p > 1 {
		Label(fmt.Sprintf("p%d", p))
	}
	if t.halves {
		XORL(ECX, ECX)
		Label(t.label("half"))
	}
	MOVQ(arg(abi.In), RSI)
	MOVQ(arg(abi.W), RDX)
	MOVQ(arg(abi.Bias), R15)
	if t.halves {
		ADDQ(RCX, RDX)
		ADDQ(RCX, R15)
	}
	for blk := range b {
		VMOVUPS(Mem{Base: R15, Disp: t.Bytes * blk}, t.acc(blk, 0))
	}
	for blk := range b {
		for i := 1; i < p; i++ {
			VMOVAPS(t.acc(blk, 0), t.acc(blk, i))
		}
	}
	for i := b * p; i < sets*b*p; i++ {
		VXORPS(t.Regs[i], t.Regs[i], t.Regs[i])
	}
	MOVQ(arg(abi.Pix), R14)
	LEAQ(Mem{Base: R14, Index: R14, Scale: 2}, R13)
	MOVQ(arg(abi.Blocks), R8)
	prefetch := unroll > 1 && t.row == 128
	if prefetch {
		MOVQ(arg(abi.Next), RBX)
		if t.halves {
			ADDQ(RCX, RBX)
		}
	}

	Label(t.label("block"))
	MOVQ(RSI, R9)
	MOVQ(arg(abi.Rows), R10)
	Label(t.label("row"))
	MOVQ(R9, R11)
	MOVQ(arg(abi.Cols), R12)
	Label(t.label("col"))
	x86.SetPixelBases(p)
	if unroll == 1 {
		MOVQ(arg(abi.Run), RBX)
		Label(t.label("run"))
		if t.finishes() {
			CMPQ(RBX, Imm(lastValues))
			JNE(LabelRef(t.label("more_finish")))
			t.branchToFinish("finish", false)
		}
	}
	for c := range unroll {
		weights := make([]Mem, b)
		for blk := range b {
			weights[blk] = Mem{Base: RDX, Disp: c*t.row + blk*t.Bytes}
		}
		if prefetch && c%4 == 0 {
			t.prefetch(c/4, c/4+1)
		}
		switch {
		case unroll == 1 || !t.finishes():
		case c == 8-lastValues:
			t.branchToFinish("finish8", true)
		case c == 16-lastValues:
			t.branchToFinish("finish16", false)
		}
		t.multiply(weights, c%sets*b*p, func(i int) Mem { return x86.Pixel(i, 4*c) })
		if c == 7 && unroll == 16 { // the last block may have only 8 channels
			CMPQ(R8, arg(abi.Half))
			JEQ(LabelRef(t.label("step")))
		}
	}
	if unroll == 16 {
		Label(t.label("step"))
	}
	ADDQ(U32(uint32(unroll*t.row)), RDX)
	if prefetch {
		t.prefetchMore("asked")
		ADDQ(arg(abi.NextStep), RBX)
	}
	if unroll == 1 {
		for i := 0; i*4 < p; i++ {
			ADDQ(Imm(4), x86.PixelBases[i])
		}
		DECQ(RBX)
		JNZ(LabelRef(t.label("run")))
		// Move R11 back to the start of the run.
		MOVQ(arg(abi.Run), RBX)
		SHLQ(Imm(2), RBX)
		SUBQ(RBX, R11)
	}
	ADDQ(arg(abi.ColStride), R11)
	DECQ(R12)
	JNZ(LabelRef(t.label("col")))
	ADDQ(arg(abi.RowStride), R9)
	DECQ(R10)
	JNZ(LabelRef(t.label("row")))
	ADDQ(arg(abi.BlockStride), RSI)
	DECQ(R8)
	JNZ(LabelRef(t.label("block")))
	for n := sets; n > 1; n = (n + 1) / 2 {
		for i := (n + 1) / 2 * b * p; i < n*b*p; i++ {
			VADDPS(t.Regs[i], t.Regs[i-(n+1)/2*b*p], t.Regs[i-(n+1)/2*b*p])
		}
	}
	t.epilogue()
	switch {
	case !t.finishes():
	case unroll == 1:
		t.finish("finish", 0, false)
	default:
		t.finish("finish8", 8-lastValues, prefetch)
		t.finish("finish16", 16-lastValues, prefetch)
	}
}

// prefetch requests the weights of the input values from ≤ c < to of a later step. With
// halves, it requests those of the current half.
func (t tile) prefetch(from, to int) {
	for c := from; c < to; c++ {
		for off := 0; off < t.b*t.Bytes; off += 64 {
			PREFETCHT1(Mem{Base: RBX, Disp: c*t.row + off})
		}
	}
}

// prefetchMore requests weights that prefetch has not, if few tiles share the prefetches.
func (t tile) prefetchMore(done string) {
	for n := 4; n < 16; n *= 2 {
		CMPQ(arg(abi.NextStep), U32(uint32(n*t.row)))
		JLE(LabelRef(t.label(done)))
		t.prefetch(n, 2*n)
	}
	Label(t.label(done))
}

// multiply adds the products of one input value of each pixel and its weights to the
// accumulators that start at register set.
func (t tile) multiply(weights []Mem, set int, pixel func(i int) Mem) {
	b, p := t.b, t.p
	switch {
	case t.pairs && t.Name == x86.AVX512BF16.Name:
		for blk, w := range weights {
			VMOVUPS(w, t.Last(3-blk))
		}
		for i := range p {
			x := t.Last(1 - i%2)
			VBROADCASTSS(pixel(i), x)
			for blk := range b {
				x86.VDPBF16PS(t.Last(3-blk), x, t.Regs[set+blk*p+i])
			}
		}
	case t.pairs:
		t.halfOfPairs(weights, pixel, func(x VecPhysical) { VANDPS(upperHalf(t.Bytes), x, x) })
		t.halfOfPairs(weights, pixel, func(x VecPhysical) { VPSLLD(Imm(16), x, x) })
	case b == 1 && t.Bytes == 64:
		w := t.Last(3)
		VMOVUPS(weights[0], w)
		for i := range p {
			VFMADD231PS_BCST(pixel(i), w, t.Regs[set+i])
		}
	case b == 1:
		w, x := t.Last(1), t.Last(0)
		VMOVUPS(weights[0], w)
		for i := range p {
			VBROADCASTSS(pixel(i), x)
			VFMADD231PS(x, w, t.Regs[set+i])
		}
	case b == 4: // the registers hold the input, but not all weights
		for i := range p {
			VBROADCASTSS(pixel(i), t.Last(i))
		}
		for blk, m := range weights {
			w := t.Last(3)
			VMOVUPS(m, w)
			for i := range p {
				VFMADD231PS(w, t.Last(i), t.Regs[set+blk*p+i])
			}
		}
	default:
		for blk, w := range weights {
			VMOVUPS(w, t.part(t.Last(3-blk), blk))
		}
		for i := range p {
			x := t.Last(1 - i%2)
			VBROADCASTSS(pixel(i), x)
			for blk := range b {
				VFMADD231PS(t.part(x, blk), t.part(t.Last(3-blk), blk), t.part(t.Regs[set+blk*p+i], blk))
			}
		}
	}
}

// part returns the part of register r that holds channels of block blk. Half of a register
// takes half the time on processors whose vector units have 256 bits; the other half of a
// result becomes zero.
func (t tile) part(r VecPhysical, blk int) Op {
	if t.narrow && blk == 1 {
		return r.AsY()
	}
	return r
}

// halfOfPairs adds the products of one half of each pair. widen makes a float of that half.
// The products are exact, so two multiply-adds give the bits of VDPBF16PS, except that it
// takes subnormal numbers as zero.
func (t tile) halfOfPairs(weights []Mem, pixel func(i int) Mem, widen func(x VecPhysical)) {
	b, p := t.b, t.p
	if b == 4 { // the registers hold the input, but not all weights
		for i := range p {
			VBROADCASTSS(pixel(i), t.Last(i))
			widen(t.Last(i))
		}
		for blk, m := range weights {
			w := t.Last(3)
			VMOVUPS(m, w)
			widen(w)
			for i := range p {
				VFMADD231PS(w, t.Last(i), t.acc(blk, i))
			}
		}
		return
	}
	for blk, w := range weights {
		VMOVUPS(w, t.Last(3-blk))
		widen(t.Last(3 - blk))
	}
	for i := range p {
		x := t.Last(1 - i%2)
		VBROADCASTSS(pixel(i), x)
		widen(x)
		for blk := range b {
			VFMADD231PS(x, t.Last(3-blk), t.acc(blk, i))
		}
	}
}

var upperHalves = map[int]Mem{}

// upperHalf returns a vector in memory that selects the upper half of each float.
func upperHalf(bytes int) Mem {
	m, ok := upperHalves[bytes]
	if !ok {
		m = GLOBL(fmt.Sprintf("upperHalf%d", bytes), 8|16)
		for i := range bytes / 4 {
			DATA(4*i, U32(0xffff0000))
		}
		upperHalves[bytes] = m
	}
	return m
}

// doublePixels is the maximum number of pixels of the kernels in float64, which have 24
// accumulators for 32 output channels.
const doublePixels = 6

// double writes a tile kernel that accumulates in float64 and leaves the
// epilogue to its caller.
func double(width int) {
	x86.AVX512.Function(fmt.Sprintf("double%d", width), NOSPLIT)
	Load(Param("a"), RDI)
	Load(Param("out"), R15)
	MOVQ(arg(abi.Pixels), RAX)
	for p := doublePixels; p > 1; p-- {
		CMPQ(RAX, Imm(uint64(p)))
		JEQ(LabelRef(fmt.Sprintf("p%d", p)))
	}
	b := width / 8
	for p := 1; p <= doublePixels; p++ {
		label := func(s string) string { return fmt.Sprintf("p%d_%s", p, s) }
		acc := func(blk, i int) VecPhysical { return x86.AVX512.Regs[blk*p+i] }
		if p > 1 {
			Label(fmt.Sprintf("p%d", p))
		}
		MOVQ(arg(abi.In), RSI)
		MOVQ(arg(abi.W), RDX)
		MOVQ(arg(abi.Bias), RAX)
		for blk := range b {
			VCVTPS2PD(Mem{Base: RAX, Disp: 32 * blk}, acc(blk, 0))
			for i := 1; i < p; i++ {
				VMOVAPD(acc(blk, 0), acc(blk, i))
			}
		}
		MOVQ(arg(abi.Pix), R14)
		LEAQ(Mem{Base: R14, Index: R14, Scale: 2}, R13)
		MOVQ(arg(abi.Blocks), R8)
		Label(label("block"))
		MOVQ(RSI, R9)
		MOVQ(arg(abi.Rows), R10)
		Label(label("row"))
		MOVQ(R9, R11)
		MOVQ(arg(abi.Cols), R12)
		Label(label("col"))
		x86.SetPixelBases(p)
		Load(Param("step"), RBX)
		Label(label("step"))
		for blk := range b {
			VCVTPS2PD(Mem{Base: RDX, Disp: 32 * blk}, x86.AVX512.Last(blk))
		}
		for i := range p {
			x := x86.AVX512.Last(b + i%2)
			VCVTPS2PD_BCST(x86.Pixel(i, 0), x)
			for blk := range b {
				VFMADD231PD(x, x86.AVX512.Last(blk), acc(blk, i))
			}
		}
		ADDQ(Imm(uint64(4*width)), RDX)
		for i := 0; i*4 < p; i++ {
			ADDQ(Imm(4), x86.PixelBases[i])
		}
		DECQ(RBX)
		JNZ(LabelRef(label("step")))
		Load(Param("step"), RBX)
		SHLQ(Imm(2), RBX)
		SUBQ(RBX, R11)
		ADDQ(arg(abi.ColStride), R11)
		DECQ(R12)
		JNZ(LabelRef(label("col")))
		ADDQ(arg(abi.RowStride), R9)
		DECQ(R10)
		JNZ(LabelRef(label("row")))
		ADDQ(arg(abi.BlockStride), RSI)
		DECQ(R8)
		JNZ(LabelRef(label("block")))
		for i := range p {
			for blk := range b {
				y := Y31
				VCVTPD2PS(acc(blk, i), y)
				VMOVUPS(y, Mem{Base: R15, Disp: (i*width + blk*8) * 4})
			}
		}
		VZEROUPPER()
		RET()
	}
}

// channelKernel writes a kernel that computes each channel alone. For every tap of the
// window, it applies step to the vectors of each pixel. weights reports whether a tap has
// weights, one for each channel.
func (g generator) channelKernel(name string, width int, weights bool, step func(x Mem, w, acc VecPhysical)) {
	pixels := g.channelPixels
	if width == 8 {
		pixels = narrowPixels
	}
	g.function(name, pixels)
	for p := 1; p <= pixels; p++ {
		t := tile{generator: g, p: p, b: width * 4 / g.Bytes}
		if p > 1 {
			Label(fmt.Sprintf("p%d", p))
		}
		MOVQ(arg(abi.In), R9)
		if weights {
			MOVQ(arg(abi.W), RDX)
		}
		MOVQ(arg(abi.Bias), R15)
		for blk := range t.b {
			for i := range p {
				VMOVUPS(Mem{Base: R15, Disp: blk * t.Bytes}, t.acc(blk, i))
			}
		}
		MOVQ(arg(abi.Pix), R14)
		LEAQ(Mem{Base: R14, Index: R14, Scale: 2}, R13)
		MOVQ(arg(abi.Rows), R10)
		Label(t.label("row"))
		MOVQ(R9, R11)
		MOVQ(arg(abi.Cols), R12)
		Label(t.label("col"))
		x86.SetPixelBases(p)
		if weights {
			for blk := range t.b {
				VMOVUPS(Mem{Base: RDX, Disp: blk * t.Bytes}, t.Last(blk))
			}
			ADDQ(Imm(64), RDX)
		}
		for i := range p {
			for blk := range t.b {
				step(x86.Pixel(i, blk*t.Bytes), t.Last(blk), t.acc(blk, i))
			}
		}
		ADDQ(arg(abi.ColStride), R11)
		DECQ(R12)
		JNZ(LabelRef(t.label("col")))
		ADDQ(arg(abi.RowStride), R9)
		DECQ(R10)
		JNZ(LabelRef(t.label("row")))
		t.epilogue()
	}
}

// channelPairs is channelKernel for pairs of bfloat16: a depthwise convolution, whose
// products are exact like those of halfOfPairs, or, without weights, a maximum.
func (g generator) channelPairs(name string, products bool) {
	g.function(name, g.channelPixels)
	x, y, weights := g.Last(0), g.Last(1), []VecPhysical{g.Last(3), g.Last(2)}
	for p := 1; p <= g.channelPixels; p++ {
		t := tile{generator: g, p: p, b: 2}
		if p > 1 {
			Label(fmt.Sprintf("p%d", p))
		}
		MOVQ(arg(abi.In), R9)
		MOVQ(arg(abi.Bias), R15)
		if products {
			MOVQ(arg(abi.W), RDX)
			MOVQ(arg(abi.BlockStride), R8)
		}
		MOVL(U32(0xaaaaaaaa), EAX) // the upper halves, without a register for their mask
		KMOVD(EAX, K1)
		for half := range 2 {
			VMOVUPS(Mem{Base: R15, Disp: 64 * half}, t.acc(half, 0))
			for i := 1; i < p; i++ {
				VMOVAPS(t.acc(half, 0), t.acc(half, i))
			}
		}
		MOVQ(arg(abi.Pix), R14)
		LEAQ(Mem{Base: R14, Index: R14, Scale: 2}, R13)
		MOVQ(arg(abi.Rows), R10)
		Label(t.label("row"))
		MOVQ(R9, R11)
		MOVQ(arg(abi.Cols), R12)
		Label(t.label("col"))
		x86.SetPixelBases(p)
		if products {
			VMOVUPS(Mem{Base: RDX}, weights[0])
			VMOVUPS(Mem{Base: RDX, Index: R8, Scale: 1}, weights[1])
			ADDQ(Imm(64), RDX)
		}
		for i := range p {
			VMOVUPS(x86.Pixel(i, 0), x)
			VPSLLD(Imm(16), x, y)
			VMOVDQU16_Z(x, K1, x)
			for half, v := range []VecPhysical{y, x} {
				if acc := t.acc(half, i); products {
					VFMADD231PS(v, weights[half], acc)
				} else { // if one operand is NaN, the result is the first operand
					VMAXPS(v, acc, acc)
				}
			}
		}
		ADDQ(arg(abi.ColStride), R11)
		DECQ(R12)
		JNZ(LabelRef(t.label("col")))
		ADDQ(arg(abi.RowStride), R9)
		DECQ(R10)
		JNZ(LabelRef(t.label("row")))
		t.roundedEpilogue()
	}
}

// neighbours returns the maximum number of pixels of depthwise3. The other registers hold
// an input, the weights of a row or of the filter, the bias and the bounds.
func (g generator) neighbours() int { return min(14, len(g.Regs)-4) }

// depthwise3 writes a depthwise kernel for 3×3 adjacent taps, and pixels one or two apart. A
// value that it reads contributes to the sums of several pixels, while the general kernel
// reads a value for each product. AVX-512 holds the whole filter in registers. AVX2 computes
// 8 channels at a time and holds one row of the filter.
func (g generator) depthwise3() {
	g.function("depthwise3", g.neighbours())
	for p := 1; p <= g.neighbours(); p++ {
		t := tile{generator: g, p: p, b: 1}
		if p > 1 {
			Label(fmt.Sprintf("p%d", p))
		}
		CMPQ(arg(abi.Pix), Imm(64))
		JNE(LabelRef(t.label("by2")))
		t.depthwise3(1)
		Label(t.label("by2"))
		t.depthwise3(2)
	}
}

// depthwise3 writes the code for pixels that are step apart.
func (t tile) depthwise3(step int) {
	label := func(s string) string { return t.label(fmt.Sprintf("%s%d", s, step)) }
	channels := func(base GPPhysical, disp int) Mem { return Mem{Base: base, Index: RCX, Scale: 1, Disp: disp} }
	XORL(ECX, ECX)
	MOVQ(arg(abi.In), R12)
	MOVQ(arg(abi.W), RDX)
	MOVQ(arg(abi.Bias), R15)
	MOVQ(arg(abi.Out), R11)
	MOVQ(arg(abi.OutPix), R13)
	MOVQ(arg(abi.Lines), R8)
	weights := func(row int) []VecPhysical {
		w := []VecPhysical{t.Last(3), t.Last(2), t.Last(1)}
		for tap := range w {
			if t.Bytes == 64 {
				w[tap] = t.Last(4 + 3*row + tap)
			} else {
				VMOVUPS(channels(RDX, 64*(3*row+tap)), w[tap])
			}
		}
		return w
	}
	if t.Bytes == 64 {
		for i := range 9 {
			VMOVUPS(Mem{Base: RDX, Disp: 64 * i}, t.Last(4+i))
		}
		VMOVUPS(Mem{Base: R15}, t.Last(3))
		VBROADCASTSS(arg(abi.LoHi), t.Last(2))
		VBROADCASTSS(arg(abi.LoHi+4), t.Last(1))
	}

	Label(label("line"))
	if t.Bytes == 64 {
		VMOVAPS(t.Last(3), t.acc(0, 0))
	} else {
		Label(label("half"))
		VMOVUPS(channels(R15, 0), t.acc(0, 0))
	}
	for i := 1; i < t.p; i++ {
		VMOVAPS(t.acc(0, 0), t.acc(0, i))
	}
	MOVQ(R12, R9)
	x := t.Last(0)
	for row := range 3 {
		w := weights(row)
		for col := range step*(t.p-1) + 3 {
			VMOVUPS(channels(R9, 64*col), x)
			for tap := range w {
				if i := (col - tap) / step; (col-tap)%step == 0 && col >= tap && i < t.p {
					VFMADD231PS(x, w[tap], t.acc(0, i))
				}
			}
		}
		if row < 2 {
			ADDQ(arg(abi.RowStride), R9)
		}
	}
	lo, hi := t.Last(2), t.Last(1)
	if t.Bytes == 32 {
		VBROADCASTSS(arg(abi.LoHi), lo)
		VBROADCASTSS(arg(abi.LoHi+4), hi)
	}
	MOVQ(R11, R10)
	for i := range t.p {
		VMAXPS(t.acc(0, i), lo, t.acc(0, i))
		VMINPS(t.acc(0, i), hi, t.acc(0, i))
		VMOVUPS(t.acc(0, i), channels(R10, 0))
		if i < t.p-1 {
			ADDQ(R13, R10)
		}
	}
	if t.Bytes == 32 {
		XORQ(Imm(32), RCX)
		JNZ(LabelRef(label("half")))
	}
	ADDQ(arg(abi.InLine), R12)
	ADDQ(arg(abi.OutLine), R11)
	DECQ(R8)
	JNZ(LabelRef(label("line")))
	VZEROUPPER()
	RET()
}

// roundedEpilogue adds the residual, clamps and stores pairs of bfloat16.
func (t tile) roundedEpilogue() {
	order, lo, hi, x := t.Last(0), t.Last(1), t.Last(2), t.Last(3)
	each := func(name string, f func(i int, accs []VecPhysical)) {
		for i := range t.p {
			f(i, []VecPhysical{t.acc(0, i), t.acc(1, i)}[:t.b])
		}
		Label(t.label(name))
	}
	MOVQ(arg(abi.Res), RSI)
	TESTQ(RSI, RSI)
	JZ(LabelRef(t.label("summed")))
	VPBROADCASTD(upperHalf(64), order)
	each("summed", func(i int, accs []VecPhysical) {
		m := Mem{Base: RSI, Disp: 64 * i}
		VPSLLD(Imm(16), m, x)
		VADDPS(x, accs[0], accs[0])
		if len(accs) > 1 {
			VPANDD(m, order, x)
			VADDPS(x, accs[1], accs[1])
		}
	})
	CMPQ(arg(abi.Clamp), Imm(0))
	JEQ(LabelRef(t.label("clamped")))
	VBROADCASTSS(arg(abi.LoHi), lo)
	VBROADCASTSS(arg(abi.LoHi+4), hi)
	// If one operand is NaN, the result is the first operand.
	for _, acc := range t.Regs[:t.b*t.p] {
		VMAXPS(acc, lo, acc)
	}
	CMPL(arg(abi.LoHi+4), Imm(0x7f800000)) // infinity: ReLU
	JEQ(LabelRef(t.label("clamped")))
	for _, acc := range t.Regs[:t.b*t.p] {
		VMINPS(acc, hi, acc)
	}
	Label(t.label("clamped"))
	VMOVDQU16(x86.PairOrder("tilePairOrder"), order)
	MOVQ(arg(abi.Out), RBX)
	VPXORD(x, x, x)
	each("stored", func(i int, accs []VecPhysical) {
		accs = append(accs, x)
		x86.VCVTNE2PS2BF16(accs[0], accs[1], accs[0])
		VPERMW(accs[0], order, accs[0])
		VMOVDQU32(accs[0], Mem{Base: RBX, Disp: 64 * i})
	})
	VZEROUPPER()
	RET()
}

// epilogue adds the residual, clamps and stores.
func (t tile) epilogue() {
	if t.pairs && t.Name == x86.AVX512BF16.Name {
		CMPB(arg(abi.Round), Imm(0))
		JEQ(LabelRef(t.label("floats")))
		t.roundedEpilogue()
		Label(t.label("floats"))
	}
	MOVQ(arg(abi.Res), RSI)
	TESTQ(RSI, RSI)
	JZ(LabelRef(t.label("clamp")))
	t.forPixels("res", RSI, abi.ResPix, abi.ResBlock, func(m Mem, acc VecPhysical) { VADDPS(m, acc, acc) })
	Label(t.label("clamp"))
	lo, hi := t.Last(1), t.Last(0)
	// Consecutive stores delay the next tile. Stores between other operations do not, even
	// if the bounds are infinite; see simd.NewTile.
	VBROADCASTSS(arg(abi.LoHi), lo)
	VBROADCASTSS(arg(abi.LoHi+4), hi)
	clamped := func(m Mem, acc VecPhysical) { clampAndStore(acc, lo, hi, m) }
	if t.b >= t.PerPixel() {
		t.store("out", clamped)
		return
	}
	CMPQ(arg(abi.OutPix), Imm(uint64(t.Bytes)))
	JEQ(LabelRef(t.label("side")))
	t.store("out", func(m Mem, acc VecPhysical) {
		clamped(m, acc)
		VXORPS(acc, acc, acc)
		m.Disp += t.Bytes
		VMOVUPS(acc, m)
	})
	Label(t.label("side"))
	t.store("side_out", clamped)
}

// store ends the tile. It calls op to store each accumulator.
func (t tile) store(name string, op func(m Mem, acc VecPhysical)) {
	MOVQ(arg(abi.Out), RBX)
	t.forPixels(name, RBX, abi.OutPix, abi.OutBlock, op)
	if t.halves {
		ADDQ(Imm(64), RCX)
		CMPQ(RCX, Imm(128))
		JNE(LabelRef(t.label("half")))
	}
	VZEROUPPER()
	RET()
}

// forPixels calls f with the address of each accumulator in an image. pix and block are
// the offsets of the arguments that hold the distances between pixels and between blocks
// of 16 channels.
func (t tile) forPixels(name string, base GPPhysical, pix, block int, f func(m Mem, acc VecPhysical)) {
	if t.halves {
		TESTQ(RCX, RCX)
		JZ(LabelRef(t.label(name)))
		ADDQ(arg(block), base)
		Label(t.label(name))
	}
	MOVQ(arg(pix), R9)
	for blk := 0; blk < t.b; blk += t.PerPixel() {
		MOVQ(base, R11)
		for i := range t.p {
			for v := range min(t.PerPixel(), t.b) {
				f(Mem{Base: R11, Disp: v * t.Bytes}, t.acc(blk+v, i))
			}
			if i < t.p-1 {
				ADDQ(R9, R11)
			}
		}
		if blk+t.PerPixel() < t.b {
			ADDQ(arg(block), base)
		}
	}
}

// peak writes a loop of independent multiply-adds on registers, which run at the peak rate
// of the core.
func (g generator) peak() {
	g.rounds("peak", func(acc VecPhysical) { VFMADD231PS(g.Last(1), g.Last(0), acc) })
}

// peakOfPairs is like peak, for pairs of bfloat16.
func (g generator) peakOfPairs() {
	g.rounds("pairPeak", func(acc VecPhysical) { x86.VDPBF16PS(g.Last(1), g.Last(0), acc) })
}

func (g generator) rounds(name string, multiplyAdd func(acc VecPhysical)) {
	accumulators := min(2*g.pixels, 24)
	g.Function(name, NOSPLIT)
	Load(Param("n"), RCX)
	for _, r := range g.Regs {
		VXORPS(r, r, r)
	}
	Label("loop")
	for i := range accumulators {
		multiplyAdd(g.Regs[i])
	}
	DECQ(RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
