package integer

import (
	"math"
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Conv is a convolution of bytes with any filter, stride and dilation. As in neural
// networks, it is a correlation: the filter is not flipped. The border of Src holds the
// padding, which is the zero point of x.
type Conv struct {
	Src kernel.Image // Uint8, blocks of 16, or of 4 for the first layer of a network
	Dst kernel.Image // Uint8 or Float32, blocks of 16
	// W is s8 [Groups][ceil(OC/32)][Parts][ceil(IC/16)][KH][KW][4][32][4], or
	// [ceil(OC/32)][Parts][KH][KW][32][4] if Src has blocks of 4. See backend/cpu/pack.
	W kernel.Ref
	// Parts is the number of bytes whose sum is a weight; 0 means 1. Weights of more
	// than 8 bits have several.
	Parts  int
	KH, KW int
	SH, SW int
	DH, DW int
	// Groups is the number of groups of channels; 0 means 1. Each group is an
	// independent convolution. If there are several, they consist of whole blocks of 16.
	Groups int
	// PadTop and PadLeft are the numbers of border rows and columns that the first
	// window covers, at most Src.Top and Src.Left. Negative numbers crop.
	PadTop, PadLeft int
	Result
}

// regionBytes is the maximum size of the widened input of a part. It is less than half of
// a typical L2 cache.
const regionBytes = 256 << 10

// grid returns the output as rows of pixels. The output of a 1×1 convolution on images
// without borders is one long row.
func (k *Conv) grid() (rows, width int) {
	if k.KH == 1 && k.KW == 1 && k.SH == 1 && k.SW == 1 && k.PadTop == 0 && k.PadLeft == 0 && tight(&k.Src) && tight(&k.Dst) && tight(&k.Sum.B) {
		return 1, k.Dst.H * k.Dst.W
	}
	return k.Dst.H, k.Dst.W
}

// tight reports whether rows of pixels follow one another without a border.
func tight(m *kernel.Image) bool { return m.Top+m.Left+m.Bottom+m.Right == 0 }

// inRows and inCols return the numbers of rows and columns that rows and cols of the
// output read.
func (k *Conv) inRows(rows int) int { return (rows-1)*k.SH + (k.KH-1)*k.DH + 1 }
func (k *Conv) inCols(cols int) int { return (cols-1)*k.SW + (k.KW-1)*k.DW + 1 }

// region returns the extents, in output pixels, of a part that widens its input.
func (k *Conv) region() (rows, cols int) {
	rows, cols = k.grid()
	if rows == 1 { // any number of pixels
		tile := simd.Active().IntPixels
		return 1, min(cols, max(1, regionBytes/k.wideBytes(1, 1)/tile)*tile)
	}
	most := rows
	for rows = 1; rows < most && k.wideBytes(rows+1, cols) <= regionBytes; {
		rows++
	}
	return rows, cols
}

// Check declares the memory of the step.
func (k *Conv) Check(v *kernel.Verifier) {
	k.checkResult(v, &k.Src, &k.Dst)
	k.checkOperands(v)
}

// checkOperands declares Src and W, for a result whose extents are checked.
func (k *Conv) checkOperands(v *kernel.Verifier) {
	v.Bytes("Src", &k.Src, false)
	inside(v, kernel.Filter{KH: k.KH, KW: k.KW, SH: k.SH, SW: k.SW, DH: k.DH, DW: k.DW, PadTop: k.PadTop, PadLeft: k.PadLeft}, &k.Src, &k.Dst)
	v.Require(k.Groups >= 0 && k.Groups <= kernel.MaxExtent && k.Parts >= 0 && k.Parts <= kernel.MaxExtent, "a number of groups or parts is negative or too large")
	if v.Failed() {
		return
	}
	in, out, g := k.Src.Blocks(), k.Dst.Blocks(), max(1, k.Groups)
	v.Require(g == 1 || !k.adds(), "a residual with groups")
	v.Require(in%g == 0 && out%g == 0, "the groups are not whole blocks of channels")
	v.Read("W", k.W, 1, kernel.Product(out*lanes, in/g, k.Src.Lanes(), k.KH, k.KW, max(1, k.Parts)))
	v.Require(kernel.Product(4, in, k.Src.Top+k.Src.H+k.Src.Bottom, k.Src.Left+k.Src.W+k.Src.Right, k.Src.Lanes()) <= math.MaxInt, "the operand is too large")
}

// ScratchBytes is the size of the widened input and weights of a part, for tiers that
// multiply words.
func (k *Conv) ScratchBytes() int {
	if !simd.Active().IntWords {
		return 0
	}
	return k.wideBytes(k.region()) + k.wideWeights()
}

// Run computes the convolution.
func (k *Conv) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	n := k.work()
	if simd.Active().IntWords {
		c.Do(k.regions()*k.slices(c), n, (*convWidened)(k))
		return
	}
	c.Do(k.Dst.N*k.units()*k.chunks(c), n, (*convDirect)(k))
}

