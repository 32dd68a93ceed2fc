package simd

import "unsafe"

// The transforms of the exact F(4×4,3×3) on integers. They use the points 0, ±1, ±2 and ∞
// (Lavin & Gray 2015), with the rows of the weights' transform G scaled to integers, so
// that the result is 576 times the sum. Transformed bytes are at most 17,340 in magnitude,
// transformed weights at most 18,432, so 16 bits hold both. Everything after that is
// computed modulo 2³².

// intInput returns Bᵀ·d. The rows of Bᵀ are (4,0,−5,0,1,0), (0,−4,−4,1,1,0),
// (0,4,−4,−1,1,0), (0,−2,−1,2,1,0), (0,2,−1,−2,1,0) and (0,4,0,−5,0,1).
func intInput(d [6]int32) [6]int32 {
	a, b := d[4]-4*d[2], d[3]-4*d[1]
	e, f := d[4]-d[2], 2*(d[3]-d[1])
	return [6]int32{4*d[0] - d[2] + a, a + b, a - b, e + f, e - f, d[5] - 4*d[3] - b}
}

// intOutput returns Aᵀ·m. The rows of Aᵀ are (1,1,1,1,1,0), (0,1,−1,2,−2,0),
// (0,1,1,4,4,0) and (0,1,−1,8,−8,2): the scale of G's last row doubles the last column.
func intOutput(m [6]int32) [4]int32 {
	a, b, e, f := m[1]+m[2], m[1]-m[2], m[3]+m[4], m[3]-m[4]
	return [4]int32{m[0] + a + e, b + 2*f, a + 4*e, b + 8*f + 2*m[5]}
}

// inverse9 is the inverse of 9 modulo 2³². 576 = 9·2⁶.
const inverse9 = 954437177

// IntTransformIn writes Bᵀ·d·B of n tiles of 6×6 pixels, 4 pixels apart, to 36 positions
// of 16 words each. in points to bytes, 16 channels a pixel, in rows that are row bytes
// apart. Positions are pos bytes apart, and tiles 32 bytes. scratch has 6·(4n+2)·16 words.
func IntTransformIn(in *uint8, out *int16, row, pos, n int, scratch *int16) {
	if !IntTilesIn(in, out, row, pos, n, scratch) {
		intTransformIn(unsafe.Pointer(in), unsafe.Pointer(out), row, pos, n)
	}
}

// intTransformIn is the input transform in Go.
func intTransformIn(in, out unsafe.Pointer, row, pos, n int) {
	for t := range n {
		for c := range 16 {
			var m [6][6]int32 // the transformed columns
			for j := range 6 {
				var d [6]int32
				for i := range d {
					d[i] = int32(*(*uint8)(unsafe.Add(in, i*row+(t*4+j)*16+c)))
				}
				for i, v := range intInput(d) {
					m[i][j] = v
				}
			}
			for i := range m {
				for j, v := range intInput(m[i]) {
					*(*int16)(unsafe.Add(out, (i*6+j)*pos+t*32+c*2)) = int16(v)
				}
			}
		}
	}
}

// IntTransformOut holds the arguments of an output transform. Strides are in bytes. Start,
// Multiplier, Zero, Lo and Hi are as in [IntTile], for 16 channels.
type IntTransformOut struct {
	In, Out           unsafe.Pointer // products [position][tile][16] of int32, and 4×4 pixels of each tile
	Start, Multiplier unsafe.Pointer
	PosStride         int // from one position of a tile to the next
	RowStride         int // between rows of pixels
	Tiles             int
	Zero              int16
	Lo, Hi            uint8
}

// Compute transforms the tiles.
func (a *IntTransformOut) Compute() {
	if !IntTilesOut(a) {
		a.compute()
	}
}

// compute is the output transform in Go.
func (a *IntTransformOut) compute() {
	start := (*[16]int32)(a.Start)
	for t := range a.Tiles {
		var sums [4][4][16]int32
		for c := range 16 {
			var rows [4][6]int32
			for j := range 6 {
				var m [6]int32
				for i := range m {
					m[i] = *(*int32)(unsafe.Add(a.In, (i*6+j)*a.PosStride+t*64+c*4))
				}
				for y, v := range intOutput(m) {
					rows[y][j] = v
				}
			}
			for y := range rows {
				for x, v := range intOutput(rows[y]) {
					sums[y][x][c] = v*int32(inverse9)>>6 + start[c]
				}
			}
		}
		f := IntTile{Multiplier: a.Multiplier, Zero: a.Zero, Lo: a.Lo, Hi: a.Hi}
		for y := range 4 {
			for x := range 4 {
				pixel := 16
				if a.Multiplier == nil {
					pixel = 64
				}
				f.Out = unsafe.Add(a.Out, y*a.RowStride+t*4*pixel)
				f.finish(x, sums[y][x][:])
			}
		}
	}
}

// IntTransformWeights writes G·g·Gᵀ of the filters s8 [9][4][width][4] of 16 input
// channels to positions s16 [8][width][2], pitch words apart. It is 576 times that of the
// usual G.
func IntTransformWeights(w []int8, dst []int16, width, pitch int) {
	if !IntFilters(&w[0], &dst[0], width, 2*pitch) {
		intTransformWeights(w, dst, width, pitch)
	}
}

// intTransformWeights is the transform of weights in Go.
func intTransformWeights(w []int8, dst []int16, width, pitch int) {
	for c := range 16 {
		for o := range width {
			from, to := (c/4*width+o)*4+c%4, (c/2*width+o)*2+c%2
			var columns [6][3]int16
			for x := range 3 {
				var g [3]int16
				for y := range g {
					g[y] = int16(w[(y*3+x)*16*width+from])
				}
				for i, v := range intFilter(g) {
					columns[i][x] = v
				}
			}
			for i := range columns {
				for j, v := range intFilter(columns[i]) {
					dst[(i*6+j)*pitch+to] = v
				}
			}
		}
	}
}

// intFilter returns G·g. The rows of G are (6,0,0), (−4,−4,−4), (−4,4,−4), (1,2,4),
// (1,−2,4) and (0,0,12).
func intFilter(g [3]int16) [6]int16 {
	a, b := g[0]+g[2], g[0]+4*g[2]
	return [6]int16{6 * g[0], -4 * (a + g[1]), 4 * (g[1] - a), b + 2*g[1], b - 2*g[1], 12 * g[2]}
}
