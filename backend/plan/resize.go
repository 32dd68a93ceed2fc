package plan

import (
	"math"

	"modelc/ir"
)

// ResizeTable returns the interpolation along one axis of an operand with in
// elements on that axis. Each position of the result is a weighted sum of taps
// elements: index has their positions and weight their weights, taps of each for
// every position. The table follows the definition of ONNX Resize.
func ResizeTable(r ir.Resize, axis, in int) (taps int, index []int32, weight []float32) {
	out := r.Shape[axis]
	scale := r.Scales[axis]
	for x := range out {
		at, inside := r.Source(axis, x, in)
		var first int
		var w []float64
		switch r.Mode {
		case ir.ResizeNearest:
			first, w = nearest(r.Nearest, at), []float64{1}
		case ir.ResizeLinear:
			first, w = filter(at, scale, r.Antialias, 1, func(d float64) float64 { return max(0, 1-math.Abs(d)) })
		case ir.ResizeCubic:
			first, w = filter(at, scale, r.Antialias, 2, func(d float64) float64 { return cubic(d, r.CubicA) })
		}
		if r.ExcludeOutside {
			excludeOutside(w, first, in)
		}
		if !inside {
			clear(w)
		}
		taps = len(w)
		for k, v := range w {
			index = append(index, int32(min(max(first+k, 0), in-1)))
			weight = append(weight, float32(v))
		}
	}
	return taps, index, weight
}

func nearest(m ir.NearestMode, at float64) int {
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

// filter samples the kernel f of the given radius around at. It returns the
// position of the first sample and the samples. If antialias is set, it widens
// the kernel by 1/scale for scales below 1, and normalises the samples.
func filter(at, scale float64, antialias bool, radius int, f func(float64) float64) (first int, w []float64) {
	// A coordinate on an element counts as the right end of its interval.
	base := int(math.Ceil(at)) - 1
	ratio := at - float64(base)
	start, s := 1-radius, 1.0
	if antialias {
		s = min(scale, 1)
		start = int(math.Floor(-float64(radius)/s)) + 1
	}
	sum := 0.0
	for i := start; i < 2-start; i++ {
		v := f((float64(i) - ratio) * s)
		w = append(w, v)
		sum += v
	}
	if antialias {
		for i := range w {
			w[i] /= sum
		}
	}
	return base + start, w
}

// cubic is Keys' kernel with coefficient a.
func cubic(d, a float64) float64 {
	d = math.Abs(d)
	switch {
	case d <= 1:
		return ((a+2)*d-(a+3))*d*d + 1
	case d < 2:
		return ((a*d-5*a)*d+8*a)*d - 4*a
	}
	return 0
}

func excludeOutside(w []float64, first, in int) {
	sum := 0.0
	for k := range w {
		if first+k < 0 || first+k >= in {
			w[k] = 0
		}
		sum += w[k]
	}
	for k := range w {
		w[k] /= sum
	}
}
