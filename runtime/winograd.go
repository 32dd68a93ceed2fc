package runtime

import (
	"math"
	"unsafe"
)

const sqrt2 = math.Sqrt2

// Winograd is a 3×3 convolution, with stride 1 or dilated, computed as F(M×M,3×3)
// (Lavin & Gray 2015): fewer multiplications, slightly more rounding.
// Operands as in Conv; the transformed weights are made by WinogradWeights.
type Winograd struct {
	M int // 2, 4 or 6
	// Strided is set where the stride is 2 instead: M is 2 then, Dst has even
	// extents, and there is no prologue or Pool. Weights as StridedLen describes.
	Strided bool
	// Five is set where the filter is 5×5 instead: M is 2 then. Neither Strided
	// nor dilated, and there is no Pool.
	Five bool
	// Dilation, unless 0, is the distance of the filter's taps in pixels. As far
	// apart, the pixels of a phase are an image whose convolution is an ordinary
	// one. Not where Strided, and there is no Pool then.
	Dilation        int
	Src, Dst        Image
	W               Ref // in Prepared, see WinogradLen
	Bias            Ref
	Residual        Image
	Scale, Shift    Ref
	Pre, Act        Act
	PadTop, PadLeft int
	// Pool, unless 0, is the side of the square windows side by side of whose
	// results only the maximum is stored: Dst has the extents of the pool. It
	// divides M, and there is no Residual then.
	Pool int
	// Tiles is how many tiles are transformed together, OutBlocks how many
	// blocks of 32 output channels are multiplied before their output
	// transform.
	Tiles, OutBlocks int
}

// WinogradWeights transforms the weights of a Winograd step at load.
type WinogradWeights struct {
	M             int
	Strided, Five bool
	IC, OC        int
	W             Ref // as Conv.W with KH = KW = 3, or 5
	Format        Format
	Dst           Ref // in Prepared
}

// WinogradLen returns the number of floats of transformed weights, for Five
// those of m = 4: [(m+2)²][ceil(oc/32)][ic padded to 16][32], the last block 16
// wide where oc leaves one, a cache line more from one position to the next.
func WinogradLen(m, oc, ic int) int { return (m + 2) * (m + 2) * winogradPitch(oc, ic) }

// winogradPitch is an odd number of cache lines: a filter's positions are
// written together, and powers of two would map all of them onto the same sets.
func winogradPitch(oc, ic int) int { return wholeBlocks(oc)*wholeBlocks(ic) + 16 }

// The matrices of F(m×m,3×3): Bᵀ transforms inputs, G weights, Aᵀ outputs.
// The points are 0, ±1, ∞ (m = 2), 0, ±√½, ±√2, ∞ (4), and 0, ±1, ±2, ±1/2, ∞ (6).
// Those of m = 4 halve the error that 0, ±1, ±2, ∞ would have.
type winogradMatrices struct {
	bt, g, at [][]float64
	// ones is a vector that Aᵀ turns into ones: how a bias enters.
	ones []float64
}

