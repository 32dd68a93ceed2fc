package kernel

import (
	"math"
	"unsafe"

	"modelc/runtime/internal/simd"
	"modelc/runtime/internal/team"
)

// The forms of Winograd besides F(m×m,3×3): for filters of 5×5, and for stride 2.

const sqrt2 = math.Sqrt2

// winogradFive has the matrices of F(2×2,5×5), which has 36 products instead of 100.
// Its tiles, points and input transform are those of F(4×4,3×3), but its tiles are two
// pixels apart instead of four. An output is one sum over the positions, which is a
// depthwise convolution.
var winogradFive = simd.Matrices{
	BT: simd.Winograd[4].BT,
	G: [][]float64{{1, 0, 0, 0, 0}, scaled(-sqrt2/6, sqrt2/2), scaled(-sqrt2/6, -sqrt2/2),
		scaled(1./6, sqrt2), scaled(1./6, -sqrt2), {0, 0, 0, 0, 1}},
	AT:   [][]float64{{1, 2 * sqrt2, 2 * sqrt2, 1, 1, 0}, {0, 2, -2, sqrt2, -sqrt2, 1}},
	Ones: []float64{0, .25 + sqrt2/8, sqrt2/8 - .25, 0, 0, 0},
}

// scaled returns f times the powers of a point.
func scaled(f, point float64) []float64 {
	row := make([]float64, 5)
	for i := range row {
		row[i] = f * math.Pow(point, float64(i))
	}
	return row
}

// fiveFilters holds the factors of the positions for each output of a tile, repeated for
// 16 channels.
var fiveFilters = func() (f [2][2][6 * 6][16]float32) {
	for y, rows := range winogradFive.AT {
		for x, cols := range winogradFive.AT {
			for i, a := range rows {
				for j, b := range cols {
					for c := range 16 {
						f[y][x][i*6+j][c] = float32(a * b)
					}
				}
			}
		}
	}
	return f
}()

// taps returns the side of a filter.
func taps(five bool) int {
	if five {
		return 5
	}
	return 3
}

// matrices returns the matrices of the transforms.
func matrices(m int, five bool) simd.Matrices {
	if five {
		return winogradFive
	}
	return simd.Winograd[m]
}

// sumOutput writes the outputs of a run of tiles of one block of 16 channels to the
// image, with residual and activation. Each output is a sum of positions or groups. A
// depthwise convolution computes each pixel of all tiles.
func (k *Winograd) sumOutput(c *Context, n, b, ty, tx, run int, m []float32) {
	d := &k.Dst
	a := simd.NewTile(false)
	more := !setAct(&a, k.Act)
	a.Bias = unsafe.Pointer(&zeroBias[0])
	a.Pix, a.OutPix, a.ResPix = pixelBytes, k.M*pixelBytes, k.M*pixelBytes
	a.RowStride, a.ColStride = k.side()*k.pitch()*4, k.pitch()*4
	width := min(run*k.M, d.W-tx*k.M)
	for y := range min(k.M, d.H-ty*k.M) {
		out := d.row(c.F32(d.Ref), n, b, ty*k.M+y)[tx*k.M*16:][:width*16]
		var res []float32
		if k.Residual.N > 0 {
			res = k.Residual.row(c.F32(k.Residual.Ref), n, b, ty*k.M+y)[tx*k.M*16:]
		}
		for x := range min(k.M, width) {
			var r unsafe.Pointer
			if res != nil {
				r = unsafe.Pointer(&res[x*16])
			}
			first := 0
			if k.Strided {
				first = y*stridedGroups + x
				a.Rows, a.Cols, a.W = 2, 2, unsafe.Pointer(&stridedOnes)
			} else {
				a.Rows, a.Cols, a.W = 6, 6, unsafe.Pointer(&fiveFilters[y][x])
			}
			a.DepthwiseLines(unsafe.Pointer(&m[first*k.pitch()]), unsafe.Pointer(&out[x*16]), r, team.Split(width-x, k.M), 1)
		}
		if more {
			Apply(out, k.Act)
		}
	}
}

// Winograd with stride 2. In a row of the filter, taps 0 and 2 apply to even columns,
// which is a convolution with two taps, F(2,2). Tap 1 applies to odd columns. Two
// outputs read five values:
//
//	y₀ = (x₀−x₂)·g₀ + x₁·g₁ + x₂·(g₀+g₂)
//	y₁ = x₂·(g₀+g₂) + (x₄−x₂)·g₂ + x₃·g₁
//
// These are five products instead of six, and 25 instead of 36 in two dimensions. The
// products form three groups: the first two, the one that both outputs share, and the
// last two. The micro-kernel adds the products of a group as if they belonged to
// further input channels, so that the output transform adds only nine groups.

// stridedSide is the number of positions of a tile in one dimension, stridedGroups the
// number of groups.
const (
	stridedSide   = 5
	stridedGroups = 3
)

