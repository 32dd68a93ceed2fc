package onnx

import (
	"fmt"

	"modelc/ir"
)

var poolingOps = []operator{
	{name: "MaxPool", operands: 1, becomes: "Pool", build: pool(ir.MaxPool)},
	{name: "AveragePool", operands: 1, becomes: "Pool", build: pool(ir.AvgPool)},
	{name: "LpPool", operands: 1, becomes: "Pool", build: pool(ir.LpPool)},
	{name: "GlobalAveragePool", operands: 1, becomes: "Reduce", build: globalPool(ir.ReduceMean)},
	{name: "GlobalMaxPool", operands: 1, becomes: "Reduce", build: globalPool(ir.ReduceMax)},
	{name: "GlobalLpPool", operands: 1, becomes: "Reduce", limits: "p is 1 or 2", build: globalLpPool},
	{name: "MaxUnpool", since: 9, operands: 2, most: []most{{9, 3}}, becomes: "MaxUnpool, Pad", limits: "output_shape is constant", build: maxUnpool},
}

func pool(kind ir.PoolKind) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		x := n.in[0]
		w := n.window(x.Type.Shape, nil)
		p := ir.Pool{Kind: kind, Kernel: w.kernel, Strides: w.strides, Pads: w.pads, Dilations: w.dilations, CountPad: n.flag("count_include_pad", false)}
		if kind == ir.LpPool {
			p.P = n.norm()
		}
		p.Indices = kind == ir.MaxPool && n.wants(1)
		p.ColMajor = p.Indices && n.flag("storage_order", false)
		if n.flag("ceil_mode", false) {
			p.Extra = n.extra(x.Type.Shape[2:], w)
		}
		if kind != ir.LpPool && !p.CountPad {
			n.checkCovered(x.Type.Shape[2:], w, p.Extra)
		}
		return n.one(p, x)
	}
}

// checkCovered fails if a window of a pool has no element of the input, because its maximum
// or mean has no meaning. Dilations larger than the input make such windows, and so does
// padding as wide as the kernel, which other runtimes refuse for every input.
func (n *node) checkCovered(in []int, w window, extra []int) {
	r := len(in)
	for i := range r {
		if w.pads[i] >= w.kernel[i] || w.pads[r+i] >= w.kernel[i] {
			n.failf("spatial axis %d: padding of %d and %d for a kernel of %d: it must be smaller", i, w.pads[i], w.pads[r+i], w.kernel[i])
		}
		end := w.pads[r+i]
		if extra != nil {
			end += extra[i]
		}
		first := -int64(w.pads[i])
		last := first + max(0, int64(in[i])+int64(w.pads[i])+int64(end)-w.span(i))/int64(w.strides[i])*int64(w.strides[i])
		d, k := int64(w.dilations[i]), int64(w.kernel[i])
		for at := first; at <= last; at += int64(w.strides[i]) {
			inside := at // the first position of the window that is not before the input
			if at < 0 {
				inside = at + min((-at+d-1)/d, k-1)*d
			} else if last < int64(in[i]) {
				break // so are all others
			}
			if inside < 0 || inside >= int64(in[i]) {
				n.failf("spatial axis %d: the window at %d has no element of the input", i, at)
			}
		}
	}
}

// extra returns the additional padding at the ends for ceil_mode. The last window is
// omitted if it would start in the padding after the input. A window that is wider than
// the padded input, by less than a stride, has one position.
func (n *node) extra(in []int, w window) []int {
	r := len(in)
	out := make([]int, r)
	any := false
	for i := range r {
		behind, stride := int64(in[i])+int64(w.pads[i]), int64(w.strides[i])
		room := behind + int64(w.pads[r+i]) - w.span(i)
		positions := room/stride + 1
		if room < 0 {
			positions = 0
		}
		missing := positions*stride - room
		if missing >= stride || positions*stride >= behind {
			continue
		}
		out[i] = n.legal("extra", missing)
		any = true
	}
	if !any {
		return nil
	}
	return out
}

func globalPool(fn ir.ReduceFn) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		return n.one(ir.Reduce{Fn: fn, Axes: ir.SpatialAxes(n.in[0].Type.Rank()), KeepDims: true}, n.in[0])
	}
}

// norm returns the attribute p of a pool, which was a float in opset 1.
func (n *node) norm() int {
	if n.version < 2 {
		return n.legal("p", int64(n.float("p", 2)))
	}
	return n.int("p", 2)
}

func globalLpPool(n *node) []*ir.Value {
	switch p := n.norm(); p {
	case 1:
		return globalPool(ir.ReduceL1)(n)
	case 2:
		return globalPool(ir.ReduceL2)(n)
	default:
		n.refuse(fmt.Sprintf("p = %d", p), "only 1 and 2 are supported")
		return nil
	}
}

// maxUnpool imports MaxUnpool. Its result has the extents of the max pool's input. An
// output_shape with other extents pads or crops the result at the ends.
func maxUnpool(n *node) []*ir.Value {
	x := n.in[0]
	w := n.window(x.Type.Shape, nil)
	sp := x.Type.Shape[2:]
	r := len(sp)
	op := ir.MaxUnpool{Spatial: make([]int, r)}
	for i := range r {
		op.Spatial[i] = n.legal("spatial", int64(sp[i]-1)*int64(w.strides[i])+int64(w.kernel[i])-int64(w.pads[i])-int64(w.pads[r+i]))
	}
	y := n.emit(op, x, n.in[1])
	shape, ok := n.list(2, "output_shape")
	if !ok {
		return []*ir.Value{y}
	}
	if len(shape) != r+2 {
		n.failf("output_shape %v for x %s", shape, x.Type)
	}
	pads := make([]int, 2*len(shape))
	for i, d := range shape {
		pads[len(shape)+i] = n.legal("pads", int64(d)-int64(y.Type.Shape[i]))
	}
	return n.one(ir.Pad{Pads: pads}, y)
}