var winograds = map[int]winogradMatrices{
	2: {
		bt: [][]float64{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}},
		g:  [][]float64{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}},
		at: [][]float64{{1, 1, 1, 0}, {0, 1, -1, 1}},

		ones: []float64{0, 1, 0, 0},
	},
	4: {
		bt: [][]float64{{1, 0, -2.5, 0, 1, 0}, {0, -sqrt2, -2, sqrt2 / 2, 1, 0}, {0, sqrt2, -2, -sqrt2 / 2, 1, 0},
			{0, -sqrt2 / 2, -.5, sqrt2, 1, 0}, {0, sqrt2 / 2, -.5, -sqrt2, 1, 0}, {0, 1, 0, -2.5, 0, 1}},
		g: [][]float64{{1, 0, 0}, {-sqrt2 / 6, -1. / 6, -sqrt2 / 12}, {-sqrt2 / 6, 1. / 6, -sqrt2 / 12},
			{1. / 6, sqrt2 / 6, 1. / 3}, {1. / 6, -sqrt2 / 6, 1. / 3}, {0, 0, 1}},
		at: [][]float64{{1, 2 * sqrt2, 2 * sqrt2, 1, 1, 0}, {0, 2, -2, sqrt2, -sqrt2, 0}, {0, sqrt2, sqrt2, 2, 2, 0}, {0, 1, -1, 2 * sqrt2, -2 * sqrt2, 1}},

		ones: []float64{.5, 0, 0, .25 + sqrt2/4, .25 - sqrt2/4, -1},
	},
	6: {
		bt: [][]float64{{1, 0, -5.25, 0, 5.25, 0, -1, 0}, {0, 1, 1, -4.25, -4.25, 1, 1, 0}, {0, -1, 1, 4.25, -4.25, -1, 1, 0},
			{0, .5, .25, -2.5, -1.25, 2, 1, 0}, {0, -.5, .25, 2.5, -1.25, -2, 1, 0}, {0, 2, 4, -2.5, -5, .5, 1, 0}, {0, -2, 4, 2.5, -5, -.5, 1, 0}, {0, -1, 0, 5.25, 0, -5.25, 0, 1}},
		g: [][]float64{{1, 0, 0}, {-2. / 9, -2. / 9, -2. / 9}, {-2. / 9, 2. / 9, -2. / 9}, {1. / 90, 1. / 45, 2. / 45}, {1. / 90, -1. / 45, 2. / 45},
			{1. / 45, 1. / 90, 1. / 180}, {1. / 45, -1. / 90, 1. / 180}, {0, 0, 1}},
		at: [][]float64{{1, 1, 1, 1, 1, 32, 32, 0}, {0, 1, -1, 2, -2, 16, -16, 0}, {0, 1, 1, 4, 4, 8, 8, 0}, {0, 1, -1, 8, -8, 4, -4, 0}, {0, 1, 1, 16, 16, 2, 2, 0}, {0, 1, -1, 32, -32, 1, -1, 1}},

		ones: []float64{0, 1, 0, 0, 0, 0, 0, 0},
	},
}

// ScratchBytes holds the weights of a part, widened where they are stored in
// half precision.
func (k *WinogradWeights) ScratchBytes() int {
	if k.Format == F32 {
		return 0
	}
	taps := taps(k.Five)
	return min((k.IC+15)/16, weightBlocks) * taps * taps * 16 * 32 * 4
}

// Run computes G·g·Gᵀ for every pair of channels.
func (k *WinogradWeights) Run(c *Context) { c.team.do(outBlocks(k.OC)*k.slices(), c, k) }

// slices is into how many ranges of input channels a block of output channels
// is cut, so that there is work for every worker: whole pages each, since most
// of the time goes into their first touch.
func (k *WinogradWeights) slices() int { return split((k.IC+15)/16, weightBlocks) }

// weightBlocks is the most blocks of 16 input channels that a part transforms.
const weightBlocks = 4

func (k *WinogradWeights) source() (Ref, Format) { return k.W, k.Format }
func (k *WinogradWeights) prepares() Ref         { return k.Dst }

