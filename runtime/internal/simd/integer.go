package simd

import (
	"math"
	"unsafe"

	"modelc/runtime/internal/team"
)

// IntTile holds the arguments of a micro-kernel on integers. For each pixel p < Pixels
// and each output channel o of the tile it computes
//
//	sum = Start[o] + Σ x·w
//	Out[p,o] = clamp(round(float32(sum)·Multiplier[o]) + Zero, Lo, Hi)
//
// modulo 2³², rounded half to even. If Sum is not nil, Out receives the sum of that byte and
// a byte of Residual, which may be Out. The sum of products has Parts × Blocks × Rows × Cols steps; every
// part reads the same input with other weights. Strides are in bytes. Weights are read in
// the order of the steps. x is a byte without a sign, or a word of 16 bits if
// Tier.IntWords is set.
//
// The product must be less than 2³¹ in magnitude.
type IntTile struct {
	In, W, Out          unsafe.Pointer
	Start               unsafe.Pointer // int32, one for each channel of the tile
	Multiplier          unsafe.Pointer // float32, or nil: Out receives the sums, int32
	Pix                 int            // from one pixel's input to the next
	OutBlock            int            // from 16 channels to the next 16; the 16 channels of the next pixel are adjacent
	Parts               int
	Blocks, BlockStride int
	Rows, RowStride     int
	Cols, ColStride     int
	Half                int // 1 if the last block has at most 8 channels, so that kernels may skip the others
	Pixels              int // 1 … Tier.IntPixels
	Zero                int16
	Lo, Hi              uint8
	next                uintptr // weights that some kernels prefetch into L2, never dereferenced
	nextStep            int     // the number of bytes that a step prefetches
	Left                int     // the number of parts that are left; kernels write it
	nextTile            int     // the number of bytes that a tile prefetches
	// Tiles is the number of adjacent tiles of Pixels pixels, at least 1, that kernels for
	// words compute if Tier.IntWords is set. They change it, In, Out and next.
	Tiles         int
	Residual      unsafe.Pointer
	ResidualBlock int     // from 16 channels of Residual to the next 16; its pixels are those of Out
	Sum           *IntSum // nil for none
	HalfOut       int     // 1 if the last 8 channels of the tile do not exist, so that kernels may leave out their products
}

// IntSum holds the constants of the sum of a requantised byte y and a byte r:
//
//	clamp(round(f32(y−IntTile.Zero)·Scale + f32(r−ResidualZero)·ResidualScale) + Zero, Lo, Hi)
//
// Every operation is rounded to float32, and round rounds half to even. The rounded number
// must be less than 2³¹ in magnitude.
type IntSum struct {
	Scale, ResidualScale float32
	ResidualZero         int32
	Low, High            float32 // IntTile.Lo and Hi, less IntTile.Zero
	Zero                 int16
	Lo, Hi               uint8
}

// of computes the sum for y less its zero point.
func (s *IntSum) of(y int, r uint8) uint8 {
	// The conversions prevent a fused multiply-add.
	v := float32(float32(y)*s.Scale) + float32(float32(int32(r)-s.ResidualZero)*s.ResidualScale)
	return uint8(Saturate(float64(v), int(s.Zero), int(s.Lo), int(s.Hi)))
}

// Ahead makes tiles from t on, of n that share the work, prefetch weights at an address:
// together, the given number of bytes, which is that of one tile's weights. A tile has the
// given number of steps.
func (a *IntTile) Ahead(at uintptr, bytes, steps, t, n int) {
	a.nextStep = bytes / steps / n
	a.nextTile = a.nextStep * steps
	a.next = at + uintptr(t*a.nextTile)
}

// IntStep is a kind of steps of [IntTile].
type IntStep int

// The kinds.
const (
	// IntBlock is a step of 16 channels. Its weights are s8 [4][width][4].
	IntBlock IntStep = iota
	// IntPixel is a step of 4 channels. Its weights are s8 [width][4].
	IntPixel
	// IntProduct is a step of 16 words x. Its weights are s16 [8][width][2]. The result is
	// sums unless Tier.IntWords is set.
	IntProduct
	// IntPair is a step of 2 words x. Its weights are s16 [width][2]. Only tiers with
	// IntWords have it.
	IntPair
)

