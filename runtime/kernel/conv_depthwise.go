package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// ConvDepthwise is a 1×1 convolution and a depthwise convolution of its result, NC16
// to NC16. They are the first two layers of an inverted residual block (Sandler et
// al. 2018). The intermediate image is the largest of the block. A part keeps only a
// few rows of 32 of its channels, in scratch.
type ConvDepthwise struct {
	// Point has stride 1, and no padding, groups, prologue or residual. Its Dst has
	// extents and a border, but no memory.
	Point Conv
	// Depth reads Point.Dst, without a prologue.
	Depth Depthwise
}

// Check declares the memory of the step.
func (k *ConvDepthwise) Check(v *Verifier) {
	p, d := &k.Point, &k.Depth
	v.reads("Point.Src", &p.Src)
	v.Extents("Point.Dst", &p.Dst)
	v.nc16(&p.Dst)
	p.checkChannels(v)
	v.Require(p.Src.N == p.Dst.N && p.Src.H == p.Dst.H && p.Src.W == p.Dst.W && p.KH == 1 && p.KW == 1 && p.SH == 1 && p.SW == 1 && p.PadTop == 0 && p.PadLeft == 0 && p.Groups <= 1 && p.Residual.N == 0 && !p.prologue(),
		"the first convolution is not a plain one of 1×1")
	d.checkOperands(v)
	v.Require(d.Dst.N == p.Dst.N && d.Dst.Blocks() == p.Dst.Blocks() && !d.prologue(), "the second convolution does not fit the first")
	m := p.Dst
	m.Top, m.Bottom = MaxExtent, MaxExtent // rows outside are zeros
	v.Require(v.Windows(d.filter(), d.Dst.H, d.Dst.W, &m), leaves)
	if v.err == nil {
		v.Scratch(Product(2, d.inRows(1), m.Left+m.W+m.Right, pixelBytes))
	}
}

// ScratchBytes is the size of the rows of the intermediate image that a part keeps.
func (k *ConvDepthwise) ScratchBytes() int { return k.between(k.band()) * 4 }

// between returns the number of floats of the intermediate image that rows of output
// need.
func (k *ConvDepthwise) between(rows int) int {
	return 2 * k.Depth.inRows(rows) * k.Point.Dst.Row()
}

// band returns the maximum number of output rows of a part. Adjacent parts compute
// some rows of the intermediate image twice.
func (k *ConvDepthwise) band() int {
	d := &k.Depth
	inRows := scratchTarget / (2 * k.Point.Dst.RowBytes()) // that fit
	return min(max(1, (inRows-d.inRows(1))/d.SH+1), d.Dst.H)
}

// bands returns the number of bands of an image, enough for all workers.
func (k *ConvDepthwise) bands(c *Context) int {
	h := k.Depth.Dst.H
	n := team.Split(h, k.band())
	for c.Threads() > 1 && n < h && k.Depth.Dst.N*n*k.Point.units() < 2*c.Threads() {
		n++
	}
	return n
}

// Run computes both convolutions.
func (k *ConvDepthwise) Run(c *Context) {
	d, p := &k.Depth.Dst, &k.Point
	d.ClearBorder(c)
	work := tileWork(d.N * (p.Dst.H*p.Dst.W*p.Dst.C*p.Src.C + d.H*d.W*d.C*k.Depth.KH*k.Depth.KW))
	c.Do(d.N*k.bands(c)*p.units(), work, k)
}

// Part computes up to 32 channels of a band of one image.
func (k *ConvDepthwise) Part(c *Context, i, worker int) {
	p, d := &k.Point, &k.Depth
	units, bands := p.units(), k.bands(c)
	unit, band, n := i%units, i/units%bands, i/units/bands
	u := p.unit(unit)
	y0, y1 := team.Cut(d.Dst.H, bands, band), team.Cut(d.Dst.H, bands, band+1)
	m := &p.Dst
	row, width := m.Row(), m.W*16
	first, rows := y0*d.SH-d.PadTop, d.inRows(y1-y0)
	plane := rows * row
	between := Floats(c.scratch[worker])[:2*plane]

	a := simd.NewTile(c.double)
	a.Pix, a.BlockStride = pixelBytes, p.Src.PlaneBytes()
	more := p.weights(c, &a, u, 0, u.Blocks)
	a.OutBlock = plane * 4
	if unit < units-1 {
		a.AheadOf(u.Width, rows*team.Split(m.W, simd.Active().TilePixels))
	}
	src := c.F32(p.Src.Ref)[p.Src.At(n, 0, 0, 0):]
	blocks := u.Width / 16
	for r := range rows {
		if y := first + r; y >= 0 && y < m.H {
			at := r*row + m.Left*16
			a.In, a.Out = unsafe.Pointer(&src[y*p.Src.Row()]), unsafe.Pointer(&between[at])
			a.Line(u.Width, m.W)
			for b := range blocks {
				line := between[b*plane+r*row:][:row]
				if more {
					Apply(line[m.Left*16:][:width], p.Act)
				}
				clearPixels(line[:m.Left*16])
				clearPixels(line[m.Left*16+width:])
			}
			continue
		}
		for b := range blocks {
			clear(between[b*plane+r*row:][:row])
		}
	}
	for b := u.Out; b < min(u.Out+blocks, d.Dst.Blocks()); b++ {
		d.rows(c, n, b, y0, y1, between[(b-u.Out)*plane+(m.Left-d.PadLeft)*16:], row)
	}
}

// clearPixels is clear for few pixels. It calls no function.
func clearPixels(x []float32) {
	for ; len(x) >= 16; x = x[16:] {
		*(*[16]float32)(x) = [16]float32{}
	}
}

func (k *ConvDepthwise) uses(_ *simd.Tier, use useFunc) { usesTiles(&k.Point.Dst, use) }
