package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// Winograd is a convolution computed as F(M×M,3×3) (Lavin & Gray 2015), which has fewer
// multiplications and slightly larger rounding errors. The filter is 3×3 with stride 1,
// unless Strided, Five or Dilation is set. Operands are as in [Conv].
// [WinogradWeights] transforms the weights.
type Winograd struct {
	M int // 2, 4 or 6
	// Strided makes the stride 2. M is then 2, Dst has even extents, and there is no
	// prologue or Pool. For the layout of the weights see StridedLen in
	// backend/cpu/pack.
	Strided bool
	// Five makes the filter 5×5. M is then 2, and there is no Dilation or Pool, and
	// Strided is not set.
	Five bool
	// Dilation, unless 0, is the distance between the taps of the filter in pixels.
	// The pixels at that distance from one another form a phase, an image with an
	// ordinary convolution. Strided is then not set, and there is no Pool.
	Dilation        int
	Src, Dst        Image
	W               Ref // in Prepared, see WinogradLen in backend/cpu/pack
	Bias            Ref
	Residual        Image
	Scale, Shift    Ref
	Pre, Act        Act
	PadTop, PadLeft int
	// Pool, unless 0, is the side and the stride of the square windows of a maximum
	// pool. Dst has the extents of the pool. Pool divides M, and there is no Residual.
	Pool int
	// Tiles is the number of tiles that are transformed together. They are of several
	// images if an image has at most half as many. OutBlocks is the number of blocks of 32 output channels that are multiplied before their output
	// transform.
	Tiles, OutBlocks int
}

// The scratch of a part holds transformed inputs [ic/16][position][tiles][16],
// products [2·OutBlocks][group][tiles][16], a window of the input, and a row of output
// tiles. Positions are an odd number of cache lines apart: with a power of two they
// would all map to the same sets.
//
// Unless Strided is set, a group is a position.
func (k *Winograd) positions() int {
	if k.Strided {
		return stridedSide * stridedSide
	}
	return k.groups()
}
func (k *Winograd) groups() int   { return k.side() * k.side() }
func (k *Winograd) pitch() int    { return (k.Tiles | 1) * 16 }
func (k *Winograd) inputs() int   { return k.Src.Blocks() * k.positions() * k.pitch() }
func (k *Winograd) products() int { return 2 * k.OutBlocks * k.groups() * k.pitch() }

// side returns the number of groups of a tile in one dimension.
func (k *Winograd) side() int {
	if k.Strided {
		return stridedGroups
	}
	return k.M + k.overlap()
}

// overlap returns the number of pixels of a row that two tiles share.
func (k *Winograd) overlap() int { return taps(k.Five) - 1 }
func (k *Winograd) windowLen() int {
	return k.Src.Blocks() * (k.M + k.overlap()) * (k.runTiles()*k.M + k.overlap()) * 16
}
func (k *Winograd) outputLen() int { return k.M * k.runTiles() * k.M * 16 }
func (k *Winograd) runTiles() int  { return min(k.Tiles, k.across()) }

// across and down return the numbers of tiles in a row and in a column of a phase.
// tiles returns the number of tiles of an image, phase after phase.
func (k *Winograd) across() int { return team.Split(team.Split(k.Dst.W*max(1, k.Pool), k.step()), k.M) }
func (k *Winograd) down() int   { return team.Split(team.Split(k.Dst.H*max(1, k.Pool), k.step()), k.M) }
func (k *Winograd) tiles() int  { return k.across() * k.down() * k.step() * k.step() }
func (k *Winograd) step() int   { return max(1, k.Dilation) }

// Products returns the number of products of an image for one input channel and one
// output channel.
func (k *Winograd) Products() int { return k.tiles() * k.positions() }

// phase returns the first pixel of the phase that row ty of tiles belongs to, and the
// index of that row in the phase.
func (k *Winograd) phase(ty int) (y, x, row int) {
	p := ty / k.down()
	return p / k.step(), p % k.step(), ty % k.down()
}

// together returns the number of images whose tiles form a block.
func (k *Winograd) together() int { return max(1, min(k.Tiles/k.tiles(), k.Dst.N)) }

// blocks returns the number of blocks of tiles.
func (k *Winograd) blocks(c *Context) int {
	if n := k.together(); n > 1 {
		return team.Split(k.Dst.N, n)
	}
	return k.Dst.N * k.perImage(c)
}

