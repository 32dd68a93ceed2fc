package integer

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Winograd is a 3×3 convolution with stride 1 computed as F(4×4,3×3) (Lavin & Gray 2015),
// exactly: all operands of products are integers of 16 bits, and sums are computed modulo
// 2³². Operands are as in [Conv]. [WinogradWeights] transforms the weights.
//
// It requires |Σ x·w| < 2²⁵ for every input, without Bias, and weights of one part.
type Winograd struct {
	Src, Dst        kernel.Image
	W               kernel.Ref // s16, in Prepared, see IntWinogradLen in backend/cpu/pack
	PadTop, PadLeft int
	// Tiles is the number of tiles that are transformed together. OutBlocks is the
	// number of blocks of 32 output channels that are multiplied before their output
	// transform.
	Tiles, OutBlocks int
	Result
}

const (
	outSide   = 4 // pixels
	inSide    = 6
	positions = inSide * inSide
)

// The scratch of a part holds transformed inputs s16 [ic/16][position][tiles][16],
// products i32 [2·OutBlocks][position][tiles][16], a run of transformed
// columns, a window of the input, and a row of output tiles. Positions are an odd number of cache lines apart: with a power of two they
// would all map to the same sets.
func (k *Winograd) inPitch() int  { return (team.Split(k.Tiles, 2) | 1) * 64 }
func (k *Winograd) outPitch() int { return (k.Tiles | 1) * 64 }
func (k *Winograd) inputs() int   { return k.Src.Blocks() * positions * k.inPitch() }
func (k *Winograd) products() int { return 2 * k.OutBlocks * positions * k.outPitch() }
func (k *Winograd) runTiles() int { return min(k.Tiles, k.across()) }
func (k *Winograd) window() int   { return inSide * (k.runTiles()*outSide + 2) * 16 }
func (k *Winograd) columns() int  { return 2 * k.window() }
func (k *Winograd) output() int   { return outSide * k.runTiles() * outSide * 64 }

// across and tiles return the numbers of tiles in a row and in an image.
func (k *Winograd) across() int { return team.Split(k.Dst.W, outSide) }
func (k *Winograd) tiles() int  { return k.across() * team.Split(k.Dst.H, outSide) }

// Check declares the memory of the step.
func (k *Winograd) Check(v *kernel.Verifier) {
	v.Bytes("Src", &k.Src, false)
	k.checkResult(v, &k.Src, &k.Dst)
	v.Require(k.Src.Lanes() == lanes, "the operand is not in blocks of 16 channels")
	inside(v, kernel.Filter{KH: 3, KW: 3, SH: 1, SW: 1, DH: 1, DW: 1, PadTop: k.PadTop, PadLeft: k.PadLeft}, &k.Src, &k.Dst)
	v.Positive("blocks", k.Tiles, k.OutBlocks)
	v.Require(k.W.Len%positions == 0, "the weights are not those of all positions")
	if v.Failed() {
		return
	}
	in, out := k.Src.Blocks(), k.Dst.Blocks()
	v.Read("W", k.W, 2, kernel.Product(positions, in*lanes, out*lanes))
	v.Require(max(k.Tiles, k.OutBlocks) <= 1<<20 && in <= 1<<24, "a block is too large")
	if v.Failed() {
		return
	}
	v.Scratch(kernel.Product(in, positions, k.inPitch()) + kernel.Product(2*k.OutBlocks, positions, k.outPitch()) + int64(3*k.window()) + int64(k.output()))
}

// ScratchBytes is the size of the memory described above.
func (k *Winograd) ScratchBytes() int {
	return k.inputs() + k.products() + k.columns() + (k.window()+63)&^63 + k.output()
}

// Run computes the convolution.
func (k *Winograd) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.DoAll(k.Dst.N*k.perImage()*k.slices(c), k)
}

// perImage returns the number of blocks of tiles of an image.
func (k *Winograd) perImage() int { return team.Split(k.tiles(), k.Tiles) }

