package bfloat

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Winograd is a convolution with a filter of 3×3 and stride 1, computed as F(M×M,3×3)
// (Lavin & Gray 2015). Operands are as in [Conv]. The transforms are computed in float32,
// and the transformed operand is rounded to bfloat16 for its products. [WinogradWeights]
// transforms the weights.
type Winograd struct {
	M               int          // 2 or 4
	Src, Dst        kernel.Image // BFloat16
	W               kernel.Ref   // in Prepared, see WinogradWeights
	Bias            kernel.Ref
	Residual        kernel.Image
	Scale, Shift    kernel.Ref
	Pre, Act        kernel.Act
	PadTop, PadLeft int
	// Pool, unless 0, is the side and the stride of the square windows of a maximum
	// pool. Dst has the extents of the pool. Pool divides M, there is no Residual, and Act
	// is a clamp.
	Pool int
	// Tiles is the number of tiles that are transformed together. OutBlocks is the
	// number of blocks of 32 output channels that are multiplied before their output
	// transform.
	Tiles, OutBlocks int
}

// runTiles is the maximum number of tiles of a row that are transformed together in scratch.
// Their operands stay in L1.
const runTiles = 8

// callTiles is the maximum number of tiles that one call of a micro-kernel transforms. A
// garbage collection waits for the end of a call.
const callTiles = 512

// The scratch of a part holds transformed inputs [ic/32][position][tiles][16], products
// [2·OutBlocks][position][tiles][16], and, for a run of tiles, a window of the input and, for
// its lower and its upper halves, the window, its transform, and rows of output. Positions are an odd
// number of cache lines apart: with a power of two they would all map to the same sets.
func (k *Winograd) side() int      { return k.M + 2 }
func (k *Winograd) positions() int { return k.side() * k.side() }
func (k *Winograd) pitch() int     { return (k.Tiles | 1) * lanes }
func (k *Winograd) inputs() int    { return k.Src.Blocks() * k.positions() * k.pitch() }
func (k *Winograd) products() int  { return 2 * k.OutBlocks * k.positions() * k.pitch() }

// windowLen returns the number of pairs of a window, halfLen that of the floats for one half.
func (k *Winograd) windowLen() int { return k.side() * (runTiles*k.M + 2) * lanes }
func (k *Winograd) halfLen() int {
	return k.windowLen() + (k.positions()*runTiles+k.M*runTiles*k.M)*lanes
}

// across and down return the numbers of tiles in a row and in a column.
func (k *Winograd) across() int { return team.Split(k.Dst.W*max(1, k.Pool), k.M) }
func (k *Winograd) down() int   { return team.Split(k.Dst.H*max(1, k.Pool), k.M) }
func (k *Winograd) tiles() int  { return k.across() * k.down() }

// Products returns the number of products of an image for one input channel and one
// output channel.
func (k *Winograd) Products() int { return k.tiles() * k.positions() }

// Check declares the memory of the step.
func (k *Winograd) Check(v *kernel.Verifier) {
	image(v, "Src", &k.Src, false)
	image(v, "Dst", &k.Dst, true)
	if k.Residual.N != 0 {
		image(v, "Residual", &k.Residual, false)
		v.Same(&k.Residual, &k.Dst)
	}
	v.Act(k.Pre.Fn)
	v.Act(k.Act.Fn)
	v.Require(k.M == 2 || k.M == 4, "there is no such form")
	v.Positive("Tiles and OutBlocks", k.Tiles, k.OutBlocks)
	v.Require(k.Src.N == k.Dst.N, "the extents of the operands differ")
	_, _, clamps := k.Act.Clamp()
	v.Require(k.Pool >= 0 && (k.Pool == 0 || k.M%k.Pool == 0 && k.Residual.N == 0 && clamps), "this form has no such pool")
	if v.Failed() {
		return
	}
	h, w := kernel.Product(k.Dst.H, max(1, k.Pool)), kernel.Product(k.Dst.W, max(1, k.Pool))
	v.Require(h <= kernel.MaxExtent && w <= kernel.MaxExtent && k.PadTop >= -kernel.MaxExtent && k.PadTop <= kernel.MaxExtent && k.PadLeft >= -kernel.MaxExtent && k.PadLeft <= kernel.MaxExtent, "the result is too large")
	if v.Failed() {
		return
	}
	v.Require(kernel.Product(k.across(), k.down()) <= kernel.MaxExtent, "there are too many tiles")
	weights(v, "W", k.W, false, kernel.Product(k.positions(), k.Src.Blocks(), lanes, team.Split(k.Dst.C, lanes), lanes))
	channels(v, "Bias", k.Bias, k.Dst.C)
	channels(v, "Scale", k.Scale, k.Src.C)
	channels(v, "Shift", k.Shift, k.Src.C)
	tiles := k.Tiles | 1
	v.Scratch(kernel.Product(k.Src.Blocks(), k.positions(), tiles, pixelBytes) + kernel.Product(2*k.OutBlocks, k.positions(), tiles, pixelBytes) + 4*int64(k.windowLen()+2*k.halfLen()))
}

