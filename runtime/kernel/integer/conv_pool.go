package integer

import (
	"math"
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// ConvPool is a convolution whose result is bytes, and the max pool of that result. The
// intermediate image is the largest image of most networks. A part keeps only a few rows
// of it, in scratch.
type ConvPool struct {
	// Conv.Dst has extents, but no memory.
	Conv Conv
	// Window is the windows of the pool, without dilation. Each contains pixels of the
	// intermediate image.
	Window
	Dst kernel.Image // Uint8, blocks of 16
}

// betweenBytes is the target for the size of the rows of the intermediate image in
// scratch. It is that of a typical L1 cache; longer bands are not faster.
const betweenBytes = 32 << 10

// Check declares the memory of the step.
func (k *ConvPool) Check(v *kernel.Verifier) {
	m := &k.Conv.Dst
	v.Extents("Conv.Dst", m)
	v.Require(m.Elem == kernel.Uint8 && m.Lanes() == lanes, "the intermediate image is not bytes in blocks of 16 channels")
	v.Require(k.Conv.Src.N == m.N, "the extents of the operands differ")
	k.Conv.check(v)
	v.Require(!k.Conv.adds(), "a residual with a pool")
	k.Conv.checkOperands(v)
	v.Bytes("Dst", &k.Dst, true)
	v.Require(k.Dst.N == m.N && k.Dst.Blocks() == m.Blocks() && k.Dst.Lanes() == lanes && k.DH == 1 && k.DW == 1, "the pool does not fit the convolution")
	v.Window(k.Dst.H, k.SH, k.KH, k.DH, k.PadTop)
	v.Window(k.Dst.W, k.SW, k.KW, k.DW, k.PadLeft)
	outside := func(out, stride, taps, pad, in int) bool { return pad >= taps || (out-1)*stride-pad >= in }
	v.Require(v.Failed() || !outside(k.Dst.H, k.SH, k.KH, k.PadTop, m.H) && !outside(k.Dst.W, k.SW, k.KW, k.PadLeft, m.W), "a window of the pool has no pixels")
	v.Require(kernel.Product(m.H, m.W, 2*lanes) <= min(1<<38, math.MaxInt), "the intermediate image is too large")
}

// between returns the number of rows of the convolution that rows of the pool read.
func (k *ConvPool) between(rows int) int { return min((rows-1)*k.SH+k.KH, k.Conv.Dst.H) }

// rowBytes is the size of a row of one block of the intermediate image.
func (k *ConvPool) rowBytes() int { return k.Conv.Dst.W * lanes }

// width returns the largest number of blocks of a unit of the convolution.
func (k *ConvPool) width() int { return k.Conv.unit(0).Width / lanes }

// band returns the number of rows of the pool that a part computes at a time.
func (k *ConvPool) band() int {
	rows, row := 1, k.width()*k.rowBytes()
	for rows < k.Dst.H && k.between(rows+1)*row <= betweenBytes {
		rows++
	}
	return rows
}

// wideBytes is the size of the widened input of a band, for tiers that multiply words.
func (k *ConvPool) wideBytes() int {
	if !simd.Active().IntWords {
		return 0
	}
	return k.Conv.wideBytes(k.between(k.band()), k.Conv.Dst.W)
}

// wideWeights is the size of the widened weights, for the same tiers.
func (k *ConvPool) wideWeights() int {
	if !simd.Active().IntWords {
		return 0
	}
	return k.Conv.wideWeights()
}

// ScratchBytes is the size of the rows of the intermediate image, and of the widened input
// and weights that they read.
func (k *ConvPool) ScratchBytes() int {
	return k.wideWeights() + k.wideBytes() + k.between(k.band())*k.width()*k.rowBytes()
}

// Run computes the convolution and the pool.
func (k *ConvPool) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.Do(k.Dst.N*k.Conv.units()*k.ranges(c), k.Conv.work()+k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W*k.KH*k.KW/lanes, k)
}

// ranges returns the number of ranges of rows of a unit, such that every worker has about
// two. Adjacent ranges compute some rows twice, so more ranges would cost time.
func (k *ConvPool) ranges(c *kernel.Context) int {
	if c.Threads() == 1 {
		return 1
	}
	return min(team.Split(2*c.Threads(), k.Dst.N*k.Conv.units()), k.Dst.H)
}

// Part computes a range of rows of one unit, band after band. Rows of the intermediate
// image that the next band also reads move to the start of the scratch memory.
func (k *ConvPool) Part(c *kernel.Context, i, worker int) {
	ranges, units := k.ranges(c), k.Conv.units()
	n, u, part := i/(units*ranges), k.Conv.unit(i/ranges%units), i%ranges
	scratch := c.Scratch(worker)
	weights, scratch := scratch[:k.wideWeights()], scratch[k.wideWeights():]
	input, between := scratch[:k.wideBytes()], scratch[k.wideBytes():]
	pitch, band, height := k.rowBytes(), k.band(), k.Conv.Dst.H
	plane := k.between(band) * pitch
	v := k.Conv.channels(c, u.Out*16, u.Width, simd.Active().IntOffset)
	a := k.Conv.tile(&v, true)
	if simd.Active().IntWords {
		k.Conv.widenWeights(c, &a, u, words(weights))
	} else {
		k.Conv.weights(c, &a, u)
	}
	a.OutBlock = plane
	dst := bytesOf(c, k.Dst.Ref)
	first, end := 0, 0 // the rows of the intermediate image in scratch
	for y, to := team.Cut(k.Dst.H, ranges, part), team.Cut(k.Dst.H, ranges, part+1); y < to; {
		next := min(y+band, to)
		from := max(0, y*k.SH-k.PadTop)
		kept := max(0, end-from)
		for b := 0; b < u.Width/lanes && kept > 0; b++ {
			rows := between[b*plane:][:plane]
			copy(rows, rows[(from-first)*pitch:][:kept*pitch])
		}
		first, end = from, min((next-1)*k.SH-k.PadTop+k.KH, height)
		k.rows(c, &a, n, u, first+kept, end, words(input), between[kept*pitch:])
		for b := range u.Width / lanes {
			for r := y; r < next; r++ {
				k.maxRow(row(dst, &k.Dst, n, u.Out+b, r), between[b*plane:], -first*pitch, pitch, height, k.Conv.Dst.W, lanes, r, 0)
			}
		}
		y = next
	}
}

// rows computes rows from to end of the convolution.
func (k *ConvPool) rows(c *kernel.Context, a *simd.IntTile, n int, u kernel.Unit, from, end int, input []int16, out []byte) {
	v := &k.Conv
	if from >= end {
		return
	}
	if simd.Active().IntWords {
		v.widen(c, input, n, u.In, u.In+u.Blocks, from, end, 0, v.Dst.W)
		v.wideWindow(a, u, v.inRows(end-from), v.inCols(v.Dst.W))
	} else {
		v.strides(a)
	}
	src := c.Bytes(v.Src.Ref, 1)
	for y := from; y < end; y++ {
		if simd.Active().IntWords {
			a.In = unsafe.Pointer(&input[(y-from)*v.SH*v.inCols(v.Dst.W)*v.wideLanes()])
		} else {
			a.In = unsafe.Pointer(&src[v.Src.At(n, u.In, y*v.SH-v.PadTop, -v.PadLeft)])
		}
		a.Out = unsafe.Pointer(&out[(y-from)*k.rowBytes()])
		a.Line(v.step(), u.Width, v.Dst.W)
	}
}

// Uses lists the micro-kernels that the convolution calls.
func (k *ConvPool) Uses(t *simd.Tier, use func(micro string, pixels int)) { k.Conv.Uses(t, use) }