// lineTiles is the maximum number of tiles of a call. A garbage collection waits for it.
const lineTiles = 16

// Line computes the given number of adjacent pixels, tile after tile, starting at a.In
// and a.Out. width is the number of output channels, 32 or 16.
func (a IntTile) Line(step IntStep, width, pixels int) {
	outPix := 16
	if a.Multiplier == nil {
		outPix = 64
	}
	tiles := team.Split(pixels, active.IntPixels)
	size, longer := pixels/tiles, pixels%tiles
	in, out, residual := a.In, a.Out, a.Residual
	most := 1
	if active.IntWords && step >= IntProduct && (a.Sum == nil || !active.IntSums) {
		most = lineTiles
	}
	x, next := 0, a.next
	for t := 0; t < tiles; {
		a.Pixels, a.Tiles = size, min(most, tiles-t)
		if t < longer {
			a.Pixels, a.Tiles = size+1, min(most, longer-t)
		}
		n := a.Tiles
		a.In, a.Out, a.next = unsafe.Add(in, x*a.Pix), unsafe.Add(out, x*outPix), next+uintptr(t*a.nextTile)
		if a.Sum != nil {
			a.Residual = unsafe.Add(residual, x*16)
		}
		a.Compute(step, width)
		x += n * a.Pixels
		t += n
	}
}

// Passed makes the next call of Line prefetch behind one that computed the given number of
// pixels.
func (a *IntTile) Passed(pixels int) {
	a.next += uintptr(team.Split(pixels, active.IntPixels) * a.nextTile)
}

// Compute computes a tile.
func (a *IntTile) Compute(step IntStep, width int) {
	if a.Sum != nil && !active.IntSums {
		a.computeFirst(step, width)
		return
	}
	switch {
	case step == IntBlock && width == 32:
		if !IntBlock32(a) {
			a.pairs(width, 4)
		}
	case step == IntBlock:
		if !IntBlock16(a) {
			a.pairs(width, 4)
		}
	case step == IntPixel && width == 32:
		if !IntPixel32(a) {
			a.pairs(width, 1)
		}
	case step == IntPixel:
		if !IntPixel16(a) {
			a.pairs(width, 1)
		}
	case step == IntProduct && width == 32:
		if !IntProduct32(a) {
			a.products(width, 8)
		}
	case step == IntProduct:
		if !IntProduct16(a) {
			a.products(width, 8)
		}
	case width == 32:
		if !IntPair32(a) {
			a.products(width, 1)
		}
	default:
		if !IntPair16(a) {
			a.products(width, 1)
		}
	}
}

// sumPixels is the maximum number of pixels of a call of Compute on tiers whose tiles add no
// residual. Those that compute several tiles in a call have tiles of at most 6 pixels.
const sumPixels = max(MaxTilePixels, lineTiles*6)

// computeFirst is Compute for tiers whose tiles add no residual: the sums follow the tiles.
func (a *IntTile) computeFirst(step IntStep, width int) {
	var own [2 * sumPixels * 16]uint8
	t, pixels := *a, a.Pixels*max(1, a.Tiles)
	t.Sum, t.Out, t.OutBlock = nil, unsafe.Pointer(&own), sumPixels*16
	t.Compute(step, width)
	for b := range width / 16 {
		a.Sum.Rows((*uint8)(unsafe.Add(a.Out, b*a.OutBlock)), &own[b*t.OutBlock], (*uint8)(unsafe.Add(a.Residual, b*a.ResidualBlock)), pixels, a.Zero)
	}
}

// Rows computes the sums of n pixels of 16 bytes y, with the given zero point, and as many
// bytes r. dst may be r.
func (s *IntSum) Rows(dst, y, r *uint8, n int, zero int16) {
	p := ByteBinary{AScale: s.Scale, BScale: s.ResidualScale, AZero: int32(zero), BZero: s.ResidualZero, Zero: int32(s.Zero),
		Low: float32(int(s.Lo) - int(s.Zero)), High: float32(int(s.Hi) - int(s.Zero))}
	if AddBytes(dst, y, r, n, 16, &p) {
		return
	}
	to, from, residual := unsafe.Slice(dst, n*16), unsafe.Slice(y, n*16), unsafe.Slice(r, n*16)
	for i := range to {
		to[i] = s.of(int(from[i])-int(zero), residual[i])
	}
}

