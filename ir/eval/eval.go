// Package eval is the reference interpreter of the IR. It computes every op with simple
// loops in float64 and rounds once to the type of the result. Tests compare passes, programs
// and kernels with it. Front ends resolve arithmetic on shapes with it. It is slow.
package eval

import (
	"fmt"
	"math"
	"math/rand/v2"

	"modelc/ir"
)

// Run evaluates g. Inputs have the order of g.Inputs, results that of g.Outputs. Run fails
// if the number or a type of the inputs is wrong.
func Run(g *ir.Graph, in []*ir.Tensor) ([]*ir.Tensor, error) {
	return Trace(g, in, nil)
}

// Trace is like [Run], and calls visit with every computed value, in the order of the nodes.
// An error from visit ends the run. visit may be nil.
func Trace(g *ir.Graph, in []*ir.Tensor, visit func(v *ir.Value, t *ir.Tensor) error) ([]*ir.Tensor, error) {
	return Replace(g, in, func(v *ir.Value, t *ir.Tensor) (*ir.Tensor, error) {
		if visit == nil {
			return t, nil
		}
		return t, visit(v, t)
	})
}

// Replace is like [Trace], and readers of v get the tensor that visit returns, of the type
// of v.
func Replace(g *ir.Graph, in []*ir.Tensor, visit func(v *ir.Value, t *ir.Tensor) (*ir.Tensor, error)) ([]*ir.Tensor, error) {
	if len(in) != len(g.Inputs) {
		return nil, fmt.Errorf("graph %q takes %d inputs, got %d", g.Name, len(g.Inputs), len(in))
	}
	values := map[*ir.Value]*ir.Tensor{}
	left := map[*ir.Value]int{} // the number of remaining uses; a value without uses is dropped
	for v := range g.Values() {
		left[v] = len(v.Uses())
	}
	for i, v := range g.Inputs {
		if !in[i].Type.Equal(v.Type) {
			return nil, fmt.Errorf("input %q is %s, want %s", v.Name, in[i].Type, v.Type)
		}
		values[v] = in[i]
	}
	for _, v := range g.Constants {
		values[v] = v.Const
	}
	for _, n := range g.Nodes {
		args := make([]*ir.Tensor, len(n.In))
		for i, v := range n.In {
			if v != nil {
				args[i] = values[v]
			}
		}
		out, err := Node(n, args)
		if err != nil {
			return nil, err
		}
		for i, v := range n.Out {
			if values[v], err = visit(v, out[i]); err != nil {
				return nil, err
			}
		}
		for _, v := range n.In {
			if v == nil {
				continue
			}
			if left[v]--; left[v] == 0 {
				delete(values, v)
			}
		}
	}
	res := make([]*ir.Tensor, len(g.Outputs))
	for i, o := range g.Outputs {
		res[i] = values[o.Value]
	}
	return res, nil
}

// maxConst is the maximum number of elements of the results that Const computes.
const maxConst = 1 << 22

// Const returns the value of v if it depends on constants only and no
// intermediate result is large. Front ends resolve shape arithmetic with it.
func Const(v *ir.Value) (*ir.Tensor, bool) { return constant(v, maxConst) }

// Fold is like [Const], for values of any size, such as weights.
func Fold(v *ir.Value) (*ir.Tensor, bool) { return constant(v, math.MaxInt) }

func constant(v *ir.Value, limit int) (*ir.Tensor, bool) {
	memo := map[*ir.Value]*ir.Tensor{}
	var get func(v *ir.Value) *ir.Tensor
	get = func(v *ir.Value) *ir.Tensor {
		if v.Const != nil {
			return v.Const
		}
		if t, ok := memo[v]; ok {
			return t
		}
		memo[v] = nil
		n := v.Def()
		if n == nil || v.Type.Shape.Len() > limit {
			return nil
		}
		args := make([]*ir.Tensor, len(n.In))
		for i, a := range n.In {
			if a == nil {
				continue
			}
			if args[i] = get(a); args[i] == nil {
				return nil
			}
		}
		out, err := Node(n, args)
		if err != nil {
			return nil
		}
		for i, o := range n.Out {
			memo[o] = out[i]
		}
		return memo[v]
	}
	t := get(v)
	return t, t != nil
}

// Inputs returns pseudo-random values for the inputs of g that depend on the seed: floats
// with the standard normal distribution, and small non-negative integers.
func Inputs(g *ir.Graph, seed uint64) []*ir.Tensor {
	r := rand.New(rand.NewPCG(seed, 0x696e70757473))
	in := make([]*ir.Tensor, len(g.Inputs))
	for i, v := range g.Inputs {
		x := make([]float64, v.Type.Shape.Len())
		for k := range x {
			switch {
			case v.Type.DType.IsFloat():
				x[k] = r.NormFloat64()
			case v.Type.DType == ir.Bool:
				x[k] = float64(r.IntN(2))
			default:
				x[k] = float64(r.IntN(4))
			}
		}
		in[i] = ir.FromFloat64s(v.Type, x)
	}
	return in
}

// Node returns the results of n for the given operands, which are nil if absent.
func Node(n *ir.Node, in []*ir.Tensor) ([]*ir.Tensor, error) {
	f := rules[n.Op.Name()]
	if f == nil {
		return nil, fmt.Errorf("%s: the reference interpreter does not know this op", n)
	}
	out, err := f(n.Op, call{in, n.OutTypes()})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	return out, nil
}