// stridedFirst holds the first product of each group, stridedCount the number of its
// products, in one dimension.
var (
	stridedFirst = [stridedGroups]int{0, 2, 3}
	stridedCount = [stridedGroups]int{2, 1, 2}
)

// stridedStart holds the index of the first value of each product. stridedSigns holds
// the factors of that value and of the one two further.
var (
	stridedStart = [stridedSide]int{0, 1, 2, 2, 3}
	stridedSigns = [stridedSide][]float32{{1, -1}, {1}, {1}, {-1, 1}, {1}}
)

// stridedShared is the product whose weight is the sum of taps 0 and 2. stridedWeight
// holds the taps of the other products.
const stridedShared = 2

var stridedWeight = [stridedSide]int{0, 1, 0, 2, 1}

// stridedFilters holds filters of a depthwise convolution: the products of the signs of
// both dimensions, repeated for 16 channels.
var stridedFilters = func() (f [stridedSide][stridedSide][4][16]float32) {
	for i, rows := range stridedSigns {
		for j, cols := range stridedSigns {
			for y, a := range rows {
				for x, b := range cols {
					for c := range 16 {
						f[i][j][y*len(cols)+x][c] = a * b
					}
				}
			}
		}
	}
	return f
}()

// stridedOnes is the filter that adds four groups.
var stridedOnes = func() (f [4][16]float32) {
	for i := range f {
		for c := range f[i] {
			f[i][c] = 1
		}
	}
	return f
}()

// stridedGroup returns the first position of the transformed input that group pos
// sums, the number of positions whose weights precede its own, and the numbers of
// rows and columns of positions.
func stridedGroup(pos int) (first, weights, rows, cols int) {
	y, x := pos/stridedGroups, pos%stridedGroups
	rows, cols = stridedCount[y], stridedCount[x]
	return stridedFirst[y]*stridedSide + stridedFirst[x], stridedFirst[y]*stridedSide + rows*stridedFirst[x], rows, cols
}

// strided transforms blocks first ≤ b < last of input channels of one block of output
// channels. It transforms a tap of 16 by 32 channels at a time. w starts at block first.
func (k *WinogradWeights) strided(dst, w []float32, ob, first, last int) {
	width := BlockWidth(k.OC, ob)
	pitch := weightsPitch(k.Dst, stridedSide*stridedSide)
	size := 16 * width
	var sums [4][16 * 32]float32
	for b := first; b < last; b++ {
		tap := func(y, x int) []float32 { return w[((b-first)*9+y*3+x)*size:][:size] }
		for x := range 3 {
			binaryRow(sums[x][:size], tap(0, x), tap(2, x), -1, BinAdd, Act{})
		}
		// row returns the weights of a product in the first dimension.
		row := func(i, x int) []float32 {
			if i == stridedShared {
				return sums[x][:size]
			}
			return tap(stridedWeight[i], x)
		}
		for pos := range stridedGroups * stridedGroups {
			_, weights, rows, cols := stridedGroup(pos)
			group := dst[weights*pitch+rows*cols*(ob*wholeBlocks(k.IC)*32+b*size):]
			for i := range rows * cols {
				y, x := stridedFirst[pos/stridedGroups]+i/cols, stridedFirst[pos%stridedGroups]+i%cols
				product := row(y, stridedWeight[x])
				if x == stridedShared {
					product = sums[3][:size]
					binaryRow(product, row(y, 0), row(y, 2), -1, BinAdd, Act{})
				}
				copy(group[i*size:], product)
			}
		}
	}
}

// stridedInput writes the transformed input of a run of tiles in one row of tiles to v,
// for the input blocks from ≤ b < to. A depthwise convolution computes each position.
func (k *Winograd) stridedInput(c *Context, n, from, to, ty, tx, run int, v []float32) {
	s := &k.Src
	y, x := ty*2*k.M-k.PadTop, tx*2*k.M-k.PadLeft
	a := simd.NewTile(false)
	a.Bias = unsafe.Pointer(&zeroBias[0])
	a.Pix, a.OutPix = 2*k.M*pixelBytes, pixelBytes
	a.RowStride, a.ColStride = 2*s.RowBytes(), 2*pixelBytes
	origin := unsafe.Pointer(&c.F32(s.Ref)[s.At(n, 0, y, x)])
	for b := from; b < to; b++ {
		for i := range stridedSide {
			for j := range stridedSide {
				a.Rows, a.Cols = len(stridedSigns[i]), len(stridedSigns[j])
				a.W = unsafe.Pointer(&stridedFilters[i][j])
				in := unsafe.Add(origin, b*s.PlaneBytes()+stridedStart[i]*s.RowBytes()+stridedStart[j]*pixelBytes)
				a.DepthwiseLines(in, unsafe.Pointer(&v[(b*k.positions()+i*stridedSide+j)*k.pitch()]), nil, run, 1)
			}
		}
	}
}
