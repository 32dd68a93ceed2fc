package main

import (
	"fmt"
	"strings"

	"modelc/internal/kernelgen/abi"
)

// maxPixels by 16 channels need 24 accumulators. With six vectors of input and two of
// weights they fill the 32 registers. A tile of 32 channels is computed in two parts,
// whose weights are every other 64 bytes; at most three pixels fit undivided. An input
// value that is a pair of bfloat16 takes two registers.
const (
	maxPixels    = 6
	accumulators = 24

	inputs  vec = 24 // the first of six vectors, one for each pixel
	weights vec = 30 // alternates with 31
)

func convolution(a *asm) {
	convKernel(a, "tile32", 32, 16)
	convKernel(a, "tile16", 16, 16)
	convKernel(a, "run32", 32, 1)
	convKernel(a, "run16", 16, 1)
	convKernel(a, "pair32", 32, 16)
	convKernel(a, "pair16", 16, 16)
	convKernel(a, "pairRun32", 32, 1)
	convKernel(a, "pairRun16", 16, 1)
	channelKernel(a, "depthwise", true, func(acc, x, w vec) { a.fma(acc, x, w) })
	channelKernel(a, "poolMax", false, func(acc, x, _ vec) { a.max(acc, acc, x) })
	channelKernel(a, "poolSum", false, func(acc, x, _ vec) { a.add(acc, acc, x) })

	a.text("peak", 8, 0)
	a.do("MOVD n+0(FP), R0")
	for v := range vec(32) {
		a.zero(v)
	}
	a.label("loop")
	for v := range vec(accumulators) {
		a.fma(v, weights, weights+1)
	}
	a.down("R0", "loop")
	a.do("RET")
}

// function starts a kernel. The code for each number of pixels follows.
func function(a *asm, name string) {
	a.text(name, 8, 0)
	a.do("MOVD a+0(FP), R0")
	a.do("MOVD %d(R0), R16", abi.Pixels)
	for p := maxPixels; p > 1; p-- { // 1 falls through
		a.do("CMP $%d, R16", p)
		a.do("BEQ p%d", p)
	}
}

// tile writes the code for p pixels by b vectors of output channels. The vectors of a
// pixel are consecutive registers.
//
// Registers: R0 holds the arguments, R1 the input block, R2 the weights, R3 the input row,
// R4 the input column, R5–R7 the counters of blocks, rows and columns, R8–R13 the pixels,
// R14 the offset of the weights of a part in a row of weights, R15 the address of weights
// to prefetch or of the next step of pairs, R19–R23 strides, and R24 the counter of a run.
// R16 and R17 are scratch.
type tile struct {
	*asm
	p, b  int
	row   int  // the size in bytes of the weights of an input value
	parts bool // whether one pass over the input computes b vectors of a larger row
	pairs bool // whether input values and weights are pairs of bfloat16
}

func (t tile) name(s string) string { return fmt.Sprintf("p%d_%s", t.p, s) }

func (t tile) acc(i, blk int) vec { return vec(i*t.b + blk) }

func (t tile) arg(off int, r string) { t.do("MOVD %d(R0), %s", off, r) }

func pointer(i int) string { return fmt.Sprintf("R%d", 8+i) }

func convKernel(a *asm, name string, width, unroll int) {
	function(a, name)
	for p := 1; p <= maxPixels; p++ {
		t := tile{asm: a, p: p, b: width / 4, row: width * 4, pairs: strings.HasPrefix(name, "pair")}
		for t.p*t.b > accumulators || t.pairs && t.p*(t.b+2) > int(weights) {
			t.b /= 2
			t.parts = true
		}
		t.convolution(unroll)
	}
}

