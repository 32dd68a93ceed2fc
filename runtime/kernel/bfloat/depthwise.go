package bfloat

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Depthwise is a convolution with one filter per channel. Operands are as in [Conv]. The
// weights are values of bfloat16.
type Depthwise struct {
	Src, Dst        kernel.Image // BFloat16
	W               kernel.Ref   // float32 [ceil(C/32)][2][KH][KW][16]
	Bias            kernel.Ref   // [C padded to 16], absent for none
	Residual        kernel.Image
	Act             kernel.Act
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
}

// Check declares the memory of the step.
func (k *Depthwise) Check(v *kernel.Verifier) {
	image(v, "Src", &k.Src, false)
	v.Require(k.Src.N == k.Dst.N && k.Src.Blocks() == k.Dst.Blocks(), "the extents of the operands differ")
	inside := v.Windows(k.filter(), k.Dst.H, k.Dst.W, &k.Src)
	v.Require(inside, "a window leaves the border of the operand")
	k.checkOperands(v)
	if !v.Failed() {
		v.Scratch(2 * (kernel.Product(k.KH, k.cols(), pixelBytes) + kernel.Product(k.Dst.W, pixelBytes)))
	}
}

func (k *Depthwise) filter() kernel.Filter {
	return kernel.Filter{KH: k.KH, KW: k.KW, SH: k.SH, SW: k.SW, DH: k.DH, DW: k.DW, PadTop: k.PadTop, PadLeft: k.PadLeft}
}

// checkOperands declares the operands but the image that is read.
func (k *Depthwise) checkOperands(v *kernel.Verifier) {
	image(v, "Dst", &k.Dst, true)
	if k.Residual.N != 0 {
		image(v, "Residual", &k.Residual, false)
		v.Same(&k.Residual, &k.Dst)
	}
	channels(v, "Bias", k.Bias, k.Dst.C)
	v.Act(k.Act.Fn)
	if !v.Failed() {
		v.Read("W", k.W, 4, kernel.Product(k.Dst.Blocks(), block, k.KH, k.KW))
	}
}

func (k *Depthwise) inRows(rows int) int { return (rows-1)*k.SH + (k.KH-1)*k.DH + 1 }

// cols returns the number of columns that the windows of a row cover.
func (k *Depthwise) cols() int { return (k.Dst.W-1)*k.SW + (k.KW-1)*k.DW + 1 }

// ScratchBytes is the size of the rows that the windows of a row of results cover, and of
// that row, in float32.
func (k *Depthwise) ScratchBytes() int { return 2 * (k.KH*k.cols() + k.Dst.W) * pixelBytes }

// rowsPerRange is the minimum number of rows of a block that a part computes.
const rowsPerRange = 4

// ranges returns the number of ranges into which the rows of a block are cut, so that every
// worker finds work.
func (k *Depthwise) ranges(c *kernel.Context) int {
	blocks := k.Dst.N * k.Dst.Blocks()
	if c.Threads() == 1 || blocks >= 4*c.Threads() {
		return 1
	}
	return min(team.Split(k.Dst.H, rowsPerRange), team.Split(4*c.Threads(), blocks))
}

// Run computes the convolution.
func (k *Depthwise) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Dst.Blocks()*k.ranges(c), k.Dst.Size()*k.KH*k.KW/simd.Active().MACs, k)
}

// Part computes rows of a block.
func (k *Depthwise) Part(c *kernel.Context, i, worker int) {
	ranges := k.ranges(c)
	y0, y1 := team.Cut(k.Dst.H, ranges, i%ranges), team.Cut(k.Dst.H, ranges, i%ranges+1)
	n, b := i/ranges/k.Dst.Blocks(), i/ranges%k.Dst.Blocks()
	src := pairs(c, k.Src.Ref)[at(&k.Src, n, b, y0*k.SH-k.PadTop, -k.PadLeft):]
	k.rows(c, n, b, y0, y1, src, k.Src.Row()/2, floats(c.Scratch(worker)))
}

// rows computes rows y0 ≤ y < y1 of block b of image n. src starts with the first tap of row
// y0. Its rows are row pairs apart.
func (k *Depthwise) rows(c *kernel.Context, n, b, y0, y1 int, src []uint32, row int, scratch []float32) {
	var bias [block]float32
	if k.Bias.Present() {
		all := c.F32(k.Bias)
		copy(bias[:], all[b*block:min(len(all), (b+1)*block)])
	}
	w := c.F32(k.W)[b*block*k.KH*k.KW:][:block*k.KH*k.KW]
	a := simd.NewTile(false)
	a.Pix, a.Rows, a.Cols = k.SW*pixelBytes, k.KH, k.KW
	a.RowStride, a.ColStride = k.DH*row*4, k.DW*pixelBytes
	a.W, a.Bias, a.BlockStride = unsafe.Pointer(&w[0]), unsafe.Pointer(&bias), len(w)/2*4
	clamps := false
	a.Lo, a.Hi, clamps = k.Act.Clamp()
	if k.Act.Fn != kernel.ActIdentity {
		a.Clamp = 1
	}
	for y := y0; y < y1; y++ {
		in := src[(y-y0)*k.SH*row:]
		dst := pairs(c, k.Dst.Ref)[at(&k.Dst, n, b, y, 0):][:k.Dst.W*lanes]
		var residual []uint32
		if k.Residual.N > 0 {
			residual = pairs(c, k.Residual.Ref)[at(&k.Residual, n, b, y, 0):][:len(dst)]
		}
		if !clamps || !a.RoundDepthwise(unsafe.Pointer(&in[0]), unsafe.Pointer(&dst[0]), unsafe.Pointer(unsafe.SliceData(residual)), k.Dst.W) {
			k.row(in, row, w, &bias, dst, residual, scratch)
		}
	}
}

// row computes a row in float32. in starts with its first window, and its rows are stride
// pairs apart.
func (k *Depthwise) row(in []uint32, stride int, w []float32, bias *[block]float32, dst, residual []uint32, scratch []float32) {
	row := k.cols() * lanes
	var windows, out [2][]float32
	for h := range 2 {
		windows[h], scratch = scratch[:k.KH*row], scratch[k.KH*row:]
		out[h], scratch = scratch[:len(dst)], scratch[len(dst):]
	}
	for r := range k.KH {
		simd.WidenPairs(windows[0][r*row:], windows[1][r*row:], in[r*k.DH*stride:][:row])
	}
	a := simd.NewTile(false)
	a.Pix, a.OutPix, a.Rows, a.RowStride, a.Cols, a.ColStride = k.SW*pixelBytes, pixelBytes, k.KH, row*4, k.KW, k.DW*pixelBytes
	for h := range 2 {
		a.W, a.Bias = unsafe.Pointer(&w[h*len(w)/2]), unsafe.Pointer(&bias[h*lanes])
		a.DepthwiseLines(unsafe.Pointer(&windows[h][0]), unsafe.Pointer(&out[h][0]), nil, k.Dst.W, 1)
	}
	store(dst, out[0], out[1], residual, k.Act)
}

// Uses lists no micro-kernel that a copy of the runtime may omit.
func (*Depthwise) Uses(*simd.Tier, func(micro string, pixels int)) {}
