package onnx

import (
	"fmt"

	"modelc/ir"
)

var _ = register("pooling", map[string]operator{
	"MaxPool":           {build: pool(ir.MaxPool)},
	"AveragePool":       {build: pool(ir.AvgPool)},
	"LpPool":            {since: 2, build: pool(ir.LpPool)},
	"GlobalAveragePool": {build: globalPool(ir.ReduceMean)},
	"GlobalMaxPool":     {build: globalPool(ir.ReduceMax)},
	"GlobalLpPool":      {since: 2, build: globalLpPool},
})

func pool(kind ir.PoolKind) func(n *node) ([]*ir.Value, error) {
	return func(n *node) ([]*ir.Value, error) {
		x, err := n.need(0)
		if err != nil {
			return nil, err
		}
		if n.ints("kernel_shape") == nil {
			return nil, fmt.Errorf("kernel_shape is missing")
		}
		w, err := n.window(x.Type.Shape, nil)
		if err != nil {
			return nil, err
		}
		p := ir.Pool{Kind: kind, Kernel: w.kernel, Strides: w.strides, Pads: w.pads, Dilations: w.dilations,
			CountPad: n.int("count_include_pad", 0) == 1, P: n.int("p", 2)}
		if kind != ir.LpPool {
			p.P = 0
		}
		p.Indices = kind == ir.MaxPool && len(n.p.outputs) > 1 && n.p.outputs[1] != ""
		p.ColMajor = p.Indices && n.int("storage_order", 0) == 1
		if n.int("ceil_mode", 0) == 1 {
			p.Extra = extra(x.Type.Shape[2:], w)
		}
		node, err := n.im.g.Append(n.name, p, x)
		if err != nil {
			return nil, unwrapNode(err)
		}
		return node.Out, nil
	}
}

// extra returns the room that ceil_mode adds at the ends. A last window that
// would start in the padding behind the input is left out.
func extra(in []int, w window) []int {
	r := len(in)
	out := make([]int, r)
	any := false
	for i := range r {
		span := (w.kernel[i]-1)*w.dilations[i] + 1
		n := in[i] + w.pads[i] + w.pads[r+i] - span
		rest := n % w.strides[i]
		if n < 0 || rest == 0 {
			continue
		}
		if last := (n/w.strides[i] + 1) * w.strides[i]; last >= in[i]+w.pads[i] {
			continue
		}
		out[i] = w.strides[i] - rest
		any = true
	}
	if !any {
		return nil
	}
	return out
}

func spatial(rank int) []int {
	var a []int
	for i := 2; i < rank; i++ {
		a = append(a, i)
	}
	return a
}

func globalPool(fn ir.ReduceFn) func(n *node) ([]*ir.Value, error) {
	return func(n *node) ([]*ir.Value, error) {
		x, err := n.need(0)
		if err != nil {
			return nil, err
		}
		return n.one(ir.Reduce{Fn: fn, Axes: spatial(x.Type.Rank()), KeepDims: true}, x)
	}
}

func globalLpPool(n *node) ([]*ir.Value, error) {
	x, err := n.need(0)
	if err != nil {
		return nil, err
	}
	axes := spatial(x.Type.Rank())
	switch p := n.int("p", 2); p {
	case 1:
		return n.one(ir.Reduce{Fn: ir.ReduceL1, Axes: axes, KeepDims: true}, x)
	case 2:
		return n.one(ir.Reduce{Fn: ir.ReduceL2, Axes: axes, KeepDims: true}, x)
	default:
		return nil, refusal{fmt.Sprintf("p = %d", p), "1 and 2 are supported"}
	}
}
