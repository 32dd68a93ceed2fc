package integer

import (
	"fmt"
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Output is the element type of the result of a [Dense].
type Output uint8

// The element types.
const (
	Bytes       Output = iota // u8
	SignedBytes               // i8; Result.Zero, Lo and Hi are 128 more
	Floats                    // f32
	Integers                  // i32
)

// Dense is a fully connected layer: Y[n,m] is the result for Σ_k X[n,k]·W[k,m].
type Dense struct {
	X       kernel.Ref // u8 [N,K], or an image of bytes without a border
	Signed  bool       // X is i8; 128 is added to its elements
	Y       kernel.Ref // [N,M]
	To      Output     // the type of Y
	W       kernel.Ref // s8 [ceil(M/32)][Parts][ceil(K/16)][4][32][4], the last block may be 16 wide
	Parts   int        // as in Conv
	N, K, M int
	Result
}

// maxIntPixels is the maximum of Tier.IntPixels over all tiers. denseRows is the maximum
// number of rows that share one pass over the weights.
const (
	maxIntPixels = 14
	denseRows    = 4 * maxIntPixels
)

// Check declares the memory of the step.
func (k *Dense) Check(v *kernel.Verifier) {
	v.Positive("extents", k.N, k.K, k.M)
	v.Require(k.To <= Integers && k.Parts >= 0 && k.Parts <= kernel.MaxExtent, "there is no such type of the result, or a number of parts is negative or too large")
	if v.Failed() {
		return
	}
	v.Read("X", k.X, 1, kernel.Product(k.N, k.K))
	size := 4
	if k.To <= SignedBytes {
		size = 1
	}
	v.Write("Y", k.Y, size, kernel.Product(k.N, k.M))
	v.Read("W", k.W, 1, kernel.Product(team.Split(k.M, lanes)*lanes, k.blocks(), lanes, max(1, k.Parts)))
	k.check(v)
	v.Require(!k.adds(), "a residual of a dense layer")
	if !k.inPlace() {
		v.Scratch(kernel.Product(k.blocks(), min(k.N, denseRows), lanes, k.size()) + maxIntPixels*32*4)
	}
}

// ScratchBytes is the size of the rows of a pass, as bytes or words in the layout
// [ceil(K/16)][rows][16], and of a tile of results.
func (k *Dense) ScratchBytes() int { return k.packed() + maxIntPixels*32*4 }

// packed returns the size of the rows of a pass in bytes, a multiple of 16.
func (k *Dense) packed() int {
	if k.inPlace() {
		return 0
	}
	return k.blocks() * min(k.N, denseRows) * 16 * k.size()
}

// size returns the size of an element of x as micro-kernels read it.
func (k *Dense) size() int {
	if simd.Active().IntWords {
		return 2
	}
	return 1
}

func (k *Dense) blocks() int { return team.Split(k.K, 16) }

// inPlace reports whether the micro-kernel reads the input in place.
func (k *Dense) inPlace() bool { return k.N == 1 && k.K%16 == 0 && !k.Signed && k.size() == 1 }

// Run computes the layer.
func (k *Dense) Run(c *kernel.Context) {
	c.Do(k.pieces(c), work(k.N*k.K*k.M*max(1, k.Parts)), k)
}

// pieces returns the number of ranges of output blocks. The input is packed once for each
// range.
func (k *Dense) pieces(c *kernel.Context) int {
	if c.Threads() == 1 {
		return 1
	}
	return min(kernel.OutBlocks(k.M), 4*c.Threads())
}

// Part computes a range of output blocks of all rows.
func (k *Dense) Part(c *kernel.Context, i, worker int) {
	first, last := team.Cut(kernel.OutBlocks(k.M), k.pieces(c), i), team.Cut(kernel.OutBlocks(k.M), k.pieces(c), i+1)
	scratch := c.Scratch(worker)
	passes := team.Split(k.N, denseRows)
	for p := range passes {
		n0, n1 := team.Cut(k.N, passes, p), team.Cut(k.N, passes, p+1)
		in := c.Bytes(k.X, 1)
		if !k.inPlace() {
			k.pack(scratch, in[n0*k.K:n1*k.K])
			in = scratch
		}
		for ob := first; ob < last; ob++ {
			k.block(c, ob, in, n0, n1, scratch[k.packed():])
		}
	}
}

// pack writes rows of K elements to dst [ceil(K/16)][rows][16].
func (k *Dense) pack(dst, rows []byte) {
	n := len(rows) / k.K
	flip := byte(0)
	if k.Signed {
		flip = 128
	}
	for r := range n {
		row := rows[r*k.K : (r+1)*k.K]
		for b := range k.blocks() {
			var x [16]byte
			copy(x[:], row[b*16:])
			for i := range x {
				x[i] ^= flip
			}
			at := (b*n + r) * 16 * k.size()
			if k.size() == 1 {
				*(*[16]byte)(dst[at:]) = x
				continue
			}
			simd.IntWiden(unsafe.Slice((*int16)(unsafe.Pointer(&dst[at])), 16), x[:])
		}
	}
}

// block computes output block ob of rows n0 ≤ n < n1 from their packed input. tile is
// memory for the results of a tile.
func (k *Dense) block(c *kernel.Context, ob int, in []byte, n0, n1 int, tile []byte) {
	width := kernel.BlockWidth(k.M, ob)
	v := k.channels(c, ob*32, width, simd.Active().IntOffset)
	a := k.tile(&v, k.To <= SignedBytes)
	a.W = unsafe.Pointer(&c.Bytes(k.W, 1)[ob*32*k.blocks()*16*max(1, k.Parts)])
	a.Parts, a.Blocks = max(1, k.Parts), k.blocks()
	a.Pix = 16 * k.size()
	a.BlockStride = (n1 - n0) * a.Pix
	a.Out = unsafe.Pointer(&tile[0])
	if tail := k.K % 16; tail > 0 && tail <= 8 {
		a.Half = 1
	}
	cols := min(width, k.M-ob*32) // the last block may extend beyond the result
	pieces := team.Split(n1-n0, simd.Active().IntPixels)
	for p := range pieces {
		r0, r1 := team.Cut(n1-n0, pieces, p), team.Cut(n1-n0, pieces, p+1)
		a.Pixels = r1 - r0
		a.In = unsafe.Pointer(&in[r0*a.Pix])
		size := 4
		if a.Multiplier != nil {
			size = 1
		}
		a.OutBlock = a.Pixels * 16 * size
		a.Compute(simd.IntBlock, width)
		for b := range width / 16 {
			block := tile[b*a.OutBlock:][:a.OutBlock]
			if k.To == Floats {
				k.floats(kernel.Floats(block), &v, b)
			}
			for r := r0; r < r1; r++ {
				from := block[(r-r0)*16*size:][:16*size]
				if k.To == SignedBytes {
					for i := range from {
						from[i] ^= 128
					}
				}
				if left := cols - b*16; left > 0 {
					copy(c.Bytes(k.Y, size)[((n0+r)*k.M+ob*32+b*16)*size:], from[:min(16, left)*size])
				}
			}
		}
	}
}

// Uses lists the micro-kernels that the layer calls.
func (k *Dense) Uses(t *simd.Tier, use func(micro string, pixels int)) {
	passes := team.Split(k.N, denseRows)
	for _, rows := range []int{k.N / passes, team.Split(k.N, passes)} {
		if rows == 0 {
			continue
		}
		tiles := team.Split(rows, t.IntPixels)
		for ob := range kernel.OutBlocks(k.M) {
			for _, pixels := range []int{rows / tiles, team.Split(rows, tiles)} {
				use(fmt.Sprint("IntBlock", kernel.BlockWidth(k.M, ob)), pixels)
			}
		}
	}
}
