package runtime

import "unsafe"

// Conv is a convolution (a correlation: the kernel is not flipped) from NC16
// to NC16, any kernel, stride and dilation:
//
//	Dst = Act(conv(Pre(Src·Scale+Shift), W) + Bias + Residual)
//
// The border of Src holds the padding. With a prologue (Scale, Shift or Pre)
// the border still counts as zero after it.
type Conv struct {
	Src, Dst     Image
	W            Ref   // [Groups][ceil(OC/32)][ceil(IC/16)][KH][KW][16][32], see package pack
	Bias         Ref   // [OC padded to 16], absent for none
	Residual     Image // extents of Dst, own border and strides; N = 0 for none. May be Dst itself.
	Scale, Shift Ref   // [IC padded to 16], absent for none
	Pre, Act     Act
	KH, KW       int
	SH, SW       int
	DH, DW       int
	// Groups is into how many equal runs of whole blocks both images fall, each
	// a convolution of its own with OC and IC channels; 0 means 1.
	Groups int
	// PadTop and PadLeft are how much of Src's border above and to the left of
	// pixel (0,0) the first window covers; at most Src.Top and Src.Left.
	// Negative ones crop.
	PadTop, PadLeft int
}

// scratchTarget is how much transformed input a part keeps in scratch: less
// than half of a typical L2.
const scratchTarget = 256 << 10

// grid is how a convolution's output is walked: rows of width pixels. A 1×1
// convolution on images without borders is one long row.
type grid struct {
	rows, width int
	flat        bool
}

func (k *Conv) prologue() bool {
	return k.Scale.Present() || k.Shift.Present() || k.Pre.Fn != ActIdentity
}

// samples reports whether the kernel is one pixel and strides leave some out.
func (k *Conv) samples() bool {
	return k.KH == 1 && k.KW == 1 && k.SH*k.SW > 1 && k.PadTop == 0 && k.PadLeft == 0 &&
		(k.Dst.H-1)*k.SH < k.Src.H && (k.Dst.W-1)*k.SW < k.Src.W
}

// transforms reports whether parts copy their input to scratch first: for a
// prologue, and where enough channels read a sample of the pixels, which lie
// next to one another then.
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

// tight reports whether rows of pixels follow one another without a border.
func (m *Image) tight() bool { return m.Top+m.Left+m.Bottom+m.Right == 0 }

// ScratchBytes is the transformed input of a part.
func (k *Conv) ScratchBytes() int {
	if !k.transforms() {
		return 0
	}
	rows, cols := k.region()
	return k.regionFloats(rows, cols) * 4
}

// region returns the extents, in output pixels, of what one part computes
// from transformed input.
func (k *Conv) region() (rows, cols int) {
	g := k.grid()
	pixel := k.Src.Blocks() * 64 // bytes
	if g.flat {
		tile := tilePixels()
		return 1, min(max(1, scratchTarget/pixel/tile)*tile, g.width)
	}
	step, _ := k.steps()
	inRows := scratchTarget / (pixel * k.inCols(g.width)) // that fit
	return min(max(1, (inRows-k.inRows(1))/step+1), g.rows), g.width
}

// regions returns into how many regions the output falls.
func (k *Conv) regions() int {
	rows, cols := k.region()
	g := k.grid()
	return k.Dst.N * split(g.rows, rows) * split(g.width, cols)
}

// slices is into how many ranges of output channels a region is cut, so that
// few regions occupy every worker. Each slice repeats the prologue.
func (k *Conv) slices(c *Context) int { return c.slices(k.regions(), k.units()) }

// slices returns into how many pieces, at most most, each of so many regions is
// cut for every worker to find work.
func (c *Context) slices(regions, most int) int {
	n, threads := 1, c.team.threads
	for n < most && regions*n < 4*threads && regions*n%threads != 0 {
		n++
	}
	return n
}

func (k *Conv) regionFloats(rows, cols int) int {
	return k.Src.Blocks() * k.inRows(rows) * k.inCols(cols) * 16
}

// inRows and inCols return how much transformed input so many outputs need.
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
	k.Dst.clearBorder(c)
	work := tileWork(k.Dst.N * k.Dst.H * k.Dst.W * k.Dst.C * k.Src.C * k.KH * k.KW / max(1, k.Groups))
	if k.transforms() {
		c.do(k.regions()*k.slices(c), work, (*convTransformed)(k))
		return
	}
	c.do(k.Dst.N*k.units()*k.chunks(c), work, (*convDirect)(k))
}

// units returns how many register tiles' worth of output channels there are.
func (k *Conv) units() int {
	g := max(1, k.Groups)
	return g * outBlocks(k.groupChannels(g))
}

// groupChannels returns the output channels of one of g groups, whole blocks
// where there are several.
func (k *Conv) groupChannels(g int) int {
	if g == 1 {
		return k.Dst.C
	}
	return k.Dst.Blocks() / g * 16
}

