package bfloat

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Conv is a convolution with any filter, stride and dilation. As in neural networks, it is
// a correlation: the filter is not flipped.
//
//	Dst = Act(conv(Pre(Src·Scale+Shift), W) + Bias + Residual)
//
// All of it but the products is computed in float32. The border of Src holds the padding,
// which is zero after the prologue. The result of the prologue is rounded to bfloat16.
type Conv struct {
	Src, Dst     kernel.Image // BFloat16
	W            kernel.Ref   // bfloat16 [ceil(OC/32)][ceil(IC/32)][KH][KW][16][32][2], see Folds and backend/cpu/pack
	Bias         kernel.Ref   // [OC padded to 16], absent for none
	Residual     kernel.Image // the extents of Dst, any border and strides; N = 0 for none. It may be Dst.
	Scale, Shift kernel.Ref   // [IC padded to 16], absent for none
	Pre, Act     kernel.Act
	KH, KW       int
	SH, SW       int
	DH, DW       int
	// PadTop and PadLeft are the numbers of border rows and columns that the first
	// window covers, at most Src.Top and Src.Left. Negative numbers crop.
	PadTop, PadLeft int
}

const (
	// lineTiles is the number of register tiles that are computed together. If their
	// sums need an activation, they stay in L1.
	lineTiles = 4
	sumFloats = lineTiles * simd.MaxTilePixels * lanes // of 16 channels
	// regionBytes is the maximum size of the transformed input of a part. It is less than
	// half of a typical L2 cache.
	regionBytes = 256 << 10
)

// Folds reports whether convolutions of c input channels fold the last block of their
// operand: it has at most 16 channels, which they move to 8 pairs of whole channels. With
// many channels, the copy costs more than the empty halves of a block.
func Folds(c int) bool { return (c-1)%block < lanes && c <= 2*block }

// transforms reports whether parts copy their input to scratch to apply a prologue or to
// fold it.
func (k *Conv) transforms() bool { return Folds(k.Src.C) || k.prologue() }
func (k *Conv) prologue() bool {
	return k.Scale.Present() || k.Shift.Present() || k.Pre.Fn != kernel.ActIdentity
}

// grid returns the output as rows of pixels. The output of a 1×1 convolution on images
// without borders is one long row.
func (k *Conv) grid() (rows, width int, flat bool) {
	if k.KH == 1 && k.KW == 1 && k.SH == 1 && k.SW == 1 && k.PadTop == 0 && k.PadLeft == 0 &&
		tight(&k.Src) && tight(&k.Dst) && tight(&k.Residual) && k.Src.H == k.Dst.H && k.Src.W == k.Dst.W {
		return 1, k.Dst.H * k.Dst.W, true
	}
	return k.Dst.H, k.Dst.W, false
}

// Check declares the memory of the step.
func (k *Conv) Check(v *kernel.Verifier) {
	image(v, "Src", &k.Src, false)
	image(v, "Dst", &k.Dst, true)
	if k.Residual.N != 0 {
		image(v, "Residual", &k.Residual, false)
		v.Same(&k.Residual, &k.Dst)
	}
	inside := v.Windows(kernel.Filter{KH: k.KH, KW: k.KW, SH: k.SH, SW: k.SW, DH: k.DH, DW: k.DW, PadTop: k.PadTop, PadLeft: k.PadLeft}, k.Dst.H, k.Dst.W, &k.Src)
	v.Require(inside, "a window leaves the border of the operand")
	v.Require(k.Src.N == k.Dst.N, "the extents of the operands differ")
	if v.Failed() {
		return
	}
	k.checkChannels(v)
	channels(v, "Scale", k.Scale, k.Src.C)
	channels(v, "Shift", k.Shift, k.Src.C)
	v.Act(k.Pre.Fn)
	if v.Failed() || !k.transforms() {
		return
	}
	rows, cols := k.region()
	v.Scratch(kernel.Product(k.Src.Blocks(), k.inRows(rows), k.inCols(cols), pixelBytes) + 2*kernel.Product(k.inCols(cols), pixelBytes) + 4*int64(k.sums()))
}

// checkChannels declares the weights and the bias.
func (k *Conv) checkChannels(v *kernel.Verifier) {
	if v.Failed() {
		return
	}
	weights(v, "W", k.W, false, kernel.Product(team.Split(k.Dst.C, lanes), lanes, k.Src.Blocks(), k.KH, k.KW, lanes))
	channels(v, "Bias", k.Bias, k.Dst.C)
	v.Act(k.Act.Fn)
}

// foldedBlock returns the number of the block that is folded, or -1.
func foldedBlock(src *kernel.Image) int {
	if Folds(src.C) {
		return src.Blocks() - 1
	}
	return -1
}

