package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// Conv is a convolution with any filter, stride and dilation, NC16 to NC16. As in
// neural networks, it is a correlation: the filter is not flipped.
//
//	Dst = Act(conv(Pre(Src·Scale+Shift), W) + Bias + Residual)
//
// The border of Src holds the padding. The prologue (Scale, Shift and Pre) does not
// apply to the border, which stays zero.
type Conv struct {
	Src, Dst     Image
	W            Ref   // [Groups][ceil(OC/32)][ceil(IC/16)][KH][KW][16][32], see backend/cpu/pack
	Bias         Ref   // [OC padded to 16], absent for none
	Residual     Image // the extents of Dst, any border and strides; N = 0 for none. It may be Dst.
	Scale, Shift Ref   // [IC padded to 16], absent for none
	Pre, Act     Act
	KH, KW       int
	SH, SW       int
	DH, DW       int
	// Groups is the number of groups of channels; 0 means 1. Each group is an
	// independent convolution with IC input and OC output channels. If there are
	// several, they consist of whole blocks.
	Groups int
	// PadTop and PadLeft are the numbers of border rows and columns that the first
	// window covers, at most Src.Top and Src.Left. Negative numbers crop.
	PadTop, PadLeft int
}

// scratchTarget is the maximum size in bytes of the transformed input of a part. It
// is less than half of a typical L2 cache.
const scratchTarget = 256 << 10

// grid describes the output of a convolution as rows of width pixels. The output
// of a 1×1 convolution on images without borders is one long row.
type grid struct {
	rows, width int
	flat        bool
}

func (k *Conv) prologue() bool {
	return k.Scale.Present() || k.Shift.Present() || k.Pre.Fn != ActIdentity
}

// samples reports whether the filter is 1×1 and the strides skip pixels.
func (k *Conv) samples() bool {
	return k.KH == 1 && k.KW == 1 && k.SH*k.SW > 1 && k.PadTop == 0 && k.PadLeft == 0 &&
		(k.Dst.H-1)*k.SH < k.Src.H && (k.Dst.W-1)*k.SW < k.Src.W
}

// transforms reports whether parts copy their input to scratch first. They do so to
// apply a prologue. They also do so if strides skip pixels and many output channels
// read the others, which are adjacent in the copy.
func (k *Conv) transforms() bool {
	return k.prologue() || k.samples() && k.units() >= 4*max(1, k.Groups)
}

func (k *Conv) grid() grid {
	if k.KH == 1 && k.KW == 1 && k.SH == 1 && k.SW == 1 && k.PadTop == 0 && k.PadLeft == 0 &&
		k.Src.tight() && k.Dst.tight() && (k.Residual.N == 0 || k.Residual.tight()) && k.Src.H == k.Dst.H && k.Src.W == k.Dst.W {
		return grid{1, k.Dst.H * k.Dst.W, true}
	}
	return grid{k.Dst.H, k.Dst.W, false}
}

// Check declares the memory of the step.
func (k *Conv) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.residual(&k.Residual, &k.Dst)
	v.Require(v.Windows(Filter{k.KH, k.KW, k.SH, k.SW, k.DH, k.DW, k.PadTop, k.PadLeft}, k.Dst.H, k.Dst.W, &k.Src), leaves)
	k.checkChannels(v)
	v.Require(k.Src.N == k.Dst.N, "the extents of the operands differ")
	v.prologue(k.Scale, k.Shift, k.Pre, k.Src.Blocks())
}

// checkChannels declares the operands that depend on the channels and their groups.
func (k *Conv) checkChannels(v *Verifier) {
	v.Require(k.Groups >= 0 && k.Groups <= MaxExtent, "the number of groups is negative or too large")
	if v.err != nil {
		return
	}
	in, out, g := k.Src.Blocks(), k.Dst.Blocks(), max(1, k.Groups)
	v.Require(in%g == 0 && out%g == 0, "the groups are not whole blocks of channels")
	v.floats("W", k.W, Product(out, in/g, k.KH, k.KW, lanes*lanes))
	v.channels("Bias", k.Bias, out)
	v.Act(k.Act.Fn)
}

// ScratchBytes is the size of the transformed input of a part.
func (k *Conv) ScratchBytes() int {
	if !k.transforms() {
		return 0
	}
	rows, cols := k.region()
	return k.regionFloats(rows, cols) * 4
}