// slices returns the number of ranges of output channels of a block of tiles, so that
// every worker finds work. Each slice transforms the input again.
func (k *Winograd) slices(c *kernel.Context) int {
	blocks, threads, n := k.Dst.N*k.perImage(), c.Threads(), 1
	for n < kernel.OutBlocks(k.Dst.C) && blocks*n < 4*threads && blocks*n%threads != 0 {
		n++
	}
	return n
}

// winogradScratch holds the parts of the scratch of a worker.
type winogradScratch struct{ v, m, columns, window, out []byte }

func (k *Winograd) scratch(c *kernel.Context, worker int) (s winogradScratch) {
	all := c.Scratch(worker)
	s.v, all = all[:k.inputs()], all[k.inputs():]
	s.m, all = all[:k.products()], all[k.products():]
	s.columns, all = all[:k.columns()], all[k.columns():]
	s.window, s.out = all[:k.window()], all[(k.window()+63)&^63:][:k.output()]
	return s
}

// Part computes a range of the output channels of a block of tiles.
func (k *Winograd) Part(c *kernel.Context, i, worker int) {
	slices, blocks := k.slices(c), k.perImage()
	slice, b, n := i%slices, i/slices%blocks, i/slices/blocks
	s := k.scratch(c, worker)
	t0, t1 := team.Cut(k.tiles(), blocks, b), team.Cut(k.tiles(), blocks, b+1)
	k.runs(t0, t1, func(t, ty, tx, run int) { k.transform(c, n, ty, tx, run, s.v[(t-t0)*32:], s) })
	all := kernel.OutBlocks(k.Dst.C)
	end := team.Cut(all, slices, slice+1)
	for first := team.Cut(all, slices, slice); first < end; first += k.OutBlocks {
		last := min(first+k.OutBlocks, end)
		k.multiply(c, s, t1-t0, first, last)
		for ob := first * 2; ob < min(last*2, k.Dst.Blocks()); ob++ {
			v := k.channels(c, ob*16, 16, 0)
			m := s.m[(ob-first*2)*positions*k.outPitch():]
			k.runs(t0, t1, func(t, ty, tx, run int) { k.results(c, &v, n, ob, ty, tx, run, m[(t-t0)*64:], s.out) })
		}
	}
}

// runs calls f for runs of tiles t0 ≤ t < t1 that lie in one row of tiles.
func (k *Winograd) runs(t0, t1 int, f func(t, ty, tx, run int)) {
	for t := t0; t < t1; {
		ty, tx := t/k.across(), t%k.across()
		run := min(t1-t, k.across()-tx)
		f(t, ty, tx, run)
		t += run
	}
}

// transform writes the transformed input of a run of tiles in one row. It reads tiles
// inside the image and its border in place, and others from a copy. What the copy has
// outside the border does not matter: only results outside Dst depend on it.
func (k *Winograd) transform(c *kernel.Context, n, ty, tx, run int, v []byte, w winogradScratch) {
	s, window, columns := &k.Src, w.window, word(w.columns)
	src := c.Bytes(s.Ref, 1)
	y, x := ty*outSide-k.PadTop, tx*outSide-k.PadLeft
	rows := min(inSide, s.H+s.Bottom-y)
	direct := 0
	if rows == inSide {
		direct = max(0, min(run, (s.W+s.Right-x-2)/outSide))
	}
	cols := (run-direct)*outSide + 2
	for b := range s.Blocks() {
		to := v[b*positions*k.inPitch():]
		if direct > 0 {
			simd.IntTransformIn(&src[s.At(n, b, y, x)], word(to), s.Row(), k.inPitch(), direct, columns)
		}
		if direct == run {
			continue
		}
		left := x + direct*outSide
		have := min(cols, s.W+s.Right-left)
		for r := range rows {
			copy(window[r*cols*16:][:have*16], src[s.At(n, b, y+r, left):])
		}
		simd.IntTransformIn(&window[0], word(to[direct*32:]), cols*16, k.inPitch(), run-direct, columns)
	}
}

// word returns the address of b as that of words.
func word(b []byte) *int16 { return (*int16)(unsafe.Pointer(unsafe.SliceData(b))) }

