package runtime

import "unsafe"

// ConvFirst is a convolution of few input channels, those of a picture: it
// gathers them without padding to 16, from the user's layout or from NC16, and
// writes NC16. Padding is zero and explicit.
type ConvFirst struct {
	Image      Image // the operand as NC16; N = 0 where it is dense, Src
	Src        Ref   // [N,C,H,W], or [N,H,W,C] when NHWC is set
	NHWC       bool
	N, C, H, W int
	Dst        Image
	Wt         Ref // [ceil(OC/32)][KH][KW][C][32], last block 16 wide where OC leaves one
	Bias       Ref
	Act        Act
	KH, KW     int
	SH, SW     int
	DH, DW     int
	PadTop     int
	PadLeft    int
}

// ScratchBytes is the padded input rows of a part, room behind the last one
// for the unused channels of its last pixel, and a row of 8 output channels.
func (k *ConvFirst) ScratchBytes() int { return 4 * k.scratchFloats(k.region()) }

// scratchFloats is the same for so many output rows at a time.
func (k *ConvFirst) scratchFloats(rows int) int { return k.inputFloats(rows) + k.Dst.W*8 + 8 }

func (k *ConvFirst) inputFloats(rows int) int { return k.inRows(rows)*k.rowFloats() + 16 }

// rowFloats is a padded input row: all channels of each pixel.
func (k *ConvFirst) rowFloats() int { return ((k.Dst.W-1)*k.SW + (k.KW-1)*k.DW + 1) * k.C }

func (k *ConvFirst) inRows(rows int) int { return (rows-1)*k.SH + (k.KH-1)*k.DH + 1 }

// region returns how many output rows a part computes.
func (k *ConvFirst) region() int {
	rows := 1
	for rows < k.Dst.H && k.inRows(rows+1)*k.rowFloats()*4 <= scratchTarget/8 {
		rows++
	}
	return rows
}

// Run computes the convolution.
func (k *ConvFirst) Run(c *Context) {
	k.Dst.clearBorder(c)
	c.do(k.N*split(k.Dst.H, k.region()), tileWork(k.N*k.Dst.H*k.Dst.W*k.Dst.C*k.C*k.KH*k.KW), k)
}

// part computes a few output rows.
func (k *ConvFirst) part(c *Context, i, worker int) {
	parts := split(k.Dst.H, k.region())
	n, chunk := i/parts, i%parts
	y0, y1 := cut(k.Dst.H, parts, chunk), cut(k.Dst.H, parts, chunk+1)
	out := c.f32(k.Dst.Ref)[n*k.Dst.BatchStride+k.Dst.Origin()+y0*k.Dst.Row():]
	k.rows(c, n, y0, y1, floats(c.scratch[worker]), out, 16, k.Dst.Row(), k.Dst.Plane())
}

// width returns how many output channels of block ob are computed: 32, 16, or 8.
func (k *ConvFirst) width(c *Context, ob int) int {
	if k.Dst.C-ob*32 <= 8 && narrowPixels() > 0 && !c.double {
		return 8
	}
	return blockWidth(k.Dst.C, ob)
}

