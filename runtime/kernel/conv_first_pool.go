package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// ConvFirstPool is a convolution of few input channels and the pool of its result.
// The intermediate image is the largest image of most networks. A part keeps only a
// few rows of it, in scratch.
type ConvFirstPool struct {
	// Conv.Dst has extents, but no memory.
	Conv ConvFirst
	// Pool reads Conv.Dst and has no prologue or dilation. Every window contains
	// pixels of the image.
	Pool Pool
	// Rows has the weights of F(2,5) along columns, [6][ceil(OC/32)][KW][C][32], where the
	// last block may be 16 wide. If it is present and the tier has the transforms, pairs of
	// rows of a 5×5 convolution take 6 products for each column of the filter instead of
	// 10. See [ConvFirstPool.SuitsRows].
	Rows Ref
}

// SuitsRows reports whether Rows may be present: the operand is an image of at most 8
// channels that no window leaves, and the pool combines pairs of rows.
func (k *ConvFirstPool) SuitsRows() bool {
	v := &k.Conv
	return v.inPlace() && v.C <= 8 && v.KH == 5 && v.SH == 1 && v.SW == 1 && v.DH == 1 && v.DW == 1 && v.Dst.C <= 32 && v.Dst.W <= 64 && k.halves()
}

// halves reports whether the pool has windows of 2×2 pixels side by side.
func (k *ConvFirstPool) halves() bool {
	v, p := &k.Conv, &k.Pool
	return p.KH == 2 && p.KW == 2 && p.SH == 2 && p.SW == 2 && p.PadTop == 0 && p.PadLeft == 0 && 2*p.Dst.H <= v.Dst.H && 2*p.Dst.W <= v.Dst.W
}

// byRows reports whether a tier uses Rows.
func (k *ConvFirstPool) byRows(t *simd.Tier, double bool) bool {
	return k.Rows.Present() && t.NarrowPixels > 0 && !double
}

// rowsFloats returns the numbers of floats of a pair of rows: the transformed input, the
// products, and the result.
func (k *ConvFirstPool) rowsFloats() (in, products, out int) {
	v := &k.Conv
	return wholeBlocks(6 * (v.Dst.W + v.KW - 1) * 8), 6 * v.Dst.W * 16 * v.Dst.Blocks(), 2 * v.Dst.W * 16
}

// pairs computes rows from ≤ y < to of the pool of image n by Rows.
func (k *ConvFirstPool) pairs(c *Context, n, from, to int, scratch []float32) {
	v, p := &k.Conv, &k.Pool
	dst, image, w := c.F32(p.Dst.Ref), c.F32(v.Image.Ref), c.F32(k.Rows)
	inFloats, productFloats, _ := k.rowsFloats()
	products, rows := scratch[inFloats:][:productFloats], scratch[inFloats+productFloats:]
	cols, width := v.Dst.W+v.KW-1, v.Dst.W
	position := len(w) / 6
	in, tile, out := simd.NewTile(false), simd.NewTile(false), simd.NewTile(false)
	more := !setAct(&out, v.Act)
	in.Cols, in.RowStride, in.Out, in.OutBlock = cols, v.Image.RowBytes(), unsafe.Pointer(&scratch[0]), cols*32
	tile.Pix, tile.Blocks, tile.Rows, tile.Cols, tile.ColStride, tile.Run = 32, 1, 1, v.KW, 32, v.C
	tile.OutPix, tile.OutBlock = pixelBytes, 6*width*pixelBytes
	out.Cols, out.BlockStride, out.Out, out.OutLine = width, width*pixelBytes, unsafe.Pointer(&rows[0]), width*pixelBytes
	for y := from; y < to; y++ {
		in.In = unsafe.Pointer(&image[v.Image.At(n, 0, 2*y, 0)])
		in.RowsIn()
		for i := range 6 {
			for ob := range OutBlocks(v.Dst.C) {
				tile.In, tile.Out = unsafe.Pointer(&scratch[i*cols*8]), unsafe.Pointer(&products[(2*ob*6+i)*width*16])
				tile.W, tile.Bias = unsafe.Pointer(&w[i*position+ob*32*v.KW*v.C]), unsafe.Pointer(&zeroBias[0])
				if i == 0 || i == 5 { // each contributes to one of the two rows
					tile.Bias = biasOf(c, v.Bias, 2*ob)
				}
				tile.Line(BlockWidth(v.Dst.C, ob), width)
			}
		}
		for b := range v.Dst.Blocks() {
			out.In = unsafe.Pointer(&products[b*6*width*16])
			out.RowsOut()
			if more {
				Apply(rows[:2*width*16], v.Act)
			}
			p.row(p.Dst.row(dst, n, b, y), rows, -2*y*width*16, lanes, width*16, y)
		}
	}
}