// compute is the micro-kernel in Go and the specification of those in assembly, for steps
// of groups of 4 input values.
func (a *IntTile) compute(width, groups int) {
	words := active.IntWords
	for p := range a.Pixels {
		var acc [32]int32
		copy(acc[:], unsafe.Slice((*int32)(a.Start), width))
		step := 0
		for range a.Parts {
			for b := range a.Blocks {
				for y := range a.Rows {
					for x := range a.Cols {
						in := unsafe.Add(a.In, p*a.Pix+b*a.BlockStride+y*a.RowStride+x*a.ColStride)
						for c := range groups {
							w := unsafe.Add(a.W, step*4*width)
							step++
							var v [4]int32
							for i := range v {
								if words {
									v[i] = int32(*(*int16)(unsafe.Add(in, 8*c+2*i)))
								} else {
									v[i] = int32(*(*uint8)(unsafe.Add(in, 4*c+i)))
								}
							}
							for o, k := range unsafe.Slice((*[4]int8)(w), width) {
								acc[o&31] += v[0]*int32(k[0]) + v[1]*int32(k[1]) + v[2]*int32(k[2]) + v[3]*int32(k[3])
							}
						}
					}
				}
			}
		}
		a.finish(p, acc[:width])
	}
}

// pairs is compute for a tier without kernels, which multiplies a byte by the weights of
// two output channels at once: the halves of an int64 hold their sums.
func (a *IntTile) pairs(width, groups int) {
	const most = (1<<31 - 1) / (255 * 128) // terms of a sum that fits 32 bits
	if active.IntWords || a.Parts*a.Blocks*a.Rows*a.Cols*groups*4 > most {
		a.compute(width, groups)
		return
	}
	var acc [MaxTilePixels][16]int64
	step := 0
	for range a.Parts {
		for b := range a.Blocks {
			for y := range a.Rows {
				for x := range a.Cols {
					in := unsafe.Add(a.In, b*a.BlockStride+y*a.RowStride+x*a.ColStride)
					for c := range groups {
						w := unsafe.Add(a.W, step*4*width) // never behind the weights
						step++
						var k [16][4]int64
						for o := range width / 2 {
							p, q := (*[4]int8)(unsafe.Add(w, 8*o)), (*[4]int8)(unsafe.Add(w, 8*o+4))
							k[o] = [4]int64{int64(p[0]) + int64(q[0])<<32, int64(p[1]) + int64(q[1])<<32, int64(p[2]) + int64(q[2])<<32, int64(p[3]) + int64(q[3])<<32}
						}
						for p := range a.Pixels {
							v := (*[4]uint8)(unsafe.Add(in, p*a.Pix+4*c))
							v0, v1, v2, v3 := int64(v[0]), int64(v[1]), int64(v[2]), int64(v[3])
							sums := &acc[p]
							for o := range width / 2 {
								f := &k[o&15]
								sums[o&15] += v0*f[0] + v1*f[1] + v2*f[2] + v3*f[3]
							}
						}
					}
				}
			}
		}
	}
	start := unsafe.Slice((*int32)(a.Start), width)
	for p := range a.Pixels {
		var sums [32]int32
		for o, s := range acc[p][:width/2] {
			low := int32(s)
			sums[2*o], sums[2*o+1] = start[2*o]+low, start[2*o+1]+int32((s-int64(low))>>32)
		}
		a.finish(p, sums[:width])
	}
}

// products is compute for steps of pairs of words.
func (a *IntTile) products(width, pairs int) {
	for p := range a.Pixels * max(1, a.Tiles) {
		var acc [32]int32
		copy(acc[:], unsafe.Slice((*int32)(a.Start), width))
		step := 0
		for range a.Parts {
			for b := range a.Blocks {
				for y := range a.Rows {
					for x := range a.Cols {
						in := unsafe.Slice((*int16)(unsafe.Add(a.In, p*a.Pix+b*a.BlockStride+y*a.RowStride+x*a.ColStride)), 2*pairs)
						for c := range pairs {
							w := unsafe.Add(a.W, step*4*width)
							step++
							v0, v1 := int32(in[2*c]), int32(in[2*c+1])
							for o, k := range unsafe.Slice((*[2]int16)(w), width) {
								acc[o&31] += v0*int32(k[0]) + v1*int32(k[1])
							}
						}
					}
				}
			}
		}
		a.finish(p, acc[:width])
	}
}