// multiply computes the products of all positions for output blocks first ≤ ob < last of
// 32 channels.
func (k *Winograd) multiply(c *kernel.Context, s winogradScratch, tiles, first, last int) {
	var zeros [32]int32
	w := c.Bytes(k.W, 2)
	pitch := 2 * k.W.Len / positions
	step := k.Src.Blocks() * 16 * 32 * 2
	a := simd.IntTile{Start: unsafe.Pointer(&zeros), Pix: 32, Parts: 1, Blocks: k.Src.Blocks(), BlockStride: positions * k.inPitch(), Rows: 1, Cols: 1}
	a.OutBlock = positions * k.outPitch()
	pieces := team.Split(tiles, simd.Active().IntPixels)
	for pos := range positions {
		for ob := first; ob < last; ob++ {
			// A position reads its block of weights once. That is too short for the hardware
			// to prefetch.
			next := pos*pitch + (ob+1)*step
			if ob == last-1 {
				next = (pos+1)*pitch + first*step
				if pos == positions-1 {
					next = last % kernel.OutBlocks(k.Dst.C) * step
				}
			}
			a.Ahead(uintptr(unsafe.Pointer(unsafe.SliceData(w)))+uintptr(next), step, a.Blocks, 0, pieces)
			a.In = unsafe.Pointer(&s.v[pos*k.inPitch()])
			a.W = unsafe.Pointer(&w[pos*pitch+ob*step])
			a.Out = unsafe.Pointer(&s.m[((ob-first)*2*positions+pos)*k.outPitch()])
			a.Line(simd.IntProduct, kernel.BlockWidth(k.Dst.C, ob), tiles)
		}
	}
}

// results writes the results of a run of tiles for block ob of 16 channels. Tiles that
// extend beyond the image go through out, and all tiles if a residual is added to them.
func (k *Winograd) results(c *kernel.Context, v *channels, n, ob, ty, tx, run int, m, out []byte) {
	d := &k.Dst
	y, x := ty*outSide, tx*outSide
	rows, inside := min(outSide, d.H-y), 0
	if rows == outSide && !k.adds() {
		inside = min(run, (d.W-x)/outSide)
	}
	pixel := d.PixelBytes()
	dst := c.Bytes(d.Ref, d.Elem.Bytes())[d.At(n, ob, y, x)*d.Elem.Bytes():]
	a := simd.IntTransformOut{Start: unsafe.Pointer(&v.start), PosStride: k.outPitch(), Zero: k.Zero, Lo: k.Lo, Hi: k.Hi}
	if d.Elem == kernel.Uint8 {
		a.Multiplier = unsafe.Pointer(&v.multiplier)
	}
	if inside > 0 {
		a.In, a.Out, a.RowStride, a.Tiles = unsafe.Pointer(&m[0]), unsafe.Pointer(&dst[0]), d.RowBytes(), inside
		a.Compute()
	}
	width := min(run*outSide, d.W-x) // of the pixels that exist
	if inside < run {
		row := (run - inside) * outSide * pixel
		a.In, a.Out, a.RowStride, a.Tiles = unsafe.Pointer(&m[inside*64]), unsafe.Pointer(&out[0]), row, run-inside
		a.Compute()
		at := inside * outSide
		for r := range rows {
			if k.adds() {
				v.sum.Rows(&dst[r*d.RowBytes()], &out[r*row], k.residual(c, n, ob, y+r, x), width, k.Zero)
				continue
			}
			copy(dst[r*d.RowBytes()+at*pixel:][:(width-at)*pixel], out[r*row:])
		}
	}
	if d.Elem != kernel.Uint8 {
		for r := range rows {
			k.floats(kernel.Floats(dst[r*d.RowBytes():][:width*pixel]), v, 0)
		}
	}
}

// Uses lists the micro-kernels that the convolution calls.
func (k *Winograd) Uses(_ *simd.Tier, use func(micro string, pixels int)) {
	usesBlocks("IntProduct", k.Dst.C, use)
}