// ScratchBytes is the size of the memory described above.
func (k *Winograd) ScratchBytes() int {
	return (k.inputs() + k.products() + k.windowLen() + 2*k.halfLen()) * 4
}

// perImage returns the number of blocks of tiles of an image. If there are few output
// channels to share, there are blocks for every worker.
func (k *Winograd) perImage(c *kernel.Context) int {
	n, threads := team.Split(k.tiles(), k.Tiles), c.Threads()
	if kernel.OutBlocks(k.Dst.C) < threads && n < 4*threads {
		n = max(n, min(team.Split(n, threads)*threads, team.Split(k.tiles(), simd.Active().TilePixels)))
	}
	return n
}

// slices returns the number of ranges of output channels into which a block of tiles is
// cut, so that few blocks occupy every worker. Each slice transforms the input again.
func (k *Winograd) slices(c *kernel.Context) int {
	n, threads, blocks := 1, c.Threads(), k.Dst.N*k.perImage(c)
	for n < kernel.OutBlocks(k.Dst.C) && blocks*n < 4*threads && blocks*n%threads != 0 {
		n++
	}
	return n
}

// Run computes the convolution.
func (k *Winograd) Run(c *kernel.Context) {
	k.Dst.ClearBorder(c)
	c.DoAll(k.Dst.N*k.perImage(c)*k.slices(c), k)
}

// buffers is the part of the scratch for a run of tiles.
type buffers struct {
	window []uint32
	halves [2]half
}

// half is the part of the scratch for one half of the channels of a run of tiles.
type half struct{ window, transformed, out []float32 }

func (k *Winograd) half(s []float32) (h half) {
	h.window, s = s[:k.windowLen()], s[k.windowLen():]
	h.transformed, h.out = s[:k.positions()*runTiles*lanes], s[k.positions()*runTiles*lanes:]
	return h
}

// Part computes a range of output channels of a block of tiles.
func (k *Winograd) Part(c *kernel.Context, i, worker int) {
	slices, per := k.slices(c), k.perImage(c)
	slice, i := i%slices, i/slices
	n, t0, t1 := i/per, team.Cut(k.tiles(), per, i%per), team.Cut(k.tiles(), per, i%per+1)
	scratch := c.Scratch(worker)
	v, m := words(scratch)[:k.inputs()], floats(scratch)[k.inputs():][:k.products()]
	s := buffers{window: words(scratch)[k.inputs()+k.products():][:k.windowLen()]}
	for i := range s.halves {
		s.halves[i] = k.half(floats(scratch)[k.inputs()+k.products()+k.windowLen()+i*k.halfLen():][:k.halfLen()])
	}
	place := func(t int) (y, x, left int) { // left is the number of tiles in the rest of the row
		y, x = t/k.across(), t%k.across()
		return y, x, min(t1-t, k.across()-x)
	}
	p := prologue{c.F32(k.Scale), c.F32(k.Shift), k.Pre}
	for b := range k.Src.Blocks() {
		for t := t0; t < t1; {
			y, x, left := place(t)
			t += k.transformIn(c, &p, n, b, y, x, left, v[b*k.positions()*k.pitch()+(t-t0)*lanes:], &s)
		}
	}
	all := kernel.OutBlocks(k.Dst.C)
	end := team.Cut(all, slices, slice+1)
	for first := team.Cut(all, slices, slice); first < end; first += k.OutBlocks {
		last := min(first+k.OutBlocks, end)
		k.multiply(c, v, m, s.halves[0].out[:block], t1-t0, first, last)
		for ob := first; ob < last; ob++ {
			for t := t0; t < t1; {
				y, x, left := place(t)
				t += k.transformOut(c, n, ob, y, x, left, m[(ob-first)*2*k.positions()*k.pitch()+(t-t0)*lanes:], &s)
			}
		}
	}
}

