package runtime

import "unsafe"

// tileArgs is what a micro-kernel computes: for each pixel p < pixels and
// each output channel o of the tile
//
//	out[p,o] = clamp(bias[o] + Σ in[…]·w[…,o] + res[p,o])
//
// the sum over blocks × rows × cols steps of 16 input channels (or, for the
// run kernels, of run consecutive values). Strides are in bytes. Weights are
// read in that order, 32 or 16 output channels per input value.
//
// The assembly reads the fields by offset: keep the order.
type tileArgs struct {
	in, w, out, bias, res unsafe.Pointer // bias is never nil, res may be
	pix                   int            // from one pixel's input to the next
	outPix, outBlock      int            // from pixel to pixel, from 16 channels to the next 16
	resPix, resBlock      int
	blocks, blockStride   int
	rows, rowStride       int
	cols, colStride       int
	run                   int // values a step, run kernels only
	pixels                int // 1 … tilePixels()
	clamp                 int // 0 where lo and hi are infinite
	lo, hi                float32
	// The weights that the next tiles want are brought into L2 meanwhile (32
	// output channels, 16 input channels a step only): those from next on, then
	// from nextStep bytes on with each step. Where many tiles share the work a
	// step asks for 512 bytes, since asking twice takes time from the weights
	// that L1 waits for. Without nextStep they are those of the tile itself.
	next     uintptr // never read from, so it may lie beyond the weights
	nextStep int
	// half is 1 where the last block has 8 channels or fewer: the kernels of
	// amd64 leave the rest, whose products are zero, out.
	half int
	// double accumulates in float64, see Plan.Double.
	double bool
	// ahead is next of the next tile of a line, 0 for the tile's own weights;
	// each tile asks for aheadTile bytes, aheadStep a step.
	ahead                uintptr
	aheadTile, aheadStep int
}

// newTile returns arguments that clamp nothing.
func newTile(double bool) tileArgs { return tileArgs{lo: -inf32, hi: inf32, double: double} }

// tilePixels returns the most pixels that a micro-kernel takes: what its
// registers accumulate.
func tilePixels() int {
	if active == avx2 || active == neon {
		return 6
	}
	return maxTilePixels
}

// channelPixels is the same of kernels that work on each channel alone.
func channelPixels() int {
	if active == avx2 {
		return 7
	}
	return tilePixels()
}

// maxTilePixels is the most of any tier.
const maxTilePixels = 14

// weightStep is the bytes of weights of 16 input by 32 output channels.
const weightStep = 16 * 32 * 4

// tile computes a tile of 16 input channels a step; width is 32 or 16 output
// channels.
func (a *tileArgs) tile(width int) {
	switch {
	case a.double:
		a.tileDouble(width, 16)
	case active == generic:
		a.generic(width, 16)
	case width == 32:
		a.prefetch()
		tile32(a)
	default:
		tile16(a)
	}
}

// prefetch sets what a tile asks for meanwhile.
func (a *tileArgs) prefetch() {
	a.next, a.nextStep = uintptr(a.w), 0
	if a.ahead != 0 {
		a.next, a.nextStep = a.ahead, a.aheadStep
		a.ahead += uintptr(a.aheadTile)
	}
}

// follow makes the next n tiles bring as many weights as theirs, from at on,
// into L2.
func (a *tileArgs) follow(at uintptr, n int) {
	a.ahead, a.aheadTile, a.aheadStep = at, a.weightBytes(32)/n, weightStep/n
}

// followOn is follow for the weights behind those of width output channels.
func (a *tileArgs) followOn(width, n int) {
	a.follow(uintptr(a.w)+uintptr(a.weightBytes(width)), n)
}

// weightBytes returns the size of the weights of width output channels.
func (a *tileArgs) weightBytes(width int) int { return a.blocks * a.rows * a.cols * 16 * width * 4 }

