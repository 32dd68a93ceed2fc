package kernel

import (
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

// Check declares the memory of the step.
func (k *ConvFirstPool) Check(v *Verifier) {
	c, p := &k.Conv, &k.Pool
	v.Extents("Conv.Dst", &c.Dst)
	v.nc16(&c.Dst)
	c.checkOperands(v)
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
	return 4 * (k.convFloats() + k.between(k.band())*k.rowFloats())
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
	k.Conv.uses(t, use)
	k.Pool.usesPixels(t, k.pitch(t, false), use)
}
