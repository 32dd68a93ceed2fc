// Package eval is the reference interpreter of the IR: every op in plain
// loops, float64 inside, rounded once to the result's type. It is the oracle
// that passes, schedules and kernels are compared with, and resolves shape
// arithmetic for the front ends. It is not meant to be fast.
package eval

import (
	"fmt"
	"math"
	"math/rand/v2"

	"modelc/ir"
)

// Run evaluates g on inputs in the order of g.Inputs and returns the outputs
// in the order of g.Outputs.
func Run(g *ir.Graph, in []*ir.Tensor) ([]*ir.Tensor, error) {
	return Trace(g, in, nil)
}

// Trace is Run that shows every computed value to visit, in node order. An
// error from visit ends the run.
func Trace(g *ir.Graph, in []*ir.Tensor, visit func(v *ir.Value, t *ir.Tensor) error) ([]*ir.Tensor, error) {
	if len(in) != len(g.Inputs) {
		return nil, fmt.Errorf("graph %q takes %d inputs, got %d", g.Name, len(g.Inputs), len(in))
	}
	values := map[*ir.Value]*ir.Tensor{}
	left := map[*ir.Value]int{} // uses to come, so that values can go early
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
			values[v] = out[i]
			if visit != nil {
				if err := visit(v, out[i]); err != nil {
					return nil, err
				}
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

// maxConst bounds the elements of a result that Const computes.
const maxConst = 1 << 22

// Const returns the value of v if it depends on constants alone and no
// intermediate result is large: what a front end needs of shape arithmetic.
func Const(v *ir.Value) (*ir.Tensor, bool) { return constant(v, maxConst) }

// Fold is Const for weights: of any size.
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

// Inputs returns seeded values for the inputs of g: standard normal floats,
// small non-negative integers.
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

// Node evaluates one node. Absent optional operands are nil.
func Node(n *ir.Node, in []*ir.Tensor) ([]*ir.Tensor, error) {
	out, err := dispatch(n, in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	return out, nil
}

func dispatch(n *ir.Node, in []*ir.Tensor) ([]*ir.Tensor, error) {
	arg := func(i int) *ir.Tensor {
		if i < len(in) {
			return in[i]
		}
		return nil
	}
	types := n.OutTypes()
	one := func(v []float64) ([]*ir.Tensor, error) {
		return []*ir.Tensor{ir.FromFloat64s(types[0], v)}, nil
	}
	keep := func(t *ir.Tensor) ([]*ir.Tensor, error) { return []*ir.Tensor{t}, nil }
	switch op := n.Op.(type) {
	case ir.Conv:
		return keep(conv(op, types[0], arg))
	case ir.ConvTranspose:
		return one(convTranspose(op, types[0], arg))
	case ir.Dense:
		return keep(dense(op, types[0], arg))
	case ir.MatMul:
		return keep(matMul(types[0], in[0], in[1]))
	case ir.Pool:
		return pool(op, types, arg)
	case ir.MaxUnpool:
		return keep2(maxUnpool(types[0], in[0], in[1]))
	case ir.BatchNorm:
		return one(batchNorm(op, in))
	case ir.Affine:
		return one(affine(op, arg))
	case ir.LRN:
		return one(lrn(op, in[0]))
	case ir.Normalize:
		return one(normalize(op, in[0], arg(1), arg(2)))
	case ir.Unary:
		return keep(unary(op, types[0], in[0]))
	case ir.Binary:
		return keep(binary(op, types[0], in[0], in[1]))
	case ir.PRelu:
		return one(broadcast2(types[0].Shape, in[0], in[1], func(x, s float64) float64 {
			if x < 0 {
				return x * s
			}
			return x
		}))
	case ir.Where:
		return keep(where(types[0], in))
	case ir.Cast:
		return keep(cast(types[0], in[0]))
	case ir.Softmax:
		return one(softmax(op, in[0]))
	case ir.Reduce:
		return keep(reduce(op, types[0], in[0]))
	case ir.ArgReduce:
		return keep(argReduce(op, types[0], in[0]))
	case ir.TopK:
		return topK(op, types, in[0]), nil
	case ir.NonMaxSuppression:
		return nonMaxSuppression(op, types, in[0], in[1]), nil
	case ir.Reshape:
		return keep(in[0].Reshaped(op.Shape))
	case ir.Transpose:
		return keep(transpose(op.Perm, types[0], in[0]))
	case ir.Concat:
		return keep(concat(op, types[0], in))
	case ir.Interleave:
		return keep(interleave(op, types[0], in))
	case ir.Slice:
		return keep(slice(op, types[0], in[0]))
	case ir.Pad:
		return keep(pad(op, types[0], in[0]))
	case ir.Expand:
		return keep(expand(types[0], in[0]))
	case ir.Gather:
		return keep2(gather(op, types[0], in[0], in[1]))
	case ir.Resize:
		return one(resize(op, in[0]))
	case ir.GridSample:
		return one(gridSample(op, types[0], in[0], in[1]))
	}
	return nil, fmt.Errorf("the reference interpreter does not know this op")
}

func keep2(t *ir.Tensor, err error) ([]*ir.Tensor, error) { return []*ir.Tensor{t}, err }

// index converts between flat positions and coordinates.
func coordinates(pos int, shape ir.Shape, at []int) {
	for i := len(shape) - 1; i >= 0; i-- {
		at[i] = pos % shape[i]
		pos /= shape[i]
	}
}

// broadcastIndex returns the flat position in a tensor of shape s that the
// coordinates at of a larger shape read.
func broadcastIndex(s ir.Shape, at []int) int {
	pos := 0
	off := len(at) - len(s)
	for i, d := range s {
		x := at[off+i]
		if d == 1 {
			x = 0
		}
		pos = pos*d + x
	}
	return pos
}

func broadcast2(shape ir.Shape, a, b *ir.Tensor, f func(x, y float64) float64) []float64 {
	x, y := a.Float64s(), b.Float64s()
	out := make([]float64, shape.Len())
	if a.Shape.Equal(b.Shape) {
		for i := range out {
			out[i] = f(x[i], y[i])
		}
		return out
	}
	at := make([]int, len(shape))
	for i := range out {
		coordinates(i, shape, at)
		out[i] = f(x[broadcastIndex(a.Shape, at)], y[broadcastIndex(b.Shape, at)])
	}
	return out
}

func isNaN(x float64) bool { return math.IsNaN(x) }