// rows writes output rows y0 ≤ y < y1 of image n to out, whose pixels are pitch,
// rows row and blocks plane floats apart. A pitch of 8 is for a width of 8 and
// rows without a gap; as many floats behind the last one are overwritten. It
// copies their input rows into scratch as [row][column][channel] with their
// padding. There the values of one filter row are consecutive, so a row of the
// filter is one step of the micro-kernel.
func (k *ConvFirst) rows(c *Context, n, y0, y1 int, scratch, out []float32, pitch, row, plane int) {
	line := scratch[k.inputFloats(y1-y0):]
	rowFloats := k.rowFloats()
	k.padRows(c, scratch, n, y0*k.SH-k.PadTop, k.inRows(y1-y0))

	a := newTile(c.double)
	more := !a.setAct(k.Act)
	a.pix = k.SW * k.C * 4
	a.blocks, a.rows, a.rowStride = 1, k.KH, k.DH*rowFloats*4
	a.cols, a.run = 1, k.KW*k.C
	if k.DW != 1 {
		a.cols, a.colStride, a.run = k.KW, k.DW*k.C*4, k.C
	}
	w := c.f32(k.Wt)
	for ob := range outBlocks(k.Dst.C) {
		width := k.width(c, ob)
		a.w = unsafe.Pointer(&w[ob*32*k.KH*k.KW*k.C])
		a.bias = biasOf(c, k.Bias, 2*ob)
		a.outPix, a.outBlock = pitch*4, plane*4
		apart := more && width == 8 && pitch == 16
		if apart {
			a.outPix = 8 * 4
		}
		for y := range y1 - y0 {
			dst := out[2*ob*plane+y*row:]
			a.in, a.out = unsafe.Pointer(&scratch[y*k.SH*rowFloats]), unsafe.Pointer(&dst[0])
			if apart { // where no channels lie between those of two pixels
				a.out = unsafe.Pointer(&line[0])
				a.line(width, k.Dst.W)
				applyAct(line[:wholeBlocks(k.Dst.W*8)], k.Act)
				spreadNarrow(dst, line, k.Dst.W)
				continue
			}
			a.line(width, k.Dst.W)
			if more && pitch == 16 {
				for b := range width / 16 {
					applyAct(dst[b*plane:][:k.Dst.W*16], k.Act)
				}
			}
		}
	}
	if more && pitch == 8 {
		applyAct(out[:wholeBlocks((y1-y0)*row)], k.Act)
	}
}

// spreadNarrow writes pixels of 8 channels as those of 16, zeros behind.
func spreadNarrow(dst, src []float32, pixels int) {
	to := unsafe.Slice((*[4][4]float32)(unsafe.Pointer(&dst[0])), pixels)
	from := unsafe.Slice((*[2][4]float32)(unsafe.Pointer(&src[0])), pixels)
	for x := range from {
		p, q := &to[x], &from[x]
		p[0] = q[0] // an instruction
		p[1] = q[1]
		p[2] = [4]float32{}
		p[3] = [4]float32{}
	}
}

// padRows writes rows y … y+rows−1 of image n, some of which may lie outside,
// to dst [row][column][channel], from PadLeft columns to the left of the image
// on. What follows may be overwritten.
func (k *ConvFirst) padRows(c *Context, dst []float32, n, y, rows int) {
	width := k.rowFloats()
	cols := width / k.C
	lo := min(k.PadLeft, cols)
	hi := max(lo, min(cols, k.PadLeft+k.W))
	var src []float32
	if k.Image.N > 0 {
		src = c.f32(k.Image.Ref)
	} else {
		src = c.f32(k.Src)[n*k.C*k.H*k.W:]
	}
	for r := range rows {
		row := dst[r*width:]
		if y+r < 0 || y+r >= k.H {
			clear(row[:width])
			continue
		}
		clear(row[:lo*k.C])
		k.gatherRow(src, row[lo*k.C:], n, y+r, hi-lo)
		clear(row[hi*k.C : width])
	}
}

// gatherRow writes the first cols pixels of row y of the operand to dst.
func (k *ConvFirst) gatherRow(src, dst []float32, n, y, cols int) {
	if k.Image.N > 0 {
		// Whole pixels, each over the unused channels of the one before.
		copyPixels(dst, k.Image.row(src, n, 0, y), cols, k.C, 16)
		return
	}
	if k.NHWC || k.C == 1 {
		copy(dst[:cols*k.C], src[y*k.W*k.C:])
		return
	}
	done := 0
	if k.C == 3 && active != generic {
		done = interleave3(dst[:cols*3], src[y*k.W:], k.H*k.W)
	}
	for ch := range k.C {
		row := src[(ch*k.H+y)*k.W:][:cols]
		for x := done; x < len(row); x++ {
			dst[x*k.C+ch] = row[x]
		}
	}
}
