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
	d.checkReader(v, &p.Dst)
	if v.err == nil {
		v.Scratch(Product(2, d.inRows(1), p.Dst.Left+p.Dst.W+p.Dst.Right, pixelBytes))
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

// ConvFirstDepthwise is a convolution of few input channels and a depthwise convolution of
// its result, the first two layers of MobileNets (Howard et al. 2017). The intermediate
// image is among the largest of the network. A part keeps only a few rows of it, in
// scratch.
type ConvFirstDepthwise struct {
	// First.Dst has extents and a border, but no memory.
	First ConvFirst
	// Depth reads First.Dst, without a prologue.
	Depth Depthwise
}

// Check declares the memory of the step.
func (k *ConvFirstDepthwise) Check(v *Verifier) {
	f, d := &k.First, &k.Depth
	v.Extents("First.Dst", &f.Dst)
	v.nc16(&f.Dst)
	f.checkOperands(v)
	d.checkReader(v, &f.Dst)
	if v.err == nil {
		v.Scratch(Product(f.Dst.Blocks(), d.inRows(1), f.Dst.Left+f.Dst.W+f.Dst.Right, pixelBytes))
	}
}

// ScratchBytes is the size of the scratch of the first convolution and of the rows of the
// intermediate image.
func (k *ConvFirstDepthwise) ScratchBytes() int {
	return 4 * (k.firstFloats() + k.Depth.inRows(k.band())*k.rowFloats())
}

// firstFloats returns the size of the scratch of the first convolution in floats, rounded
// up to whole cache lines.
func (k *ConvFirstDepthwise) firstFloats() int {
	return wholeBlocks(k.First.scratchFloats(k.Depth.inRows(k.band())))
}

// rowFloats returns the number of floats of a row of the intermediate image.
func (k *ConvFirstDepthwise) rowFloats() int { return k.First.Dst.Blocks() * k.First.Dst.Row() }

// band returns the number of output rows that a part computes at a time.
func (k *ConvFirstDepthwise) band() int {
	rows := 1
	for rows < k.Depth.Dst.H && k.Depth.inRows(rows+1)*k.rowFloats()*4 <= scratchTarget {
		rows++
	}
	return rows
}

// parts returns the number of ranges of rows of an image: two for each worker, but no more
// than the ranges of 8 rows, because adjacent ranges compute some rows twice.
func (k *ConvFirstDepthwise) parts(c *Context) int {
	if c.Threads() == 1 {
		return 1
	}
	return min(team.Split(2*c.Threads(), k.First.N), team.Split(k.Depth.Dst.H, 8))
}

// Run computes both convolutions.
func (k *ConvFirstDepthwise) Run(c *Context) {
	f, d := &k.First, &k.Depth
	d.Dst.ClearBorder(c)
	work := tileWork(f.N * (f.Dst.H*f.Dst.W*f.Dst.C*f.C*f.KH*f.KW + d.Dst.H*d.Dst.W*d.Dst.C*d.KH*d.KW))
	c.Do(f.N*k.parts(c), work, k)
}

// Part computes a range of rows, band after band. Rows of the intermediate image that the
// next band also reads move to the start of the scratch memory.
func (k *ConvFirstDepthwise) Part(c *Context, i, worker int) {
	f, d := &k.First, &k.Depth
	m := &f.Dst
	parts := k.parts(c)
	n, chunk := i/parts, i%parts
	scratch := Floats(c.scratch[worker])
	first, between := scratch[:k.firstFloats()], scratch[k.firstFloats():]
	band, row := k.band(), m.Row()
	plane := d.inRows(band) * row
	end := -d.PadTop // of the rows of the intermediate image in scratch
	for y, to := team.Cut(d.Dst.H, parts, chunk), team.Cut(d.Dst.H, parts, chunk+1); y < to; {
		next := min(y+band, to)
		from := y*d.SH - d.PadTop
		kept := max(0, end-from)
		for b := 0; b < m.Blocks() && kept > 0; b++ {
			rows := between[b*plane:][:plane]
			copy(rows, rows[(band*d.SH)*row:][:kept*row])
		}
		end = from + d.inRows(next-y)
		lo, hi := max(0, min(from+kept, m.H)), max(0, min(end, m.H))
		if lo < hi {
			f.rows(c, n, lo, hi, first, between[(lo-from)*row+m.Left*16:], 16, row, plane)
		}
		for b := range m.Blocks() {
			rows := between[b*plane:][:plane]
			for r := from + kept; r < end; r++ {
				line := rows[(r-from)*row:][:row]
				if r < 0 || r >= m.H {
					clear(line)
					continue
				}
				clearPixels(line[:m.Left*16])
				clearPixels(line[(m.Left+m.W)*16:])
			}
			d.rows(c, n, b, y, next, rows[(m.Left-d.PadLeft)*16:], row)
		}
		y = next
	}
}

func (k *ConvFirstDepthwise) uses(t *simd.Tier, use useFunc) { k.First.uses(t, use) }
