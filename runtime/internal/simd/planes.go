package simd

import "unsafe"

// PlaneChannels is the maximum number of output channels of [Tile.Planes].
const PlaneChannels = 6

// PlanePitch returns n pixels rounded up to whole tiles of planes.
func PlanePitch(n int) int { return (n + 15) &^ 15 }

// Planes convolves one plane of input with a.Rows × a.Run adjacent taps. Its vectors hold
// pixels. It computes a.Lines lines of pitch pixels for the given number of output
// channels, in planes a.OutBlock bytes apart. Lines of the input are a.InLine bytes apart,
// those of the result a.OutLine. A tap has weights for 16 output channels. Planes reads
// pitch + a.Run − 1 values of each line.
func (a *Tile) Planes(channels, pitch int) {
	a.Pixels, a.Blocks = channels, pitch/16
	if !Planes(a) {
		a.planes(pitch)
	}
}

// planes is the micro-kernel in Go.
func (a *Tile) planes(pitch int) {
	bias := unsafe.Slice((*float32)(a.Bias), a.Pixels)
	for line := range a.Lines {
		for o, sum := range bias {
			out := unsafe.Slice((*float32)(unsafe.Add(a.Out, o*a.OutBlock+line*a.OutLine)), pitch)
			for x := range out {
				out[x] = sum
			}
			for tap := range a.Rows * a.Run {
				w := *(*float32)(unsafe.Add(a.W, tap*64+4*o))
				in := unsafe.Slice((*float32)(unsafe.Add(a.In, line*a.InLine+tap/a.Run*a.RowStride+tap%a.Run*4)), pitch)
				for x, v := range in {
					out[x] += v * w
				}
			}
			for x, v := range out {
				out[x] = min(max(v, a.Lo), a.Hi)
			}
		}
	}
}

// PoolPlanes computes a.Lines lines of the maxima, or else the averages, of 2×2 pixels of
// planes a.BlockStride bytes apart. a.Cols, at least 8, is the number of pixels of a line
// of the result, which have 16 channels. Lines of windows are a.InLine bytes apart, the
// rows of a window a.RowStride, and lines of the result a.OutLine.
func (a *Tile) PoolPlanes(maximum bool, channels int) {
	a.Pixels, a.W = channels, unsafe.Pointer(&quarter)
	if maximum && PoolMaxPlanes(a) || !maximum && PoolSumPlanes(a) {
		return
	}
	a.poolPlanes(maximum)
}

var quarter float32 = 0.25

// poolPlanes is the micro-kernel in Go.
func (a *Tile) poolPlanes(maximum bool) {
	for line := range a.Lines {
		for x := range a.Cols {
			out := (*[16]float32)(unsafe.Add(a.Out, line*a.OutLine+x*64))
			*out = [16]float32{}
			for o := range a.Pixels {
				in := unsafe.Add(a.In, o*a.BlockStride+line*a.InLine+x*8)
				p, q := (*[2]float32)(in), (*[2]float32)(unsafe.Add(in, a.RowStride))
				if out[o] = max(p[0], p[1], q[0], q[1]); !maximum {
					out[o] = (p[0] + p[1] + q[0] + q[1]) * quarter
				}
			}
		}
	}
}

// RowsIn transforms the first 8 channels of six rows of a.Cols pixels, a.RowStride bytes
// apart, to the six positions of F(2,5), a.OutBlock bytes apart. The tier must have
// NarrowPixels.
func (a *Tile) RowsIn() {
	if !RowsIn(a) {
		a.rowsIn()
	}
}

// rowsIn is the micro-kernel in Go.
func (a *Tile) rowsIn() {
	for i := range a.Cols * 8 {
		var x [6]float32
		for r := range x {
			x[r] = *(*float32)(unsafe.Add(a.In, i/8*64+i%8*4+r*a.RowStride))
		}
		even, odd := x[4]-4*x[2], x[3]-4*x[1]
		for p, v := range [6]float32{4*x[0] - 5*x[2] + x[4], even + odd, even - odd, x[4] - x[2] + 2*(x[3]-x[1]), x[4] - x[2] - 2*(x[3]-x[1]), 4*x[1] - 5*x[3] + x[5]} {
			*(*float32)(unsafe.Add(a.Out, i*4+p*a.OutBlock)) = v
		}
	}
}

// RowsOut transforms the six positions of a.Cols pixels of F(2,5), a.BlockStride bytes
// apart, to two rows, a.OutLine bytes apart.
func (a *Tile) RowsOut() {
	if !RowsOut(a) {
		a.rowsOut()
	}
}

// rowsOut is the micro-kernel in Go.
func (a *Tile) rowsOut() {
	for i := range a.Cols * 16 {
		var m [6]float32
		for p := range m {
			m[p] = *(*float32)(unsafe.Add(a.In, i*4+p*a.BlockStride))
		}
		for y, v := range [2]float32{m[0] + m[1] + m[2] + m[3] + m[4], m[5] + m[1] - m[2] + 2*(m[3]-m[4])} {
			*(*float32)(unsafe.Add(a.Out, i*4+y*a.OutLine)) = min(max(v, a.Lo), a.Hi)
		}
	}
}