// work returns the amount of work, as [kernel.Context.Do] counts it.
func (k *Conv) work() int {
	return work(k.Dst.N * k.Dst.H * k.Dst.W * k.Dst.C * k.Src.C * k.KH * k.KW * max(1, k.Parts) / max(1, k.Groups))
}

// units returns the number of units of the output channels.
func (k *Conv) units() int { return kernel.Units(&k.Dst, k.Groups) }

// unit returns unit i.
func (k *Conv) unit(i int) kernel.Unit { return kernel.UnitOf(&k.Src, &k.Dst, k.Groups, i) }

// chunks returns the number of pieces into which the tiles of one unit are cut, so that
// every worker finds work.
func (k *Conv) chunks(c *kernel.Context) int {
	threads := c.Threads()
	if threads == 1 {
		return 1
	}
	rows, width := k.grid()
	runs := k.Dst.N * k.units()
	n := team.Split(4*threads, runs)
	for n > 1 && runs*n%threads != 0 {
		n++
	}
	return min(rows*team.Split(width, simd.Active().IntPixels), n)
}

// convDirect computes tiles straight from the input image.
type convDirect Conv

func (j *convDirect) Part(c *kernel.Context, i, worker int) {
	k := (*Conv)(j)
	rows, width := k.grid()
	chunks, units := k.chunks(c), k.units()
	n, u, chunk := i/(units*chunks), k.unit(i/chunks%units), i%chunks
	v := k.channels(c, u.Out*16, u.Width, simd.Active().IntOffset)
	a := k.tile(&v, k.Dst.Elem == kernel.Uint8)
	k.weights(c, &a, u)
	k.strides(&a)
	src := c.Bytes(k.Src.Ref, 1)
	perRow := team.Split(width, simd.Active().IntPixels)
	t0, t1 := team.Cut(rows*perRow, chunks, chunk), team.Cut(rows*perRow, chunks, chunk+1)
	for t := t0; t < t1; {
		y, xi := t/perRow, t%perRow
		run := min(t1-t, perRow-xi)
		x, end := team.Cut(width, perRow, xi), team.Cut(width, perRow, xi+run)
		a.In = unsafe.Pointer(&src[k.Src.At(n, u.In, y*k.SH-k.PadTop, x*k.SW-k.PadLeft)])
		if i/chunks%units < units-1 {
			k.ahead(c, &a, k.unit(i/chunks%units+1), t-t0, t1-t0)
		}
		k.output(c, &a, &v, n, u, y, x, end-x)
		t += run
	}
}

// offset returns the position of the weights of unit u.
func (k *Conv) offset(u kernel.Unit) int {
	return u.Before * u.Blocks * k.Src.Lanes() * k.KH * k.KW * max(1, k.Parts)
}

// weights sets the window and the weights of a for unit u.
func (k *Conv) weights(c *kernel.Context, a *simd.IntTile, u kernel.Unit) {
	a.W = unsafe.Pointer(&c.Bytes(k.W, 1)[k.offset(u)])
	a.Parts, a.Blocks, a.Rows, a.Cols = max(1, k.Parts), u.Blocks, k.KH, k.KW
	a.Half = k.half()
}

// ahead makes the tiles of a from t on, of n, prefetch the weights of unit u.
func (k *Conv) ahead(c *kernel.Context, a *simd.IntTile, u kernel.Unit, t, n int) {
	bytes := u.Blocks * k.Src.Lanes() * k.KH * k.KW * u.Width * max(1, k.Parts)
	w := unsafe.Pointer(unsafe.SliceData(c.Bytes(k.W, 1)))
	a.Ahead(uintptr(w)+uintptr(k.offset(u)), bytes, a.Parts*a.Blocks*a.Rows*a.Cols, t, n)
}

// half returns IntTile.Half.
func (k *Conv) half() int {
	if tail := k.Src.C % 16; k.Groups <= 1 && tail > 0 && tail <= 8 {
		return 1
	}
	return 0
}

// strides sets the strides of a for the image Src.
func (k *Conv) strides(a *simd.IntTile) {
	a.Pix = k.SW * k.Src.PixelBytes()
	a.BlockStride, a.RowStride, a.ColStride = k.Src.PlaneBytes(), k.DH*k.Src.RowBytes(), k.DW*k.Src.PixelBytes()
}

