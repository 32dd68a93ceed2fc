package simd

import (
	"math"
	"time"
	"unsafe"

	"modelc/runtime/internal/team"
)

// A pair of bfloat16 is a word of 32 bits. A bfloat16 is the upper half of a float32, so
// the lower half of a pair becomes a float by a shift, the upper half by a mask. A pixel of
// 16 pairs has the size of one of 16 floats. It holds two blocks of 16 channels: the first
// in the lower halves, the second in the upper ones.

// upperHalf selects the upper half of a pair.
const upperHalf = 0xffff0000

// lowerOf and upperOf return the halves of a pair.
func lowerOf(pair uint32) float32 { return math.Float32frombits(pair << 16) }
func upperOf(pair uint32) float32 { return math.Float32frombits(pair & upperHalf) }

// pairOf returns the pair of two floats, rounded to nearest even.
func pairOf(lower, upper float32) uint32 {
	return uint32(ToBFloat16(lower)) | uint32(ToBFloat16(upper))<<16
}

// ToBFloat16 rounds x to nearest even. NaN becomes quiet.
func ToBFloat16(x float32) uint16 {
	bits := math.Float32bits(x)
	if x != x {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// stepsOfPairs is Compute for a tile of pairs that one call computes.
func (a *Tile) stepsOfPairs(width int) {
	if width == 32 && Pair32(a) || width == 16 && Pair16(a) {
		return
	}
	a.computePairs(width, 16)
}

// runOfPairs computes a tile with steps of a.Run pairs.
func (a *Tile) runOfPairs(width int) {
	if width == 32 && PairRun32(a) || width == 16 && PairRun16(a) {
		return
	}
	a.computePairs(width, a.Run)
}

// RoundLine is Line for a tile of pairs whose results and residual, too, are pixels of 16
// pairs of bfloat16, 64 bytes apart. Their upper halves are the second 16 output channels,
// zero if width is 16. If Run is not 0, a step has Run pairs.
func (a *Tile) RoundLine(width, pixels int) {
	in, out, res := a.In, a.Out, a.Res
	tiles := team.Split(pixels, active.TilePixels)
	for t := range tiles {
		x := team.Cut(pixels, tiles, t)
		a.Pixels = team.Cut(pixels, tiles, t+1) - x
		a.In, a.Out = unsafe.Add(in, x*a.Pix), unsafe.Add(out, x*64)
		if res != nil {
			a.Res = unsafe.Add(res, x*64)
		}
		if !active.Pairs || a.Run == 0 && a.WeightBytes(width) > callBytes {
			a.roundSums(width)
			continue
		}
		if a.round = true; a.Run > 0 {
			a.runOfPairs(width)
			continue
		}
		a.prefetch()
		a.stepsOfPairs(width)
	}
}

// RoundMax computes the maxima of windows of pixels of pairs, as [PoolLine] does. It reports
// whether the tier in use has such a kernel.
func (a *Tile) RoundMax(in, out unsafe.Pointer, pixels int) bool {
	a.Bias = unsafe.Pointer(&lowestPair)
	return a.roundChannels(in, out, nil, pixels, false)
}

var lowestPair = [2][16]float32{lowest, lowest}

// RoundDepthwise is DepthwiseLines for pixels of pairs, with results and a residual as those
// of RoundLine. The weights of the upper halves are BlockStride bytes behind those of the
// lower ones. It reports whether the tier in use has such a kernel.
func (a *Tile) RoundDepthwise(in, out, res unsafe.Pointer, pixels int) bool {
	return a.roundChannels(in, out, res, pixels, true)
}

func (a *Tile) roundChannels(in, out, res unsafe.Pointer, pixels int, products bool) bool {
	tiles := team.Split(pixels, active.ChannelPixels)
	for t := range tiles {
		x := team.Cut(pixels, tiles, t)
		a.Pixels = team.Cut(pixels, tiles, t+1) - x
		a.In, a.Out = unsafe.Add(in, x*a.Pix), unsafe.Add(out, x*64)
		if res != nil {
			a.Res = unsafe.Add(res, x*64)
		}
		if products && !PairDepthwise(a) || !products && !PairMax(a) {
			return false
		}
	}
	return true
}

// roundSums computes a tile of RoundLine where no micro-kernel rounds, or where it takes
// several calls.
func (a *Tile) roundSums(width int) {
	var sums [2][MaxTilePixels * 16]float32
	b := *a
	b.round, b.Res, b.Clamp, b.Lo, b.Hi = false, nil, 0, -inf, inf
	b.Out, b.OutPix, b.OutBlock = unsafe.Pointer(&sums), 64, 4*len(sums[0])
	if b.Run > 0 {
		b.runOfPairs(width)
	} else {
		b.Compute(width)
		a.ahead = b.ahead
	}
	n := 16 * a.Pixels
	var residual []uint32
	if a.Res != nil {
		residual = unsafe.Slice((*uint32)(a.Res), n)
	}
	dst := unsafe.Slice((*uint32)(a.Out), n)
	Narrow(dst, sums[0][:n], sums[1][:n], residual, a.Lo, a.Hi)
	if width == 16 {
		for i := range dst {
			dst[i] &^= upperHalf
		}
	}
}

// computePairs is the micro-kernel of pairs in Go. That in assembly has the same bits,
// except that subnormal numbers may be zero: products of bfloat16 are exact in float32, and
// every sum starts with the bias and adds the upper product of a pair before the lower one.
func (a *Tile) computePairs(width, step int) {
	for p := 0; p < a.Pixels; p++ {
		var acc [32]float32
		copy(acc[:], unsafe.Slice((*float32)(a.Bias), width))
		w := 0 // bytes read
		for b := 0; b < a.Blocks; b++ {
			for y := 0; y < a.Rows; y++ {
				for x := 0; x < a.Cols; x++ {
					in := unsafe.Slice((*[2]uint16)(unsafe.Add(a.In, p*a.Pix+b*a.BlockStride+y*a.RowStride+x*a.ColStride)), step)
					if a.Half != 0 && b == a.Blocks-1 {
						in = in[:step/2]
					}
					ws := unsafe.Slice((*uint32)(unsafe.Add(a.W, w)), step*width)
					for c, v := range in {
						lower, upper := lowerOf(uint32(v[0])), lowerOf(uint32(v[1]))
						for o, k := range ws[c*width : c*width+width] {
							s := acc[o&31] + float32(upper*upperOf(k))
							acc[o&31] = s + float32(lower*lowerOf(k))
						}
					}
					w += step * width * 4
				}
			}
		}
		a.finish(p, acc[:width])
	}
}

// Narrow writes pixels of 16 pairs of bfloat16 to dst: the sums of lower and upper and,
// unless it is nil, residual, clamped to lo … hi. All have the length of dst, whole pixels.
func Narrow(dst []uint32, lower, upper []float32, residual []uint32, lo, hi float32) {
	if len(dst) == 0 {
		return
	}
	_, _ = lower[len(dst)-1], upper[len(dst)-1]
	if residual != nil {
		_ = residual[len(dst)-1]
	}
	if !RoundPairs(&dst[0], &lower[0], &upper[0], len(dst)/16, unsafe.SliceData(residual), lo, hi) {
		narrow(dst, lower, upper, residual, lo, hi)
	}
}

func narrow(dst []uint32, lower, upper []float32, residual []uint32, lo, hi float32) {
	for i := range dst {
		x, y := lower[i], upper[i]
		if residual != nil {
			x += lowerOf(residual[i])
			y += upperOf(residual[i])
		}
		dst[i] = pairOf(clamp(x, lo, hi), clamp(y, lo, hi))
	}
}

// clamp returns x between lo and hi, NaN for NaN.
func clamp(x, lo, hi float32) float32 {
	if x < lo {
		x = lo
	}
	if x > hi {
		x = hi
	}
	return x
}

// WidenPairs writes the lower and the upper halves of pixels of 16 pairs of bfloat16.
func WidenPairs(lower, upper []float32, src []uint32) {
	if len(src) == 0 {
		return
	}
	_, _ = lower[len(src)-1], upper[len(src)-1]
	if WidenPixels(&lower[0], &upper[0], &src[0], len(src)/16) {
		return
	}
	for i, v := range src {
		lower[i], upper[i] = lowerOf(v), upperOf(v)
	}
}

// FoldPairs makes 8 pairs of the 16 lower halves of each pixel: pair c gets channels c and
// 8+c. The other 8 pairs keep their values.
func FoldPairs(pixels []uint32) {
	if n := len(pixels) / 16; n == 0 || FoldPixels(&pixels[0], n) {
		return
	}
	for i := 0; i < len(pixels); i += 16 {
		p := (*[16]uint32)(pixels[i:])
		for c := range 8 {
			p[c] = p[c]&^upperHalf | p[8+c]<<16
		}
	}
}

// rowsPerCall is the number of rows of weights that one call of a micro-kernel reads. A
// garbage collection waits for the end of a call.
const rowsPerCall = 8192

// AddRows adds x[i]·w[i] to the sums of 32 output channels. Row i of w has 16 pairs of
// bfloat16: the lower halves belong to the first 16 channels. The length of x is a multiple
// of 4.
func AddRows(sums *[32]float32, x []float32, w []uint32) {
	for len(x) > 0 {
		n := min(len(x), rowsPerCall)
		_ = w[n*16-1]
		if !PairRows(&sums[0], &x[0], &w[0], n) {
			addRows(sums, x[:n], w)
		}
		x, w = x[n:], w[n*16:]
	}
}

func addRows(sums *[32]float32, x []float32, w []uint32) {
	for i, v := range x {
		for o, pair := range w[i*16:][:16] {
			sums[o] += v * lowerOf(pair)
			sums[16+o] += v * upperOf(pair)
		}
	}
}

// PairGFLOPS is [PeakGFLOPS] for products of bfloat16. It returns 0 if the tier in use
// has no instruction for them.
func PairGFLOPS() float64 {
	const rounds = 1_000_000
	best := 0.0
	for range 10 {
		start := time.Now()
		if !PairPeak(rounds) {
			return 0
		}
		best = max(best, float64(rounds*2*active.Lanes*active.Accumulators*2)/float64(time.Since(start).Nanoseconds()))
	}
	return best
}

// RoundPixels rounds floats to consecutive bfloat16.
func RoundPixels(dst []uint16, src []float32) {
	n := len(src) / 32
	if n == 0 || !RoundRow(&dst[:len(src)][0], &src[0], n) {
		n = 0
	}
	for i, v := range src[32*n:] {
		dst[32*n+i] = ToBFloat16(v)
	}
}

// AddPairs adds the halves of pairs to lower and upper.
func AddPairs(lower, upper []float32, pairs []uint32) {
	for i, v := range pairs[:len(lower)] {
		lower[i] += lowerOf(v)
		upper[i] += upperOf(v)
	}
}
