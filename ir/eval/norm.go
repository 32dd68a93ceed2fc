package eval

import (
	"math"
	"slices"

	"modelc/ir"
)

func init() {
	define(batchNorm)
	define(affine)
	define(lrn)
	define(normalize)
	define(softmax)
}

func batchNorm(b ir.BatchNorm, c call) ([]*ir.Tensor, error) {
	x := c.in[0].Float64s()
	gamma, beta := c.in[ir.BatchNormScale].Float64s(), c.in[ir.BatchNormBias].Float64s()
	mean, variance := c.in[ir.BatchNormMean].Float64s(), c.in[ir.BatchNormVar].Float64s()
	inner := c.in[0].Shape[2:].Len()
	for i, v := range x {
		ch := i / inner % len(gamma)
		x[i] = (v-mean[ch])/math.Sqrt(variance[ch]+b.Epsilon)*gamma[ch] + beta[ch]
	}
	return c.floats(x)
}

func affine(a ir.Affine, c call) ([]*ir.Tensor, error) {
	return c.floats(prologue(c.in[0], c.in[ir.AffineScale], c.in[ir.AffineShift], a.Epilogue))
}

func lrn(l ir.LRN, a call) ([]*ir.Tensor, error) {
	t := a.in[0]
	x := t.Float64s()
	c, inner := t.Shape[1], t.Shape[2:].Len()
	y := make([]float64, len(x))
	below := (l.Size - 1) / 2
	for i := range x {
		ch := i / inner % c
		sum := 0.0
		for j := max(0, ch-below); j <= min(c-1, ch-below+l.Size-1); j++ {
			v := x[i+(j-ch)*inner]
			sum += v * v
		}
		y[i] = x[i] / math.Pow(l.Bias+l.Alpha/float64(l.Size)*sum, l.Beta)
	}
	return a.floats(y)
}

// groups splits the elements of a shape by their coordinates outside axes. It
// returns the flat positions of each group, in order.
func groups(shape ir.Shape, axes []int) [][]int {
	var keep, red ir.Shape
	st := shape.Strides()
	var ks, rs []int
	for i, d := range shape {
		if slices.Contains(axes, i) {
			red, rs = append(red, d), append(rs, st[i])
		} else {
			keep, ks = append(keep, d), append(ks, st[i])
		}
	}
	offsets := func(s ir.Shape, st []int) []int {
		out := make([]int, s.Len())
		at := make([]int, len(s))
		for i := range out {
			coordinates(i, s, at)
			for a, x := range at {
				out[i] += x * st[a]
			}
		}
		return out
	}
	if keep.Len() == 0 {
		return nil // no groups; their number of elements does not matter
	}
	inner := offsets(red, rs)
	var list [][]int
	for _, base := range offsets(keep, ks) {
		g := make([]int, len(inner))
		for i, o := range inner {
			g[i] = base + o
		}
		list = append(list, g)
	}
	return list
}

func normalize(nm ir.Normalize, c call) ([]*ir.Tensor, error) {
	t := c.in[0]
	x := t.Float64s()
	y := make([]float64, len(x))
	for _, g := range groups(t.Shape, nm.Axes) {
		mean, variance := 0.0, 0.0
		for _, i := range g {
			mean += x[i]
		}
		mean /= float64(len(g))
		for _, i := range g {
			variance += (x[i] - mean) * (x[i] - mean)
		}
		s := math.Sqrt(variance/float64(len(g)) + nm.Epsilon)
		for _, i := range g {
			y[i] = (x[i] - mean) / s
		}
	}
	at := make([]int, len(t.Shape))
	apply := func(p *ir.Tensor, f func(v, k float64) float64) {
		if p == nil {
			return
		}
		k := p.Float64s()
		for i := range y {
			coordinates(i, t.Shape, at)
			y[i] = f(y[i], k[broadcastIndex(p.Shape, at)])
		}
	}
	apply(c.arg(ir.NormalizeScale), func(v, k float64) float64 { return v * k })
	apply(c.arg(ir.NormalizeBias), func(v, k float64) float64 { return v + k })
	return c.floats(y)
}

func softmax(s ir.Softmax, c call) ([]*ir.Tensor, error) {
	x := c.in[0].Float64s()
	for _, g := range groups(c.in[0].Shape, s.Axes) {
		top, sum := math.Inf(-1), 0.0
		for _, i := range g {
			top = math.Max(top, x[i])
		}
		for _, i := range g {
			sum += math.Exp(x[i] - top)
		}
		for _, i := range g {
			if s.Log {
				x[i] = x[i] - top - math.Log(sum)
			} else {
				x[i] = math.Exp(x[i]-top) / sum
			}
		}
	}
	return c.floats(x)
}
