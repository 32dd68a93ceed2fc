package eval

import (
	"math"
	"slices"

	"modelc/ir"
)

func batchNorm(b ir.BatchNorm, in []*ir.Tensor) []float64 {
	x := in[0].Float64s()
	gamma, beta, mean, variance := in[1].Float64s(), in[2].Float64s(), in[3].Float64s(), in[4].Float64s()
	inner := in[0].Shape[2:].Len()
	for i, v := range x {
		c := i / inner % len(gamma)
		x[i] = (v-mean[c])/math.Sqrt(variance[c]+b.Epsilon)*gamma[c] + beta[c]
	}
	return x
}

func affine(a ir.Affine, arg func(int) *ir.Tensor) []float64 {
	return prologue(arg(0), arg(1), arg(2), a.Epilogue)
}

func lrn(l ir.LRN, t *ir.Tensor) []float64 {
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
	return y
}

// groups splits the positions of a shape by the coordinates outside axes: for
// each group the flat positions of its elements, in order.
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
		return nil // however many elements a group would have
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

func normalize(nm ir.Normalize, t, scale, bias *ir.Tensor) []float64 {
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
	apply(scale, func(v, k float64) float64 { return v * k })
	apply(bias, func(v, k float64) float64 { return v + k })
	return y
}

func softmax(s ir.Softmax, t *ir.Tensor) []float64 {
	x := t.Float64s()
	for _, g := range groups(t.Shape, s.Axes) {
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
	return x
}

func reduce(r ir.Reduce, t ir.Type, x *ir.Tensor) *ir.Tensor {
	gs := groups(x.Shape, r.Axes)
	if x.DType.IsInt() {
		if v, ok := reduceInts(r.Fn, x.Int64s(), gs); ok {
			return fromInts(t, v)
		}
	}
	v := x.Float64s()
	out := make([]float64, len(gs))
	for k, g := range gs {
		out[k] = fold(r.Fn, v, g)
	}
	return ir.FromFloat64s(t, out)
}

func reduceInts(f ir.ReduceFn, v []int64, gs [][]int) ([]int64, bool) {
	out := make([]int64, len(gs))
	for k, g := range gs {
		if f == ir.ReduceProd {
			out[k] = 1
		}
		for i, p := range g {
			x := v[p]
			switch f {
			case ir.ReduceSum, ir.ReduceMean:
				out[k] += x
			case ir.ReduceMax:
				if i == 0 || x > out[k] {
					out[k] = x
				}
			case ir.ReduceMin:
				if i == 0 || x < out[k] {
					out[k] = x
				}
			case ir.ReduceProd:
				out[k] *= x
			case ir.ReduceL1:
				out[k] += max(x, -x)
			case ir.ReduceSumSquare:
				out[k] += x * x
			default:
				return nil, false
			}
		}
		if f == ir.ReduceMean && len(g) > 0 {
			out[k] /= int64(len(g))
		}
	}
	return out, true
}

func fold(f ir.ReduceFn, v []float64, g []int) float64 {
	acc, shift := 0.0, 0.0
	switch f {
	case ir.ReduceProd:
		acc = 1
	case ir.ReduceMax:
		acc = math.Inf(-1)
	case ir.ReduceMin:
		acc = math.Inf(1)
	case ir.ReduceLogSumExp:
		shift = math.Inf(-1)
		for _, i := range g {
			shift = math.Max(shift, v[i])
		}
		if math.IsInf(shift, 0) {
			shift = 0
		}
	}
	for _, i := range g {
		x := v[i]
		switch f {
		case ir.ReduceMax:
			acc = math.Max(acc, x)
		case ir.ReduceMin:
			acc = math.Min(acc, x)
		case ir.ReduceProd:
			acc *= x
		case ir.ReduceL1:
			acc += math.Abs(x)
		case ir.ReduceL2, ir.ReduceSumSquare:
			acc += x * x
		case ir.ReduceLogSumExp:
			acc += math.Exp(x - shift)
		default:
			acc += x
		}
	}
	switch f {
	case ir.ReduceMean:
		return acc / float64(len(g))
	case ir.ReduceL2:
		return math.Sqrt(acc)
	case ir.ReduceLogSum:
		return math.Log(acc)
	case ir.ReduceLogSumExp:
		return math.Log(acc) + shift
	}
	return acc
}

func argReduce(a ir.ArgReduce, t ir.Type, x *ir.Tensor) *ir.Tensor {
	v := x.Float64s()
	var out []int64
	for _, g := range groups(x.Shape, []int{a.Axis}) {
		best := 0
		for i, p := range g {
			s, b := v[p], v[g[best]]
			if s == b && a.Last || a.Min && s < b || !a.Min && s > b || isNaN(s) && !isNaN(b) {
				best = i
			}
		}
		out = append(out, int64(best))
	}
	return ir.TensorOf(t.Shape, out...)
}
