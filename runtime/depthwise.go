package runtime

import "unsafe"

// Depthwise is a convolution with one filter per channel, NC16 to NC16.
// Operands as in Conv.
type Depthwise struct {
	Src, Dst        Image
	W               Ref // [ceil(C/16)][KH][KW][16]
	Bias            Ref
	Residual        Image
	Scale, Shift    Ref
	Pre, Act        Act
	KH, KW          int
	SH, SW          int
	DH, DW          int
	PadTop, PadLeft int
}

// ScratchBytes is one transformed input window when there is a prologue.
func (k *Depthwise) ScratchBytes() int {
	if !k.prologue() {
		return 0
	}
	return k.inRows(k.Dst.H) * k.inCols() * 64
}

func (k *Depthwise) prologue() bool {
	return k.Scale.Present() || k.Shift.Present() || k.Pre.Fn != ActIdentity
}

func (k *Depthwise) inRows(rows int) int { return (rows-1)*k.SH + (k.KH-1)*k.DH + 1 }
func (k *Depthwise) inCols() int         { return (k.Dst.W-1)*k.SW + (k.KW-1)*k.DW + 1 }

// Run computes the convolution.
func (k *Depthwise) Run(c *Context) {
	k.Dst.clearBorder(c)
	blocks := k.Dst.N * k.Dst.Blocks()
	c.do(blocks*k.chunks(c), tileWork(blocks*16*k.Dst.H*k.Dst.W*k.KH*k.KW), k)
}

// chunks is into how many ranges of rows a block is cut so that every worker
// finds work.
func (k *Depthwise) chunks(c *Context) int {
	blocks := k.Dst.N * k.Dst.Blocks()
	if c.team.threads == 1 || blocks >= 4*c.team.threads {
		return 1
	}
	return min(k.Dst.H, split(4*c.team.threads, blocks))
}

// part computes rows of one block of 16 channels of one image.
func (k *Depthwise) part(c *Context, i, worker int) {
	chunks := k.chunks(c)
	chunk := i % chunks
	n, b := i/chunks/k.Dst.Blocks(), i/chunks%k.Dst.Blocks()
	y0, y1 := cut(k.Dst.H, chunks, chunk), cut(k.Dst.H, chunks, chunk+1)

	src := c.f32(k.Src.Ref)[n*k.Src.BatchStride+b*k.Src.Plane():]
	row := k.Src.Row()
	in := k.Src.Origin() + (y0*k.SH-k.PadTop)*row - k.PadLeft*16
	if k.prologue() {
		one := k.Src
		one.C = 16
		pr := prologue{src: src, img: &one, scale: blockOf(c.f32(k.Scale), b), shift: blockOf(c.f32(k.Shift), b), act: k.Pre}
		scratch := floats(c.scratch[worker])
		pr.window(scratch, y0*k.SH-k.PadTop, -k.PadLeft, k.inRows(y1-y0), k.inCols())
		src, row, in = scratch, k.inCols()*16, 0
	}
	k.rows(c, n, b, y0, y1, src[in:], row)
}

// rows computes output rows y0 ≤ y < y1 of block b of image n. src starts at
// the first tap of the first of them; row is the distance between its rows in
// floats.
func (k *Depthwise) rows(c *Context, n, b, y0, y1 int, src []float32, row int) {
	dst := c.f32(k.Dst.Ref)
	var bias [16]float32
	copy(bias[:], blockOf(c.f32(k.Bias), b))

	a := newTile(c.double)
	more := !a.setAct(k.Act)
	a.w, a.bias = unsafe.Pointer(&c.f32(k.W)[b*k.KH*k.KW*16]), unsafe.Pointer(&bias)
	a.pix, a.outPix, a.resPix = k.SW*64, 64, 64
	a.rows, a.rowStride = k.KH, k.DH*row*4
	a.cols, a.colStride = k.KW, k.DW*64
	for y := y0; y < y1; y++ {
		out := k.Dst.row(dst, n, b, y)
		var res unsafe.Pointer
		if k.Residual.N > 0 {
			res = unsafe.Pointer(&k.Residual.row(c.f32(k.Residual.Ref), n, b, y)[0])
		}
		a.depthwiseLine(unsafe.Pointer(&src[(y-y0)*k.SH*row]), unsafe.Pointer(&out[0]), res, k.Dst.W)
		if more {
			applyAct(out, k.Act)
		}
	}
}

// blockOf returns block b of a per-channel operand, nil for an absent one.
func blockOf(v []float32, b int) []float32 {
	if v == nil {
		return nil
	}
	return v[b*16 : b*16+16]
}

// neighbours reports whether depthwise3 computes the tile, of up to
// neighbourPixels pixels, if it has no residual.
func (a *tileArgs) neighbours() bool {
	return active == avx2 && !a.double && a.cols == 3 && a.pix == 64 && a.colStride == 64
}

const neighbourPixels = 12

// depthwise computes a tile of one block of 16 channels, one filter each.
func (a *tileArgs) depthwise() {
	if a.double {
		a.depthwiseDouble()
		return
	}
	if active != generic {
		depthwiseTile(a)
		return
	}
	a.depthwiseGo()
}

// depthwiseLine computes pixels side by side, tile after tile; res may be nil.
func (a *tileArgs) depthwiseLine(in, out, res unsafe.Pointer, pixels int) {
	most, near := channelPixels(), a.neighbours() && res == nil
	if near {
		most = neighbourPixels
	}
	tiles := split(pixels, most)
	for t := range tiles {
		x := cut(pixels, tiles, t)
		a.pixels = cut(pixels, tiles, t+1) - x
		a.in, a.out = unsafe.Add(in, x*a.pix), unsafe.Add(out, x*a.outPix)
		if a.res = res; res != nil {
			a.res = unsafe.Add(res, x*a.resPix)
		}
		if near {
			depthwise3(a)
		} else {
			a.depthwise()
		}
	}
}

// depthwiseGo is the micro-kernel in Go.
func (a *tileArgs) depthwiseGo() {
	for p := range a.pixels {
		acc := *(*[16]float32)(a.bias)
		w := 0 // bytes read
		for y := range a.rows {
			for x := range a.cols {
				in := (*[16]float32)(unsafe.Add(a.in, p*a.pix+y*a.rowStride+x*a.colStride))
				for o, f := range (*[16]float32)(unsafe.Add(a.w, w)) {
					acc[o] += in[o] * f
				}
				w += 64
			}
		}
		a.finish(p, acc[:])
	}
}