// region returns the extents, in output pixels, of a part with transformed input.
func (k *Conv) region() (rows, cols int) {
	g := k.grid()
	pixel := k.Src.Blocks() * pixelBytes
	if g.flat {
		tile := simd.Active().TilePixels
		return 1, min(max(1, scratchTarget/pixel/tile)*tile, g.width)
	}
	step, _ := k.steps()
	inRows := scratchTarget / (pixel * k.inCols(g.width)) // that fit
	return min(max(1, (inRows-k.inRows(1))/step+1), g.rows), g.width
}

// regions returns the number of regions of the output.
func (k *Conv) regions() int {
	rows, cols := k.region()
	g := k.grid()
	return k.Dst.N * team.Split(g.rows, rows) * team.Split(g.width, cols)
}

// slices returns the number of ranges of output channels into which a region is
// cut, so that few regions occupy every worker. Each slice repeats the prologue.
func (k *Conv) slices(c *Context) int { return c.slices(k.regions(), k.units()) }

func (k *Conv) regionFloats(rows, cols int) int {
	return k.Src.Blocks() * k.inRows(rows) * k.inCols(cols) * 16
}

// inRows and inCols return the numbers of rows and columns of transformed input
// for rows and cols of output.
func (k *Conv) inRows(rows int) int { step, _ := k.steps(); return (rows-1)*step + (k.KH-1)*k.DH + 1 }
func (k *Conv) inCols(cols int) int { _, step := k.steps(); return (cols-1)*step + (k.KW-1)*k.DW + 1 }

// steps returns the strides in transformed input.
func (k *Conv) steps() (rows, cols int) {
	if k.samples() {
		return 1, 1
	}
	return k.SH, k.SW
}

// Run computes the convolution.
func (k *Conv) Run(c *Context) {
	k.Dst.ClearBorder(c)
	work := tileWork(k.Dst.N * k.Dst.H * k.Dst.W * k.Dst.C * k.Src.C * k.KH * k.KW / max(1, k.Groups))
	if k.transforms() {
		c.Do(k.regions()*k.slices(c), work, (*convTransformed)(k))
		return
	}
	c.Do(k.Dst.N*k.units()*k.chunks(c), work, (*convDirect)(k))
}

// units returns the number of units of the output channels.
func (k *Conv) units() int { return Units(&k.Dst, k.Groups) }

// unit returns unit i.
func (k *Conv) unit(i int) Unit { return UnitOf(&k.Src, &k.Dst, k.Groups, i) }

// Unit describes a block of 32 or 16 output channels, those of a register tile.
type Unit struct {
	In, Blocks int // the first block of the input, and their number
	Out, Width int // the first block of the output, and 32 or 16 channels
	Before     int // output channels whose weights come before those of the unit
}

// Units returns the number of units of a convolution with the given result. Units do not
// cross groups; 0 groups stand for one.
func Units(dst *Image, groups int) int {
	g := max(1, groups)
	return g * OutBlocks(GroupChannels(dst, g))
}

// UnitOf returns unit i of a convolution, group by group.
func UnitOf(src, dst *Image, groups, i int) Unit {
	g := max(1, groups)
	oc := GroupChannels(dst, g)
	group, ob := i/OutBlocks(oc), i%OutBlocks(oc)
	u := Unit{Blocks: src.Blocks() / g, Width: BlockWidth(oc, ob), Before: group*oc + ob*32}
	u.In, u.Out = group*u.Blocks, group*(dst.Blocks()/g)+2*ob
	return u
}

// GroupChannels returns the number of output channels of one of g groups. If there are
// several groups, it is a multiple of 16.
func GroupChannels(dst *Image, g int) int {
	if g == 1 {
		return dst.C
	}
	return dst.Blocks() / g * 16
}

// OutBlocks returns the number of blocks of 32 output channels; the last may have 16.
func OutBlocks(channels int) int { return (channels + 31) / 32 }

// BlockWidth returns the width of output block ob: 32, or 16 for a last block that needs
// no more.
func BlockWidth(channels, ob int) int {
	if channels-ob*32 <= 16 {
		return 16
	}
	return 32
}

// chunks returns the number of pieces into which the tiles of one unit are cut, so
// that every worker finds work. If there are few pieces, every worker gets the same
// number.
func (k *Conv) chunks(c *Context) int {
	threads := c.Threads()
	if threads == 1 {
		return 1
	}
	g := k.grid()
	runs := k.Dst.N * k.units()
	if k.byPixels(c) {
		runs = k.Dst.N
	}
	n := team.Split(4*threads, runs)
	for n > 1 && runs*n%threads != 0 {
		n++
	}
	return min(g.rows*team.Split(g.width, simd.Active().TilePixels), n)
}