// part transforms a range of input channels of one block of output channels.
func (k *WinogradWeights) part(c *Context, i, worker int) {
	ob, slice := i/k.slices(), i%k.slices()
	first, last := cut((k.IC+15)/16, k.slices(), slice), cut((k.IC+15)/16, k.slices(), slice+1)
	dst := c.f32(k.Dst)
	icp := wholeBlocks(k.IC)
	width := blockWidth(k.OC, ob)
	taps := taps(k.Five)
	step := taps * taps * 16 * width // the weights of 16 input channels
	w := c.floatsOf(k.W, k.Format, ob*32*icp*taps*taps+first*step, (last-first)*step, c.scratch[worker])
	if k.Strided {
		k.strided(dst, w, ob, first, last)
		return
	}
	pitch := winogradPitch(k.OC, k.IC)
	matrix := matrices(k.M, k.Five).g // in float64: what is lost here, every tile would show
	if !k.Five && (active == avx512 || active == avx2) {
		var g [8][3]float64
		for i, row := range matrix {
			copy(g[i][:], row)
		}
		for b := first; b < last; b++ {
			winogradWeights(k.M, &w[(b-first)*step], &dst[ob*icp*32+b*16*width], &g[0][0], 16, width*4, pitch*4)
		}
		return
	}
	var g [8][5]float64
	for i, row := range matrix {
		copy(g[i][:], row)
	}
	al := len(matrix)
	for ic := first * 16; ic < last*16; ic++ {
		from := w[((ic/16-first)*taps*taps*16+ic%16)*width:] // taps are 16 rows apart
		to := dst[ob*icp*32+ic*width:]
		for o := range width {
			var filter [5][5]float64 // by columns
			for i := range taps * taps {
				filter[i%taps][i/taps] = float64(from[i*16*width+o])
			}
			for i := range al {
				var row [5]float64
				for x := range taps {
					row[x] = dot(&g[i], &filter[x], taps)
				}
				for j := range al {
					to[(i*al+j)*pitch+o] = float32(dot(&g[j], &row, taps))
				}
			}
		}
	}
}

// dot is the scalar product of the first n elements, 3 or 5.
func dot(a, b *[5]float64, n int) float64 {
	sum := a[0]*b[0] + a[1]*b[1] + a[2]*b[2]
	if n > 3 {
		sum += a[3]*b[3] + a[4]*b[4]
	}
	return sum
}

// The scratch of a part: transformed inputs [ic/16][position][tiles][16],
// products [2·OutBlocks][group][tiles][16], a window of the input, a row of
// output tiles. Positions are an odd number of cache lines apart: powers of
// two would map all of them onto the same sets.
//
// A group is a position but where Strided.
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

// side is that of the groups of a tile.
func (k *Winograd) side() int {
	if k.Strided {
		return stridedGroups
	}
	return k.M + k.overlap()
}

// overlap is how many pixels of a row two tiles share.
func (k *Winograd) overlap() int { return taps(k.Five) - 1 }
func (k *Winograd) windowLen() int {
	return k.Src.Blocks() * (k.M + k.overlap()) * (k.runTiles()*k.M + k.overlap()) * 16
}
func (k *Winograd) outputLen() int { return k.M * k.runTiles() * k.M * 16 }
func (k *Winograd) runTiles() int  { return min(k.Tiles, k.across()) }

// across and down are the tiles of a phase; tiles are those of an image, phase
// after phase.
func (k *Winograd) across() int { return split(split(k.Dst.W*max(1, k.Pool), k.step()), k.M) }
func (k *Winograd) down() int   { return split(split(k.Dst.H*max(1, k.Pool), k.step()), k.M) }
func (k *Winograd) tiles() int  { return k.across() * k.down() * k.step() * k.step() }
func (k *Winograd) step() int   { return max(1, k.Dilation) }

// Products returns how many products an image needs for each pair of an input
// and an output channel.
func (k *Winograd) Products() int { return k.tiles() * k.positions() }

// phase returns the first pixel of the phase of row ty of tiles, and which of
// its rows ty is.
func (k *Winograd) phase(ty int) (y, x, row int) {
	p := ty / k.down()
	return p / k.step(), p % k.step(), ty % k.down()
}

// perImage is into how many blocks of tiles an image falls: enough of them for
// every worker, where a block's output channels are not, and a few equally for
// each.
func (k *Winograd) perImage(c *Context) int {
	tiles, threads := k.tiles(), c.team.threads
	n := split(tiles, k.Tiles)
	for threads > 1 && tiles/(n+1) >= fewTiles {
		blocks := k.Dst.N * n
		if blocks*outBlocks(k.Dst.C) >= 2*threads && (blocks%threads == 0 || blocks >= 4*threads) {
			break
		}
		n++
	}
	return n
}

// fewTiles is the fewest tiles of a block that is made smaller: a register tile
// of AVX2, and more than those that micro-kernels sum in an order of their own,
// so that results do not depend on the number of threads.
const fewTiles = 6