func (t tile) convolution(unroll int) {
	p, b := t.p, t.b
	// Few accumulators would wait for one another. Several sets share the input
	// values.
	sets := 1
	if unroll > 1 && !t.pairs {
		sets = max(1, min(4, 16/(p*b)))
	}
	if p > 1 {
		t.label(fmt.Sprintf("p%d", p))
	}
	if t.parts {
		t.do("MOVD $0, R14")
		t.label(t.name("part"))
	}
	t.arg(abi.In, "R1")
	t.arg(abi.W, "R2")
	t.arg(abi.Bias, "R16")
	prefetch := unroll > 1 && t.row == 128 && !t.pairs
	if prefetch {
		t.arg(abi.Next, "R15")
		t.arg(abi.NextStep, "R23")
	}
	if t.parts {
		t.do("ADD R14, R2")
		t.do("ADD R14, R16")
		if prefetch {
			t.do("ADD R14, R15")
		}
	}
	for blk := 0; blk < b; blk += 4 {
		t.do("VLD1.P %d(R16), %s", 16*t.run(), t.acc(0, blk).list(t.run()))
	}
	for i := 1; i < p; i++ {
		for blk := range b {
			t.move(t.acc(i, blk), t.acc(0, blk))
		}
	}
	for i := b * p; i < sets*b*p; i++ {
		t.zero(vec(i))
	}
	t.window(true, func() {
		if t.pairs {
			t.products(unroll)
			return
		}
		if unroll == 1 {
			t.arg(abi.Run, "R24")
			t.label(t.name("run"))
			for i := range p {
				t.do("VLD1R.P 4(%s), [%v]", pointer(i), inputs+vec(i))
			}
			for blk := range b {
				w := weights + vec(blk%2)
				t.load(w, blk*16, "R2")
				for i := range p {
					t.fma(t.acc(i, blk), w, inputs+vec(i))
				}
			}
			t.do("ADD $%d, R2", t.row)
			t.down("R24", t.name("run"))
			return
		}
		for c := range unroll {
			if c%4 == 0 { // a vector has four input channels
				for i := range p {
					t.load(inputs+vec(i), c*4, pointer(i))
				}
			}
			if prefetch && c%4 == 0 {
				t.prefetch(c/4, c/4+1)
			}
			set := vec(c % sets * b * p)
			for blk := range b {
				w := weights + vec(blk%2)
				t.load(w, c*t.row+blk*16, "R2")
				for i := range p {
					t.fmaLane(set+t.acc(i, blk), w, inputs+vec(i), c%4)
				}
			}
		}
		t.do("ADD $%d, R2", unroll*t.row)
		if prefetch {
			for n := 4; n < unroll; n *= 2 { // if few tiles share the prefetches
				t.do("CMP $%d, R23", n*t.row)
				t.do("BLE %s", t.name("asked"))
				t.prefetch(n, 2*n)
			}
			t.label(t.name("asked"))
			t.do("ADD R23, R15")
		}
	})
	for n := sets; n > 1; n = (n + 1) / 2 {
		half := (n + 1) / 2 * b * p
		for i := half; i < n*b*p; i++ {
			t.add(vec(i-half), vec(i-half), vec(i))
		}
	}
	t.epilogue()
}

// products adds the products of the pairs of bfloat16 of a step. They are exact: a product
// of the upper halves follows that of the lower ones of the pair before, as in
// simd.Tile.computePairs.
func (t tile) products(unroll int) {
	in := vec(t.p * t.b)
	upper := func(i int) vec { return in + vec(i) }
	lower := func(i int) vec { return in + vec(t.p+i) }
	n := 4 // a vector has four pairs
	if unroll == 1 {
		n = 1
		t.arg(abi.Run, "R24")
	} else {
		t.do("ADD $%d, R2, R15", unroll*t.row) // the weights of the next step
		t.do("MOVD $%d, R24", unroll/n)
		t.arg(abi.Half, "R16")
		t.do("CBZ R16, %s", t.name("run"))
		t.do("CMP $1, R5")
		t.do("BNE %s", t.name("run"))
		t.do("MOVD $%d, R24", unroll/n/2) // the last block
	}
	t.label(t.name("run"))
	for i := range t.p {
		if n == 1 {
			t.do("VLD1R.P 4(%s), [%v]", pointer(i), upper(i))
		} else {
			t.do("VLD1.P 16(%s), [%v]", pointer(i), upper(i))
		}
		t.do("VSHL $16, %v, %v", upper(i), lower(i))
		t.upperHalf(upper(i))
	}
	for c := range n {
		for blk := range t.b {
			t.load(weights, c*t.row+blk*16, "R2")
			t.do("VSHL $16, %v, %v", weights, weights+1)
			t.upperHalf(weights)
			for i := range t.p {
				t.fmaLane(t.acc(i, blk), weights, upper(i), c)
			}
			for i := range t.p {
				t.fmaLane(t.acc(i, blk), weights+1, lower(i), c)
			}
		}
	}
	t.do("ADD $%d, R2", n*t.row)
	t.down("R24", t.name("run"))
	if unroll > 1 {
		t.do("MOVD R15, R2")
	}
}

// prefetch requests the weights of the input values from ≤ c < to of a later step. With
// parts, it requests those of the current part.
func (t tile) prefetch(from, to int) {
	for c := from; c < to; c++ {
		for off := 0; off < t.b*16; off += 64 {
			t.do("PRFM %d(R15), PLDL2KEEP", c*t.row+off)
		}
	}
}

