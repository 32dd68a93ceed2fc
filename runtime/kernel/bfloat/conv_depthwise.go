package bfloat

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// ConvDepthwise is a 1×1 convolution and a depthwise convolution of its result, as
// [kernel.ConvDepthwise]. The intermediate image is rounded, so that the result has the bits
// of two steps.
type ConvDepthwise struct {
	// Point has stride 1, and no padding, prologue or residual. Its activation is a clamp.
	// Its Dst has extents and a border, but no memory.
	Point Conv
	// Depth reads Point.Dst.
	Depth Depthwise
}

// Check declares the memory of the step.
func (k *ConvDepthwise) Check(v *kernel.Verifier) {
	p, d := &k.Point, &k.Depth
	image(v, "Point.Src", &p.Src, false)
	v.Extents("Point.Dst", &p.Dst)
	v.Require(p.Dst.Elem == kernel.BFloat16 && p.Dst.Lanes() == block, "the intermediate image is not bfloat16 in blocks of 32 channels")
	_, _, clamps := p.Act.Clamp()
	v.Require(p.Src.N == p.Dst.N && p.Src.H == p.Dst.H && p.Src.W == p.Dst.W && p.KH == 1 && p.KW == 1 && p.SH == 1 && p.SW == 1 && p.PadTop == 0 && p.PadLeft == 0 &&
		p.Residual.N == 0 && !p.prologue() && clamps, "the first convolution is not a plain one of 1×1")
	p.checkChannels(v)
	d.checkOperands(v)
	v.Require(d.Dst.N == p.Dst.N && d.Dst.Blocks() == p.Dst.Blocks(), "the second convolution does not fit the first")
	m := p.Dst
	m.Top, m.Bottom = kernel.MaxExtent, kernel.MaxExtent // rows outside are zeros
	inside := v.Windows(d.filter(), d.Dst.H, d.Dst.W, &m)
	v.Require(inside, "a window leaves the border of the operand")
	if v.Failed() {
		return
	}
	rows := d.inRows(k.band())
	v.Scratch(kernel.Product(rows, m.Left+m.W+m.Right, pixelBytes) + kernel.Product(rows, k.folded(), pixelBytes) + int64(d.ScratchBytes()))
}

// between returns the number of pairs of a row of the intermediate image.
func (k *ConvDepthwise) between() int { return k.Point.Dst.Row() / 2 }

// folded returns the number of pixels of a row of the operand that a part folds.
func (k *ConvDepthwise) folded() int {
	if Folds(k.Point.Src.C) {
		return k.Point.Src.Blocks() * k.Point.Src.W
	}
	return 0
}

// band returns the maximum number of rows of the result that a part computes. Adjacent parts
// compute some rows of the intermediate image twice.
func (k *ConvDepthwise) band() int {
	d := &k.Depth
	inRows := 2 * regionBytes / (4*k.between() + pixelBytes*k.folded()) // that fit
	return min(max(1, (inRows-d.inRows(1))/d.SH+1), d.Dst.H)
}

// ScratchBytes is the size of the rows of the intermediate image that a part keeps, of the
// folded rows of the operand, and of the scratch of the depthwise convolution.
func (k *ConvDepthwise) ScratchBytes() int {
	return k.Depth.inRows(k.band())*(4*k.between()+pixelBytes*k.folded()) + k.Depth.ScratchBytes()
}

// bands returns the number of bands of an image, and slices the number of ranges of channels
// into which a band is cut, so that every worker finds work. Each slice folds the operand.
func (k *ConvDepthwise) bands() int { return team.Split(k.Depth.Dst.H, k.band()) }
func (k *ConvDepthwise) slices(c *kernel.Context) int {
	n, threads, bands := 1, c.Threads(), k.Depth.Dst.N*k.bands()
	for n < k.Point.units() && bands*n < 4*threads && threads > 1 {
		n++
	}
	return n
}

// Run computes both convolutions.
func (k *ConvDepthwise) Run(c *kernel.Context) {
	d, p := &k.Depth.Dst, &k.Point
	d.ClearBorder(c)
	work := d.N * (p.Dst.H*p.Dst.W*p.Dst.C*p.Src.C + d.H*d.W*d.C*k.Depth.KH*k.Depth.KW) / simd.Active().MACs
	c.Do(d.N*k.bands()*k.slices(c), work, k)
}

// Part computes a range of channels of a band, 32 at a time.
func (k *ConvDepthwise) Part(c *kernel.Context, i, worker int) {
	p, d, slices := &k.Point, &k.Depth, k.slices(c)
	slice, i := i%slices, i/slices
	n, band := i/k.bands(), i%k.bands()
	y0, y1 := team.Cut(d.Dst.H, k.bands(), band), team.Cut(d.Dst.H, k.bands(), band+1)
	m, row := &p.Dst, k.between()
	first, rows := y0*d.SH-d.PadTop, d.inRows(y1-y0)
	scratch := words(c.Scratch(worker))
	between, rest := scratch[:rows*row], scratch[rows*row:]
	rest = rest[rows*k.folded()*lanes:]
	from, end := max(0, first), min(m.H, first+rows) // rows of the operand
	if from >= end {
		from, end = 0, 0
	}
	src, block, line := pairs(c, p.Src.Ref)[at(&p.Src, n, 0, 0, 0):], p.Src.PlaneBytes(), p.Src.Row()/2
	if k.folded() > 0 {
		src, line, block = scratch[rows*row:], p.Src.W*lanes, (end-from)*p.Src.W*pixelBytes
		k.fold(c, src, n, from, end)
	} else if end > 0 {
		src = src[from*line:]
	}
	for unit := team.Cut(p.units(), slices, slice); unit < team.Cut(p.units(), slices, slice+1); unit++ {
		u := p.unit(unit)
		a := p.tile(c, u, nil)
		a.Pix, a.BlockStride = pixelBytes, block
		if unit < p.units()-1 {
			a.AheadOf(u.Width, rows*team.Split(m.W, simd.Active().TilePixels))
		}
		for r := range rows {
			to := between[r*row:][:row]
			y := first + r
			if y < from || y >= end {
				clear(to)
				continue
			}
			clear(to[:m.Left*lanes])
			clear(to[(m.Left+m.W)*lanes:])
			a.In, a.Out = unsafe.Pointer(&src[(y-from)*line]), unsafe.Pointer(&to[m.Left*lanes])
			a.RoundLine(u.Width, m.W)
		}
		d.rows(c, n, u.Out/2, y0, y1, between[(m.Left-d.PadLeft)*lanes:], row, floats(c.Scratch(worker))[len(scratch)-len(rest):])
	}
}

// fold writes rows from ≤ y < end of image n of the operand to dst, with its last block
// folded.
func (k *ConvDepthwise) fold(c *kernel.Context, dst []uint32, n, from, end int) {
	m := &k.Point.Src
	for b := range m.Blocks() {
		for y := from; y < end; y++ {
			row := dst[(b*(end-from)+y-from)*m.W*lanes:][:m.W*lanes]
			kernel.Move(row, pairs(c, m.Ref)[at(m, n, b, y, 0):][:len(row)])
			if b == foldedBlock(m) {
				simd.FoldPairs(row)
			}
		}
	}
}

// Uses lists the micro-kernels that the convolutions call.
func (*ConvDepthwise) Uses(_ *simd.Tier, use func(micro string, pixels int)) { usesTiles(use) }