// ScratchBytes is the memory described above.
func (k *Winograd) ScratchBytes() int {
	return (k.inputs() + k.products() + k.windowLen() + k.outputLen()) * 4
}

// Run computes the convolution. A worker transforms a block of tiles and
// multiplies it. Where there are too few blocks for that, all workers transform
// as many as there are workers, and then share their products.
func (k *Winograd) Run(c *Context) {
	k.Dst.clearBorder(c)
	blocks, threads := k.Dst.N*k.perImage(c), c.team.threads
	if threads == 1 || blocks >= 2*threads {
		c.team.do(blocks, c, (*winogradBlocks)(k))
		return
	}
	for c.first = 0; c.first < blocks; c.first += threads {
		n := min(threads, blocks-c.first)
		c.team.do(n*k.inputParts(c), c, (*winogradInputs)(k))
		c.team.do(n*k.outputParts(c), c, (*winogradOutputs)(k))
	}
}

// block is a block of tiles of one image.
type block struct{ n, t0, t1 int }

func (k *Winograd) block(c *Context, i int) block {
	tiles, n := k.tiles(), k.perImage(c)
	return block{i / n, cut(tiles, n, i%n), cut(tiles, n, i%n+1)}
}

// winogradScratch is the scratch of a worker, see ScratchBytes.
type winogradScratch struct{ v, m, window, out []float32 }

func (k *Winograd) scratch(c *Context, worker int) (s winogradScratch) {
	all := floats(c.scratch[worker])
	s.v, all = all[:k.inputs()], all[k.inputs():]
	s.m, all = all[:k.products()], all[k.products():]
	s.window, all = all[:k.windowLen()], all[k.windowLen():]
	s.out = all[:k.outputLen()]
	return s
}

// winogradBlocks computes blocks of tiles whole.
type winogradBlocks Winograd

func (j *winogradBlocks) part(c *Context, i, worker int) {
	k := (*Winograd)(j)
	b, s := k.block(c, i), k.scratch(c, worker)
	k.transform(c, b, 0, k.Src.Blocks(), s)
	k.outputs(c, b, 0, outBlocks(k.Dst.C), s)
}

// winogradInputs transforms a range of the channels of a block of tiles to
// the scratch of the worker of the block's number.
type winogradInputs Winograd

func (k *Winograd) inputParts(c *Context) int { return min(k.Src.Blocks(), 2*c.team.threads) }

func (j *winogradInputs) part(c *Context, i, worker int) {
	k := (*Winograd)(j)
	n := k.inputParts(c)
	s := k.scratch(c, worker)
	s.v = k.scratch(c, i/n).v
	k.transform(c, k.block(c, c.first+i/n), cut(k.Src.Blocks(), n, i%n), cut(k.Src.Blocks(), n, i%n+1), s)
}

// winogradOutputs computes a range of the output channels of a block of tiles
// that winogradInputs has transformed.
type winogradOutputs Winograd

func (k *Winograd) outputParts(c *Context) int { return min(outBlocks(k.Dst.C), 4*c.team.threads) }

func (j *winogradOutputs) part(c *Context, i, worker int) {
	k := (*Winograd)(j)
	n, all := k.outputParts(c), outBlocks(k.Dst.C)
	s := k.scratch(c, worker)
	s.v = k.scratch(c, i/n).v
	k.outputs(c, k.block(c, c.first+i/n), cut(all, n, i%n), cut(all, n, i%n+1), s)
}