// transformIn writes Bᵀ·d·B of tiles of block b, from tile x of row y of tiles on, to v. left
// is the number of tiles that are wanted. It returns the number of those that it wrote.
func (k *Winograd) transformIn(c *kernel.Context, p *prologue, n, b, y, x, left int, v []uint32, s *buffers) int {
	iy, ix := y*k.M-k.PadTop, x*k.M-k.PadLeft
	src, row := pairs(c, k.Src.Ref), k.Src.Row()/2
	inside := 0 // tiles that lie in the image
	fold := b == foldedBlock(&k.Src)
	if iy >= 0 && iy+k.side() <= k.Src.H && ix >= 0 && p.identity() && !fold {
		inside = min(left, callTiles, (k.Src.W-ix-2)/k.M)
	}
	if inside > 0 && k.M == 2 && simd.PairTilesIn(&src[at(&k.Src, n, b, iy, ix)], &v[0], row*4, k.pitch()*4, inside) {
		return inside
	}
	run := min(left, runTiles)
	if ix < 0 && !fold { // the other tiles may lie in the image
		run = 1
	}
	cols := (run*k.M + 2) * lanes
	window := s.window[:k.side()*cols]
	for r := range k.side() {
		p.window(c, &k.Src, n, b, iy+r, ix, window[r*cols:][:cols], s.halves[0].window)
	}
	if fold {
		simd.FoldPairs(window)
	}
	if k.M == 2 && simd.PairTilesIn(&window[0], &v[0], cols*4, k.pitch()*4, run) {
		return run
	}
	simd.WidenPairs(s.halves[0].window, s.halves[1].window, window)
	for i := range s.halves {
		h := &s.halves[i]
		simd.TransformIn(k.M, k.M, h.window, h.transformed, cols, run*lanes, run)
	}
	for pos := range k.positions() {
		simd.Narrow(v[pos*k.pitch():][:run*lanes], s.halves[0].transformed[pos*run*lanes:], s.halves[1].transformed[pos*run*lanes:], nil, -kernel.Inf32, kernel.Inf32)
	}
	return run
}

// multiply computes the products of all positions for output blocks first ≤ ob < last of
// 32 channels. It adds the bias to the positions that together contribute once to every
// output. bias is memory for the padded bias of a block.
func (k *Winograd) multiply(c *kernel.Context, v []uint32, m, bias []float32, tiles, first, last int) {
	u := pairs(c, k.W)
	a := simd.NewTile(false)
	a.Pairs = true
	a.Pix, a.OutPix = pixelBytes, pixelBytes
	a.Blocks, a.BlockStride = k.Src.Blocks(), k.positions()*k.pitch()*4
	a.Rows, a.Cols = 1, 1
	if Folds(k.Src.C) {
		a.Half = 1
	}
	a.OutBlock = k.positions() * k.pitch() * 4
	pieces, pitch := team.Split(tiles, simd.Active().TilePixels), k.W.Len/2/k.positions()
	weights := func(pos, ob int) int { return pos*pitch + ob*k.Src.Blocks()*lanes*block }
	ones := simd.Winograd[k.M].Ones
	for pos := range k.positions() {
		for ob := first; ob < last; ob++ {
			a.W = unsafe.Pointer(&u[weights(pos, ob)])
			// A position reads its block of weights once. That is too short for the
			// hardware to prefetch.
			var next int
			switch {
			case ob < last-1:
				next = weights(pos, ob+1)
			case pos < k.positions()-1:
				next = weights(pos+1, first)
			default:
				next = weights(0, last%kernel.OutBlocks(k.Dst.C))
			}
			a.Ahead(uintptr(unsafe.Pointer(&u[next])), pieces)
			a.Bias = unsafe.Pointer(&zeroBias[0])
			if f := ones[pos/k.side()] * ones[pos%k.side()]; f != 0 && k.Bias.Present() {
				clear(bias)
				for o, v := range c.F32(k.Bias)[ob*block : min(ob*block+block, k.Bias.Len)] {
					bias[o] = float32(f) * v
				}
				a.Bias = unsafe.Pointer(&bias[0])
			}
			a.In = unsafe.Pointer(&v[pos*k.pitch()])
			a.Out = unsafe.Pointer(&m[((ob-first)*2*k.positions()+pos)*k.pitch()])
			a.Line(kernel.BlockWidth(k.Dst.C, ob), tiles)
		}
	}
}

