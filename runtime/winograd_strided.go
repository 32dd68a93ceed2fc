package runtime

import "unsafe"

// Winograd with stride 2. A row of the filter meets even columns with its taps
// 0 and 2, which is a convolution of two taps, F(2,2), and odd ones with tap 1:
// of the five values under two outputs
//
//	y₀ = (x₀−x₂)·g₀ + x₁·g₁ + x₂·(g₀+g₂)
//	y₁ = x₂·(g₀+g₂) + (x₄−x₂)·g₂ + x₃·g₁
//
// five products instead of six, 25 instead of 36 in two dimensions. They are
// sums of three groups, of the first two products, the one that both outputs
// share, and the last two. The products of a group are added up as if they were
// of further input channels, so only nine positions have an output transform.

// stridedSide and stridedGroups are the sides of the transformed input and of
// the groups.
const (
	stridedSide   = 5
	stridedGroups = 3
)

// stridedFirst and stridedCount are the products of a group in one dimension.
var (
	stridedFirst = [stridedGroups]int{0, 2, 3}
	stridedCount = [stridedGroups]int{2, 1, 2}
)

// stridedStart is the first value of each product, and stridedSigns what it and
// the second after it are multiplied by.
var (
	stridedStart = [stridedSide]int{0, 1, 2, 2, 3}
	stridedSigns = [stridedSide][]float32{{1, -1}, {1}, {1}, {-1, 1}, {1}}
)

// stridedShared is the product whose weight is the sum of taps 0 and 2;
// stridedWeight are the taps of the others.
const stridedShared = 2

var stridedWeight = [stridedSide]int{0, 1, 0, 2, 1}

// stridedFilters has the products of the signs of both dimensions for each of 16
// channels, as a depthwise convolution reads them.
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

// stridedOnes adds four groups up.
var stridedOnes = func() (f [4][16]float32) {
	for i := range f {
		for c := range f[i] {
			f[i][c] = 1
		}
	}
	return f
}()

// StridedLen returns the number of floats of the transformed weights of a
// strided Winograd convolution: for each group
// [ceil(oc/32)][ic padded to 16 in blocks][row][column][16][32], the last block
// 16 wide where oc leaves one.
func StridedLen(oc, ic int) int { return stridedSide * stridedSide * winogradPitch(oc, ic) }

// stridedGroup returns the first position of the transformed input that group
// pos sums, how many positions' weights lie before its own, and how many rows
// and columns of positions it has.
func stridedGroup(pos int) (first, weights, rows, cols int) {
	y, x := pos/stridedGroups, pos%stridedGroups
	rows, cols = stridedCount[y], stridedCount[x]
	return stridedFirst[y]*stridedSide + stridedFirst[x], stridedFirst[y]*stridedSide + rows*stridedFirst[x], rows, cols
}

// strided transforms a range of blocks of input channels of one block of output
// channels, the weights of a tap for 16 by 32 channels at a time. w starts at
// the first of them.
func (k *WinogradWeights) strided(dst, w []float32, ob, first, last int) {
	width := blockWidth(k.OC, ob)
	pitch := winogradPitch(k.OC, k.IC)
	size := 16 * width
	var sums [4][16 * 32]float32
	for b := first; b < last; b++ {
		tap := func(y, x int) []float32 { return w[((b-first)*9+y*3+x)*size:][:size] }
		for x := range 3 {
			binaryRow(sums[x][:size], tap(0, x), tap(2, x), -1, BinAdd, Act{})
		}
		// row has the products of the first dimension.
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

// stridedInput writes the transformed input of a run of tiles in one row of
// tiles, of the input blocks from ≤ b < to, to v: a depthwise convolution for
// each position.
func (k *Winograd) stridedInput(c *Context, n, from, to, ty, tx, run int, v []float32) {
	s := &k.Src
	y, x := ty*2*k.M-k.PadTop, tx*2*k.M-k.PadLeft
	a := newTile(false)
	a.bias = unsafe.Pointer(&zeroBias[0])
	a.pix, a.outPix = 2*k.M*64, 64
	a.rowStride, a.colStride = 2*s.Row()*4, 2*64
	origin := unsafe.Pointer(&c.f32(s.Ref)[n*s.BatchStride+s.Origin()+y*s.Row()+x*16])
	for b := from; b < to; b++ {
		for i := range stridedSide {
			for j := range stridedSide {
				a.rows, a.cols = len(stridedSigns[i]), len(stridedSigns[j])
				a.w = unsafe.Pointer(&stridedFilters[i][j])
				in := unsafe.Add(origin, (b*s.Plane()+stridedStart[i]*s.Row()+stridedStart[j]*16)*4)
				a.depthwiseLine(in, unsafe.Pointer(&v[(b*k.positions()+i*stridedSide+j)*k.pitch()]), nil, run)
			}
		}
	}
}
