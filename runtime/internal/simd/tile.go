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
	case a.Pairs && a.WeightBytes(width) <= callBytes:
		a.prefetch()
		a.stepsOfPairs(width)
		return
	case a.WeightBytes(width) > callBytes:
		a.prefetch()
		a.inParts(width, 16, false)
		return
	case width == 32:
		a.prefetch()
		if a.tile32() {
			return
		}
	case Tile16(a):
		return
	}
	a.compute(width, 16)
}

// steps16 is Compute for a tile that one call computes.
func (a *Tile) steps16(width int) {
	if a.Pairs {
		a.stepsOfPairs(width)
		return
	}
	if width == 32 && a.tile32() || width == 16 && Tile16(a) {
		return
	}
	a.compute(width, 16)
}

// tile32 is Tile32, without the products of channels that do not exist if there is a kernel
// for that.
func (a *Tile) tile32() bool { return a.HalfOut && Tile24(a) || Tile32(a) }

// callBytes is the maximum size in bytes of the weights that one call of a micro-kernel
// reads. A garbage collection waits for the end of a call, because no goroutine can be
// stopped inside assembly. A call takes at most about 200 µs, if the weights come from
// memory. Tests change it.
var callBytes = 1 << 20

// inParts computes a tile in several calls, each with a range of the blocks or, if a
// block is larger than a call, a range of the rows of a block. Between the calls, Out
// holds the partial sums. step is the number of input values of a step. run selects the
// run kernels.
func (a *Tile) inParts(width, step int, run bool) {
	part := *a
	row := a.Cols * step * width * 4 // bytes of weights
	blocks, rows := max(1, callBytes/(row*a.Rows)), a.Rows
	if blocks == 1 {
		rows = min(a.Rows, max(1, callBytes/row))
	}
	for b := 0; b < a.Blocks; b += blocks {
		part.Blocks = min(blocks, a.Blocks-b)
		for y := 0; y < a.Rows; y += rows {
			part.Rows = min(rows, a.Rows-y)
			done := (b*a.Rows + y) * row
			part.In, part.W = unsafe.Add(a.In, b*a.BlockStride+y*a.RowStride), unsafe.Add(a.W, done)
			if part.nextStep == 0 {
				part.next = uintptr(part.W)
			} else {
				part.next = a.next + uintptr(done/(step*width*4)*a.nextStep)
			}
			last := b+part.Blocks == a.Blocks
			if part.Half = a.Half; !last {
				part.Half = 0
			}
			part.Clamp, part.Lo, part.Hi = 0, -inf, inf
			if last && y+part.Rows == a.Rows {
				part.Clamp, part.Lo, part.Hi = a.Clamp, a.Lo, a.Hi
			}
			if run {
				part.stepsRun(width)
			} else {
				part.steps16(width)
			}
			part.Bias, part.Res, part.ResPix, part.ResBlock = unsafe.Pointer(&zeroBias), a.Out, a.OutPix, a.OutBlock
		}
	}
}

var zeroBias [32]float32

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
	if width == 8 && tiles > inlinedTiles {
		in, out := a.In, a.Out
		parts := team.Split(tiles, inlinedTiles)
		for i := range parts {
			x := team.Cut(pixels, parts, i)
			a.In, a.Out = unsafe.Add(in, x*a.Pix), unsafe.Add(out, x*a.OutPix)
			a.Line(width, team.Cut(pixels, parts, i+1)-x)
		}
		return
	}
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

// inlinedTiles is the maximum number of tiles of 8 output channels that a line computes
// without a call of a function in Go, where a garbage collection can stop it.
const inlinedTiles = 256

// ComputeRun computes a tile with steps of a.Run input values. width is the number
// of output channels: 32, 16, or 8 if a.Double is not set.
func (a *Tile) ComputeRun(width int) {
	switch {
	case a.Double:
		a.double(width, a.Run)
	case width == 8:
		if !Run8(a) {
			a.computeNarrow()
		}
	case a.Blocks*a.Rows*a.Cols*a.Run*width*4 > callBytes:
		a.inParts(width, a.Run, true)
	default:
		a.stepsRun(width)
	}
}

// stepsRun is ComputeRun for a tile that one call computes.
func (a *Tile) stepsRun(width int) {
	if width == 32 && Run32(a) || width == 16 && Run16(a) {
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