// inRows and inCols return the numbers of rows and columns that rows and cols of the
// output read.
func (k *Conv) inRows(rows int) int { return (rows-1)*k.SH + (k.KH-1)*k.DH + 1 }
func (k *Conv) inCols(cols int) int { return (cols-1)*k.SW + (k.KW-1)*k.DW + 1 }

// region returns the extents, in output pixels, of a part that transforms its input.
func (k *Conv) region() (rows, cols int) {
	h, w, flat := k.grid()
	pixel := k.Src.Blocks() * pixelBytes
	if flat {
		tile := simd.Active().TilePixels
		return 1, min(max(1, regionBytes/pixel/tile)*tile, w)
	}
	fit := regionBytes / (pixel * k.inCols(w)) // rows of input
	return min(max(1, (fit-k.inRows(1))/k.SH+1), h), w
}

// sums returns the number of floats of the sums of a line of tiles. If the activation is a
// clamp, tiles compute it themselves and need none.
func (k *Conv) sums() int {
	if _, _, clamps := k.Act.Clamp(); clamps {
		return 0
	}
	return 2 * sumFloats
}

// ScratchBytes is the size of the sums of a line of tiles, and of the transformed input.
func (k *Conv) ScratchBytes() int {
	n := k.sums()
	if k.transforms() {
		rows, cols := k.region()
		n += (k.Src.Blocks()*k.inRows(rows) + 2) * k.inCols(cols) * lanes
	}
	return 4 * n
}

// Run computes the convolution.
func (k *Conv) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	work := k.Dst.N * k.Dst.H * k.Dst.W * k.Dst.C * k.Src.C * k.KH * k.KW / simd.Active().MACs
	if k.transforms() {
		c.Do(k.regions()*k.slices(c), work, (*convTransformed)(k))
		return
	}
	c.Do(k.Dst.N*k.units()*k.chunks(c), work, (*convDirect)(k))
}

func (k *Conv) units() int             { return kernel.Units(&k.Dst, 1) }
func (k *Conv) unit(i int) kernel.Unit { return kernel.UnitOf(&k.Src, &k.Dst, 1, i) }

// chunks returns the number of pieces into which the tiles of one unit are cut, so that
// every worker finds work. If there are few pieces, every worker gets the same number.
func (k *Conv) chunks(c *kernel.Context) int {
	threads := c.Threads()
	if threads == 1 {
		return 1
	}
	rows, width, _ := k.grid()
	runs := k.Dst.N * k.units()
	n := team.Split(4*threads, runs)
	for n > 1 && runs*n%threads != 0 {
		n++
	}
	return min(rows*team.Split(width, simd.Active().TilePixels), n)
}

// regions returns the number of regions of the output.
func (k *Conv) regions() int {
	rows, cols := k.region()
	h, w, _ := k.grid()
	return k.Dst.N * team.Split(h, rows) * team.Split(w, cols)
}

// slices returns the number of ranges of output channels into which a region is cut, so
// that few regions occupy every worker. Each slice repeats the prologue.
func (k *Conv) slices(c *kernel.Context) int {
	n, threads := 1, c.Threads()
	for n < k.units() && k.regions()*n < 4*threads && k.regions()*n%threads != 0 {
		n++
	}
	return n
}

// convDirect computes tiles straight from the input image.
type convDirect Conv

func (j *convDirect) Part(c *kernel.Context, i, worker int) {
	k := (*Conv)(j)
	rows, width, _ := k.grid()
	chunks, units := k.chunks(c), k.units()
	n, unit, chunk := i/(units*chunks), i/chunks%units, i%chunks
	u := k.unit(unit)
	src := pairs(c, k.Src.Ref)
	sums := floats(c.Scratch(worker))[:k.sums()]
	a := k.tile(c, u, sums)
	a.Pix = k.SW * pixelBytes
	a.BlockStride, a.RowStride, a.ColStride = k.Src.PlaneBytes(), k.DH*k.Src.RowBytes(), k.DW*pixelBytes
	perRow := team.Split(width, simd.Active().TilePixels)
	t0, t1 := team.Cut(rows*perRow, chunks, chunk), team.Cut(rows*perRow, chunks, chunk+1)
	if unit < units-1 {
		a.AheadOf(u.Width, t1-t0)
	}
	for t := t0; t < t1; {
		y, xi := t/perRow, t%perRow
		run := min(t1-t, perRow-xi, lineTiles)
		x, end := team.Cut(width, perRow, xi), team.Cut(width, perRow, xi+run)
		a.In = unsafe.Pointer(&src[at(&k.Src, n, u.In, y*k.SH-k.PadTop, x*k.SW-k.PadLeft)])
		k.output(c, &a, sums, n, u, y, x, end-x)
		t += run
	}
}

