package simd

import (
	"math"
	"unsafe"
)

const sqrt2 = math.Sqrt2

// Matrices holds the matrices of F(m×m,r×r), Winograd's minimal filtering: Bᵀ
// transforms inputs, G weights, Aᵀ outputs.
type Matrices struct {
	BT, G, AT [][]float64
	// Ones is a vector that Aᵀ transforms to ones. A bias is added times this vector.
	Ones []float64
}

// Winograd has the matrices of F(m×m,3×3) for m = 2, 4 and 6. The points are
// 0, ±1, ∞ for m = 2; 0, ±√½, ±√2, ∞ for 4; 0, ±1, ±2, ±1/2, ∞ for 6. With
// 0, ±1, ±2, ∞ the error of m = 4 would be twice as large.
var Winograd = map[int]Matrices{
	2: {
		BT: [][]float64{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}},
		G:  [][]float64{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}},
		AT: [][]float64{{1, 1, 1, 0}, {0, 1, -1, 1}},

		Ones: []float64{0, 1, 0, 0},
	},
	4: {
		BT: [][]float64{{1, 0, -2.5, 0, 1, 0}, {0, -sqrt2, -2, sqrt2 / 2, 1, 0}, {0, sqrt2, -2, -sqrt2 / 2, 1, 0},
			{0, -sqrt2 / 2, -.5, sqrt2, 1, 0}, {0, sqrt2 / 2, -.5, -sqrt2, 1, 0}, {0, 1, 0, -2.5, 0, 1}},
		G: [][]float64{{1, 0, 0}, {-sqrt2 / 6, -1. / 6, -sqrt2 / 12}, {-sqrt2 / 6, 1. / 6, -sqrt2 / 12},
			{1. / 6, sqrt2 / 6, 1. / 3}, {1. / 6, -sqrt2 / 6, 1. / 3}, {0, 0, 1}},
		AT: [][]float64{{1, 2 * sqrt2, 2 * sqrt2, 1, 1, 0}, {0, 2, -2, sqrt2, -sqrt2, 0}, {0, sqrt2, sqrt2, 2, 2, 0}, {0, 1, -1, 2 * sqrt2, -2 * sqrt2, 1}},

		Ones: []float64{.5, 0, 0, .25 + sqrt2/4, .25 - sqrt2/4, -1},
	},
	6: {
		BT: [][]float64{{1, 0, -5.25, 0, 5.25, 0, -1, 0}, {0, 1, 1, -4.25, -4.25, 1, 1, 0}, {0, -1, 1, 4.25, -4.25, -1, 1, 0},
			{0, .5, .25, -2.5, -1.25, 2, 1, 0}, {0, -.5, .25, 2.5, -1.25, -2, 1, 0}, {0, 2, 4, -2.5, -5, .5, 1, 0}, {0, -2, 4, 2.5, -5, -.5, 1, 0}, {0, -1, 0, 5.25, 0, -5.25, 0, 1}},
		G: [][]float64{{1, 0, 0}, {-2. / 9, -2. / 9, -2. / 9}, {-2. / 9, 2. / 9, -2. / 9}, {1. / 90, 1. / 45, 2. / 45}, {1. / 90, -1. / 45, 2. / 45},
			{1. / 45, 1. / 90, 1. / 180}, {1. / 45, -1. / 90, 1. / 180}, {0, 0, 1}},
		AT: [][]float64{{1, 1, 1, 1, 1, 32, 32, 0}, {0, 1, -1, 2, -2, 16, -16, 0}, {0, 1, 1, 4, 4, 8, 8, 0}, {0, 1, -1, 8, -8, 4, -4, 0}, {0, 1, 1, 16, 16, 2, 2, 0}, {0, 1, -1, 32, -32, 1, -1, 1}},

		Ones: []float64{0, 1, 0, 0, 0, 0, 0, 0},
	},
}

// TransformIn writes Bᵀ·d·B of n tiles of 16 channels, step pixels apart, to out.
// row is the distance between rows of pixels, pos that between positions of a
// tile, both in floats.
func TransformIn(m, step int, in, out []float32, row, pos, n int) {
	run := n
	if step != m { // the kernels read tiles that are m pixels apart
		run = 1
	}
	for t := 0; t < n; t += run {
		done := false
		switch from, to := &in[t*step*16], &out[t*16]; m {
		case 2:
			done = WinogradIn2(from, to, row*4, pos*4, run)
		case 4:
			done = WinogradIn4(from, to, row*4, pos*4, run)
		case 6:
			done = WinogradIn6(from, to, row*4, pos*4, run)
		}
		if !done {
			transformIn(m, step, in[t*step*16:], out[t*16:], row, pos, run)
		}
	}
}

