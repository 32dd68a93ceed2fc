// Package eval is the reference interpreter of the IR. It computes every op with simple
// loops in float64 and rounds once to the type of the result. Tests compare passes, programs
// and kernels with it. Front ends resolve arithmetic on shapes with it. It is slow.
package eval

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"

	"modelc/ir"
)

// Run evaluates g. Inputs have the order of g.Inputs, results that of g.Outputs. Run fails
// if the number or a type of the inputs is wrong.
func Run(g *ir.Graph, in []*ir.Tensor) ([]*ir.Tensor, error) {
	return Trace(g, in, nil)
}

// maxGarbage is the size of operands and results after which the interpreter frees memory.
const maxGarbage = 1 << 27

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
	garbage := int64(0) // bytes that may have become garbage
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
		// By default, garbage may take as much memory as the values that are left.
		if garbage += ir.Traffic(n); garbage > maxGarbage {
			garbage = 0
			debug.FreeOSMemory()
		}
	}
	res := make([]*ir.Tensor, len(g.Outputs))
	for i, o := range g.Outputs {
		res[i] = values[o.Value]
	}
	return res, nil
}

// The limits of a Folder: the maximum number of elements of a result and of all results,
// and the maximum number of floating-point operations. Arithmetic on shapes needs a few
// elements.
const (
	maxConst = 1 << 22
	maxMemo  = 1 << 24
	maxWork  = 1 << 29
)

// Const returns the value of v if it depends on constants only and no
// intermediate result is large. Front ends resolve shape arithmetic with it.
func Const(v *ir.Value) (*ir.Tensor, bool) { return new(Folder).Const(v) }

// Fold is like [Const], for values of any size, such as weights.
func Fold(v *ir.Value) (*ir.Tensor, bool) { return (&Folder{unlimited: true}).Const(v) }

// Folder is like [Const] for many values of a graph. It computes each node once. The nodes
// must not change. The zero value is ready for use.
type Folder struct {
	memo            map[*ir.Value]*ir.Tensor // nil for values that are not constant
	elements, flops int64                    // of the results in memo
	unlimited       bool
}

// Const returns the value of v if it depends on constants only and is within the limits.
func (f *Folder) Const(v *ir.Value) (*ir.Tensor, bool) {
	if f.memo == nil {
		f.memo = map[*ir.Value]*ir.Tensor{}
	}
	t := f.get(v)
	return t, t != nil
}

func (f *Folder) get(v *ir.Value) *ir.Tensor {
	if v.Const != nil {
		return v.Const
	}
	if t, ok := f.memo[v]; ok {
		return t
	}
	f.memo[v] = nil
	n := v.Def()
	if n == nil || !f.unlimited && v.Type.Shape.Len() > maxConst {
		return nil
	}
	args := make([]*ir.Tensor, len(n.In))
	for i, a := range n.In {
		if a == nil {
			continue
		}
		if args[i] = f.get(a); args[i] == nil {
			return nil
		}
	}
	f.flops += ir.FLOPs(n)
	for _, o := range n.Out {
		f.elements += int64(o.Type.Shape.Len())
	}
	if !f.unlimited && (f.flops > maxWork || f.elements > maxMemo) {
		return nil
	}
	if ir.CheckConstants(n) != nil {
		return nil
	}
	out, err := Node(n, args)
	if err != nil {
		return nil
	}
	for i, o := range n.Out {
		f.memo[o] = out[i]
	}
	return f.memo[v]
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