// finish writes the sums of a pixel, blocks of 16 channels.
func (a *IntTile) finish(p int, acc []int32) {
	for b := range len(acc) / 16 {
		sums := (*[16]int32)(acc[b*16:])
		if a.Multiplier == nil {
			*(*[16]int32)(unsafe.Add(a.Out, b*a.OutBlock+p*64)) = *sums
			continue
		}
		out := (*[16]uint8)(unsafe.Add(a.Out, b*a.OutBlock+p*16))
		multiplier := (*[16]float32)(unsafe.Add(a.Multiplier, b*64))
		var residual [16]uint8 // a copy, because out may be the same memory
		if a.Sum != nil {
			residual = *(*[16]uint8)(unsafe.Add(a.Residual, b*a.ResidualBlock+p*16))
		}
		for o, s := range sums {
			out[o] = Requantize(s, multiplier[o], a.Zero, a.Lo, a.Hi)
			if a.Sum != nil {
				out[o] = a.Sum.of(int(out[o])-int(a.Zero), residual[o])
			}
		}
	}
}

// Requantize returns clamp(round(float32(sum)·multiplier) + zero, lo, hi), rounded half
// to even.
func Requantize(sum int32, multiplier float32, zero int16, lo, hi uint8) uint8 {
	return uint8(Saturate(float64(float32(sum)*multiplier), int(zero), int(lo), int(hi)))
}

// Saturate returns round(v) + zero between lo and hi, rounded half to even. NaN becomes lo.
func Saturate(v float64, zero, lo, hi int) int {
	v = math.RoundToEven(v) + float64(zero)
	if !(v >= float64(lo)) {
		return lo
	}
	return int(min(v, float64(hi)))
}

// IntDepthwise holds the arguments of a micro-kernel that computes each of 16 channels
// alone. It computes Pixels adjacent pixels of bytes, and writes them as [IntTile] does.
// Groups of four taps have weights s8 [16][4].
type IntDepthwise struct {
	In, W, Out        unsafe.Pointer
	Start, Multiplier unsafe.Pointer // as in IntTile, 16 channels
	Taps              unsafe.Pointer // int64, the offsets of 4·Groups taps in bytes
	Groups            int
	Pix               int
	Pixels            int
	Zero              int16
	Lo, Hi            uint8
	// Wide has the weights as words for tiers that need them: see widen and widen3.
	Wide unsafe.Pointer
	// Of kernels for rows with 3×3 taps, which do not read Taps.
	Row, OutRow int // between input and result rows
	Rows        int
}

// IntWideBytes returns the size of the weights of groups of four taps as words.
func IntWideBytes(groups int) int { return 128 * groups }

// words reports whether the kernels of the tier in use read weights as words.
func (a *IntDepthwise) words() bool {
	return active == &avx2 || active == &avxvnni || active == &avx512
}

// widen writes the weights of all groups as words [2][2][8][2]: pairs of taps, and halves
// with channels 0 to 3 and 8 to 11, and with the others.
func (a *IntDepthwise) widen(dst unsafe.Pointer) {
	a.Wide = dst
	for g, w := range unsafe.Slice((*[16][4]int8)(a.W), a.Groups) {
		d := (*[2][2][8][2]int16)(unsafe.Add(dst, g*128))
		for c, taps := range w {
			half, i := c>>2&1, c>>3<<2|c&3
			d[0][half][i] = [2]int16{int16(taps[0]), int16(taps[1])}
			d[1][half][i] = [2]int16{int16(taps[2]), int16(taps[3])}
		}
	}
}

