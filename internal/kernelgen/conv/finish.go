package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"modelc/internal/kernelgen/abi"
	"modelc/internal/kernelgen/x86"
)

// lastValues is the number of input values that a tile multiplies pixel by pixel. The
// products of a pixel then take as long as its clamps and stores.
const lastValues = 3

// finishes reports whether the tile multiplies its last input values pixel by pixel. All
// other values are multiplied one after the other. If the last ones were, too, the clamps
// and stores of all pixels would follow together, and fill the queues of the processor
// while the products of the next tile wait behind them. Tiles of few pixels are rare, and
// would only add code. Tiles of AVX2, and those of 16 channels, do not gain.
func (t tile) finishes() bool {
	return t.Bytes == 64 && t.b == 2 && !t.pairs && t.sets == 1 && t.p >= 7
}

// branchToFinish goes to the code of finish if the input values that follow are the last
// of the tile, and it has no residual. half reports whether they are the last of a block
// of 8 channels.
func (t tile) branchToFinish(name string, half bool) {
	more := t.label("more_" + name)
	for _, counter := range []GPPhysical{R8, R10, R12} {
		CMPQ(counter, Imm(1))
		JNE(LabelRef(more))
	}
	if half {
		CMPQ(arg(abi.Half), Imm(1))
		JNE(LabelRef(more))
	}
	CMPQ(arg(abi.Res), Imm(0))
	JEQ(LabelRef(t.label(name)))
	Label(more)
}

// finish multiplies the last input values, which start at position from of the step,
// clamps and stores. Each accumulator sums in the same order as without finish.
func (t tile) finish(name string, from int, prefetch bool) {
	Label(t.label(name))
	if prefetch {
		t.prefetchMore("asked_" + name)
	}
	lo, hi := t.Last(1), t.Last(0)
	VBROADCASTSS(arg(abi.LoHi), lo)
	VBROADCASTSS(arg(abi.LoHi+4), hi)
	out := []GPPhysical{RSI, R8}
	MOVQ(arg(abi.Out), RSI)
	MOVQ(arg(abi.OutBlock), R8)
	ADDQ(RSI, R8)
	MOVQ(arg(abi.OutPix), R9)
	for i := range t.p {
		for c := from; c < from+lastValues; c++ {
			x := t.Last(2 + c%2)
			VBROADCASTSS(x86.Pixel(i, 4*c), x)
			for blk := range out {
				w := Mem{Base: RDX, Disp: c*t.row + blk*t.Bytes}
				VFMADD231PS(w, t.part(x, blk), t.part(t.acc(blk, i), blk))
			}
		}
		for blk, base := range out {
			clampAndStore(t.acc(blk, i), lo, hi, Mem{Base: base})
			if i < t.p-1 {
				ADDQ(R9, base)
			}
		}
	}
	VZEROUPPER()
	RET()
}

// clampAndStore stores acc between the bounds lo and hi. If one operand is NaN, the result
// is the first operand.
func clampAndStore(acc, lo, hi VecPhysical, m Mem) {
	VMAXPS(acc, lo, acc)
	VMINPS(acc, hi, acc)
	VMOVUPS(acc, m)
}
