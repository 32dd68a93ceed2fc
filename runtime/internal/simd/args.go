package simd

import (
	"math"
	"unsafe"
)

// The arguments of kernels. The assembly reads the fields by offset. A test in
// internal/kernelgen/abi compares the offsets.

// Tile holds the arguments of a micro-kernel. For each pixel p < Pixels and
// each output channel o of the tile it computes
//
//	Out[p,o] = clamp(Bias[o] + Σ In[…]·W[…,o] + Res[p,o])
//
// The sum has Blocks × Rows × Cols steps of 16 input channels. A step of a run
// kernel has Run consecutive values instead. Strides are in bytes. Weights are read
// in the order of the steps, 32 or 16 output channels for each input value.
type Tile struct {
	In, W, Out, Bias, Res unsafe.Pointer // Res may be nil, Bias may not
	Pix                   int            // from one pixel's input to the next
	OutPix, OutBlock      int            // from pixel to pixel, from 16 channels to the next 16
	ResPix, ResBlock      int
	Blocks, BlockStride   int
	Rows, RowStride       int
	Cols, ColStride       int
	Run                   int // values of a step, run kernels only
	Pixels                int // 1 … Tier.TilePixels
	Clamp                 int // 0 if Lo and Hi are infinite
	Lo, Hi                float32
	// next is the address of weights that later tiles read. A tile of 32 output
	// channels with steps of 16 input channels prefetches nextStep bytes of them
	// into L2 with each step. If many tiles share the weights, a step requests 512
	// bytes: further requests would delay the weights that L1 waits for. If nextStep
	// is 0, the tile prefetches its own weights.
	next     uintptr // never dereferenced, so it may lie beyond the weights
	nextStep int
	// Half is 1 if the last block has at most 8 channels. The kernels of amd64 skip
	// the other channels, whose products are zero.
	Half int
	// Depthwise3 computes Lines lines of pixels. Their inputs are InLine bytes apart,
	// their results OutLine.
	Lines, InLine, OutLine int
	// Double accumulates in float64.
	Double bool
	// Pairs makes input values and weights pairs of bfloat16.
	Pairs bool
	// round makes Out and Res pixels of 16 pairs of bfloat16, see RoundLine.
	round bool
	// HalfOut reports whether the last 8 of 32 output channels do not exist: their weights
	// and bias are zero, and kernels may leave out their products.
	HalfOut bool
	// ahead is next of the next tile of a line, 0 for the tile's own weights.
	// Each tile prefetches aheadTile bytes, aheadStep bytes a step.
	ahead                uintptr
	aheadTile, aheadStep int
}

var inf = float32(math.Inf(1))

// NewTile returns arguments with infinite bounds.
func NewTile(double bool) Tile { return Tile{Lo: -inf, Hi: inf, Double: double} }

// storeNarrow stores 8 channels of pixel p. It stores zeros in the other 8, unless
// pixels are 8 floats apart.
func (a *Tile) storeNarrow(p int, v []float32) {
	out := unsafe.Slice((*float32)(unsafe.Add(a.Out, p*a.OutPix)), min(16, a.OutPix/4))
	clear(out[copy(out, v[:8]):])
}

// finish is the epilogue: it adds the residual to pixel p, clamps it and stores it.
func (a *Tile) finish(p int, acc []float32) {
	for blk := range len(acc) / 16 {
		v := acc[blk*16 : blk*16+16]
		if a.Res != nil {
			for o, r := range unsafe.Slice((*float32)(unsafe.Add(a.Res, p*a.ResPix+blk*a.ResBlock)), 16) {
				v[o] += r
			}
		}
		if a.Clamp != 0 {
			for o, x := range v {
				if x < a.Lo {
					v[o] = a.Lo
				}
				if x > a.Hi {
					v[o] = a.Hi
				}
			}
		}
		copy(unsafe.Slice((*float32)(unsafe.Add(a.Out, p*a.OutPix+blk*a.OutBlock)), 16), v)
	}
}

// LaneGroup describes a permutation of eight lanes: if Mask[i] is not 0, lane i of
// the result is lane Perm[i] of the source.
type LaneGroup struct {
	In   unsafe.Pointer // the eight lanes of the first pixel
	Perm [8]int32
	Mask [8]int32
	Row  int // bytes to the pixel below
}

// WinogradOut holds the arguments of an output transform. Strides are in bytes.
type WinogradOut struct {
	In, Out, Res         unsafe.Pointer // Res may be nil
	PosStride            int            // from one position of a tile to the next
	RowStride, ResStride int
	Tiles                int
	Lo, Hi               float32
}

// ByteBinary holds the constants of a sum or product of bytes:
//
//	sum:     round(clamp(f32(a−AZero)·AScale + f32(b−BZero)·BScale, Low, High)) + Zero
//	product: round(clamp(f32((a−AZero)·(b−BZero))·AScale, Low, High)) + Zero
//
// Every operation is rounded to float32, and round rounds half to even.
type ByteBinary struct {
	AScale, BScale     float32
	AZero, BZero, Zero int32
	Low, High          float32 // integers; the result lies between Low+Zero and High+Zero
}

// ByteAverage holds the constants of an average of bytes:
//
//	round(clamp(f32(Start + Σ x)·By, Low, High)) + Zero
type ByteAverage struct {
	Start     int32 // −zero point of x, for each element
	By        float32
	Zero      int32
	Low, High float32 // integers
}

// ByteAffine holds the constants of arithmetic on floats between bytes:
//
//	round(clamp(clamp(f32(x−XZero)·XScale·scale+shift, Lo, Hi)/Scale, Low, High)) + Zero
//
// The second product and the sum are rounded once, every other operation is rounded to
// float32.
type ByteAffine struct {
	XScale    float32
	XZero     int32
	Lo, Hi    float32
	Scale     float32
	Zero      int32
	Low, High float32 // integers
}
