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
	x := c.in[0]
	gamma, beta := c.in[ir.BatchNormScale].Float64s(), c.in[ir.BatchNormBias].Float64s()
	mean, variance := c.in[ir.BatchNormMean].Float64s(), c.in[ir.BatchNormVar].Float64s()
	inner := c.in[0].Shape[2:].Len()
	return c.each(func(lo, hi int) []float64 {
		x := part(x, lo, hi)
		for i, v := range x {
			ch := (lo + i) / inner % len(gamma)
			x[i] = (v-mean[ch])/math.Sqrt(variance[ch]+b.Epsilon)*gamma[ch] + beta[ch]
		}
		return x
	})
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
	bases, inner := strided(shape, axes)
	var list [][]int
	for _, base := range bases {
		g := make([]int, len(inner))
		for i, o := range inner {
			g[i] = base + o
		}
		list = append(list, g)
	}
	return list
}

// strided is like groups. The positions of a group are the sums of its base and each of the
// offsets.
func strided(shape ir.Shape, axes []int) (bases, inner []int) {
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
		return nil, nil // no groups; their number of elements does not matter
	}
	return offsets(keep, ks), offsets(red, rs)
}

func normalize(nm ir.Normalize, c call) ([]*ir.Tensor, error) {
	t := c.in[0]
	out := ir.NewTensor(c.out[0])
	x, set := reader(t), writer(out)
	bases, inner := strided(t.Shape, nm.Axes)
	means, deviations := make([]float64, len(bases)), make([]float64, len(bases))
	parallel(len(bases), func(k int) {
		mean, variance := 0.0, 0.0
		for _, i := range inner {
			mean += x(bases[k] + i)
		}
		mean /= float64(len(inner))
		for _, i := range inner {
			d := x(bases[k]+i) - mean
			variance += d * d
		}
		means[k], deviations[k] = mean, math.Sqrt(variance/float64(len(inner))+nm.Epsilon)
	})
	scale, bias := factor(c.arg(ir.NormalizeScale), 1), factor(c.arg(ir.NormalizeBias), 0)
	walk(t.Shape, func(i int, at []int) {
		k := 0 // the group: its coordinates are those outside the axes
		for a, p := range at {
			if !slices.Contains(nm.Axes, a) {
				k = k*t.Shape[a] + p
			}
		}
		set(i, (x(i)-means[k])/deviations[k]*scale(at)+bias(at))
	})
	return one(out)
}

func softmax(s ir.Softmax, c call) ([]*ir.Tensor, error) {
	out := ir.NewTensor(c.out[0])
	x, set := reader(c.in[0]), writer(out)
	bases, inner := strided(c.in[0].Shape, s.Axes)
	parallel(len(bases), func(k int) {
		top, sum := math.Inf(-1), 0.0
		for _, i := range inner {
			top = math.Max(top, x(bases[k]+i))
		}
		for _, i := range inner {
			sum += math.Exp(x(bases[k]+i) - top)
		}
		for _, i := range inner {
			i += bases[k]
			if s.Log {
				set(i, x(i)-top-math.Log(sum))
			} else {
				set(i, math.Exp(x(i)-top)/sum)
			}
		}
	})
	return one(out)
}
