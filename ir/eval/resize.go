package eval

import (
	"math"

	"modelc/ir"
)

func init() {
	define(resize)
}

// resize interpolates one axis after the other.
func resize(r ir.Resize, c call) ([]*ir.Tensor, error) {
	t := c.in[0]
	if c.out[0].Shape.Len() == 0 {
		return c.floats(nil) // between the axes there may be elements, of nothing
	}
	shape := append(ir.Shape{}, t.Shape...)
	var axes []int
	for a := range shape {
		if !r.Keeps(a, shape[a]) {
			axes = append(axes, a)
		}
	}
	if len(axes) == 0 {
		return one(t)
	}
	get := reader(t)
	var y *ir.Tensor
	for k, a := range axes {
		next := append(ir.Shape{}, shape...)
		next[a] = r.Shape[a]
		// Values between the axes are float64.
		y = ir.NewTensor(ir.Type{DType: ir.Float64, Shape: next})
		if k == len(axes)-1 {
			y = ir.NewTensor(c.out[0])
		}
		lines := make([]line, next[a])
		for p := range lines {
			lines[p] = newLine(r, a, shape[a], p)
		}
		set, inner, extent := writer(y), shape[a+1:].Len(), shape[a]
		parallel(next[:a+1].Len(), func(row int) {
			o, l := row/next[a], lines[row%next[a]]
			for i := range inner {
				sum := 0.0
				for k, at := range l.index {
					if x := l.weight[k] * get((o*extent+at)*inner+i); k == 0 {
						sum = x // zero would change the sign of a negative zero
					} else {
						sum += x
					}
				}
				set(row*inner+i, sum/l.divisor)
			}
		})
		get, shape = reader(y), next
	}
	return one(y)
}

// line holds the elements along an axis that an element of the result reads. Its value is the
// sum of their products with the weights, divided by divisor.
type line struct {
	index   []int
	weight  []float64
	divisor float64
}

// newLine returns the line of element p along an axis of n elements. The outer elements repeat
// beyond the ends of the axis.
func newLine(r ir.Resize, axis, n, p int) line {
	l := line{divisor: 1}
	at, inside := r.Source(axis, p, n)
	if !inside {
		return l
	}
	add := func(k int, w float64) {
		l.index, l.weight = append(l.index, min(max(k, 0), n-1)), append(l.weight, w)
	}
	radius, f := 1, func(d float64) float64 { return max(0, 1-math.Abs(d)) }
	switch r.Mode {
	case ir.ResizeNearest:
		add(roundTo(r.Nearest, at), 1)
		return l
	case ir.ResizeCubic:
		radius, f = 2, keys(r.CubicA)
	}
	s := 1.0
	if r.Antialias {
		s = min(r.Scales[axis], 1)
	}
	// Sum the elements within the scaled radius around the coordinate.
	weights := 0.0
	for k := int(math.Floor(at - float64(radius)/s)); k <= int(math.Ceil(at+float64(radius)/s)); k++ {
		w := f((float64(k) - at) * s)
		if r.ExcludeOutside && (k < 0 || k >= n) {
			w = 0
		}
		weights += w
		add(k, w)
	}
	if r.Antialias || r.ExcludeOutside {
		l.divisor = weights
	}
	return l
}

func roundTo(m ir.NearestMode, at float64) int {
	switch m {
	case ir.RoundPreferCeil:
		return int(math.Floor(at + 0.5))
	case ir.RoundFloor:
		return int(math.Floor(at))
	case ir.RoundCeil:
		return int(math.Ceil(at))
	}
	return int(math.Ceil(at - 0.5))
}

// keys is the cubic convolution kernel of Keys (1981) with coefficient a.
func keys(a float64) func(float64) float64 {
	return func(d float64) float64 {
		d = math.Abs(d)
		switch {
		case d <= 1:
			return (a+2)*d*d*d - (a+3)*d*d + 1
		case d < 2:
			return a*d*d*d - 5*a*d*d + 8*a*d - 4*a
		}
		return 0
	}
}