// perImage returns the number of blocks of tiles of an image. It makes blocks smaller
// than Tiles until they and their output channels occupy all workers. If there are few
// blocks, it also makes their number a multiple of the number of workers.
func (k *Winograd) perImage(c *Context) int {
	tiles, threads := k.tiles(), c.Threads()
	n := team.Split(tiles, k.Tiles)
	for threads > 1 && tiles/(n+1) >= fewTiles {
		blocks := k.Dst.N * n
		if blocks*OutBlocks(k.Dst.C) >= 2*threads && (blocks%threads == 0 || blocks >= 4*threads) {
			break
		}
		n++
	}
	return n
}

// fewTiles is the minimum number of tiles of a block that perImage makes smaller for
// the sake of more workers. It is a register tile of AVX2. Micro-kernels sum fewer
// tiles in another order, so results would depend on the number of threads.
const fewTiles = 6

// Check declares the memory of the step.
func (k *Winograd) Check(v *Verifier) {
	v.reads("Src", &k.Src)
	v.writes("Dst", &k.Dst)
	v.residual(&k.Residual, &k.Dst)
	v.prologue(k.Scale, k.Shift, k.Pre, k.Src.Blocks())
	v.Act(k.Act.Fn)
	v.channels("Bias", k.Bias, k.Dst.Blocks())
	v.form(k.M, k.Strided, k.Five)
	v.Positive("Tiles and OutBlocks", k.Tiles, k.OutBlocks)
	v.Require(k.Src.N == k.Dst.N, "the extents of the operands differ")
	v.Require(k.Dilation >= 0 && (k.Dilation <= 1 || !k.Strided && !k.Five && k.Pool == 0), "this form has no dilation")
	v.Require(k.Pool >= 0 && (k.Pool == 0 || !k.Strided && !k.Five && k.M%k.Pool == 0 && k.Residual.N == 0), "this form has no such pool")
	rows, cols, stride := k.Dst.H, k.Dst.W, 1
	if k.Strided {
		stride = 2
		v.Require(rows%2 == 0 && cols%2 == 0 && k.Scale.Len == 0 && k.Shift.Len == 0 && k.Pre.Fn == ActIdentity, "this form has no odd extents and no prologue")
	}
	if v.err != nil || Product(rows, max(1, k.Pool)) > MaxExtent || Product(cols, max(1, k.Pool)) > MaxExtent {
		v.Require(false, "the result is too large")
		return
	}
	t := taps(k.Five)
	inside := v.Windows(Filter{t, t, stride, stride, k.step(), k.step(), k.PadTop, k.PadLeft}, rows*max(1, k.Pool), cols*max(1, k.Pool), &k.Src)
	v.Require(inside || !k.Strided, leaves) // the other forms read tiles that leave the border from a copy
	if v.err != nil {
		return
	}
	v.Require(Product(k.across(), k.down(), k.step(), k.step()) <= MaxExtent, "there are too many tiles")
	v.transformed("W", k.W, k.positions(), k.Src.C, k.Dst.C, false)
	blocks, tiles := k.Src.Blocks(), k.Tiles|1
	v.Scratch(Product(blocks, k.positions(), tiles, pixelBytes) + Product(2*k.OutBlocks, k.groups(), tiles, pixelBytes) +
		Product(blocks, k.M+k.overlap(), k.runTiles()*k.M+k.overlap(), pixelBytes) + Product(k.M, k.runTiles(), k.M, pixelBytes))
}

// ScratchBytes is the size of the memory described above.
func (k *Winograd) ScratchBytes() int {
	return (k.inputs() + k.products() + k.windowLen() + k.outputLen()) * 4
}

// Run computes the convolution. If there are enough blocks of tiles, each worker
// transforms and multiplies its own blocks. Otherwise all workers first transform one
// block per worker together, and then share the products.
func (k *Winograd) Run(c *Context) {
	k.Dst.ClearBorder(c)
	blocks, threads := k.blocks(c), c.Threads()
	if threads == 1 || blocks >= 2*threads {
		c.DoAll(blocks, (*winogradBlocks)(k))
		return
	}
	for c.first = 0; c.first < blocks; c.first += threads {
		n := min(threads, blocks-c.first)
		c.DoAll(n*k.inputParts(c), (*winogradInputs)(k))
		c.DoAll(n*k.outputParts(c), (*winogradOutputs)(k))
	}
}

// block is a block of tiles. Tiles are numbered image after image.
type block struct{ t0, t1 int }

func (k *Winograd) block(c *Context, i int) block {
	tiles := k.tiles()
	if k.together() > 1 {
		n := k.blocks(c)
		return block{team.Cut(k.Dst.N, n, i) * tiles, team.Cut(k.Dst.N, n, i+1) * tiles}
	}
	n := k.perImage(c)
	first := i / n * tiles
	return block{first + team.Cut(tiles, n, i%n), first + team.Cut(tiles, n, i%n+1)}
}