func transformIn(m, step int, in, out []float32, row, pos, n int) {
	side := m + 2
	bt := Winograd[m].BT
	var rows [8][8]float64
	for t := range n {
		for ch := range 16 {
			at := t*step*16 + ch
			for i := range side {
				for x := range side {
					sum := 0.0
					for y := range side {
						sum += bt[i][y] * float64(in[at+y*row+x*16])
					}
					rows[i][x] = sum
				}
			}
			for i := range side {
				for j := range side {
					sum := 0.0
					for x := range side {
						sum += bt[j][x] * rows[i][x]
					}
					out[(i*side+j)*pos+t*16+ch] = float32(sum)
				}
			}
		}
	}
}

// TransformOut writes Aᵀ·x·A of n tiles of 16 channels to rows of pixels, adds
// res unless it is nil, and clamps the results to lo … hi. pos, row and resRow are
// the distances between positions of a tile, rows of out and rows of res, in floats.
func TransformOut(m int, in, out, res []float32, pos, row, resRow, n int, lo, hi float32) {
	a := WinogradOut{In: unsafe.Pointer(&in[0]), Out: unsafe.Pointer(&out[0]), Res: unsafe.Pointer(unsafe.SliceData(res)),
		PosStride: pos * 4, RowStride: row * 4, ResStride: resRow * 4, Tiles: n, Lo: lo, Hi: hi}
	done := false
	switch m {
	case 2:
		done = WinogradOut2(&a)
	case 4:
		done = WinogradOut4(&a)
	case 6:
		done = WinogradOut6(&a)
	}
	if !done {
		transformOut(m, in, out, res, pos, row, resRow, n, lo, hi)
	}
}

func transformOut(m int, in, out, res []float32, pos, row, resRow, n int, lo, hi float32) {
	side := m + 2
	at := Winograd[m].AT
	var rows [8][8]float64
	for t := range n {
		for ch := range 16 {
			for i := range m {
				for x := range side {
					sum := 0.0
					for y := range side {
						sum += at[i][y] * float64(in[(y*side+x)*pos+t*16+ch])
					}
					rows[i][x] = sum
				}
			}
			for i := range m {
				for j := range m {
					sum := 0.0
					for x := range side {
						sum += at[j][x] * rows[i][x]
					}
					px := (t*m+j)*16 + ch
					v := float32(sum)
					if res != nil {
						v += res[i*resRow+px]
					}
					if v < lo {
						v = lo
					}
					if v > hi {
						v = hi
					}
					out[i*row+px] = v
				}
			}
		}
	}
}

// TransformWeights writes G·w·Gᵀ of the filters of n input channels and row/4 output
// channels to dst. It computes in float64 and rounds once. The taps of w are 16·row
// bytes apart and the positions of dst pos bytes; input channels are row bytes apart
// in both. TransformWeights reports whether the tier in use has such a kernel.
func TransformWeights(m int, w, dst []float32, n, row, pos int) bool {
	var g [8][3]float64
	for i, r := range Winograd[m].G {
		copy(g[i][:], r)
	}
	switch m {
	case 2:
		return WinogradWeights2(&w[0], &dst[0], &g[0][0], n, row, pos)
	case 4:
		return WinogradWeights4(&w[0], &dst[0], &g[0][0], n, row, pos)
	case 6:
		return WinogradWeights6(&w[0], &dst[0], &g[0][0], n, row, pos)
	}
	return false
}

// StrassenSums writes S1 = a21+a22, S2 = S1−a11, S3 = a11−a21 and S4 = a12−S2 of n
// pixels of 16 channels to s, stride floats apart.
func StrassenSums(s []float32, stride int, a11, a12, a21, a22 []float32, n int) {
	if Strassen(&s[0], stride*4, &a11[0], &a12[0], &a21[0], &a22[0], n) {
		return
	}
	for i := range n * 16 {
		s1 := a21[i] + a22[i]
		s2 := s1 - a11[i]
		s[i], s[stride+i], s[2*stride+i], s[3*stride+i] = s1, s2, a11[i]-a21[i], a12[i]-s2
	}
}