// tile returns the arguments of tiles of unit u. Unless sums is empty, they write their sums
// to it.
func (k *Conv) tile(c *kernel.Context, u kernel.Unit, sums []float32) simd.Tile {
	a := simd.NewTile(false)
	a.Pairs = true
	a.Rows, a.Cols, a.Blocks = k.KH, k.KW, u.Blocks
	a.W = unsafe.Pointer(&pairs(c, k.W)[u.Before*u.Blocks*lanes*k.KH*k.KW])
	a.Bias = biasOf(c, k.Bias, u.Out/2)
	if Folds(k.Src.C) {
		a.Half = 1
	}
	if len(sums) == 0 {
		a.Lo, a.Hi, _ = k.Act.Clamp()
		if k.Act.Fn != kernel.ActIdentity {
			a.Clamp = 1
		}
		return a
	}
	a.OutPix, a.OutBlock = pixelBytes, 4*sumFloats
	return a
}

// output computes the given number of pixels of output row y, starting at column x.
func (k *Conv) output(c *kernel.Context, a *simd.Tile, sums []float32, n int, u kernel.Unit, y, x, pixels int) {
	dst := pairs(c, k.Dst.Ref)[at(&k.Dst, n, u.Out/2, y, x):][:pixels*lanes]
	var residual []uint32
	if k.Residual.N > 0 {
		residual = pairs(c, k.Residual.Ref)[at(&k.Residual, n, u.Out/2, y, x):][:pixels*lanes]
	}
	if len(sums) == 0 {
		a.Out, a.Res = unsafe.Pointer(&dst[0]), unsafe.Pointer(unsafe.SliceData(residual))
		a.RoundLine(u.Width, pixels)
		return
	}
	if u.Width == lanes {
		clear(sums[sumFloats:])
	}
	a.Out = unsafe.Pointer(&sums[0])
	a.Line(u.Width, pixels)
	store(dst, sums, sums[sumFloats:], residual, k.Act)
}

// convTransformed applies the prologue to the input of a region, writes it to scratch, and
// computes a range of output channels from there.
type convTransformed Conv

func (j *convTransformed) Part(c *kernel.Context, i, worker int) {
	k := (*Conv)(j)
	slices := k.slices(c)
	slice := i % slices
	i /= slices
	rows, cols := k.region()
	h, w, flat := k.grid()
	rp, cp := team.Split(h, rows), team.Split(w, cols)
	ri, ci := i/cp%rp, i%cp
	n := i / cp / rp
	y0, y1 := team.Cut(h, rp, ri), team.Cut(h, rp, ri+1)
	x0, x1 := team.Cut(w, cp, ci), team.Cut(w, cp, ci+1)
	ih, iw := k.inRows(y1-y0), k.inCols(x1-x0)
	scratch := c.Scratch(worker)
	sums := floats(scratch)[:k.sums()]
	row := floats(scratch)[len(sums):][:2*iw*lanes]
	in := words(scratch)[len(sums)+len(row):][:k.Src.Blocks()*ih*iw*lanes]
	p := prologue{c.F32(k.Scale), c.F32(k.Shift), k.Pre}
	m := k.Src
	if flat {
		m.H, m.W = 1, m.H*m.W
	}
	fold := foldedBlock(&k.Src)
	for b := range m.Blocks() {
		for y := range ih {
			to := in[(b*ih+y)*iw*lanes:][:iw*lanes]
			p.window(c, &m, n, b, y0*k.SH-k.PadTop+y, x0*k.SW-k.PadLeft, to, row)
			if b == fold {
				simd.FoldPairs(to)
			}
		}
	}
	perRow := team.Split(x1-x0, simd.Active().TilePixels)
	for i := team.Cut(k.units(), slices, slice); i < team.Cut(k.units(), slices, slice+1); i++ {
		u := k.unit(i)
		a := k.tile(c, u, sums)
		a.Pix = k.SW * pixelBytes
		a.BlockStride, a.RowStride, a.ColStride = ih*iw*pixelBytes, k.DH*iw*pixelBytes, k.DW*pixelBytes
		if i < k.units()-1 {
			a.AheadOf(u.Width, (y1-y0)*perRow)
		}
		for y := range y1 - y0 {
			for t := 0; t < perRow; t += lineTiles {
				x, end := team.Cut(x1-x0, perRow, t), team.Cut(x1-x0, perRow, min(t+lineTiles, perRow))
				a.In = unsafe.Pointer(&in[(y*k.SH*iw+x*k.SW)*lanes])
				k.output(c, &a, sums, n, u, y0+y, x0+x, end-x)
			}
		}
	}
}

// Uses lists the micro-kernels that the convolution calls.
func (*Conv) Uses(_ *simd.Tier, use func(micro string, pixels int)) { usesTiles(use) }

func usesTiles(use func(micro string, pixels int)) {
	use("Pair32", kernel.AnyPixels)
	use("Pair16", kernel.AnyPixels)
}