// transform writes Bᵀ·d·B of the input blocks from ≤ b < to to s.v.
func (k *Winograd) transform(c *Context, b block, from, to int, s winogradScratch) {
	for t := b.t0; t < b.t1; {
		y, x := t/k.across(), t%k.across()
		run := min(b.t1-t, k.across()-x)
		if v := s.v[(t-b.t0)*16:]; k.Strided {
			k.stridedInput(c, b.n, from, to, y, x, run, v)
		} else {
			k.transformInput(c, b.n, from, to, y, x, run, v, s.window)
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
			y, x := t/k.across(), t%k.across()
			run := min(b.t1-t, k.across()-x)
			for ob := first * 2; ob < min(last*2, k.Dst.Blocks()); ob++ {
				m := s.m[(ob-first*2)*k.groups()*k.pitch()+(t-b.t0)*16:]
				switch {
				case k.Strided || k.Five:
					k.sumOutput(c, b.n, ob, y, x, run, m)
				case k.Pool > 0:
					k.poolOutput(c, b.n, ob, y, x, run, m, s.out)
				case k.Dilation > 1:
					k.dilatedOutput(c, b.n, ob, y, x, run, m, s)
				default:
					k.transformOutput(c, b.n, ob, y, x, run, m, s.out)
				}
			}
			t += run
		}
	}
}

// transformInput writes Bᵀ·d·B of a run of tiles in one row of tiles, of the
// input blocks from ≤ b < to. Tiles that lie inside the image with its border are
// read in place, others, and those of a phase, from a copy with zeros around.
func (k *Winograd) transformInput(c *Context, n, from, to, ty, tx, run int, v, window []float32) {
	s := &k.Src
	src := c.f32(s.Ref)[n*s.BatchStride:]
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
			k.tilesIn(src[b*s.Plane()+s.Origin()+y*s.Row()+x*16:], v[b*stride:], s.Row(), direct)
		}
	}
	if run == direct {
		return
	}
	rows, cols := k.M+overlap, (run-direct)*k.M+overlap
	part := *s
	part.C = (to - from) * 16
	p := prologue{src: src[from*s.Plane():], img: &part, scale: blocksOf(c.f32(k.Scale), from), shift: blocksOf(c.f32(k.Shift), from), act: k.Pre, skipRows: step - 1, skipCols: step - 1}
	p.window(window[:part.Blocks()*rows*cols*16], y, x+direct*k.M, rows, cols)
	for b := from; b < to; b++ {
		k.tilesIn(window[(b-from)*rows*cols*16:], v[b*stride+direct*16:], cols*16, run-direct)
	}
}

// blocksOf returns a per-channel operand from block b on, nil for an absent
// one.
func blocksOf(v []float32, b int) []float32 {
	if v == nil {
		return nil
	}
	return v[b*16:]
}

// tilesIn transforms n tiles next to one another; row is the distance between
// rows in floats.
func (k *Winograd) tilesIn(in, v []float32, row, n int) {
	if active != generic && k.Five { // the kernel's tiles are four pixels apart
		for t := range n {
			winogradIn4(&in[t*k.M*16], &v[t*16], row*4, k.pitch()*4, 1)
		}
		return
	}
	if active != generic {
		switch k.M {
		case 2:
			winogradIn2(&in[0], &v[0], row*4, k.pitch()*4, n)
		case 4:
			winogradIn4(&in[0], &v[0], row*4, k.pitch()*4, n)
		case 6:
			winogradIn6(&in[0], &v[0], row*4, k.pitch()*4, n)
		}
		return
	}
	al := k.side()
	bt := matrices(k.M, k.Five).bt
	var rows [8][8]float64
	for t := range n {
		for ch := range 16 {
			at := t*k.M*16 + ch
			for i := range al {
				for x := range al {
					sum := 0.0
					for y := range al {
						sum += bt[i][y] * float64(in[at+y*row+x*16])
					}
					rows[i][x] = sum
				}
			}
			for i := range al {
				for j := range al {
					sum := 0.0
					for x := range al {
						sum += bt[j][x] * rows[i][x]
					}
					v[(i*al+j)*k.pitch()+t*16+ch] = float32(sum)
				}
			}
		}
	}
}

// group returns the first position of the transformed input that group pos
// sums, where its weights for block ob of 32 output channels start, and how many
// rows and columns of positions it has.
func (k *Winograd) group(pos, ob int) (first, weights, rows, cols int) {
	first, weights, rows, cols = pos, pos, 1, 1
	if k.Strided {
		first, weights, rows, cols = stridedGroup(pos)
	}
	ic := k.Src.Blocks() * 16
	return first, weights*winogradPitch(k.Dst.C, ic) + ob*rows*cols*ic*32, rows, cols
}