// run returns the image, the row and the column of tile t, and the number of tiles from it
// to the end of the row, or to tile end.
func (k *Winograd) run(t, end int) (n, y, x, run int) {
	across := k.across()
	n, x = t/k.tiles(), t%across
	return n, t % k.tiles() / across, x, min(end-t, across-x)
}

// winogradScratch holds the parts of the scratch of a worker: transformed inputs,
// products, a window of the input, and a row of output tiles.
type winogradScratch struct{ v, m, window, out []float32 }

func (k *Winograd) scratch(c *Context, worker int) (s winogradScratch) {
	all := Floats(c.scratch[worker])
	s.v, all = all[:k.inputs()], all[k.inputs():]
	s.m, all = all[:k.products()], all[k.products():]
	s.window, all = all[:k.windowLen()], all[k.windowLen():]
	s.out = all[:k.outputLen()]
	return s
}

// winogradBlocks computes a whole block of tiles in each part.
type winogradBlocks Winograd

func (j *winogradBlocks) Part(c *Context, i, worker int) {
	k := (*Winograd)(j)
	b, s := k.block(c, i), k.scratch(c, worker)
	k.transform(c, b, 0, k.Src.Blocks(), s)
	k.outputs(c, b, 0, OutBlocks(k.Dst.C), s)
}

// winogradInputs transforms a range of the channels of a block of tiles. It writes the
// results to the scratch of the worker that has the number of the block.
type winogradInputs Winograd

func (k *Winograd) inputParts(c *Context) int { return min(k.Src.Blocks(), 2*c.Threads()) }

func (j *winogradInputs) Part(c *Context, i, worker int) {
	k := (*Winograd)(j)
	n := k.inputParts(c)
	s := k.scratch(c, worker)
	s.v = k.scratch(c, i/n).v
	k.transform(c, k.block(c, c.first+i/n), team.Cut(k.Src.Blocks(), n, i%n), team.Cut(k.Src.Blocks(), n, i%n+1), s)
}

// winogradOutputs computes a range of the output channels of a block of tiles
// that winogradInputs has transformed.
type winogradOutputs Winograd

func (k *Winograd) outputParts(c *Context) int { return min(OutBlocks(k.Dst.C), 4*c.Threads()) }

func (j *winogradOutputs) Part(c *Context, i, worker int) {
	k := (*Winograd)(j)
	n, all := k.outputParts(c), OutBlocks(k.Dst.C)
	s := k.scratch(c, worker)
	s.v = k.scratch(c, i/n).v
	k.outputs(c, k.block(c, c.first+i/n), team.Cut(all, n, i%n), team.Cut(all, n, i%n+1), s)
}

// transform writes Bᵀ·d·B of the input blocks from ≤ b < to to s.v.
func (k *Winograd) transform(c *Context, b block, from, to int, s winogradScratch) {
	for t := b.t0; t < b.t1; {
		n, y, x, run := k.run(t, b.t1)
		if v := s.v[(t-b.t0)*16:]; k.Strided {
			k.stridedInput(c, n, from, to, y, x, run, v)
		} else {
			k.transformInput(c, n, from, to, y, x, run, v, s.window)
		}
		t += run
	}
}

// outputs multiplies blocks of 32 output channels from ≤ b < to and writes
// them to the image.
func (k *Winograd) outputs(c *Context, b block, from, to int, s winogradScratch) {
	for first := from; first < to; first += k.OutBlocks {
		last := min(first+k.OutBlocks, to)
		k.multiply(c, s.v, s.m, s.out[:32], b.t1-b.t0, first, last)
		for t := b.t0; t < b.t1; {
			n, y, x, run := k.run(t, b.t1)
			for ob := first * 2; ob < min(last*2, k.Dst.Blocks()); ob++ {
				m := s.m[(ob-first*2)*k.groups()*k.pitch()+(t-b.t0)*16:]
				switch {
				case k.Strided || k.Five:
					k.sumOutput(c, n, ob, y, x, run, m)
				case k.Pool > 0:
					k.poolOutput(c, n, ob, y, x, run, m, s.out)
				case k.Dilation > 1:
					k.dilatedOutput(c, n, ob, y, x, run, m, s)
				default:
					k.transformOutput(c, n, ob, y, x, run, m, s.out)
				}
			}
			t += run
		}
	}
}

