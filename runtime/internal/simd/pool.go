package simd

import (
	"unsafe"

	"modelc/runtime/internal/team"
)

var (
	zeros  [16]float32
	lowest = [16]float32{-inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf, -inf}
)

// PoolLine writes the maxima of n adjacent windows to out, or their sums unless
// maximum is set. The windows lie inside the image, step pixels apart. A window has
// rows × cols taps: its columns are colStep pixels apart, its rows rowStride floats.
// Pixels are pitch floats apart: 16, or 8 if Tier.NarrowPixels is not 0.
//
// PoolLine reports whether it did the work: the generic tier has no such kernel.
func PoolLine(maximum bool, out, in []float32, n, pitch, step, rows, rowStride, cols, colStep int) bool {
	if active == &generic {
		return false
	}
	a := NewTile(false)
	a.Pix, a.OutPix, a.Bias = step*pitch*4, 64, unsafe.Pointer(&zeros[0])
	a.Rows, a.RowStride, a.Cols, a.ColStride = rows, rowStride*4, cols, colStep*pitch*4
	if maximum {
		a.Bias = unsafe.Pointer(&lowest[0])
	}
	most := active.ChannelPixels
	if pitch == 8 {
		most = active.NarrowPixels
	}
	pieces := team.Split(n, most)
	for p := range pieces {
		x := team.Cut(n, pieces, p)
		a.Pixels = team.Cut(n, pieces, p+1) - x
		a.In, a.Out = unsafe.Pointer(&in[x*step*pitch]), unsafe.Pointer(&out[x*16])
		a.computePool(maximum, pitch)
	}
	return true
}

// PoolSums is the number of sums or maxima that Accumulate computes side by side, if there
// are at least twice as many pixels. None waits for the last addition then, and sums of fewer
// float32 are more exact.
const PoolSums = 6

// Accumulate adds pixels of 16 channels to the sums in acc, or updates the maxima in
// acc if maximum is set. It reports whether it did the work: the generic tier has no
// such kernel.
func Accumulate(maximum bool, acc *[16]float32, in []float32) bool {
	if active == &generic {
		return false
	}
	a := NewTile(false)
	a.Rows, a.OutPix = 1, 64
	var memory [PoolSums * 16]float32
	var sums []float32
	if n := len(in) / len(memory); n >= 2 {
		sums = memory[:]
		a.In, a.Out, a.Bias = unsafe.Pointer(&in[0]), unsafe.Pointer(&sums[0]), unsafe.Pointer(&zeros)
		if maximum {
			a.Bias = unsafe.Pointer(&lowest)
		}
		a.Pixels, a.Pix, a.Cols, a.ColStride = PoolSums, 64, n, len(sums)*4
		a.computePool(maximum, 16)
		in = in[n*len(sums):]
	}
	a.Out, a.Bias, a.Pixels, a.ColStride = unsafe.Pointer(acc), unsafe.Pointer(acc), 1, 64
	for _, part := range [...][]float32{sums, in} {
		if len(part) > 0 {
			a.In, a.Cols = unsafe.Pointer(&part[0]), len(part)/16
			a.computePool(maximum, 16)
		}
	}
	return true
}

// computePool computes a tile of windows. Pixels are pitch floats apart.
func (a *Tile) computePool(maximum bool, pitch int) {
	done := false
	switch {
	case maximum && pitch == 8:
		done = PoolMax8(a)
	case maximum:
		done = PoolMax(a)
	case pitch == 8:
		done = PoolSum8(a)
	default:
		done = PoolSum(a)
	}
	if !done {
		a.pool(maximum, pitch)
	}
}

// pool is the micro-kernel in Go.
func (a *Tile) pool(maximum bool, channels int) {
	for p := range a.Pixels {
		acc := *(*[16]float32)(a.Bias)
		for y := range a.Rows {
			for x := range a.Cols {
				for c, v := range unsafe.Slice((*float32)(unsafe.Add(a.In, p*a.Pix+y*a.RowStride+x*a.ColStride)), channels) {
					switch {
					case !maximum:
						acc[c] += v
					case v > acc[c] || v != v:
						acc[c] = v
					}
				}
			}
		}
		if channels == 8 {
			a.storeNarrow(p, acc[:])
		} else {
			a.finish(p, acc[:])
		}
	}
}