// step returns the kind of steps of tiles.
func (k *Conv) step() simd.IntStep {
	switch few, words := k.Src.Lanes() == 4, simd.Active().IntWords; {
	case few && words:
		return simd.IntPair
	case few:
		return simd.IntPixel
	case words:
		return simd.IntProduct
	}
	return simd.IntBlock
}

// output computes the given number of pixels of output row y, starting at column x.
func (k *Conv) output(c *kernel.Context, a *simd.IntTile, v *channels, n int, u kernel.Unit, y, x, pixels int) {
	o := k.Dst.At(n, u.Out, y, x)
	a.OutBlock = k.Dst.PlaneBytes()
	if k.Dst.Elem == kernel.Uint8 {
		a.Out = unsafe.Pointer(&c.Bytes(k.Dst.Ref, 1)[o])
		if k.adds() {
			a.Residual = unsafe.Pointer(k.residual(c, n, u.Out, y, x))
		}
		a.Line(k.step(), u.Width, pixels)
		return
	}
	dst := c.F32(k.Dst.Ref)
	a.Out = unsafe.Pointer(&dst[o])
	a.Line(k.step(), u.Width, pixels)
	for b := range u.Width / 16 {
		k.floats(dst[o+b*k.Dst.Plane():][:pixels*16], v, b)
	}
}

// regions returns the number of regions of the output.
func (k *Conv) regions() int {
	rows, cols := k.region()
	h, w := k.grid()
	return k.Dst.N * team.Split(h, rows) * team.Split(w, cols)
}

// slices returns the number of ranges of units into which a region is cut, so that few
// regions occupy every worker. Each slice widens the input again.
func (k *Conv) slices(c *kernel.Context) int {
	n, threads := 1, c.Threads()
	for n < k.units() && k.regions()*n < 4*threads && k.regions()*n%threads != 0 {
		n++
	}
	return n
}

// convWidened copies the input of a region to scratch, as words, and computes a range of
// units from there.
type convWidened Conv

func (j *convWidened) Part(c *kernel.Context, i, worker int) {
	k := (*Conv)(j)
	slices := k.slices(c)
	slice := i % slices
	i /= slices
	rows, cols := k.region()
	h, w := k.grid()
	rp, cp := team.Split(h, rows), team.Split(w, cols)
	ri, ci := i/cp%rp, i%cp
	n := i / cp / rp
	y0, y1 := team.Cut(h, rp, ri), team.Cut(h, rp, ri+1)
	x0, x1 := team.Cut(w, cp, ci), team.Cut(w, cp, ci+1)
	ih, iw := k.inRows(y1-y0), k.inCols(x1-x0)
	scratch := words(c.Scratch(worker))
	weights, scratch := scratch[:k.wideWeights()/2], scratch[k.wideWeights()/2:]
	units := k.units()
	u0, u1 := team.Cut(units, slices, slice), team.Cut(units, slices, slice+1)
	first, last := k.unit(u0).In, k.unit(u1-1).In+k.unit(u1-1).Blocks
	k.widen(c, scratch, n, first, last, y0, y1, x0, x1)
	for i := u0; i < u1; i++ {
		u := k.unit(i)
		v := k.channels(c, u.Out*16, u.Width, simd.Active().IntOffset)
		a := k.tile(&v, k.Dst.Elem == kernel.Uint8)
		k.wideWindow(&a, u, ih, iw)
		k.widenWeights(c, &a, u, weights)
		if i < u1-1 {
			k.ahead(c, &a, k.unit(i+1), 0, (y1-y0)*team.Split(x1-x0, simd.Active().IntPixels))
		}
		for y := range y1 - y0 {
			a.In = unsafe.Pointer(&scratch[((u.In-first)*ih+y*k.SH)*iw*k.wideLanes()])
			k.output(c, &a, &v, n, u, y0+y, x0, x1-x0)
			a.Passed(x1 - x0)
		}
	}
}

// Uses lists the micro-kernels that the convolution calls.
func (k *Conv) Uses(t *simd.Tier, use func(micro string, pixels int)) {
	name := map[bool]string{false: "IntBlock", true: "IntProduct"}[t.IntWords]
	if k.Src.Lanes() == 4 {
		name = map[bool]string{false: "IntPixel", true: "IntPair"}[t.IntWords]
	}
	usesBlocks(name, kernel.GroupChannels(&k.Dst, max(1, k.Groups)), use)
}