// byPixels reports whether consecutive parts share pixels instead of weights. One
// worker takes consecutive parts, so it reads few pixels that other workers computed.
// All weights must stay in L2 beside the pixels.
func (k *Conv) byPixels(c *Context) bool {
	return c.Threads() > 1 && k.W.Len*4 <= 2*spanBytes && k.W.Len <= k.Src.Size()
}

// convDirect computes tiles straight from the input image.
type convDirect Conv

func (k *convDirect) Part(c *Context, i, worker int) {
	cv := (*Conv)(k)
	g := cv.grid()
	chunks := cv.chunks(c)
	units := cv.units()
	n := i / (units * chunks)
	unit, chunk := i/chunks%units, i%chunks
	if cv.byPixels(c) {
		unit, chunk = i%units, i/units%chunks
	}
	u := cv.unit(unit)

	src, dst := c.F32(k.Src.Ref), c.F32(k.Dst.Ref)
	a := simd.NewTile(c.double)
	a.Pix = k.SW * pixelBytes
	a.BlockStride = k.Src.PlaneBytes()
	a.RowStride, a.ColStride = k.DH*k.Src.RowBytes(), k.DW*pixelBytes
	in0 := k.Src.At(n, u.In, -k.PadTop, -k.PadLeft)

	perRow := team.Split(g.width, simd.Active().TilePixels)
	tiles := g.rows * perRow
	t0, t1 := team.Cut(tiles, chunks, chunk), team.Cut(tiles, chunks, chunk+1)
	spans := cv.spans(c, u)
	lastUnit := unit == units-1
	for s := range spans {
		from, to := team.Cut(u.Blocks, spans, s), team.Cut(u.Blocks, spans, s+1)
		more := cv.weights(c, &a, u, from, to)
		if s < spans-1 || !lastUnit {
			a.AheadOf(u.Width, t1-t0)
		}
		for t := t0; t < t1; {
			y, xi := t/perRow, t%perRow
			run := min(t1-t, perRow-xi)
			if more { // the results stay in L1 for the activation
				run = min(run, lineTiles)
			}
			x, end := team.Cut(g.width, perRow, xi), team.Cut(g.width, perRow, xi+run)
			a.In = unsafe.Pointer(&src[in0+from*k.Src.Plane()+y*k.SH*k.Src.Row()+x*k.SW*16])
			cv.output(c, &a, dst, n, u, y, x, end-x, from > 0, more)
			t += run
		}
	}
}

// lineTiles is the maximum number of tiles whose results a second pass finds in L1.
const lineTiles = 16

// spanBytes is the target size in bytes of a span of weights. All tiles use one span
// before the next, so a span stays in L2 beside the input.
const spanBytes = 128 << 10

// spans returns the number of ranges of input channels of unit u. Between them, Dst
// holds the partial sums. The number is the same for units of 16 and of 32 output
// channels, so that both sum in the same order; see sets in internal/kernelgen/conv.
// If a convolution has one unit and few pixels, tiles wait for weights from memory.
// Shorter spans hide that latency: the weights of the next span arrive while the
// tiles of the current one are computed.
func (k *Conv) spans(c *Context, u Unit) int {
	bytes, most := u.Blocks*simd.WeightStep*k.KH*k.KW, spanBytes
	if k.units() == 1 && k.Dst.H*k.Dst.W <= fewPixels {
		most = spanBytes / 4
	}
	if c.double || bytes <= most*5/4 {
		return 1
	}
	return min(u.Blocks, team.Split(bytes, most))
}

// fewPixels is the maximum number of pixels whose tiles wait for weights.
const fewPixels = 14 * 14

// weights sets the operands of a for unit u and its input blocks from ≤ b < to. It
// reports whether an activation remains that the micro-kernel does not apply.
func (k *Conv) weights(c *Context, a *simd.Tile, u Unit, from, to int) (more bool) {
	a.Rows, a.Cols, a.Blocks = k.KH, k.KW, to-from
	a.W = unsafe.Pointer(&c.F32(k.W)[(u.Before*u.Blocks+from*u.Width)*16*k.KH*k.KW])
	a.Bias = unsafe.Pointer(&zeroBias[0])
	if from == 0 {
		a.Bias = biasOf(c, k.Bias, u.Out)
	}
	a.OutPix, a.OutBlock = pixelBytes, k.Dst.PlaneBytes()
	a.Half = 0
	a.AheadNone()
	if c := k.Src.C % 16; to == k.Src.Blocks() && c > 0 && c <= 8 {
		a.Half = 1
	}
	a.HalfOut = halfOut(&k.Dst, u.Out)
	return to == u.Blocks && !setAct(a, k.Act)
}