// transformInput writes Bᵀ·d·B of a run of tiles in one row of tiles, for the input
// blocks from ≤ b < to. It reads tiles inside the image and its border in place. It
// reads other tiles, and tiles of a phase, from a copy that is padded with zeros.
func (k *Winograd) transformInput(c *Context, n, from, to, ty, tx, run int, v, window []float32) {
	s := &k.Src
	src := c.F32(s.Ref)[n*s.BatchStride:]
	step := k.step()
	py, px, ty := k.phase(ty)
	y, x := ty*k.M*step+py-k.PadTop, tx*k.M*step+px-k.PadLeft
	plain := step == 1 && !k.Scale.Present() && !k.Shift.Present() && k.Pre.Fn == ActIdentity
	direct, overlap := 0, k.overlap()
	if plain && y >= -s.Top && y+k.M+overlap <= s.H+s.Bottom && x >= -s.Left {
		for direct < run && x+(direct+1)*k.M+overlap <= s.W+s.Right {
			direct++
		}
	}
	stride := k.positions() * k.pitch()
	if direct > 0 {
		for b := from; b < to; b++ {
			simd.TransformIn(k.side()-2, k.M, src[s.At(0, b, y, x):], v[b*stride:], s.Row(), k.pitch(), direct)
		}
	}
	if run == direct {
		return
	}
	rows, cols := k.M+overlap, (run-direct)*k.M+overlap
	part := *s
	part.C = (to - from) * 16
	p := prologue{src: src[from*s.Plane():], img: &part, scale: blocksOf(c.F32(k.Scale), from), shift: blocksOf(c.F32(k.Shift), from), act: k.Pre, skipRows: step - 1, skipCols: step - 1}
	p.window(window[:part.Blocks()*rows*cols*16], y, x+direct*k.M, rows, cols)
	for b := from; b < to; b++ {
		simd.TransformIn(k.side()-2, k.M, window[(b-from)*rows*cols*16:], v[b*stride+direct*16:], cols*16, k.pitch(), run-direct)
	}
}

// group describes group pos for block ob of 32 output channels: the first position of
// the transformed input that it sums, the offset of its weights, and the numbers of
// rows and columns of positions. pitch is the distance between the positions of the
// weights.
func (k *Winograd) group(pos, ob, pitch int) (first, weights, rows, cols int) {
	first, weights, rows, cols = pos, pos, 1, 1
	if k.Strided {
		first, weights, rows, cols = stridedGroup(pos)
	}
	ic := k.Src.Blocks() * 16
	return first, weights*pitch + ob*rows*cols*ic*32, rows, cols
}

// multiply computes the products of all groups for output blocks first ≤ ob < last of
// 32 channels. It adds the bias to the groups that together contribute once to every
// output. bias is memory for the padded bias of a block.
func (k *Winograd) multiply(c *Context, v, m, bias []float32, tiles, first, last int) {
	u := c.F32(k.W)
	a := simd.NewTile(false)
	a.Pix, a.OutPix = pixelBytes, pixelBytes
	a.Blocks, a.BlockStride = k.Src.Blocks(), k.positions()*k.pitch()*4
	a.RowStride, a.ColStride = stridedSide*k.pitch()*4, k.pitch()*4
	a.OutBlock = k.groups() * k.pitch() * 4
	if k.Src.C%16 > 0 && k.Src.C%16 <= 8 {
		a.Half = 1
	}
	pieces, pitch := team.Split(tiles, simd.Active().TilePixels), weightsPitch(k.W, k.positions())
	ones, al := matrices(k.M, k.Five).Ones, k.side() // Strided uses the first three ones of F(2×2)
	for pos := range k.groups() {
		for ob := first; ob < last; ob++ {
			position, weights, rows, cols := k.group(pos, ob, pitch)
			a.W, a.Rows, a.Cols = unsafe.Pointer(&u[weights]), rows, cols
			a.HalfOut = halfOut(&k.Dst, 2*ob)
			// A group reads its block of weights once. That is too short for the
			// hardware to prefetch.
			var next int
			switch {
			case ob < last-1:
				_, next, _, _ = k.group(pos, ob+1, pitch)
			case pos < k.groups()-1:
				_, next, _, _ = k.group(pos+1, first, pitch)
			default:
				_, next, _, _ = k.group(0, last%OutBlocks(k.Dst.C), pitch)
			}
			a.Ahead(uintptr(unsafe.Pointer(&u[next])), pieces)
			a.Bias = unsafe.Pointer(&zeroBias[0])
			if f := ones[pos/al] * ones[pos%al]; f != 0 && k.Bias.Present() {
				clear(bias)
				for o, v := range c.F32(k.Bias)[ob*32 : min(ob*32+32, k.Bias.Len)] {
					bias[o] = float32(f) * v
				}
				a.Bias = unsafe.Pointer(&bias[0])
			}
			a.In = unsafe.Pointer(&v[position*k.pitch()])
			a.Out = unsafe.Pointer(&m[((ob-first)*2*k.groups()+pos)*k.pitch()])
			a.Line(BlockWidth(k.Dst.C, ob), tiles)
		}
	}
}