// unit is what one register tile's worth of output channels is made of.
type unit struct {
	in, blocks int // the blocks of the input, from the first one on
	out, width int // the first block of the output, 32 or 16 channels
	weights    int // floats from the start of the weights
}

// unit returns unit i, group by group.
func (k *Conv) unit(i int) unit {
	g := max(1, k.Groups)
	oc := k.groupChannels(g)
	group, ob := i/outBlocks(oc), i%outBlocks(oc)
	u := unit{blocks: k.Src.Blocks() / g, width: blockWidth(oc, ob)}
	u.in, u.out = group*u.blocks, group*(k.Dst.Blocks()/g)+2*ob
	u.weights = (group*oc + ob*32) * u.blocks * 16 * k.KH * k.KW
	return u
}

// outBlocks returns the number of register tiles' worth of output channels.
func outBlocks(channels int) int { return (channels + 31) / 32 }

// blockWidth returns the width of output block ob: 32, or 16 for a last one
// that needs no more.
func blockWidth(channels, ob int) int {
	if channels-ob*32 <= 16 {
		return 16
	}
	return 32
}

// chunks is into how many pieces the tiles of one output block are cut so
// that every worker finds work, and a few pieces equally for each.
func (k *Conv) chunks(c *Context) int {
	threads := c.team.threads
	if threads == 1 {
		return 1
	}
	g := k.grid()
	runs := k.Dst.N * k.units()
	if k.byPixels(c) {
		runs = k.Dst.N
	}
	n := split(4*threads, runs)
	for n > 1 && runs*n%threads != 0 {
		n++
	}
	return min(g.rows*split(g.width, tilePixels()), n)
}

// byPixels reports whether parts that follow one another, which one worker
// takes, share pixels rather than weights: a worker then reads few pixels that
// another has computed. All weights have to stay in L2 beside them.
func (k *Conv) byPixels(c *Context) bool {
	return c.team.threads > 1 && k.W.Len*4 <= 2*spanBytes && k.W.Len <= k.Src.Size()
}

// convDirect computes tiles straight from the input image.
type convDirect Conv

func (k *convDirect) part(c *Context, i, worker int) {
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

	src, dst := c.f32(k.Src.Ref), c.f32(k.Dst.Ref)
	a := newTile(c.double)
	a.pix = k.SW * 64
	a.blockStride = k.Src.Plane() * 4
	a.rowStride, a.colStride = k.DH*k.Src.Row()*4, k.DW*64
	in0 := n*k.Src.BatchStride + u.in*k.Src.Plane() + k.Src.Origin() - k.PadTop*k.Src.Row() - k.PadLeft*16

	perRow := split(g.width, tilePixels())
	tiles := g.rows * perRow
	t0, t1 := cut(tiles, chunks, chunk), cut(tiles, chunks, chunk+1)
	spans := cv.spans(c, u)
	lastUnit := unit == units-1
	for s := range spans {
		from, to := cut(u.blocks, spans, s), cut(u.blocks, spans, s+1)
		more := cv.weights(c, &a, u, from, to)
		if s < spans-1 || !lastUnit {
			a.followOn(u.width, t1-t0)
		}
		for t := t0; t < t1; {
			y, xi := t/perRow, t%perRow
			run := min(t1-t, perRow-xi)
			if more { // what is computed twice stays in L1
				run = min(run, lineTiles)
			}
			x, end := cut(g.width, perRow, xi), cut(g.width, perRow, xi+run)
			a.in = unsafe.Pointer(&src[in0+from*k.Src.Plane()+y*k.SH*k.Src.Row()+x*k.SW*16])
			cv.output(c, &a, dst, n, u, y, x, end-x, from > 0, more)
			t += run
		}
	}
}

// lineTiles is the most tiles whose results a second pass finds in L1.
const lineTiles = 16

// spanBytes is how many bytes of weights all tiles use before the next ones
// are read: they stay in L2 beside the input.
const spanBytes = 128 << 10

// spans returns into how many ranges of input channels unit u is cut whose
// partial sums meet in Dst: as many for 16 output channels as for 32, see sets
// in internal/kernelgen/conv. The weights of a convolution's only unit are on
// their way from memory while few pixels wait for them; shorter spans let all
// but the first arrive behind the tiles of the span before.
func (k *Conv) spans(c *Context, u unit) int {
	bytes, most := u.blocks*weightStep*k.KH*k.KW, spanBytes
	if k.units() == 1 && k.Dst.H*k.Dst.W <= fewPixels {
		most = spanBytes / 4
	}
	if c.double || bytes <= most*5/4 {
		return 1
	}
	return min(u.blocks, split(bytes, most))
}

// fewPixels is how many do not make up for the wait.
const fewPixels = 14 * 14

