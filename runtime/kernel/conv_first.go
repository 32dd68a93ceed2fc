package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// ConvFirst is a convolution of few input channels, such as those of a picture. It
// reads a dense tensor or an NC16 image and writes NC16. It multiplies only the
// channels that exist. Its operand needs no border, because it pads with zeros itself.
type ConvFirst struct {
	Image      Image // the operand in NC16; N = 0 if it is dense, Src
	Src        Ref   // [N,C,H,W], or [N,H,W,C] when NHWC is set
	NHWC       bool
	N, C, H, W int
	Dst        Image
	Wt         Ref // [ceil(OC/32)][KH][KW][C][32], the last block may be 16 wide
	Bias       Ref
	Act        Act
	KH, KW     int
	SH, SW     int
	DH, DW     int
	PadTop     int
	PadLeft    int
}

// Check declares the memory of the step.
func (k *ConvFirst) Check(v *Verifier) {
	v.writes("Dst", &k.Dst)
	k.checkOperands(v)
}

// checkOperands declares the operands, but not the memory of Dst.
func (k *ConvFirst) checkOperands(v *Verifier) {
	v.Positive("extents", k.N, k.C, k.H, k.W)
	if k.Image.N != 0 {
		v.reads("Image", &k.Image)
		v.Require(k.Image.N == k.N && k.Image.H == k.H && k.Image.W == k.W && k.C <= lanes, "the extents differ from those of the image")
	} else {
		v.floats("Src", k.Src, Product(k.N, k.C, k.H, k.W))
	}
	v.Require(k.N == k.Dst.N && k.PadLeft >= 0, "the operand does not fit the result")
	v.floats("Wt", k.Wt, Product(k.Dst.Blocks(), lanes, k.KH, k.KW, k.C))
	v.channels("Bias", k.Bias, k.Dst.Blocks())
	v.Act(k.Act.Fn)
	top, bottom := v.Window(k.Dst.H, k.SH, k.KH, k.DH, k.PadTop)
	left, right := v.Window(k.Dst.W, k.SW, k.KW, k.DW, k.PadLeft)
	v.Require(Product(int(bottom-top)+1, int(right-left)+1, k.C, 4) <= maxMemory, "the padded operand is too large")
}

// ScratchBytes is the size of the padded input rows of a part, of the unused
// channels of the last pixel, and of a row of 8 output channels.
func (k *ConvFirst) ScratchBytes() int { return 4 * k.scratchFloats(k.region()) }

// scratchFloats returns that size in floats for a number of output rows.
func (k *ConvFirst) scratchFloats(rows int) int { return k.inputFloats(rows) + k.Dst.W*8 + 8 }

func (k *ConvFirst) inputFloats(rows int) int { return k.inRows(rows)*k.rowFloats() + 16 }

// rowFloats returns the number of floats of a padded input row.
func (k *ConvFirst) rowFloats() int { return ((k.Dst.W-1)*k.SW + (k.KW-1)*k.DW + 1) * k.C }

func (k *ConvFirst) inRows(rows int) int { return (rows-1)*k.SH + (k.KH-1)*k.DH + 1 }

// region returns the number of output rows of a part.
func (k *ConvFirst) region() int {
	rows := 1
	for rows < k.Dst.H && k.inRows(rows+1)*k.rowFloats()*4 <= scratchTarget/8 {
		rows++
	}
	return rows
}

// Run computes the convolution.
func (k *ConvFirst) Run(c *Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.N*team.Split(k.Dst.H, k.region()), tileWork(k.N*k.Dst.H*k.Dst.W*k.Dst.C*k.C*k.KH*k.KW), k)
}

// Part computes a few output rows.
func (k *ConvFirst) Part(c *Context, i, worker int) {
	parts := team.Split(k.Dst.H, k.region())
	n, chunk := i/parts, i%parts
	y0, y1 := team.Cut(k.Dst.H, parts, chunk), team.Cut(k.Dst.H, parts, chunk+1)
	out := c.F32(k.Dst.Ref)[k.Dst.At(n, 0, y0, 0):]
	k.rows(c, n, y0, y1, Floats(c.scratch[worker]), out, 16, k.Dst.Row(), k.Dst.Plane())
}

// inPlace reports whether the operand is an image that no window leaves.
func (k *ConvFirst) inPlace() bool {
	return k.Image.N > 0 && k.PadTop == 0 && k.PadLeft == 0 &&
		(k.Dst.H-1)*k.SH+(k.KH-1)*k.DH < k.H && (k.Dst.W-1)*k.SW+(k.KW-1)*k.DW < k.W
}

// width returns the number of output channels that a tier computes for block ob: 32,
// 16 or 8.
func (k *ConvFirst) width(t *simd.Tier, double bool, ob int) int {
	if k.Dst.C-ob*32 <= 8 && t.NarrowPixels > 0 && !double {
		return 8
	}
	return BlockWidth(k.Dst.C, ob)
}

