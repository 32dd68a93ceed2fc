package runtime

import "unsafe"

// Dense is a fully connected layer: Y[n,m] = Act(Σ X[n,k]·W[k,m] + Bias[m]).
type Dense struct {
	X       Ref // [N,K]
	Y       Ref // [N,M]
	W       Ref // [ceil(M/32)][K padded to 16][32], last block 16 wide where M leaves one
	Bias    Ref // [M padded to 16]
	N, K, M int
	Act     Act
}

// denseRows is how many rows share one reading of the weights: four tiles.
const denseRows = 4 * maxTilePixels

// ScratchBytes holds the rows of a pass as the micro-kernel's pixels,
// [K/16][rows][16], and a tile that sticks out of the result.
func (k *Dense) ScratchBytes() int { return (k.packedFloats() + maxTilePixels*32) * 4 }

func (k *Dense) packedFloats() int {
	if k.inPlace() {
		return 0
	}
	return k.blocks() * min(k.N, denseRows) * 16
}

func (k *Dense) blocks() int { return (k.K + 15) / 16 }

// inPlace reports whether the input can be read where it is: a single row
// without a rest. Several rows, often a multiple of 4 KiB apart, would share
// their cache sets.
func (k *Dense) inPlace() bool { return k.N == 1 && k.K%16 == 0 }

// Run computes the layer.
func (k *Dense) Run(c *Context) { c.do(k.pieces(c), tileWork(k.N*k.K*k.M), k) }

// pieces is into how many ranges the output blocks are cut. Each packs the
// input for itself.
func (k *Dense) pieces(c *Context) int {
	if c.team.threads == 1 {
		return 1
	}
	return min(outBlocks(k.M), 4*c.team.threads)
}

// part computes a range of output blocks of all rows.
func (k *Dense) part(c *Context, i, worker int) {
	first, last := cut(outBlocks(k.M), k.pieces(c), i), cut(outBlocks(k.M), k.pieces(c), i+1)
	packed := floats(c.scratch[worker])
	tile := packed[k.packedFloats():][:maxTilePixels*32]
	passes := split(k.N, denseRows)
	for p := range passes {
		n0, n1 := cut(k.N, passes, p), cut(k.N, passes, p+1)
		in := c.f32(k.X)
		if !k.inPlace() {
			k.pack(packed, in[n0*k.K:n1*k.K])
			in = packed
		}
		for ob := first; ob < last; ob++ {
			k.block(c, ob, in, n0, n1, tile)
		}
	}
}

// pack writes rows of K features to dst [K/16][rows][16].
func (k *Dense) pack(dst, rows []float32) {
	n := len(rows) / k.K
	for r := range n {
		row := rows[r*k.K : (r+1)*k.K]
		for b := range k.blocks() {
			to := dst[(b*n+r)*16:][:16]
			clear(to[copy(to, row[b*16:]):])
		}
	}
}

// block computes output block ob of rows n0 … n1−1, packed in in.
func (k *Dense) block(c *Context, ob int, in []float32, n0, n1 int, tile []float32) {
	y := c.f32(k.Y)
	width := blockWidth(k.M, ob)
	a := newTile(c.double)
	more := !a.setAct(k.Act)
	a.pix, a.blocks, a.blockStride, a.rows, a.cols = 64, k.blocks(), (n1-n0)*64, 1, 1
	a.w = unsafe.Pointer(&c.f32(k.W)[ob*32*k.blocks()*16])
	a.bias = biasOf(c, k.Bias, 2*ob)
	// The last block may be wider than what is left of the result.
	cols := min(width, k.M-ob*32)
	pieces := split(n1-n0, tilePixels())
	for p := range pieces {
		r0, r1 := cut(n1-n0, pieces, p), cut(n1-n0, pieces, p+1)
		a.pixels = r1 - r0
		a.in = unsafe.Pointer(&in[r0*16])
		if cols == width {
			a.out, a.outPix, a.outBlock = unsafe.Pointer(&y[(n0+r0)*k.M+ob*32]), k.M*4, 64
		} else {
			a.out, a.outPix, a.outBlock = unsafe.Pointer(&tile[0]), 128, 64
		}
		a.tile(width)
		for r := r0; r < r1; r++ {
			out := y[(n0+r)*k.M+ob*32:][:cols]
			if cols < width {
				copy(out, tile[(r-r0)*32:])
			}
			if more {
				applyAct(out, k.Act)
			}
		}
	}
}