// weights sets the operands of a that belong to unit u and its input blocks
// from ≤ b < to. It reports whether an activation remains that the micro-kernel
// does not know.
func (k *Conv) weights(c *Context, a *tileArgs, u unit, from, to int) (more bool) {
	a.rows, a.cols, a.blocks = k.KH, k.KW, to-from
	a.w = unsafe.Pointer(&c.f32(k.W)[u.weights+from*16*k.KH*k.KW*u.width])
	a.bias = unsafe.Pointer(&zeroBias[0])
	if from == 0 {
		a.bias = biasOf(c, k.Bias, u.out)
	}
	a.outPix, a.outBlock = 64, k.Dst.Plane()*4
	a.half, a.ahead = 0, 0
	if c := k.Src.C % 16; to == k.Src.Blocks() && c > 0 && c <= 8 {
		a.half = 1
	}
	return to == u.blocks && !a.setAct(k.Act)
}

var zeroBias [32]float32

// biasOf returns the bias from a block of 16 channels on, zeros for an absent
// one.
func biasOf(c *Context, bias Ref, block int) unsafe.Pointer {
	if !bias.Present() {
		return unsafe.Pointer(&zeroBias[0])
	}
	return unsafe.Pointer(&c.f32(bias)[block*16])
}

// output computes pixels of output row y from column x on, onto the sums that
// are there already or onto the residual, and what remains of the activation.
func (k *Conv) output(c *Context, a *tileArgs, dst []float32, n int, u unit, y, x, pixels int, onto, more bool) {
	o := n*k.Dst.BatchStride + u.out*k.Dst.Plane() + k.Dst.Origin() + y*k.Dst.Row() + x*16
	a.out = unsafe.Pointer(&dst[o])
	a.res = nil
	switch {
	case onto:
		a.res, a.resPix, a.resBlock = a.out, a.outPix, a.outBlock
	case k.Residual.N > 0:
		r := n*k.Residual.BatchStride + u.out*k.Residual.Plane() + k.Residual.Origin() + y*k.Residual.Row() + x*16
		a.res, a.resPix, a.resBlock = unsafe.Pointer(&c.f32(k.Residual.Ref)[r]), 64, k.Residual.Plane()*4
	}
	a.line(u.width, pixels)
	if more {
		for b := range u.width / 16 {
			applyAct(dst[o+b*k.Dst.Plane():][:pixels*16], k.Act)
		}
	}
}

// convTransformed copies the input of a region once into scratch, through the
// prologue, and computes a range of output channels from there.
type convTransformed Conv

func (k *convTransformed) part(c *Context, i, worker int) {
	cv := (*Conv)(k)
	g := cv.grid()
	slices := cv.slices(c)
	slice := i % slices
	i /= slices
	rows, cols := cv.region()
	rp, cp := split(g.rows, rows), split(g.width, cols)
	ri, ci := i/cp%rp, i%cp
	n := i / cp / rp
	y0, y1 := cut(g.rows, rp, ri), cut(g.rows, rp, ri+1)
	x0, x1 := cut(g.width, cp, ci), cut(g.width, cp, ci+1)

	scratch := floats(c.scratch[worker])
	ih, iw := cv.inRows(y1-y0), cv.inCols(x1-x0)
	pr := prologue{src: c.f32(k.Src.Ref)[n*k.Src.BatchStride:], img: &k.Src, scale: c.f32(k.Scale), shift: c.f32(k.Shift), act: k.Pre, flat: g.flat}
	if cv.samples() {
		pr.skipRows, pr.skipCols = k.SH-1, k.SW-1
	}
	pr.window(scratch, y0*k.SH-k.PadTop, x0*k.SW-k.PadLeft, ih, iw)

	dst := c.f32(k.Dst.Ref)
	a := newTile(c.double)
	rowStep, colStep := cv.steps()
	a.pix = colStep * 64
	a.blockStride = ih * iw * 64
	a.rowStride, a.colStride = k.DH*iw*64, k.DW*64
	height, width := y1-y0, x1-x0
	if cv.samples() && k.Dst.tight() && (k.Residual.N == 0 || k.Residual.tight()) {
		height, width = 1, height*width // rows follow one another, here and there
	}
	perRow := split(width, tilePixels())
	units := cv.units()
	for i := cut(units, slices, slice); i < cut(units, slices, slice+1); i++ {
		u := cv.unit(i)
		more := cv.weights(c, &a, u, 0, u.blocks)
		if i < units-1 {
			a.followOn(u.width, height*perRow)
		}
		for y := range height {
			for t := 0; t < perRow; {
				run := perRow - t
				if more {
					run = min(run, lineTiles)
				}
				x, end := cut(width, perRow, t), cut(width, perRow, t+run)
				a.in = unsafe.Pointer(&scratch[(u.in*ih*iw+y*rowStep*iw+x*colStep)*16])
				cv.output(c, &a, dst, n, u, y0+y, x0+x, end-x, false, more)
				t += run
			}
		}
	}
}