// pitch returns the distance in floats between pixels of the intermediate image. It
// is 8 if there are at most 8 channels, the tier has narrow kernels, and all columns
// of the pool's windows lie inside the image. Otherwise it is 16.
func (k *ConvFirstPool) pitch(t *simd.Tier, double bool) int {
	if lo, hi := k.Pool.inside(); k.Conv.width(t, double, 0) == 8 && lo == 0 && hi == k.Pool.Dst.W {
		return 8
	}
	return 16
}

// planar reports whether a tier computes the step in planes: vectors hold pixels of one
// channel, so that all lanes are in use although there are few channels.
func (k *ConvFirstPool) planar(t *simd.Tier, double bool) bool {
	return t.NarrowPixels > 0 && !double && k.planeFloats() > 0
}

// planeFloats returns the number of floats of the scratch that planes need, or 0 if the
// step does not suit them. They are computed in bands of at most 24 kB, which stay in L1.
func (k *ConvFirstPool) planeFloats() int {
	v, p := &k.Conv, &k.Pool
	if v.C != 1 || v.Dst.C > simd.PlaneChannels || v.SW != 1 || v.DW != 1 || v.Dst.W > 1<<12 || p.Dst.W < 8 || !k.halves() {
		return 0
	}
	rows := k.planeRows()
	return k.planeInput(rows) + 2*rows*simd.PlanePitch(v.Dst.W)*v.Dst.C
}

// planeRows returns the number of rows of the pool of a band of planes.
func (k *ConvFirstPool) planeRows() int {
	v := &k.Conv
	return max(1, min(k.Pool.Dst.H, (24<<10)/(8*simd.PlanePitch(v.Dst.W)*v.Dst.C)))
}

// planeInput returns the number of floats of the padded input of rows of the pool, and of
// the pixels behind it that the last tile reads.
func (k *ConvFirstPool) planeInput(rows int) int {
	return wholeBlocks(k.Conv.inRows(2*rows)*k.Conv.rowFloats() + 16)
}

// planes computes rows y ≤ r < to of the pool of image n.
func (k *ConvFirstPool) planes(c *Context, n, y, to int, scratch []float32) {
	v, p := &k.Conv, &k.Pool
	dst := c.F32(p.Dst.Ref)
	pitch, line := simd.PlanePitch(v.Dst.W), v.rowFloats()*4
	a := simd.NewTile(false)
	more := !setAct(&a, v.Act)
	for ; y < to; y += k.planeRows() {
		rows := min(k.planeRows(), to-y)
		in, out := scratch, scratch[k.planeInput(rows):][:2*rows*pitch*v.Dst.C]
		v.padRows(c, in, n, 2*y*v.SH-v.PadTop, v.inRows(2*rows))
		a.W, a.Bias = unsafe.Pointer(&c.F32(v.Wt)[0]), biasOf(c, v.Bias, 0)
		a.In, a.Rows, a.RowStride, a.Run, a.InLine = unsafe.Pointer(&in[0]), v.KH, v.DH*line, v.KW, v.SH*line
		a.Out, a.OutLine, a.OutBlock, a.Lines = unsafe.Pointer(&out[0]), pitch*4, 2*rows*pitch*4, 2*rows
		a.Planes(v.Dst.C, pitch)
		if more {
			Apply(out, v.Act)
		}
		a.In, a.RowStride, a.InLine, a.BlockStride, a.Cols = a.Out, pitch*4, 2*pitch*4, a.OutBlock, p.Dst.W
		a.Out, a.OutLine, a.Lines = unsafe.Pointer(&p.Dst.row(dst, n, 0, y)[0]), p.Dst.RowBytes(), rows
		a.PoolPlanes(p.Kind == PoolMax, v.Dst.C)
	}
}

// Check declares the memory of the step.
func (k *ConvFirstPool) Check(v *Verifier) {
	c, p := &k.Conv, &k.Pool
	v.Extents("Conv.Dst", &c.Dst)
	v.nc16(&c.Dst)
	c.checkOperands(v)
	if k.Rows.Present() {
		v.Require(k.SuitsRows(), "the convolution does not suit F(2,5)")
		v.floats("Rows", k.Rows, Product(6, c.Dst.Blocks(), lanes, c.KW, c.C))
	}
	v.writes("Pool.Dst", &p.Dst)
	v.Require(p.Dst.N == c.N && p.Dst.Blocks() == c.Dst.Blocks() && p.Src.H == c.Dst.H && p.Src.W == c.Dst.W && p.DH == 1 && p.DW == 1 && !p.prologue(),
		"the pool does not fit the convolution")
	p.checkWindows(v)
	outside := func(out, stride, taps, pad, in int) bool { return pad >= taps || (out-1)*stride-pad >= in }
	v.Require(v.err != nil || !outside(p.Dst.H, p.SH, p.KH, p.PadTop, p.Src.H) && !outside(p.Dst.W, p.SW, p.KW, p.PadLeft, p.Src.W), "a window of the pool has no pixels")
	v.Require(Product(c.Dst.H, c.Dst.Blocks(), c.Dst.W, pixelBytes) <= maxMemory, "the intermediate image is too large")
}