// transformOutput writes Aᵀ·m·A of a run of tiles of one block of 16 channels to the
// image, with residual and activation. Tiles that extend beyond the image go through
// out.
func (k *Winograd) transformOutput(c *Context, n, b, ty, tx, run int, m, out []float32) {
	d := &k.Dst
	y, x := ty*k.M, tx*k.M
	to := d.At(n, b, y, x)
	dst := c.F32(d.Ref)[to:]
	var res []float32
	if r := &k.Residual; r.N > 0 {
		res = c.F32(r.Ref)[r.At(n, b, y, x):]
	}
	rows := min(k.M, d.H-y)
	inside := 0
	if rows == k.M {
		inside = min(run, (d.W-x)/k.M)
	}
	if inside > 0 {
		lo, hi, clamp := k.Act.Clamp()
		simd.TransformOut(k.M, m, dst, res, k.pitch(), d.Row(), k.Residual.Row(), inside, lo, hi)
		for r := 0; r < k.M && !clamp; r++ {
			Apply(dst[r*d.Row():][:inside*k.M*16], k.Act)
		}
	}
	if inside == run {
		return
	}
	row := (run - inside) * k.M * 16
	simd.TransformOut(k.M, m[inside*16:], out, nil, k.pitch(), row, 0, run-inside, -Inf32, Inf32)
	at := inside * k.M * 16
	width := min(row, (d.W-x)*16-at)
	for r := range rows {
		to, from := dst[r*d.Row()+at:][:width], out[r*row:][:width]
		if res != nil {
			binaryRow(to, from, res[r*k.Residual.Row()+at:][:width], -1, BinAdd, k.Act)
		} else {
			affineRow(to, from, nil, nil, k.Act)
		}
	}
}

// dilatedOutput is like transformOutput, for a phase. The results go through s.out.
// s.window receives the pixels of the residual.
func (k *Winograd) dilatedOutput(c *Context, n, b, ty, tx, run int, m []float32, s winogradScratch) {
	d, step := &k.Dst, k.step()
	py, px, ty := k.phase(ty)
	y, x := ty*k.M, tx*k.M // in the image of the phase
	rows, cols := min(k.M, team.Split(d.H-py, step)-y), min(run*k.M, team.Split(d.W-px, step)-x)
	if rows <= 0 || cols <= 0 { // a phase may have one row or column less than another
		return
	}
	row := run * k.M * 16
	var res []float32
	if k.Residual.N > 0 {
		res = s.window[:k.M*row]
		for r := range rows {
			from := k.Residual.row(c.F32(k.Residual.Ref), n, b, (y+r)*step+py)
			copyPixels(res[r*row:], from[(x*step+px)*16:], cols, 16, step*16)
		}
	}
	lo, hi, clamp := k.Act.Clamp()
	simd.TransformOut(k.M, m, s.out, res, k.pitch(), row, row, run, lo, hi)
	for r := range rows {
		from := s.out[r*row:][:cols*16]
		if !clamp {
			Apply(from, k.Act)
		}
		copyPixels(d.row(c.F32(d.Ref), n, b, (y+r)*step+py)[(x*step+px)*16:], from, cols, step*16, 16)
	}
}

// poolOutput is like transformOutput, with a pool. It writes the results to out, and
// the maximum of each window of the pool to the image.
func (k *Winograd) poolOutput(c *Context, n, b, ty, tx, run int, m, out []float32) {
	d := &k.Dst
	row := run * k.M * 16
	lo, hi, clamp := k.Act.Clamp()
	simd.TransformOut(k.M, m, out, nil, k.pitch(), row, 0, run, lo, hi)
	per := k.M / k.Pool // rows and columns of windows in a tile
	y, x := ty*per, tx*per
	dst := c.F32(d.Ref)[d.At(n, b, y, x):]
	for r := range min(per, d.H-y) {
		rows := out[r*k.Pool*row:][:k.Pool*row]
		if !clamp {
			Apply(rows, k.Act)
		}
		maxOfWindows(dst[r*d.Row():][:min(run*per, d.W-x)*16], rows, row, k.Pool)
	}
}

func (k *Winograd) uses(_ *simd.Tier, use useFunc) {
	usesTiles(&k.Dst, use)
	if k.Pool > 0 {
		use("PoolMax", AnyPixels)
	}
}