// window emits f for every tap of the window, with registers that point to the pixels. If
// blocks is set, it does so for every block of input channels.
func (t tile) window(blocks bool, f func()) {
	t.arg(abi.Pix, "R22")
	t.arg(abi.RowStride, "R20")
	t.arg(abi.ColStride, "R21")
	if blocks {
		t.arg(abi.BlockStride, "R19")
		t.arg(abi.Blocks, "R5")
		t.label(t.name("block"))
	}
	t.do("MOVD R1, R3")
	t.arg(abi.Rows, "R6")
	t.label(t.name("row"))
	t.do("MOVD R3, R4")
	t.arg(abi.Cols, "R7")
	t.label(t.name("col"))
	t.do("MOVD R4, %s", pointer(0))
	for i := 1; i < t.p; i++ {
		t.do("ADD R22, %s, %s", pointer(i-1), pointer(i))
	}
	f()
	t.do("ADD R21, R4")
	t.down("R7", t.name("col"))
	t.do("ADD R20, R3")
	t.down("R6", t.name("row"))
	if blocks {
		t.do("ADD R19, R1")
		t.down("R5", t.name("block"))
	}
}

// channelKernel writes a kernel that computes each channel alone. For every tap of the
// window, it applies step to the four vectors of each pixel. filter reports whether a tap
// has weights, four vectors.
func channelKernel(a *asm, name string, filter bool, step func(acc, x, w vec)) {
	const x, w vec = 24, 28
	function(a, name)
	for p := 1; p <= maxPixels; p++ {
		t := tile{asm: a, p: p, b: 4}
		if p > 1 {
			t.label(fmt.Sprintf("p%d", p))
		}
		t.arg(abi.In, "R1")
		if filter {
			t.arg(abi.W, "R2")
		}
		t.arg(abi.Bias, "R16")
		for i := range p {
			t.do("VLD1 (R16), %s", t.acc(i, 0).list(4))
		}
		t.window(false, func() {
			if filter {
				t.do("VLD1.P 64(R2), %s", w.list(4))
			}
			for i := range p {
				t.do("VLD1 (%s), %s", pointer(i), x.list(4))
				for v := range 4 {
					step(t.acc(i, v), x+vec(v), w+vec(v))
				}
			}
		})
		t.epilogue()
	}
}

// epilogue adds the residual, clamps and stores.
func (t tile) epilogue() {
	const x vec = 24
	t.arg(abi.Res, "R16")
	t.do("CBZ R16, %s", t.name("clamp"))
	t.forPixels("res", abi.ResPix, abi.ResBlock, func(acc vec) {
		t.do("VLD1 (R17), %s", x.list(t.run()))
		for v := range vec(t.run()) {
			t.add(acc+v, acc+v, x+v)
		}
	})
	t.label(t.name("clamp"))
	t.arg(abi.Clamp, "R16")
	t.do("CBZ R16, %s", t.name("store"))
	lo, hi := x, x+1
	t.do("ADD $%d, R0, R16", abi.LoHi)
	t.broadcast(lo, "R16")
	t.do("ADD $4, R16")
	t.broadcast(hi, "R16")
	for i := range vec(t.p * t.b) {
		t.clamp(i, lo, hi)
	}
	t.label(t.name("store"))
	t.arg(abi.Out, "R16")
	t.forPixels("out", abi.OutPix, abi.OutBlock, func(acc vec) { t.do("VST1 %s, (R17)", acc.list(t.run())) })
	if t.parts {
		t.do("ADD $%d, R14", 16*t.b)
		t.do("CMP $%d, R14", t.row)
		t.do("BNE %s", t.name("part"))
	}
	t.do("RET")
}

// run returns the number of vectors of a pixel that lie side by side in the image: those of a
// block of 16 channels, or those of a smaller part.
func (t tile) run() int { return min(t.b, 4) }

// forPixels emits f for the first of the vectors of each pixel and block of 16 channels. R17
// points to their place in the image, which starts at R16.
func (t tile) forPixels(name string, pix, block int, f func(acc vec)) {
	t.arg(pix, "R20")
	t.arg(block, "R21")
	if t.parts {
		if t.row > 64 {
			t.do("CMP $64, R14")
			t.do("BLT %s", t.name(name))
			t.do("ADD R21, R16")
			t.label(t.name(name))
		}
		if t.b < 4 {
			t.do("AND $63, R14, R17")
			t.do("ADD R17, R16")
		}
	}
	for blk := 0; blk < t.b; blk += 4 {
		t.do("MOVD R16, R17")
		for i := range t.p {
			f(t.acc(i, blk))
			t.do("ADD R20, R17")
		}
		t.do("ADD R21, R16")
	}
}