// ScratchBytes is the size of the scratch of the convolution and of the rows of the
// intermediate image.
func (k *ConvFirstPool) ScratchBytes() int {
	rows := 0
	if k.Rows.Present() {
		in, products, out := k.rowsFloats()
		rows = in + products + out
	}
	return 4 * max(rows, k.planeFloats(), k.convFloats()+k.between(k.band())*k.rowFloats())
}

// convFloats returns the size of the scratch of the convolution in floats, rounded up
// to whole cache lines.
func (k *ConvFirstPool) convFloats() int {
	return wholeBlocks(k.Conv.scratchFloats(k.between(k.band())))
}

// rowFloats returns the number of floats of a row of the intermediate image.
func (k *ConvFirstPool) rowFloats() int { return k.Conv.Dst.Blocks() * k.Conv.Dst.W * 16 }

// between returns the number of rows of the convolution that rows of the pool read.
func (k *ConvFirstPool) between(rows int) int {
	return min((rows-1)*k.Pool.SH+k.Pool.KH, k.Conv.Dst.H)
}

// band returns the number of rows of the pool that a part computes at a time. The
// rows of the intermediate image that they read stay in L2.
func (k *ConvFirstPool) band() int {
	rows := 1
	for rows < k.Pool.Dst.H && k.between(rows+1)*k.rowFloats()*4 <= scratchTarget {
		rows++
	}
	return rows
}

// parts returns the number of ranges of rows of an image: two for each worker.
// Adjacent ranges compute some rows twice, so more ranges would cost time.
func (k *ConvFirstPool) parts(c *Context) int {
	if c.Threads() == 1 {
		return 1
	}
	return min(team.Split(2*c.Threads(), k.Conv.N), k.Pool.Dst.H)
}

// Run computes the convolution and the pool.
func (k *ConvFirstPool) Run(c *Context) {
	k.Pool.Dst.ClearBorder(c)
	v, p := &k.Conv, &k.Pool
	work := tileWork(v.N*v.Dst.H*v.Dst.W*v.Dst.C*v.C*v.KH*v.KW) + p.Dst.N*p.Dst.C*p.Dst.H*p.Dst.W*p.KH*p.KW
	c.Do(v.N*k.parts(c), work, k)
}

// Part computes a range of rows, band after band. Rows of the intermediate image that
// the next band also reads move to the start of the scratch memory.
func (k *ConvFirstPool) Part(c *Context, i, worker int) {
	v, p := &k.Conv, &k.Pool
	parts := k.parts(c)
	n, chunk := i/parts, i%parts
	scratch := Floats(c.scratch[worker])
	switch y0, y1 := team.Cut(p.Dst.H, parts, chunk), team.Cut(p.Dst.H, parts, chunk+1); {
	case k.planar(simd.Active(), c.double):
		k.planes(c, n, y0, y1, scratch)
		return
	case k.byRows(simd.Active(), c.double):
		k.pairs(c, n, y0, y1, scratch)
		return
	}
	conv, between := scratch[:k.convFloats()], scratch[k.convFloats():]
	band, pitch := k.band(), k.pitch(simd.Active(), c.double)
	row := v.Dst.W * pitch
	plane := k.between(band) * row
	dst := c.F32(p.Dst.Ref)
	first, end := 0, 0 // the rows of the intermediate image in scratch
	for y, to := team.Cut(p.Dst.H, parts, chunk), team.Cut(p.Dst.H, parts, chunk+1); y < to; {
		next := min(y+band, to)
		from := max(0, y*p.SH-p.PadTop)
		kept := max(0, end-from)
		for b := 0; b < p.Dst.Blocks() && kept > 0; b++ {
			rows := between[b*plane:][:plane]
			copy(rows, rows[(from-first)*row:][:kept*row])
		}
		first, end = from, min((next-1)*p.SH-p.PadTop+p.KH, v.Dst.H)
		if end > first+kept {
			v.rows(c, n, first+kept, end, conv, between[kept*row:], pitch, row, plane)
		}
		for b := range p.Dst.Blocks() {
			for r := y; r < next; r++ {
				p.row(p.Dst.row(dst, n, b, r), between[b*plane:], -first*row, pitch, row, r)
			}
		}
		y = next
	}
}

func (k *ConvFirstPool) uses(t *simd.Tier, use useFunc) {
	v := &k.Conv
	switch {
	case k.planar(t, false):
		use("Planes", v.Dst.C)
		use(k.Pool.Kind.micro(lanes)+"Planes", v.Dst.C)
	case k.byRows(t, false):
		use("RowsIn", AnyPixels)
		use("RowsOut", AnyPixels)
		for ob := range OutBlocks(v.Dst.C) {
			if BlockWidth(v.Dst.C, ob) == 32 {
				pieces(v.Dst.W, t.TilePixels, "Run32", use)
			} else {
				pieces(v.Dst.W, t.TilePixels, "Run16", use)
			}
		}
		k.Pool.usesPixels(t, lanes, use)
	default:
		v.uses(t, use)
		k.Pool.usesPixels(t, k.pitch(t, false), use)
	}
}
