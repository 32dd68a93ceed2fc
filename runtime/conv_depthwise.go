package runtime

import "unsafe"

// ConvDepthwise is a 1×1 convolution and a depthwise convolution of its
// result, NC16 to NC16: the first two layers of an inverted residual block
// (Sandler et al. 2018). What is between them is the largest image of the
// block; here a part has only a few rows of 32 of its channels, in scratch.
type ConvDepthwise struct {
	// Point has stride 1, no padding, groups, prologue or residual. Its Dst has
	// extents and border, but no memory.
	Point Conv
	// Depth reads Point.Dst, without a prologue.
	Depth Depthwise
}

// ScratchBytes is the rows that a part has of the image between.
func (k *ConvDepthwise) ScratchBytes() int { return k.between(k.band()) * 4 }

// between returns the floats between the convolutions for so many output rows.
func (k *ConvDepthwise) between(rows int) int {
	return 2 * k.Depth.inRows(rows) * k.Point.Dst.Row()
}

// band returns how many output rows a part computes at most. Parts side by
// side compute some rows between the convolutions twice.
func (k *ConvDepthwise) band() int {
	d := &k.Depth
	inRows := scratchTarget / (2 * k.Point.Dst.Row() * 4) // that fit
	return min(max(1, (inRows-d.inRows(1))/d.SH+1), d.Dst.H)
}

// bands returns into how many bands an image falls: enough for every worker.
func (k *ConvDepthwise) bands(c *Context) int {
	h := k.Depth.Dst.H
	n := split(h, k.band())
	for c.team.threads > 1 && n < h && k.Depth.Dst.N*n*k.Point.units() < 2*c.team.threads {
		n++
	}
	return n
}

// Run computes both convolutions.
func (k *ConvDepthwise) Run(c *Context) {
	d, p := &k.Depth.Dst, &k.Point
	d.clearBorder(c)
	work := tileWork(d.N * (p.Dst.H*p.Dst.W*p.Dst.C*p.Src.C + d.H*d.W*d.C*k.Depth.KH*k.Depth.KW))
	c.do(d.N*k.bands(c)*p.units(), work, k)
}

// part computes up to 32 channels of a band of one image.
func (k *ConvDepthwise) part(c *Context, i, worker int) {
	p, d := &k.Point, &k.Depth
	units, bands := p.units(), k.bands(c)
	unit, band, n := i%units, i/units%bands, i/units/bands
	u := p.unit(unit)
	y0, y1 := cut(d.Dst.H, bands, band), cut(d.Dst.H, bands, band+1)
	m := &p.Dst
	row, width := m.Row(), m.W*16
	first, rows := y0*d.SH-d.PadTop, d.inRows(y1-y0)
	plane := rows * row
	between := floats(c.scratch[worker])[:2*plane]

	a := newTile(c.double)
	a.pix, a.blockStride = 64, p.Src.Plane()*4
	more := p.weights(c, &a, u, 0, u.blocks)
	a.outBlock = plane * 4
	if unit < units-1 {
		a.followOn(u.width, rows*split(m.W, tilePixels()))
	}
	src := c.f32(p.Src.Ref)[n*p.Src.BatchStride+p.Src.Origin():]
	blocks := u.width / 16
	for r := range rows {
		if y := first + r; y >= 0 && y < m.H {
			at := r*row + m.Left*16
			a.in, a.out = unsafe.Pointer(&src[y*p.Src.Row()]), unsafe.Pointer(&between[at])
			a.line(u.width, m.W)
			for b := range blocks {
				line := between[b*plane+r*row:][:row]
				if more {
					applyAct(line[m.Left*16:][:width], p.Act)
				}
				clear(line[:m.Left*16])
				clear(line[m.Left*16+width:])
			}
			continue
		}
		for b := range blocks {
			clear(between[b*plane+r*row:][:row])
		}
	}
	for b := u.out; b < min(u.out+blocks, d.Dst.Blocks()); b++ {
		d.rows(c, n, b, y0, y1, between[(b-u.out)*plane+(m.Left-d.PadLeft)*16:], row)
	}
}