// multiply computes the products of all groups for output blocks first …
// last−1 of 32 channels. The bias enters at the groups that reach every output
// once together; bias is room for a block's, padded.
func (k *Winograd) multiply(c *Context, v, m, bias []float32, tiles, first, last int) {
	u := c.f32(k.W)
	a := newTile(false)
	a.pix, a.outPix = 64, 64
	a.blocks, a.blockStride = k.Src.Blocks(), k.positions()*k.pitch()*4
	a.rowStride, a.colStride = stridedSide*k.pitch()*4, k.pitch()*4
	a.outBlock = k.groups() * k.pitch() * 4
	if k.Src.C%16 > 0 && k.Src.C%16 <= 8 {
		a.half = 1
	}
	pieces := split(tiles, tilePixels())
	ones, al := matrices(k.M, k.Five).ones, k.side() // those of Strided are the first three of F(2×2)
	for pos := range k.groups() {
		for ob := first; ob < last; ob++ {
			position, weights, rows, cols := k.group(pos, ob)
			a.w, a.rows, a.cols = unsafe.Pointer(&u[weights]), rows, cols
			// Each block of weights is read once per group: too short a run
			// for the hardware to look ahead.
			var next int
			switch {
			case ob < last-1:
				_, next, _, _ = k.group(pos, ob+1)
			case pos < k.groups()-1:
				_, next, _, _ = k.group(pos+1, first)
			default:
				_, next, _, _ = k.group(0, last%outBlocks(k.Dst.C))
			}
			a.follow(uintptr(unsafe.Pointer(&u[next])), pieces)
			a.bias = unsafe.Pointer(&zeroBias[0])
			if f := ones[pos/al] * ones[pos%al]; f != 0 && k.Bias.Present() {
				clear(bias)
				for o, v := range c.f32(k.Bias)[ob*32 : min(ob*32+32, k.Bias.Len)] {
					bias[o] = float32(f) * v
				}
				a.bias = unsafe.Pointer(&bias[0])
			}
			a.in = unsafe.Pointer(&v[position*k.pitch()])
			a.out = unsafe.Pointer(&m[((ob-first)*2*k.groups()+pos)*k.pitch()])
			a.line(blockWidth(k.Dst.C, ob), tiles)
		}
	}
}

// winogradOut is an output transform. Strides are in bytes.
//
// The assembly reads the fields by offset: keep the order.
type winogradOut struct {
	in, out, res         unsafe.Pointer // res may be nil
	posStride            int            // from one position of a tile to the next
	rowStride, resStride int
	tiles                int
	lo, hi               float32
}