// line computes pixels side by side, tile after tile, from a.in, a.out and
// a.res on. A width of 8 is for sums over runs alone, where narrowPixels is not 0.
func (a *tileArgs) line(width, pixels int) {
	most := tilePixels()
	if width == 8 {
		most = narrowPixels()
	}
	tiles := split(pixels, most)
	size, longer := pixels/tiles, pixels%tiles
	in, out, res := a.in, a.out, a.res
	x := 0
	for t := range tiles {
		a.pixels = size
		if t < longer {
			a.pixels++
		}
		a.in, a.out = unsafe.Add(in, x*a.pix), unsafe.Add(out, x*a.outPix)
		if res != nil {
			a.res = unsafe.Add(res, x*a.resPix)
		}
		if a.run > 0 {
			a.tileRun(width)
		} else {
			a.tile(width)
		}
		x += a.pixels
	}
}

// tileRun computes a tile of a.run input values a step.
func (a *tileArgs) tileRun(width int) {
	switch {
	case a.double:
		a.tileDouble(width, a.run)
	case active == generic:
		a.generic(width, a.run)
	case width == 32:
		run32(a)
	case width == 16:
		run16(a)
	default:
		run8(a)
	}
}

// narrowPixels is the most pixels of a tile of 8 channels, 0 where the tier has
// no kernels for them.
func narrowPixels() int {
	if active == avx2 || active == avx512 {
		return 14
	}
	return 0
}

// generic is the micro-kernel in Go, the specification of the others. Those
// fuse multiply and add and, for few pixels, sum every fourth input channel
// apart.
func (a *tileArgs) generic(width, step int) {
	for p := 0; p < a.pixels; p++ {
		var acc [32]float32
		bias := unsafe.Slice((*float32)(a.bias), width)
		copy(acc[:], bias)
		w := 0 // bytes read
		for b := 0; b < a.blocks; b++ {
			for y := 0; y < a.rows; y++ {
				for x := 0; x < a.cols; x++ {
					in := unsafe.Slice((*float32)(unsafe.Add(a.in, p*a.pix+b*a.blockStride+y*a.rowStride+x*a.colStride)), step)
					ws := unsafe.Slice((*float32)(unsafe.Add(a.w, w)), step*width)
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

// finish adds the residual to pixel p, clamps and stores it: the epilogue.
func (a *tileArgs) finish(p int, acc []float32) {
	for blk := range len(acc) / 16 {
		v := acc[blk*16 : blk*16+16]
		if a.res != nil {
			for o, r := range unsafe.Slice((*float32)(unsafe.Add(a.res, p*a.resPix+blk*a.resBlock)), 16) {
				v[o] += r
			}
		}
		if a.clamp != 0 {
			for o, x := range v {
				if x < a.lo {
					v[o] = a.lo
				}
				if x > a.hi {
					v[o] = a.hi
				}
			}
		}
		copy(unsafe.Slice((*float32)(unsafe.Add(a.out, p*a.outPix+blk*a.outBlock)), 16), v)
	}
}

// setAct makes the micro-kernel apply act if it can and reports whether it
// does; other activations follow on the stored tile.
func (a *tileArgs) setAct(act Act) bool {
	a.clamp, a.lo, a.hi = 0, -inf32, inf32
	switch act.Fn {
	case ActIdentity:
	case ActRelu:
		a.clamp, a.lo = 1, 0
	case ActClip:
		a.clamp, a.lo, a.hi = 1, act.Alpha, act.Beta
	default:
		return false
	}
	return true
}

// tileWork is what so many multiply-adds weigh against floats of other work,
// for [Context.do].
func tileWork(macs int) int {
	switch active {
	case generic:
		return macs
	case neon:
		return macs / 4
	case avx2:
		return macs / 8
	}
	return macs / 16
}

// split returns the fewest pieces of at most most that n things fall into.
func split(n, most int) (pieces int) { return (n + most - 1) / most }

// cut returns where piece i of n things in pieces near-equal pieces starts.
func cut(n, pieces, i int) int { return n * i / pieces }