// rows writes output rows y0 ≤ y < y1 of image n to out. In out, pixels are pitch
// floats apart, rows row floats, and blocks plane floats. A pitch of 8 requires a
// width of 8 and rows without gaps. It overwrites 8 floats behind the last pixel.
//
// rows first copies the input to scratch as [row][column][channel] with padding. In
// that layout the values of a filter row are consecutive, so that a filter row is one
// step of the micro-kernel.
func (k *ConvFirst) rows(c *Context, n, y0, y1 int, scratch, out []float32, pitch, row, plane int) {
	line := scratch[k.inputFloats(y1-y0):]
	rowFloats := k.rowFloats()
	in, pixel := scratch, k.C
	if k.inPlace() {
		rowFloats, pixel = k.Image.Row(), lanes
		in = c.F32(k.Image.Ref)[k.Image.At(n, 0, y0*k.SH, 0):]
	} else {
		k.padRows(c, scratch, n, y0*k.SH-k.PadTop, k.inRows(y1-y0))
	}

	a := simd.NewTile(c.double)
	more := !setAct(&a, k.Act)
	a.Pix = k.SW * pixel * 4
	a.Blocks, a.Rows, a.RowStride = 1, k.KH, k.DH*rowFloats*4
	a.Cols, a.Run = 1, k.KW*k.C
	if k.DW != 1 || pixel != k.C {
		a.Cols, a.ColStride, a.Run = k.KW, k.DW*pixel*4, k.C
	}
	w := c.F32(k.Wt)
	for ob := range OutBlocks(k.Dst.C) {
		width := k.width(simd.Active(), c.double, ob)
		a.W = unsafe.Pointer(&w[ob*32*k.KH*k.KW*k.C])
		a.Bias = biasOf(c, k.Bias, 2*ob)
		a.OutPix, a.OutBlock = pitch*4, plane*4
		apart := more && width == 8 && pitch == 16
		if apart {
			a.OutPix = 8 * 4
		}
		for y := range y1 - y0 {
			dst := out[2*ob*plane+y*row:]
			a.In, a.Out = unsafe.Pointer(&in[y*k.SH*rowFloats]), unsafe.Pointer(&dst[0])
			if apart { // compute at a pitch of 8, so that the activation wastes no lanes
				a.Out = unsafe.Pointer(&line[0])
				a.Line(width, k.Dst.W)
				Apply(line[:wholeBlocks(k.Dst.W*8)], k.Act)
				spreadNarrow(dst, line, k.Dst.W)
				continue
			}
			a.Line(width, k.Dst.W)
			if more && pitch == 16 {
				for b := range width / 16 {
					Apply(dst[b*plane:][:k.Dst.W*16], k.Act)
				}
			}
		}
	}
	if more && pitch == 8 {
		Apply(out[:wholeBlocks((y1-y0)*row)], k.Act)
	}
}

// spreadNarrow writes pixels of 8 channels as pixels of 16 channels, padded with
// zeros.
func spreadNarrow(dst, src []float32, pixels int) {
	to := unsafe.Slice((*[4][4]float32)(unsafe.Pointer(&dst[0])), pixels)
	from := unsafe.Slice((*[2][4]float32)(unsafe.Pointer(&src[0])), pixels)
	for x := range from {
		p, q := &to[x], &from[x]
		p[0] = q[0] // one instruction
		p[1] = q[1]
		p[2] = [4]float32{}
		p[3] = [4]float32{}
	}
}

// padRows writes rows y … y+rows−1 of image n to dst [row][column][channel], starting
// PadLeft columns to the left of the image. Rows may lie outside the image. padRows
// may overwrite floats behind the last row.
func (k *ConvFirst) padRows(c *Context, dst []float32, n, y, rows int) {
	width := k.rowFloats()
	cols := width / k.C
	lo := min(k.PadLeft, cols)
	hi := max(lo, min(cols, k.PadLeft+k.W))
	var src []float32
	if k.Image.N > 0 {
		src = c.F32(k.Image.Ref)
	} else {
		src = c.F32(k.Src)[n*k.C*k.H*k.W:]
	}
	if k.Image.N == 0 { // no gathered row overwrites the padding behind it
		clear(dst[:rows*width])
		for r := max(0, -y); r < min(rows, k.H-y); r++ {
			k.gatherRow(src, dst[r*width+lo*k.C:], n, y+r, hi-lo)
		}
		return
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
		// Each copy of 16 channels overwrites the unused ones of the pixel before.
		copyPixels(dst, k.Image.row(src, n, 0, y), cols, k.C, 16)
		return
	}
	if k.NHWC || k.C == 1 {
		copy(dst[:cols*k.C], src[y*k.W*k.C:])
		return
	}
	done := 0
	plane := src[y*k.W:]
	for k.C == 3 && cols-done >= 16 {
		n := min((cols-done)/16, callFloats/48)
		if !simd.Interleave3(&dst[done*3], &plane[done], &plane[k.H*k.W+done], &plane[2*k.H*k.W+done], n) {
			break
		}
		done += n * 16
	}
	for ch := range k.C {
		row := src[(ch*k.H+y)*k.W:][:cols]
		for x := done; x < len(row); x++ {
			dst[x*k.C+ch] = row[x]
		}
	}
}

func (k *ConvFirst) uses(t *simd.Tier, use useFunc) {
	for ob := range OutBlocks(k.Dst.C) {
		switch k.width(t, false, ob) {
		case 32:
			pieces(k.Dst.W, t.TilePixels, "Run32", use)
		case 16:
			pieces(k.Dst.W, t.TilePixels, "Run16", use)
		case 8:
			pieces(k.Dst.W, t.NarrowPixels, "Run8", use)
		}
	}
	if k.C == 3 && !k.NHWC && k.Image.N == 0 {
		use("Interleave3", AnyPixels)
	}
}