// transformOutput writes Aᵀ·m·A of a run of tiles of one block of 16 channels
// to the image, with residual and activation. Tiles that stick out of the
// image go through out.
func (k *Winograd) transformOutput(c *Context, n, b, ty, tx, run int, m, out []float32) {
	d := &k.Dst
	y, x := ty*k.M, tx*k.M
	to := n*d.BatchStride + b*d.Plane() + d.Origin() + y*d.Row() + x*16
	dst := c.f32(d.Ref)[to:]
	var res []float32
	if r := &k.Residual; r.N > 0 {
		res = c.f32(r.Ref)[n*r.BatchStride+b*r.Plane()+r.Origin()+y*r.Row()+x*16:]
	}
	rows := min(k.M, d.H-y)
	inside := 0
	if rows == k.M {
		inside = min(run, (d.W-x)/k.M)
	}
	if inside > 0 {
		lo, hi, clamp := clampOf(k.Act)
		k.tilesOut(m, dst, res, d.Row(), k.Residual.Row(), inside, lo, hi)
		for r := 0; r < k.M && !clamp; r++ {
			applyAct(dst[r*d.Row():][:inside*k.M*16], k.Act)
		}
	}
	if inside == run {
		return
	}
	row := (run - inside) * k.M * 16
	k.tilesOut(m[inside*16:], out, nil, row, 0, run-inside, -inf32, inf32)
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

// dilatedOutput is transformOutput through s.out to the pixels of a phase; the
// residual's are gathered in s.window.
func (k *Winograd) dilatedOutput(c *Context, n, b, ty, tx, run int, m []float32, s winogradScratch) {
	d, step := &k.Dst, k.step()
	py, px, ty := k.phase(ty)
	y, x := ty*k.M, tx*k.M // in the image of the phase
	rows, cols := min(k.M, split(d.H-py, step)-y), min(run*k.M, split(d.W-px, step)-x)
	if rows <= 0 || cols <= 0 { // others have a row or column more
		return
	}
	row := run * k.M * 16
	var res []float32
	if k.Residual.N > 0 {
		res = s.window[:k.M*row]
		for r := range rows {
			from := k.Residual.row(c.f32(k.Residual.Ref), n, b, (y+r)*step+py)
			copyPixels(res[r*row:], from[(x*step+px)*16:], cols, 16, step*16)
		}
	}
	lo, hi, clamp := clampOf(k.Act)
	k.tilesOut(m, s.out, res, row, row, run, lo, hi)
	for r := range rows {
		from := s.out[r*row:][:cols*16]
		if !clamp {
			applyAct(from, k.Act)
		}
		copyPixels(d.row(c.f32(d.Ref), n, b, (y+r)*step+py)[(x*step+px)*16:], from, cols, step*16, 16)
	}
}

// poolOutput is transformOutput through out, of which the maximum over each
// window of the pool goes to the image.
func (k *Winograd) poolOutput(c *Context, n, b, ty, tx, run int, m, out []float32) {
	d := &k.Dst
	row := run * k.M * 16
	lo, hi, clamp := clampOf(k.Act)
	k.tilesOut(m, out, nil, row, 0, run, lo, hi)
	per := k.M / k.Pool // rows and columns of windows in a tile
	y, x := ty*per, tx*per
	dst := c.f32(d.Ref)[n*d.BatchStride+b*d.Plane()+d.Origin()+y*d.Row()+x*16:]
	for r := range min(per, d.H-y) {
		rows := out[r*k.Pool*row:][:k.Pool*row]
		if !clamp {
			applyAct(rows, k.Act)
		}
		maxOfWindows(dst[r*d.Row():][:min(run*per, d.W-x)*16], rows, row, k.Pool)
	}
}

// tilesOut transforms n tiles to rows of pixels row floats apart, adds res,
// whose rows are resRow apart, unless it is nil, and clamps.
func (k *Winograd) tilesOut(m, out, res []float32, row, resRow, n int, lo, hi float32) {
	if active != generic {
		a := winogradOut{in: unsafe.Pointer(&m[0]), out: unsafe.Pointer(&out[0]), res: unsafe.Pointer(unsafe.SliceData(res)),
			posStride: k.pitch() * 4, rowStride: row * 4, resStride: resRow * 4, tiles: n, lo: lo, hi: hi}
		switch k.M {
		case 2:
			winogradOut2(&a)
		case 4:
			winogradOut4(&a)
		case 6:
			winogradOut6(&a)
		}
		return
	}
	al := k.M + 2
	at := winograds[k.M].at
	var rows [8][8]float64
	for t := range n {
		for ch := range 16 {
			for i := range k.M {
				for x := range al {
					sum := 0.0
					for y := range al {
						sum += at[i][y] * float64(m[(y*al+x)*k.pitch()+t*16+ch])
					}
					rows[i][x] = sum
				}
			}
			for i := range k.M {
				for j := range k.M {
					sum := 0.0
					for x := range al {
						sum += at[j][x] * rows[i][x]
					}
					px := (t*k.M+j)*16 + ch
					v := float32(sum)
					if res != nil {
						v += res[i*resRow+px]
					}
					if v < lo {
						v = lo
					}
					if v > hi {
						v = hi
					}
					out[i*row+px] = v
				}
			}
		}
	}
}
