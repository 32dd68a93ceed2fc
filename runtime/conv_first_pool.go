package runtime

// ConvFirstPool is a convolution of few input channels and the pool of its
// result. What is between them is the largest image of most networks; here a
// part has only a few rows of it, in scratch.
type ConvFirstPool struct {
	// Conv.Dst has extents, but no memory.
	Conv ConvFirst
	// Pool reads Conv.Dst, without a prologue or dilation. Every window has
	// pixels inside it.
	Pool Pool
}

// pitch is the floats from a pixel between to the next: 8 where its channels
// are no more, and the pool's windows lie inside the image sideways.
func (k *ConvFirstPool) pitch(c *Context) int {
	if lo, hi := k.Pool.inside(); k.Conv.width(c, 0) == 8 && lo == 0 && hi == k.Pool.Dst.W {
		return 8
	}
	return 16
}

// ScratchBytes is what the convolution needs and the rows between.
func (k *ConvFirstPool) ScratchBytes() int {
	return 4 * (k.convFloats() + k.between(k.band())*k.rowFloats())
}

// convFloats is the scratch of the convolution, whole cache lines.
func (k *ConvFirstPool) convFloats() int {
	return wholeBlocks(k.Conv.scratchFloats(k.between(k.band())))
}

// rowFloats is a row between, of all channels.
func (k *ConvFirstPool) rowFloats() int { return k.Conv.Dst.Blocks() * k.Conv.Dst.W * 16 }

// between returns how many rows of the convolution so many rows of the pool
// read.
func (k *ConvFirstPool) between(rows int) int {
	return min((rows-1)*k.Pool.SH+k.Pool.KH, k.Conv.Dst.H)
}

// band returns how many rows of the pool are computed at a time: what is
// between stays in L2.
func (k *ConvFirstPool) band() int {
	rows := 1
	for rows < k.Pool.Dst.H && k.between(rows+1)*k.rowFloats()*4 <= scratchTarget {
		rows++
	}
	return rows
}

// parts returns into how many ranges of rows an image falls: a few for every
// worker, since the rows between two of them are computed twice.
func (k *ConvFirstPool) parts(c *Context) int {
	if c.team.threads == 1 {
		return 1
	}
	return min(split(2*c.team.threads, k.Conv.N), k.Pool.Dst.H)
}

// Run computes the convolution and the pool.
func (k *ConvFirstPool) Run(c *Context) {
	k.Pool.Dst.clearBorder(c)
	v, p := &k.Conv, &k.Pool
	work := tileWork(v.N*v.Dst.H*v.Dst.W*v.Dst.C*v.C*v.KH*v.KW) + p.Dst.N*p.Dst.C*p.Dst.H*p.Dst.W*p.KH*p.KW
	c.do(v.N*k.parts(c), work, k)
}

// part computes a range of rows, band after band. Rows between that the next
// band reads too move to its start.
func (k *ConvFirstPool) part(c *Context, i, worker int) {
	v, p := &k.Conv, &k.Pool
	parts := k.parts(c)
	n, chunk := i/parts, i%parts
	scratch := floats(c.scratch[worker])
	conv, between := scratch[:k.convFloats()], scratch[k.convFloats():]
	band, pitch := k.band(), k.pitch(c)
	row := v.Dst.W * pitch
	plane := k.between(band) * row
	dst := c.f32(p.Dst.Ref)
	first, end := 0, 0 // the rows between that are there
	for y, to := cut(p.Dst.H, parts, chunk), cut(p.Dst.H, parts, chunk+1); y < to; {
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
