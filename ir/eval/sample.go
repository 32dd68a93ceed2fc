package eval

import (
	"math"

	"modelc/ir"
)

func init() {
	define(gridSample)
}

// sampleTap is an element along one axis that a sample reads.
type sampleTap struct {
	index  int // −1 for a zero outside x
	weight float64
}

// sampleTaps returns the elements that a sample reads along an axis of n elements. at is a
// coordinate in the grid. Elements outside x are replaced one by one, as in PyTorch and ONNX
// Runtime: their weights are those of the coordinate before it is moved inside x.
func sampleTaps(g ir.GridSample, at float64, n int) []sampleTap {
	last := float64(n - 1)
	lo, hi := -0.5, last+0.5
	if g.AlignCorners {
		lo, hi = 0, last
	}
	at = lo + (at+1)/2*(hi-lo)
	if g.Mode == ir.ResizeNearest {
		at = math.RoundToEven(at)
	}
	at = min(max(at, -1<<30), 1<<30)
	if isNaN(at) {
		at = -1 << 30
	}
	var list []sampleTap
	first, weights := int(math.Floor(at)), []float64{1}
	f := at - math.Floor(at)
	switch g.Mode {
	case ir.ResizeLinear:
		weights = []float64{1 - f, f}
	case ir.ResizeCubic:
		w := keys(-0.75)
		first, weights = first-1, []float64{w(1 + f), w(f), w(1 - f), w(2 - f)}
	}
	for k, w := range weights {
		i := first + k
		if i < 0 || i >= n {
			switch g.Border {
			case ir.SampleEdge:
				i = min(max(i, 0), n-1)
			case ir.SampleReflection:
				i = int(mirror(float64(i), lo, hi))
			default:
				i = -1
			}
		}
		list = append(list, sampleTap{i, w})
	}
	return list
}

// mirror reflects at until it lies between lo and hi.
func mirror(at, lo, hi float64) float64 {
	span := hi - lo
	if span == 0 {
		return lo
	}
	d := math.Mod(math.Abs(at-lo), 2*span)
	return lo + min(d, 2*span-d)
}

func gridSample(g ir.GridSample, a call) ([]*ir.Tensor, error) {
	x, t := a.in[0], a.out[0]
	v, at := x.Float64s(), a.in[ir.GridSampleGrid].Float64s()
	in, out := x.Shape[2:], t.Shape[2:]
	r, ins, outs, c := len(in), in.Len(), out.Len(), x.Shape[1]
	y := make([]float64, t.Shape.Len())
	st := in.Strides()
	parallel(x.Shape[0]*outs, func(i int) {
		n, pos := i/outs, i%outs
		axes := make([][]sampleTap, r)
		for a := range axes {
			axes[a] = sampleTaps(g, at[i*r+r-1-a], in[a])
		}
		for ch := range c {
			plane := v[(n*c+ch)*ins:][:ins]
			var sum func(a, from int) float64
			sum = func(a, from int) float64 {
				if a == r {
					return plane[from]
				}
				s := 0.0
				for _, tap := range axes[a] {
					if tap.index >= 0 {
						s += tap.weight * sum(a+1, from+tap.index*st[a])
					}
				}
				return s
			}
			y[(n*c+ch)*outs+pos] = sum(0, 0)
		}
	})
	return a.floats(y)
}