// transformOut writes Aᵀ·m·A of tiles of output block ob, from tile x of row y of tiles on,
// to the image, with residual, activation and pool. left is the number of tiles that are
// wanted. It returns the number of those that it wrote.
func (k *Winograd) transformOut(c *kernel.Context, n, ob, ty, tx, left int, m []float32, s *buffers) int {
	d, per := &k.Dst, k.M/max(1, k.Pool) // rows and columns of results in a tile
	y, x := ty*per, tx*per
	narrow := kernel.BlockWidth(d.C, ob) == lanes
	if whole := min(left, callTiles, (d.W-x)/per); k.M == 2 && y+per <= d.H && whole > 0 && !narrow && k.tilesOut(c, n, ob, y, x, whole, m) {
		return whole
	}
	run := min(left, runTiles)
	row := run * k.M * lanes
	var from [2][]float32
	for i := range s.halves {
		h := &s.halves[i]
		from[i] = h.out
		if i == 1 && narrow {
			clear(from[i][:k.M*row])
			break
		}
		simd.TransformOut(k.M, m[i*k.positions()*k.pitch():], h.out, nil, k.pitch(), row, 0, run, -kernel.Inf32, kernel.Inf32)
		if k.Pool > 0 {
			from[i] = h.transformed
			k.pool(from[i], h.out, row)
		}
	}
	width := min(run*per, d.W-x)
	for r := range min(per, d.H-y) {
		dst := pairs(c, d.Ref)[at(d, n, ob, y+r, x):][:width*lanes]
		var residual []uint32
		if k.Residual.N > 0 {
			residual = pairs(c, k.Residual.Ref)[at(&k.Residual, n, ob, y+r, x):][:len(dst)]
		}
		first := r * run * per * lanes
		store(dst, from[0][first:], from[1][first:], residual, k.Act)
	}
	return run
}

// tilesOut is transformOut for tiles of which the image holds all pixels. It reports whether
// it did the work.
func (k *Winograd) tilesOut(c *kernel.Context, n, ob, y, x, tiles int, m []float32) bool {
	lo, hi, clamps := k.Act.Clamp()
	dst := &pairs(c, k.Dst.Ref)[at(&k.Dst, n, ob, y, x)]
	half, pos := k.positions()*k.pitch()*4, k.pitch()*4
	switch {
	case !clamps:
		return false
	case k.Pool > 0:
		return simd.PairTilesPool(&m[0], half, pos, dst, tiles, lo, hi)
	case k.Residual.N > 0:
		r := &k.Residual
		return simd.PairTilesOut(&m[0], half, pos, dst, k.Dst.RowBytes(), &pairs(c, r.Ref)[at(r, n, ob, y, x)], r.RowBytes(), tiles, lo, hi)
	}
	return simd.PairTilesOut(&m[0], half, pos, dst, k.Dst.RowBytes(), nil, 0, tiles, lo, hi)
}

// pool writes the maxima of windows of the outputs of a run of tiles, whose rows have row
// floats. A clamp gives the same result after the maxima.
func (k *Winograd) pool(to, out []float32, row int) {
	for r := range k.M / k.Pool {
		kernel.MaxOfWindows(to[r*row/k.Pool:][:row/k.Pool], out[r*k.Pool*row:][:k.Pool*row], row, k.Pool)
	}
}

// Uses lists the micro-kernels that the convolution calls.
func (k *Winograd) Uses(_ *simd.Tier, use func(micro string, pixels int)) {
	usesTiles(use)
	if k.Pool > 0 {
		use("PoolMax", kernel.AnyPixels)
	}
}
