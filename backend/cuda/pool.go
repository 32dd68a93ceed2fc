package cuda

import (
	"fmt"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
)

var poolLowerings = map[string]lowering{
	"Pool": do((*builder).pool),
}

func (b *builder) pool(n *ir.Node, op ir.Pool) error {
	x := b.in(n.In[0])
	scaled := n.Input(ir.PoolScale) != nil || n.Input(ir.PoolShift) != nil || !op.Prologue.IsIdentity()
	if x.channelsLast() && len(x.Shape) <= 4 && op.Kind != ir.LpPool && !op.Indices {
		var scale, shift *place
		if scaled {
			scale, shift = b.channelVector(n.Input(ir.PoolScale), x.Shape[1], 1), b.channelVector(n.Input(ir.PoolShift), x.Shape[1], 0)
		}
		if !scaled || scale != nil && shift != nil {
			b.poolImage(n, op, x, scale, shift)
			return nil
		}
	}
	return b.poolGeneric(n, op, x)
}

// poolImage emits a kernel with a thread for 4 channels of a pixel.
func (b *builder) poolImage(n *ir.Node, op ir.Pool, x, scale, shift *place) {
	dst := b.new(n.Out[0])
	var s shape
	s.windowed(x, dst, plan.PoolWindow(op), 1)
	ends := op.Pads[len(op.Pads)/2:]
	if len(ends) == 1 {
		ends = []int{0, ends[0]}
	}
	s.values("BH BW RN RC RH RW", ends[0], ends[1], 0, 0, 0, 0)
	s.flags("YV BIAS RESIDUAL PROLOGUE MAXIMUM COUNTPAD", vectors(x.Shape[1], dst), false, false, scale != nil, op.Kind == ir.MaxPool, op.CountPad)
	s.function("before", op.Prologue)
	s.function("after", ir.Act{})
	params, args := compact([]param{{"x", x, false}, {"scale", scale, false}, {"shift", shift, false}, {"y", dst, true}})
	c := code{params: params, head: s.text(), body: "    pool_window<NAME_shape>(" + args + ");\n", parts: []string{"store", "pool"}}
	k, ch, oh, ow := extents(dst.Shape)
	c.grid, c.block = grid(k * oh * ow * plan.AlignUp(ch, vector) / vector)
	b.emit(plan.PoolDoc(op), c)
}

// poolGeneric emits a kernel with a thread for each element, for all types and ranks.
func (b *builder) poolGeneric(n *ir.Node, op ir.Pool, x *place) error {
	dst := b.new(n.Out[0])
	typ := computes(x.DType)
	var c code
	c.reads("x", x)
	scale, shift := c.reads("scale", b.in(n.Input(ir.PoolScale))), c.reads("shift", b.in(n.Input(ir.PoolShift)))
	c.writes("y", dst)
	var w writer
	at := w.each(dst.Shape, dst.strides)
	w.line("%s a = %s;", typ, map[bool]string{true: "-INF_DOUBLE", false: "0"}[op.Kind == ir.MaxPool])
	counts := ""
	if op.Kind == ir.AvgPool {
		w.line("int count = 0;")
		if op.CountPad {
			counts = "count++;"
		}
	}
	if op.Kind == ir.MaxPool {
		w.line("int best = -1;")
	}
	e := window(&w, x.Shape, at, op.Kernel, op.Strides, op.Dilations, op.Pads, counts)
	element := scaled(fmt.Sprintf("(%s)%s", typ, x.elem("x", e)), scale.channel("scale", at[1]), shift.channel("shift", at[1]))
	w.line("const %s e = %s;", typ, apply(op.Prologue, element, typ))
	in := x.Shape[2:]
	switch op.Kind {
	case ir.MaxPool:
		flat := slices.Clone(e[2:])
		st := ir.Shape(in).Strides()
		if r := len(st); op.ColMajor && r >= 2 {
			st[r-2], st[r-1] = 1, in[r-2]
		}
		w.line("if (best < 0 || e > a || e != e) {")
		w.line("a = e;")
		w.line("best = %s;", sum(flat, st, 0))
		w.line("}")
	case ir.AvgPool:
		w.line("a += e;")
		if !op.CountPad {
			w.line("count++;")
		}
	case ir.LpPool:
		w.line("a += pow(fabs(e), (%s)%d);", typ, op.P)
	}
	w.close(len(op.Kernel))
	switch op.Kind {
	case ir.MaxPool:
		if !dst.DType.IsFloat() {
			w.line("if (best < 0) a = 0;")
		}
		w.line("%s = %s;", dst.elem("y", at), convert(dst.DType, "a"))
	case ir.AvgPool:
		w.line("%s = %s;", dst.elem("y", at), convert(dst.DType, "a / count"))
	case ir.LpPool:
		w.line("%s = %s;", dst.elem("y", at), convert(dst.DType, fmt.Sprintf("pow(a, (%s)1 / %d)", typ, op.P)))
	}
	if op.Indices {
		idx := b.new(n.Out[1])
		c.writes("index", idx)
		w.line("%s = (long long)(%s) * %d + best;", idx.elem("index", at), sum(at[:2], []int{x.Shape[1], 1}, 0), ir.Shape(in).Len())
	}
	c.body = w.String()
	c.grid, c.block = grid(dst.Shape.Len())
	b.emitGeneric(plan.PoolDoc(op), c)
	return nil
}

// globalMean emits the average over all pixels of images.
func (b *builder) globalMean(n *ir.Node, x *place) error {
	dst := b.new(n.Out[0])
	k, c, h, w := extents(x.Shape)
	xn, _, xh, xw := x.nchw()
	b.emit("Global average", code{
		params: []param{{"x", x, false}, {"y", dst, true}},
		body:   fmt.Sprintf("    global_mean<%d, %d, %d, %d, %d, %d, %d, %d>(x, y);\n", c, h, w, xn, xh, xw, dst.strides[0], dst.strides[1]),
		grid:   [3]int{(c + 31) / 32, k, 1}, block: [3]int{threads, 1, 1}, parts: []string{"store", "pool"},
	})
	return nil
}
