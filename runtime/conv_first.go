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
	k.rows(c, n, y0, y1, floats(c.scratch[worker]), out, k.Dst.Row(), k.Dst.Plane())
}

// rows writes output rows y0 ≤ y < y1 of image n to out, whose rows are row
// and whose blocks plane floats apart. It copies their input rows into scratch
// as [row][column][channel] with their padding. There the values of one filter
// row are consecutive, so a row of the filter is one step of the micro-kernel.
func (k *ConvFirst) rows(c *Context, n, y0, y1 int, scratch, out []float32, row, plane int) {
	line := scratch[k.inputFloats(y1-y0):]
	rowFloats := k.rowFloats()
	for r := range k.inRows(y1 - y0) {
		k.padRow(c, scratch[r*rowFloats:], n, y0*k.SH-k.PadTop+r)
	}

	a := newTile(c.double)
	more := !a.setAct(k.Act)
	a.pix = k.SW * k.C * 4
	a.blocks, a.rows, a.rowStride = 1, k.KH, k.DH*rowFloats*4
	a.cols, a.run = 1, k.KW*k.C
	if k.DW != 1 {
		a.cols, a.colStride, a.run = k.KW, k.DW*k.C*4, k.C
	}
	a.outPix, a.outBlock = 64, plane*4
	w := c.f32(k.Wt)
	for ob := range outBlocks(k.Dst.C) {
		width := blockWidth(k.Dst.C, ob)
		a.w = unsafe.Pointer(&w[ob*32*k.KH*k.KW*k.C])
		a.bias = biasOf(c, k.Bias, 2*ob)
		narrow := k.Dst.C-ob*32 <= 8 && narrowPixels() > 0 && !c.double
		for y := range y1 - y0 {
			in, o := scratch[y*k.SH*rowFloats:], 2*ob*plane+y*row
			if narrow {
				k.narrowRow(a, out[o:], in, line, more)
				continue
			}
			a.in, a.out = unsafe.Pointer(&in[0]), unsafe.Pointer(&out[o])
			a.line(width, k.Dst.W)
			if more {
				for b := range width / 16 {
					applyAct(out[o+b*plane:][:k.Dst.W*16], k.Act)
				}
			}
		}
	}
}

// narrowRow computes a row of up to 8 output channels from the input rows in
// src. An activation that the micro-kernel does not know is applied in line,
// where no channels lie between those of two pixels.
func (k *ConvFirst) narrowRow(a tileArgs, dst, src, line []float32, more bool) {
	pitch, out := 16, dst
	if more {
		pitch, out = 8, line
	}
	a.outPix = pitch * 4
	tiles := split(k.Dst.W, narrowPixels())
	for t := range tiles {
		x := cut(k.Dst.W, tiles, t)
		a.pixels = cut(k.Dst.W, tiles, t+1) - x
		a.in = unsafe.Pointer(&src[x*k.SW*k.C])
		a.out = unsafe.Pointer(&out[x*pitch])
		run8(&a)
	}
	if !more {
		return
	}
	applyAct(line[:(k.Dst.W*8+15)&^15], k.Act)
	// Four floats are one instruction.
	to := unsafe.Slice((*[4][4]float32)(unsafe.Pointer(&dst[0])), k.Dst.W)
	from := unsafe.Slice((*[2][4]float32)(unsafe.Pointer(&line[0])), k.Dst.W)
	for x := range from {
		p, q := &to[x], &from[x]
		p[0], p[1], p[2], p[3] = q[0], q[1], [4]float32{}, [4]float32{}
	}
}

// padRow writes row y of image n, which may lie outside, to the start of dst
// [column][channel], from PadLeft columns to the left of the image on. What
// follows may be overwritten.
func (k *ConvFirst) padRow(c *Context, dst []float32, n, y int) {
	width := k.rowFloats()
	if y < 0 || y >= k.H {
		clear(dst[:width])
		return
	}
	cols := width / k.C
	lo := min(k.PadLeft, cols)
	hi := max(lo, min(cols, k.PadLeft+k.W))
	clear(dst[:lo*k.C])
	k.gatherRow(c, dst[lo*k.C:], n, y, hi-lo)
	clear(dst[hi*k.C : width])
}

// gatherRow writes the first cols pixels of row y to dst.
func (k *ConvFirst) gatherRow(c *Context, dst []float32, n, y, cols int) {
	if k.Image.N > 0 {
		row := k.Image.row(c.f32(k.Image.Ref), n, 0, y)
		// Whole pixels, each over the unused channels of the one before.
		for x := range cols {
			*(*[16]float32)(dst[x*k.C:]) = *(*[16]float32)(row[x*16:])
		}
		return
	}
	src := c.f32(k.Src)[n*k.C*k.H*k.W:]
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
