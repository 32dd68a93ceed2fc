package eval

import (
	"math"

	"modelc/ir"
)

// coordinates sets at to the coordinates of the element at a flat position.
func coordinates(pos int, shape ir.Shape, at []int) {
	for i := len(shape) - 1; i >= 0; i-- {
		at[i] = pos % shape[i]
		pos /= shape[i]
	}
}

// broadcastIndex returns the flat position in a tensor of shape s that the
// coordinates at of a larger shape read.
func broadcastIndex(s ir.Shape, at []int) int {
	pos := 0
	off := len(at) - len(s)
	for i, d := range s {
		x := at[off+i]
		if d == 1 {
			x = 0
		}
		pos = pos*d + x
	}
	return pos
}

func broadcast2(shape ir.Shape, a, b *ir.Tensor, f func(x, y float64) float64) []float64 {
	x, y := a.Float64s(), b.Float64s()
	out := make([]float64, shape.Len())
	if a.Shape.Equal(b.Shape) {
		for i := range out {
			out[i] = f(x[i], y[i])
		}
		return out
	}
	at := make([]int, len(shape))
	for i := range out {
		coordinates(i, shape, at)
		out[i] = f(x[broadcastIndex(a.Shape, at)], y[broadcastIndex(b.Shape, at)])
	}
	return out
}

func isNaN(x float64) bool { return math.IsNaN(x) }
