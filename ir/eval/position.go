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

// walk calls f with every flat position in a shape and its coordinates, on all processors.
func walk(shape ir.Shape, f func(i int, at []int)) {
	ranges(shape.Len(), func(lo, hi int) {
		at := make([]int, len(shape))
		coordinates(lo, shape, at)
		for i := lo; i < hi; i++ {
			f(i, at)
			for a := len(at) - 1; a >= 0; a-- {
				if at[a]++; at[a] < shape[a] {
					break
				}
				at[a] = 0
			}
		}
	})
}

// factor returns a function that returns the element of t, which broadcasts, at coordinates. An
// absent t stands for a number.
func factor(t *ir.Tensor, absent float64) func(at []int) float64 {
	if t == nil {
		return func([]int) float64 { return absent }
	}
	x := reader(t)
	if t.Shape.Len() == 1 {
		only := x(0)
		return func([]int) float64 { return only }
	}
	return func(at []int) float64 { return x(broadcastIndex(t.Shape, at)) }
}

// broadcast2 returns f of the elements of a and b, which broadcast to the result.
func (c call) broadcast2(a, b *ir.Tensor, f func(x, y float64) float64) ([]*ir.Tensor, error) {
	if a.Shape.Equal(b.Shape) {
		return c.each(func(lo, hi int) []float64 {
			x, y := part(a, lo, hi), part(b, lo, hi)
			for i := range x {
				x[i] = f(x[i], y[i])
			}
			return x
		})
	}
	out := ir.NewTensor(c.out[0])
	x, y, set := factor(a, 0), factor(b, 0), writer(out)
	walk(out.Shape, func(i int, at []int) { set(i, f(x(at), y(at))) })
	return one(out)
}

func isNaN(x float64) bool { return math.IsNaN(x) }
