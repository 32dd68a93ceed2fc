package simd

import "unsafe"

// PlaneChannels is the maximum number of output channels of [Tile.Planes].
const PlaneChannels = 6

// PlanePitch returns n pixels rounded up to whole tiles of planes of any tier.
func PlanePitch(n int) int { return (n + 31) &^ 31 }

// Planes convolves one plane of input with a.Rows × a.Run adjacent taps. Its vectors hold
// pixels. It computes a.Lines lines of pitch pixels for the given number of output
// channels, in planes a.OutBlock bytes apart. Lines of the input are a.InLine bytes apart,
// those of the result a.OutLine. A tap has weights for 16 output channels. Planes reads
// pitch + a.Run − 1 values of each line.
func (a *Tile) Planes(channels, pitch int) {
	a.Pixels, a.Blocks = channels, pitch/(2*max(1, active.Lanes))
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
