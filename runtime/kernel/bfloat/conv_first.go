package bfloat

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// ConvFirst is a convolution of the few channels of a picture, as [kernel.ConvFirst]. It
// rounds its operand. The values of a row of a filter are consecutive in scratch, and
// neighbours are pairs. If their number is odd, the last one is paired with the value behind
// it, whose weight is zero.
type ConvFirst struct {
	Src        kernel.Ref // float32 [N,C,H,W], or [N,H,W,C] when NHWC is set
	NHWC       bool
	N, C, H, W int
	Dst        kernel.Image // BFloat16
	Wt         kernel.Ref   // bfloat16 [ceil(OC/32)][KH][ceil(KW·C/2)][32][2], the last block may be 16 wide
	Bias       kernel.Ref   // [OC padded to 16], absent for none
	Act        kernel.Act   // a clamp
	KH, KW     int
	SH, SW     int
	DH         int
	PadTop     int
	PadLeft    int
}

// Check declares the memory of the step.
func (k *ConvFirst) Check(v *kernel.Verifier) {
	image(v, "Dst", &k.Dst, true)
	v.Positive("extents", k.N, k.C, k.H, k.W)
	_, _, clamps := k.Act.Clamp()
	v.Require(k.N == k.Dst.N && k.PadTop >= 0 && k.PadLeft >= 0 && clamps, "the operand or the activation does not fit")
	top, bottom := v.Window(k.Dst.H, k.SH, k.KH, k.DH, k.PadTop)
	left, right := v.Window(k.Dst.W, k.SW, k.KW, 1, k.PadLeft)
	channels(v, "Bias", k.Bias, k.Dst.C)
	v.Act(k.Act.Fn)
	if v.Failed() {
		return
	}
	v.Require(kernel.Product(int(bottom-top)+1, int(right-left)+2, k.C) <= kernel.MaxExtent*kernel.MaxExtent, "the padded operand is too large")
	v.Read("Src", k.Src, 4, kernel.Product(k.N, k.C, k.H, k.W))
	weights(v, "Wt", k.Wt, false, kernel.Product(team.Split(k.Dst.C, lanes), lanes, k.KH, k.pairs()))
	if !v.Failed() {
		v.Scratch(int64(k.ScratchBytes()))
	}
}

// pairs returns the number of pairs of a row of a filter.
func (k *ConvFirst) pairs() int { return team.Split(k.KW*k.C, 2) }

// row returns the number of elements of a padded row of the operand, whole vectors.
func (k *ConvFirst) row() int {
	return team.Split(((k.Dst.W-1)*k.SW+k.KW)*k.C+1, block) * block
}

func (k *ConvFirst) inRows(rows int) int { return (rows-1)*k.SH + (k.KH-1)*k.DH + 1 }

// rows returns the number of rows of the result that a part computes. Their operands take
// about an eighth of L2.
func (k *ConvFirst) rows() int {
	rows := 1
	for rows < k.Dst.H && 2*k.inRows(rows+1)*k.row() <= regionBytes/4 {
		rows++
	}
	return rows
}

// ScratchBytes is the size of the padded rows of a part, and of a row of float32.
func (k *ConvFirst) ScratchBytes() int { return 2*k.inRows(k.rows())*k.row() + 4*k.W*k.C }

// Run computes the convolution.
func (k *ConvFirst) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.N*team.Split(k.Dst.H, k.rows()), k.N*k.Dst.H*k.Dst.W*k.Dst.C*k.C*k.KH*k.KW/simd.Active().MACs, k)
}

// Part computes a few rows.
func (k *ConvFirst) Part(c *kernel.Context, i, worker int) {
	parts := team.Split(k.Dst.H, k.rows())
	n, y0, y1 := i/parts, team.Cut(k.Dst.H, parts, i%parts), team.Cut(k.Dst.H, parts, i%parts+1)
	scratch, row := c.Scratch(worker), k.row()
	in := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(scratch))), k.inRows(y1-y0)*row)
	line := floats(scratch[2*len(in):])[:k.W*k.C]
	for r := range k.inRows(y1 - y0) {
		k.gather(c, in[r*row:][:row], line, n, y0*k.SH-k.PadTop+r)
	}
	a := simd.NewTile(false)
	a.Pairs, a.Run, a.Blocks, a.Rows, a.Cols = true, k.pairs(), 1, k.KH, 1
	a.Pix, a.RowStride = 2*k.SW*k.C, 2*k.DH*row
	a.Lo, a.Hi, _ = k.Act.Clamp()
	if k.Act.Fn != kernel.ActIdentity {
		a.Clamp = 1
	}
	for ob := range kernel.OutBlocks(k.Dst.C) {
		a.W, a.Bias = unsafe.Pointer(&pairs(c, k.Wt)[ob*block*k.KH*k.pairs()]), biasOf(c, k.Bias, ob)
		for y := y0; y < y1; y++ {
			a.In, a.Out = unsafe.Pointer(&in[(y-y0)*k.SH*row]), unsafe.Pointer(&pairs(c, k.Dst.Ref)[at(&k.Dst, n, ob, y, 0)])
			a.RoundLine(kernel.BlockWidth(k.Dst.C, ob), k.Dst.W)
		}
	}
}

// gather rounds row y of image n to dst, with zeros around. line is memory for the row.
func (k *ConvFirst) gather(c *kernel.Context, dst []uint16, line []float32, n, y int) {
	if y < 0 || y >= k.H {
		clear(dst)
		return
	}
	from := min(k.PadLeft*k.C, len(dst))
	to := min(from+k.W*k.C, len(dst))
	src := c.F32(k.Src)[n*k.C*k.H*k.W:]
	if k.NHWC || k.C == 1 {
		line = src[y*k.W*k.C:][:k.W*k.C]
	} else {
		k.interleave(line, src[y*k.W:])
	}
	clear(dst[:from])
	simd.RoundPixels(dst[from:to], line[:to-from])
	clear(dst[to:])
}

// interleave writes a row of pixels, whose channels are planes in src, to line.
func (k *ConvFirst) interleave(line, src []float32) {
	done, plane := 0, k.H*k.W
	if n := k.W / 16; k.C == 3 && n > 0 && simd.Interleave3(&line[0], &src[0], &src[plane], &src[2*plane], n) {
		done = 16 * n
	}
	for ch := range k.C {
		for x := done; x < k.W; x++ {
			line[x*k.C+ch] = src[ch*plane+x]
		}
	}
}

// Uses lists the micro-kernels that the convolution calls.
func (*ConvFirst) Uses(_ *simd.Tier, use func(micro string, pixels int)) {
	use("PairRun32", kernel.AnyPixels)
	use("PairRun16", kernel.AnyPixels)
	use("Interleave3", kernel.AnyPixels)
}
