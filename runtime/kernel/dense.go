package kernel

import (
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// Dense is a fully connected layer: Y[n,m] = Act(Σ_k X[n,k]·W[k,m] + Bias[m]).
type Dense struct {
	X       Ref // [N,K]
	Y       Ref // [N,M]
	W       Ref // [ceil(M/32)][K padded to 16][32], the last block may be 16 wide
	Bias    Ref // [M padded to 16]
	N, K, M int
	Act     Act
}

// denseRows is the maximum number of rows that share one pass over the weights. It is
// the size of four tiles.
const denseRows = 4 * simd.MaxTilePixels

// Check declares the memory of the step.
func (k *Dense) Check(v *Verifier) {
	v.Positive("extents", k.N, k.K, k.M)
	v.floats("X", k.X, Product(k.N, k.K))
	v.Write("Y", k.Y, 4, Product(k.N, k.M))
	v.floats("W", k.W, Product(wholeBlocks(k.M), wholeBlocks(k.K)))
	v.channels("Bias", k.Bias, wholeBlocks(k.M)/lanes)
	v.Act(k.Act.Fn)
}

// ScratchBytes is the size of the rows of a pass, in the layout [K/16][rows][16] that
// the micro-kernel reads, and of a tile for an output block that extends beyond Y.
func (k *Dense) ScratchBytes() int { return (k.packedFloats() + simd.MaxTilePixels*32) * 4 }

func (k *Dense) packedFloats() int {
	if k.inPlace() {
		return 0
	}
	return k.blocks() * min(k.N, denseRows) * 16
}

func (k *Dense) blocks() int { return (k.K + 15) / 16 }

// inPlace reports whether the micro-kernel reads the input in place. It does for a
// single row of whole blocks. Several rows are often a multiple of 4 KiB apart and
// would compete for the same cache sets.
func (k *Dense) inPlace() bool { return k.N == 1 && k.K%16 == 0 }

// Run computes the layer.
func (k *Dense) Run(c *Context) { c.Do(k.pieces(c), tileWork(k.N*k.K*k.M), k) }

// pieces returns the number of ranges of output blocks. The input is packed once for
// each range.
func (k *Dense) pieces(c *Context) int {
	if c.Threads() == 1 {
		return 1
	}
	return min(OutBlocks(k.M), 4*c.Threads())
}

// Part computes a range of output blocks of all rows.
func (k *Dense) Part(c *Context, i, worker int) {
	first, last := team.Cut(OutBlocks(k.M), k.pieces(c), i), team.Cut(OutBlocks(k.M), k.pieces(c), i+1)
	packed := Floats(c.scratch[worker])
	tile := packed[k.packedFloats():][:simd.MaxTilePixels*32]
	passes := team.Split(k.N, denseRows)
	for p := range passes {
		n0, n1 := team.Cut(k.N, passes, p), team.Cut(k.N, passes, p+1)
		in := c.F32(k.X)
		if !k.inPlace() {
			k.pack(packed, in[n0*k.K:n1*k.K])
			in = packed
		}
		for ob := first; ob < last; ob++ {
			k.block(c, ob, in, n0, n1, tile)
		}
	}
}

// pack writes rows of K features to dst [ceil(K/16)][rows][16].
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

// block computes output block ob of rows n0 ≤ n < n1 from their packed input.
func (k *Dense) block(c *Context, ob int, in []float32, n0, n1 int, tile []float32) {
	y := c.F32(k.Y)
	width := BlockWidth(k.M, ob)
	a := simd.NewTile(c.double)
	more := !setAct(&a, k.Act)
	a.Pix, a.Blocks, a.BlockStride, a.Rows, a.Cols = pixelBytes, k.blocks(), (n1-n0)*pixelBytes, 1, 1
	a.W = unsafe.Pointer(&c.F32(k.W)[ob*32*k.blocks()*16])
	a.Bias = biasOf(c, k.Bias, 2*ob)
	// The last block may extend beyond the result.
	cols := min(width, k.M-ob*32)
	pieces := team.Split(n1-n0, simd.Active().TilePixels)
	for p := range pieces {
		r0, r1 := team.Cut(n1-n0, pieces, p), team.Cut(n1-n0, pieces, p+1)
		a.Pixels = r1 - r0
		a.In = unsafe.Pointer(&in[r0*16])
		if cols == width {
			a.Out, a.OutPix, a.OutBlock = unsafe.Pointer(&y[(n0+r0)*k.M+ob*32]), k.M*4, pixelBytes
		} else {
			a.Out, a.OutPix, a.OutBlock = unsafe.Pointer(&tile[0]), 2*pixelBytes, pixelBytes
		}
		a.Compute(width)
		for r := r0; r < r1; r++ {
			out := y[(n0+r)*k.M+ob*32:][:cols]
			if cols < width {
				copy(out, tile[(r-r0)*32:])
			}
			if more {
				Apply(out, k.Act)
			}
		}
	}
}

func (k *Dense) uses(t *simd.Tier, use useFunc) {
	passes := team.Split(k.N, denseRows)
	for _, rows := range []int{k.N / passes, team.Split(k.N, passes)} {
		for ob := range OutBlocks(k.M) {
			if BlockWidth(k.M, ob) == 32 {
				pieces(rows, t.TilePixels, "Tile32", use)
			} else {
				pieces(rows, t.TilePixels, "Tile16", use)
			}
		}
	}
}
