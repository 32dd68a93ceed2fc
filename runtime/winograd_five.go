package runtime

import (
	"math"
	"unsafe"
)

// F(2×2,5×5): 36 products for 100. Its tiles are those of F(4×4,3×3), and so are
// its points and input transform, two pixels on instead of four. An output is
// one sum over the positions, a depthwise convolution.
var winogradFive = winogradMatrices{
	bt: winograds[4].bt,
	g: [][]float64{{1, 0, 0, 0, 0}, scaled(-sqrt2/6, sqrt2/2), scaled(-sqrt2/6, -sqrt2/2),
		scaled(1./6, sqrt2), scaled(1./6, -sqrt2), {0, 0, 0, 0, 1}},
	at:   [][]float64{{1, 2 * sqrt2, 2 * sqrt2, 1, 1, 0}, {0, 2, -2, sqrt2, -sqrt2, 1}},
	ones: []float64{0, .25 + sqrt2/8, sqrt2/8 - .25, 0, 0, 0},
}

// scaled returns f times the powers of a point.
func scaled(f, point float64) []float64 {
	row := make([]float64, 5)
	for i := range row {
		row[i] = f * math.Pow(point, float64(i))
	}
	return row
}

// fiveFilters has what each output of a tile multiplies the positions by, for
// each of 16 channels.
var fiveFilters = func() (f [2][2][6 * 6][16]float32) {
	for y, rows := range winogradFive.at {
		for x, cols := range winogradFive.at {
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

// taps is the side of a filter.
func taps(five bool) int {
	if five {
		return 5
	}
	return 3
}

// matrices are those of the transforms.
func matrices(m int, five bool) winogradMatrices {
	if five {
		return winogradFive
	}
	return winograds[m]
}

// sumOutput writes the outputs of a run of tiles of one block of 16 channels
// that are single sums of positions, or of groups, to the image, with residual
// and activation: a depthwise convolution for each pixel of a tile.
func (k *Winograd) sumOutput(c *Context, n, b, ty, tx, run int, m []float32) {
	d := &k.Dst
	a := newTile(false)
	more := !a.setAct(k.Act)
	a.bias = unsafe.Pointer(&zeroBias[0])
	a.pix, a.outPix, a.resPix = 64, k.M*64, k.M*64
	a.rowStride, a.colStride = k.side()*k.pitch()*4, k.pitch()*4
	width := min(run*k.M, d.W-tx*k.M)
	for y := range min(k.M, d.H-ty*k.M) {
		out := d.row(c.f32(d.Ref), n, b, ty*k.M+y)[tx*k.M*16:][:width*16]
		var res []float32
		if k.Residual.N > 0 {
			res = k.Residual.row(c.f32(k.Residual.Ref), n, b, ty*k.M+y)[tx*k.M*16:]
		}
		for x := range min(k.M, width) {
			var r unsafe.Pointer
			if res != nil {
				r = unsafe.Pointer(&res[x*16])
			}
			first := 0
			if k.Strided {
				first = y*stridedGroups + x
				a.rows, a.cols, a.w = 2, 2, unsafe.Pointer(&stridedOnes)
			} else {
				a.rows, a.cols, a.w = 6, 6, unsafe.Pointer(&fiveFilters[y][x])
			}
			a.depthwiseLine(unsafe.Pointer(&m[first*k.pitch()]), unsafe.Pointer(&out[x*16]), r, split(width-x, k.M))
		}
		if more {
			applyAct(out, k.Act)
		}
	}
}
