package eval

import (
	"math"

	"modelc/ir"
)

func init() {
	define(reduce)
	define(argReduce)
}

func reduce(r ir.Reduce, c call) ([]*ir.Tensor, error) {
	x := c.in[0]
	if x.DType.IsInt() {
		if v, ok := reduceInts(r.Fn, x.Int64s(), groups(x.Shape, r.Axes)); ok {
			return one(fromInts(c.out[0], v))
		}
	}
	get := reader(x)
	bases, inner := strided(x.Shape, r.Axes)
	out := make([]float64, len(bases))
	parallel(len(bases), func(k int) {
		out[k] = fold(r.Fn, func(i int) float64 { return get(bases[k] + i) }, inner)
	})
	return c.floats(out)
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

func fold(f ir.ReduceFn, v func(i int) float64, g []int) float64 {
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
			shift = math.Max(shift, v(i))
		}
		if math.IsInf(shift, 0) {
			shift = 0
		}
	}
	for _, i := range g {
		x := v(i)
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

func argReduce(a ir.ArgReduce, c call) ([]*ir.Tensor, error) {
	x := c.in[0]
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
	return one(ir.TensorOf(c.out[0].Shape, out...))
}
