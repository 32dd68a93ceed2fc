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

// ScratchBytes holds the rows padded to a multiple of 16 features, and a tile
// that sticks out of the result.
func (k *Dense) ScratchBytes() int { return (k.paddedRows()*k.kPad() + tilePixels*32) * 4 }

func (k *Dense) kPad() int { return (k.K + 15) &^ 15 }

// paddedRows is how many rows are copied to scratch: none when their length
// is a multiple of 16 already.
func (k *Dense) paddedRows() int {
	if k.K == k.kPad() {
		return 0
	}
	return min(k.N, tilePixels)
}

// Run computes the layer.
func (k *Dense) Run(c *Context) {
	c.team.do(outBlocks(k.M), c, k)
}

// part computes one block of 32 outputs of all rows: the rows are the
// micro-kernel's pixels, so that weights are read once per 14 of them.
func (k *Dense) part(c *Context, ob, worker int) {
	x, y, w := c.f32(k.X), c.f32(k.Y), c.f32(k.W)
	scratch := floats(c.scratch[worker])
	tile := scratch[len(scratch)-tilePixels*32:]
	if need := k.ScratchBytes() / 4; need < len(scratch) {
		tile = scratch[need-tilePixels*32 : need]
	}
	width := blockWidth(k.M, ob)
	var a tileArgs
	more := !a.setAct(k.Act)
	kp := k.kPad()
	a.blocks, a.blockStride, a.rows, a.cols = kp/16, 64, 1, 1
	a.w = unsafe.Pointer(&w[ob*32*kp])
	a.bias = biasOf(c, k.Bias, ob)
	// The last block may be wider than what is left of the result.
	cols := min(width, k.M-ob*32)
	pieces := split(k.N, tilePixels)
	for p := range pieces {
		n0, n1 := cut(k.N, pieces, p), cut(k.N, pieces, p+1)
		a.pixels = n1 - n0
		a.in, a.pix = unsafe.Pointer(&x[n0*k.K]), k.K*4
		if k.paddedRows() > 0 {
			for n := n0; n < n1; n++ {
				row := scratch[(n-n0)*kp : (n-n0+1)*kp]
				copy(row, x[n*k.K:(n+1)*k.K])
				clear(row[k.K:])
			}
			a.in, a.pix = unsafe.Pointer(&scratch[0]), kp*4
		}
		if cols == width {
			a.out, a.outPix, a.outBlock = unsafe.Pointer(&y[n0*k.M+ob*32]), k.M*4, 64
		} else {
			a.out, a.outPix, a.outBlock = unsafe.Pointer(&tile[0]), 128, 64
		}
		a.tile(width)
		for n := n0; n < n1; n++ {
			out := y[n*k.M+ob*32:][:cols]
			if cols < width {
				copy(out, tile[(n-n0)*32:])
			}
			if more {
				applyAct(out, k.Act)
			}
		}
	}
}
