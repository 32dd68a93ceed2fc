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
	x := t.Float64s()
	shape := append(ir.Shape{}, t.Shape...)
	for a := range shape {
		if r.Keeps(a, shape[a]) {
			continue
		}
		next := append(ir.Shape{}, shape...)
		next[a] = r.Shape[a]
		y := make([]float64, next.Len())
		inner := shape[a+1:].Len()
		for o := range shape[:a].Len() {
			for i := range inner {
				line := func(k int) float64 { return x[(o*shape[a]+min(max(k, 0), shape[a]-1))*inner+i] }
				for p := range next[a] {
					y[(o*next[a]+p)*inner+i] = interpolate(r, a, shape[a], p, line)
				}
			}
		}
		x, shape = y, next
	}
	return c.floats(x)
}

// interpolate returns element p of a resized line of n elements. line must repeat the outer
// elements beyond its ends.
func interpolate(r ir.Resize, axis, n, p int, line func(int) float64) float64 {
	at, inside := r.Source(axis, p, n)
	if !inside {
		return 0
	}
	radius, f := 1, func(d float64) float64 { return max(0, 1-math.Abs(d)) }
	switch r.Mode {
	case ir.ResizeNearest:
		return line(roundTo(r.Nearest, at))
	case ir.ResizeCubic:
		radius, f = 2, keys(r.CubicA)
	}
	s := 1.0
	if r.Antialias {
		s = min(r.Scales[axis], 1)
	}
	// Sum the elements within the scaled radius around the coordinate.
	sum, weights := 0.0, 0.0
	for k := int(math.Floor(at - float64(radius)/s)); k <= int(math.Ceil(at+float64(radius)/s)); k++ {
		w := f((float64(k) - at) * s)
		if r.ExcludeOutside && (k < 0 || k >= n) {
			w = 0
		}
		weights += w
		sum += w * line(k)
	}
	if r.Antialias || r.ExcludeOutside {
		sum /= weights
	}
	return sum
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
