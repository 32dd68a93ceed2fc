package simd

import (
	"unsafe"

	"modelc/runtime/internal/team"
)

// WeightStep is the number of bytes of the weights of 16 input by 32 output
// channels.
const WeightStep = 16 * 32 * 4

// Compute computes a tile with steps of 16 input channels. width is the number of
// output channels, 32 or 16.
func (a *Tile) Compute(width int) {
	switch {
	case a.Double:
		a.double(width, 16)
		return
	case width == 32:
		a.prefetch()
		if Tile32(a) {
			return
		}
	case Tile16(a):
		return
	}
	a.compute(width, 16)
}

// prefetch sets next and nextStep.
func (a *Tile) prefetch() {
	a.next, a.nextStep = uintptr(a.W), 0
	if a.ahead != 0 {
		a.next, a.nextStep = a.ahead, a.aheadStep
		a.ahead += uintptr(a.aheadTile)
	}
}

// Ahead makes the next n tiles prefetch weights from the address at: together, the
// number of bytes that one tile reads.
func (a *Tile) Ahead(at uintptr, n int) {
	a.ahead, a.aheadTile, a.aheadStep = at, a.WeightBytes(32)/n, WeightStep/n
}

// AheadOf is Ahead for the weights that follow those of width output channels.
func (a *Tile) AheadOf(width, n int) {
	a.Ahead(uintptr(a.W)+uintptr(a.WeightBytes(width)), n)
}

// AheadNone makes tiles prefetch their own weights.
func (a *Tile) AheadNone() { a.ahead = 0 }

// WeightBytes returns the size of the weights of width output channels.
func (a *Tile) WeightBytes(width int) int { return a.Blocks * a.Rows * a.Cols * 16 * width * 4 }

// Line computes the given number of adjacent pixels, tile after tile, starting at
// a.In, a.Out and a.Res. A width of 8 output channels is valid only for runs, and
// only if Tier.NarrowPixels is not 0.
func (a *Tile) Line(width, pixels int) {
	most := active.TilePixels
	if width == 8 {
		most = active.NarrowPixels
	}
	tiles := team.Split(pixels, most)
	size, longer := pixels/tiles, pixels%tiles
	in, out, res := a.In, a.Out, a.Res
	x := 0
	for t := range tiles {
		a.Pixels = size
		if t < longer {
			a.Pixels++
		}
		a.In, a.Out = unsafe.Add(in, x*a.Pix), unsafe.Add(out, x*a.OutPix)
		if res != nil {
			a.Res = unsafe.Add(res, x*a.ResPix)
		}
		switch {
		case width == 8 && Run8(a): // another call would take 5 % of the time of such a tile
		case a.Run > 0:
			a.ComputeRun(width)
		default:
			a.Compute(width)
		}
		x += a.Pixels
	}
}

// ComputeRun computes a tile with steps of a.Run input values. width is the number
// of output channels: 32, 16, or 8 if a.Double is not set.
func (a *Tile) ComputeRun(width int) {
	switch {
	case a.Double:
		a.double(width, a.Run)
		return
	case width == 32:
		if Run32(a) {
			return
		}
	case width == 16:
		if Run16(a) {
			return
		}
	case Run8(a):
		return
	default:
		a.computeNarrow()
		return
	}
	a.compute(width, a.Run)
}

// compute is the micro-kernel in Go and the specification of those in assembly. The
// assembly fuses multiplication and addition. For few pixels it sums every fourth
// input channel separately.
func (a *Tile) compute(width, step int) {
	for p := 0; p < a.Pixels; p++ {
		var acc [32]float32
		bias := unsafe.Slice((*float32)(a.Bias), width)
		copy(acc[:], bias)
		w := 0 // bytes read
		for b := 0; b < a.Blocks; b++ {
			for y := 0; y < a.Rows; y++ {
				for x := 0; x < a.Cols; x++ {
					in := unsafe.Slice((*float32)(unsafe.Add(a.In, p*a.Pix+b*a.BlockStride+y*a.RowStride+x*a.ColStride)), step)
					ws := unsafe.Slice((*float32)(unsafe.Add(a.W, w)), step*width)
					for c, v := range in {
						row := ws[c*width : c*width+width]
						for o, k := range row {
							acc[o&31] += v * k
						}
					}
					w += step * width * 4
				}
			}
		}
		a.finish(p, acc[:width])
	}
}

// computeNarrow is Run8 in Go.
func (a *Tile) computeNarrow() {
	var all [MaxTilePixels * 16]float32
	b := *a
	b.Out, b.OutPix = unsafe.Pointer(&all), 64
	b.compute(16, a.Run)
	for p := range a.Pixels {
		a.storeNarrow(p, all[p*16:])
	}
}