// widen3 writes the weights of 3×3 taps as words [2][3][2][8][2], for halves of 8 channels
// and columns of taps: the first and the second row together, and the third row with zeros.
func (a *IntDepthwise) widen3(dst unsafe.Pointer) {
	a.Wide = dst
	if IntWidenTaps3((*int16)(dst), (*int8)(a.W)) {
		return
	}
	d, w := (*[2][3][2][8][2]int16)(dst), (*[3][16][4]int8)(a.W)
	for c := range 16 {
		for x := range 3 {
			d[c/8][x][0][c%8] = [2]int16{int16(w[0][c][x]), int16(w[1][c][x])}
			d[c/8][x][1][c%8] = [2]int16{int16(w[2][c][x]), 0}
		}
	}
}

// Compute3 computes rows with 3×3 taps, if the tier has a kernel for them. wide is memory
// of IntWideBytes(3) bytes.
func (a *IntDepthwise) Compute3(wide unsafe.Pointer) bool {
	if a.words() {
		a.widen3(wide)
	}
	return IntDepthwise3(a)
}

// Prepare must be called before Compute. wide is memory of IntWideBytes(a.Groups) bytes.
func (a *IntDepthwise) Prepare(wide unsafe.Pointer) {
	if a.words() {
		a.widen(wide)
	}
}

// Compute computes the pixels.
func (a *IntDepthwise) Compute() {
	if !IntDepthwiseRow(a) {
		a.compute()
	}
}

// compute is the micro-kernel in Go.
func (a *IntDepthwise) compute() {
	t := IntTile{Out: a.Out, Multiplier: a.Multiplier, Zero: a.Zero, Lo: a.Lo, Hi: a.Hi}
	taps := unsafe.Slice((*[4]int64)(a.Taps), a.Groups)
	for p := range a.Pixels {
		acc := *(*[16]int32)(a.Start)
		for i, off := range taps {
			var in [4]*[16]uint8
			for j, o := range off {
				in[j] = (*[16]uint8)(unsafe.Add(a.In, p*a.Pix+int(o)))
			}
			x, y, z, t := in[0], in[1], in[2], in[3]
			for c, w := range (*[16][4]int8)(unsafe.Add(a.W, 64*i)) {
				acc[c] += int32(x[c])*int32(w[0]) + int32(y[c])*int32(w[1]) + int32(z[c])*int32(w[2]) + int32(t[c])*int32(w[3])
			}
		}
		t.finish(p, acc[:])
	}
}

// IntFloats replaces n pixels of 16 sums in x by float32(sum)·multiplier + shift, rounded
// after the product and after the sum, between lo and hi. x holds the bits of int32
// numbers.
func IntFloats(x []float32, n int, multiplier, shift *[16]float32, lo, hi float32) {
	if IntFloatRow(&x[0], n, &multiplier[0], &shift[0], lo, hi) {
		return
	}
	for i := range x[:n*16] {
		v := float32(float32(int32(math.Float32bits(x[i]))) * multiplier[i&15])
		v += shift[i&15]
		if v < lo {
			v = lo
		}
		if v > hi {
			v = hi
		}
		x[i] = v
	}
}

// IntWiden writes bytes as words.
func IntWiden(dst []int16, src []uint8) {
	dst = dst[:len(src)]
	done := 0
	if n := len(src) / 16; n > 0 && IntWidenRow(&dst[0], &src[0], n) {
		done = n * 16
	}
	for i := done; i < len(src); i++ {
		dst[i] = int16(src[i])
	}
}

// IntWidenPixels writes pixels of 4 bytes as pixels of c words, and 4 words of any value
// behind them.
func IntWidenPixels(dst []int16, src []uint8, c int) {
	done := 0
	if n := len(src) / 16; c == 3 && n > 0 && IntWidenPixelsOf3(&dst[0], &src[0], n) {
		done = n * 4
	}
	for i := done; i < len(src)/4; i++ {
		for ch := range c {
			dst[i*c+ch] = int16(src[i*4+ch])
		}
	}
}

// IntWidenWeights writes weights s8 [][width][4] as s16 [][2][width][2].
func IntWidenWeights(dst []int16, src []int8, width int) {
	if len(src) > 0 && IntWidenWeightRows(&dst[0], &src[0], len(src)/(4*width), width) {
		return
	}
	for i, v := range src {
		row, o, c := i/(4*width), i/4%width, i%4
		dst[((row*2+c/2)*width+o)*2+c%2] = int16(v)
	}
}
