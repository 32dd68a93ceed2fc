package plain

import (
	"math"

	"modelc/runtime/kernel"
)

// The modes and borders of [GridSample]. The values are those of ir.ResizeMode and
// ir.SampleBorder.
const (
	sampleNearest = iota
	sampleLinear
	sampleCubic
)

const (
	sampleZeros = iota
	sampleEdge
	sampleReflection
)

// GridSample interpolates Src [N,C,In…] at the coordinates in Grid [N,Out…,len(In)].
// Coordinates run from −1 to 1 over Src. That of the last axis comes first.
type GridSample[T kernel.Number] struct {
	Src, Grid, Dst kernel.Ref
	N, C           int
	In, Out        []int
	Mode, Border   int
	AlignCorners   bool
}

// sampleTaps lists the elements of one axis that a sample reads, at most four, with
// their weights. −1 stands for a zero outside Src.
type sampleTaps struct {
	n      int
	index  [4]int
	weight [4]float64
}

// Check declares the memory of the step.
func (k *GridSample[T]) Check(v *kernel.Verifier) {
	v.Positive("extents", k.N, k.C)
	axes(v, k.In)
	axes(v, k.Out)
	ins, outs := kernel.Product(k.In...), kernel.Product(k.Out...)
	v.Require(len(k.In) == len(k.Out) && ins <= kernel.MaxExtent && outs <= kernel.MaxExtent, "the images are too large, or have different numbers of axes")
	v.Read("Src", k.Src, size[T](), kernel.Product(k.N, k.C, int(ins)))
	v.Read("Grid", k.Grid, size[T](), kernel.Product(k.N, len(k.In), int(outs)))
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.N, k.C, int(outs)))
}

// ScratchBytes is zero.
func (k *GridSample[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *GridSample[T]) Run(c *kernel.Context) {
	n := k.N * product(k.Out)
	c.Do(n, n*k.C*16, k)
}

// Part samples all channels at one position of the grid.
func (k *GridSample[T]) Part(c *kernel.Context, i, worker int) {
	src, dst := kernel.View[T](c, k.Src), kernel.View[T](c, k.Dst)
	r := len(k.In)
	at := kernel.View[T](c, k.Grid)[i*r:][:r]
	var axes [maxAxes]sampleTaps
	taps := 1
	for a := range k.In {
		axes[a] = k.taps(float64(at[r-1-a]), k.In[a])
		taps *= axes[a].n
	}
	ins, outs := product(k.In), product(k.Out)
	n, pos := i/outs, i%outs
	for ch := range k.C {
		plane := src[(n*k.C+ch)*ins:][:ins]
		sum := 0.0
		for t := range taps {
			w, from, rest := 1.0, 0, t
			for a := range r {
				tap := &axes[a]
				j := rest % tap.n
				rest /= tap.n
				if tap.index[j] < 0 {
					w, from = 0, 0
					break
				}
				w *= tap.weight[j]
				from = from*k.In[a] + tap.index[j]
			}
			if w != 0 {
				sum += w * float64(plane[from])
			}
		}
		dst[(n*k.C+ch)*outs+pos] = T(sum)
	}
}

// taps lists the elements along an axis of n that a coordinate reads. Elements outside Src
// are replaced one by one. Their weights are those of the coordinate before it is moved
// inside Src.
func (k *GridSample[T]) taps(at float64, n int) (t sampleTaps) {
	last := float64(n - 1)
	lo, hi := -0.5, last+0.5
	if k.AlignCorners {
		lo, hi = 0, last
	}
	at = lo + (at+1)/2*(hi-lo)
	if k.Mode == sampleNearest {
		at = math.RoundToEven(at)
	}
	at = min(max(at, -1<<30), 1<<30)
	if at != at {
		at = -1 << 30
	}
	first := int(math.Floor(at))
	f := at - math.Floor(at)
	switch k.Mode {
	case sampleNearest:
		t.n, t.weight[0] = 1, 1
	case sampleLinear:
		t.n, t.weight = 2, [4]float64{1 - f, f}
	case sampleCubic:
		first--
		t.n, t.weight = 4, [4]float64{keys(1 + f), keys(f), keys(1 - f), keys(2 - f)}
	}
	for j := range t.n {
		i := first + j
		if i < 0 || i >= n {
			switch k.Border {
			case sampleEdge:
				i = min(max(i, 0), n-1)
			case sampleReflection:
				i = int(mirror(float64(i), lo, hi))
			default:
				i = -1
			}
		}
		t.index[j] = i
	}
	return t
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

// keys is the cubic convolution kernel of Keys (1981) with coefficient −3/4.
func keys(d float64) float64 {
	const a = -0.75
	if d <= 1 {
		return ((a+2)*d-(a+3))*d*d + 1
	}
	return ((a*d-5*a)*d+8*a)*d - 4*a
}