// halfOut reports whether, of the 32 channels of dst from a block on, the last 8 do not exist.
// Tiles of 16 channels ignore it.
func halfOut(dst *Image, block int) bool { return dst.C-16*block <= 24 }

// output computes the given number of pixels of output row y, starting at column x.
// It adds them to the sums in Dst if onto is set, otherwise to the residual. It
// applies the activation if more is set.
func (k *Conv) output(c *Context, a *simd.Tile, dst []float32, n int, u Unit, y, x, pixels int, onto, more bool) {
	o := k.Dst.At(n, u.Out, y, x)
	a.Out = unsafe.Pointer(&dst[o])
	a.Res = nil
	switch {
	case onto:
		a.Res, a.ResPix, a.ResBlock = a.Out, a.OutPix, a.OutBlock
	case k.Residual.N > 0:
		r := k.Residual.At(n, u.Out, y, x)
		a.Res, a.ResPix, a.ResBlock = unsafe.Pointer(&c.F32(k.Residual.Ref)[r]), pixelBytes, k.Residual.PlaneBytes()
	}
	a.Line(u.Width, pixels)
	if more {
		for b := range u.Width / 16 {
			Apply(dst[o+b*k.Dst.Plane():][:pixels*16], k.Act)
		}
	}
}

// convTransformed applies the prologue to the input of a region, writes it to
// scratch, and computes a range of output channels from there.
type convTransformed Conv

func (k *convTransformed) Part(c *Context, i, worker int) {
	cv := (*Conv)(k)
	g := cv.grid()
	slices := cv.slices(c)
	slice := i % slices
	i /= slices
	rows, cols := cv.region()
	rp, cp := team.Split(g.rows, rows), team.Split(g.width, cols)
	ri, ci := i/cp%rp, i%cp
	n := i / cp / rp
	y0, y1 := team.Cut(g.rows, rp, ri), team.Cut(g.rows, rp, ri+1)
	x0, x1 := team.Cut(g.width, cp, ci), team.Cut(g.width, cp, ci+1)

	scratch := Floats(c.scratch[worker])
	ih, iw := cv.inRows(y1-y0), cv.inCols(x1-x0)
	pr := prologue{src: c.F32(k.Src.Ref)[n*k.Src.BatchStride:], img: &k.Src, scale: c.F32(k.Scale), shift: c.F32(k.Shift), act: k.Pre, flat: g.flat}
	if cv.samples() {
		pr.skipRows, pr.skipCols = k.SH-1, k.SW-1
	}
	pr.window(scratch, y0*k.SH-k.PadTop, x0*k.SW-k.PadLeft, ih, iw)

	dst := c.F32(k.Dst.Ref)
	a := simd.NewTile(c.double)
	rowStep, colStep := cv.steps()
	a.Pix = colStep * pixelBytes
	a.BlockStride = ih * iw * pixelBytes
	a.RowStride, a.ColStride = k.DH*iw*pixelBytes, k.DW*pixelBytes
	height, width := y1-y0, x1-x0
	if cv.samples() && k.Dst.tight() && (k.Residual.N == 0 || k.Residual.tight()) {
		height, width = 1, height*width // without borders, the rows of source and result are contiguous
	}
	perRow := team.Split(width, simd.Active().TilePixels)
	units := cv.units()
	for i := team.Cut(units, slices, slice); i < team.Cut(units, slices, slice+1); i++ {
		u := cv.unit(i)
		more := cv.weights(c, &a, u, 0, u.Blocks)
		if i < units-1 {
			a.AheadOf(u.Width, height*perRow)
		}
		for y := range height {
			for t := 0; t < perRow; {
				run := perRow - t
				if more {
					run = min(run, lineTiles)
				}
				x, end := team.Cut(width, perRow, t), team.Cut(width, perRow, t+run)
				a.In = unsafe.Pointer(&scratch[(u.In*ih*iw+y*rowStep*iw+x*colStep)*16])
				cv.output(c, &a, dst, n, u, y0+y, x0+x, end-x, false, more)
				t += run
			}
		}
	}
}

// tileWork returns the amount of work, as [Context.Do] counts it, of multiply-adds in
// tiles.
func tileWork(macs int) int { return macs / simd.Active().MACs }

func (k *Conv) uses(_ *simd.Tier, use useFunc) { usesTiles(&k.Dst, use) }
