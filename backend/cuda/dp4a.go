package cuda

import (
	"fmt"

	"modelc/backend/plan"
	"modelc/ir"
)

// Layers on 8-bit integers with constant weights of 8 bits sum four products at a time, see
// dp4a.cuh. Other layers on integers have generic kernels: those with weights of 16 bits, and
// depthwise convolutions, whose sums are short.

// fewFilters is the number of filters of a group below which most of a tile would be empty.
const fewFilters = 8

// integerConv emits an implicit GEMM on integers, and reports whether it did.
func (b *builder) integerConv(n *ir.Node, op ir.Conv) bool {
	w := n.Const(ir.Weights)
	if op.Integer.IsZero() || w == nil || w.Type.DType != ir.Int8 || len(w.Type.Shape) > 4 || op.Groups > 1 && w.Type.Shape[0]/op.Groups < fewFilters {
		return false
	}
	shape := w.Type.Shape
	x, y := b.in(n.In[0]), b.new(n.Out[0])
	residual := b.in(n.Input(ir.ConvResidual))
	store := integerStore{y: y, axes: []string{"n", "f", "h", "l"}, residual: residual, sum: op.Sum, q: op.Integer, epilogue: op.Epilogue,
		bias: b.in(n.Input(ir.Bias)), multiplier: b.in(n.Input(ir.ConvMultiplier)), zero: b.in(n.Input(ir.ConvXZero))}
	if len(shape) == 3 {
		store.axes = []string{"n", "f", "l"}
	}
	b.integerGEMM(n, x, y, plan.ConvWindow(op, shape), op.Groups, w, ir.Elements[int8](w), store, plan.ConvDoc(n, op))
	return true
}

// integerDense emits a dense layer on integers, and reports whether it did.
func (b *builder) integerDense(n *ir.Node, op ir.Dense) bool {
	w := n.Const(ir.Weights)
	if op.Integer.IsZero() || w == nil || w.Type.DType != ir.Int8 {
		return false
	}
	x, y := b.in(n.In[0]), b.new(n.Out[0])
	k, m := op.KM(w.Type.Shape)
	filters := ir.Elements[int8](w)
	if !op.TransW {
		filters = transposed(filters, k, m)
	}
	store := integerStore{y: y, axes: []string{"n", "f"}, q: op.Integer, epilogue: op.Epilogue,
		bias: b.in(n.Input(ir.Bias)), multiplier: b.in(n.Input(ir.DenseMultiplier)), zero: b.in(n.Input(ir.DenseXZero))}
	rows := x.Shape[0]
	doc := fmt.Sprintf("Dense %d→%d%s", k, m, plan.ActDoc(op.Epilogue))
	if rows > fewRows { // a 1×1 convolution of images of one pixel
		image := func(p *place) *place {
			return p.as(ir.Shape{p.Shape[0], p.Shape[1], 1, 1}, []int{p.strides[0], p.strides[1], 0, 0})
		}
		b.integerGEMM(n, image(x), image(y), plan.Window{KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1}, 1, w, filters, store, fmt.Sprintf("%s, %d rows", doc, rows))
		return true
	}
	var s shape
	s.values("N K M XN XK", rows, k, m, x.strides[0], x.strides[1])
	wp := b.bytesOf([2]any{w, "dense dp4a"}, m, plan.AlignUp(k, 4), func(out []int8) {
		for f := range m {
			copy(out[f*plan.AlignUp(k, 4):], filters[f*k:][:k])
		}
	})
	b.emitInteger(doc+": a warp for a sum", "dense_dp4a", &s, x, wp, b.filterSums(w, filters, m), store, [3]int{(m + 7) / 8, 1, 1}, threads)
	return true
}

// integerGEMM emits an implicit GEMM. filters are the elements of w as [M][C/groups][taps].
func (b *builder) integerGEMM(n *ir.Node, x, y *place, win plan.Window, groups int, w *ir.Tensor, filters []int8, store integerStore, doc string) {
	const bk = 8 // words
	m, cg := y.Shape[1]/groups, x.Shape[1]/groups
	batch, _, oh, ow := extents(y.Shape)
	p, depth := batch*oh*ow, cg*win.Taps()
	tx, ty := 8, 8
	if p >= 64*multiprocessors {
		tx = 16
	}
	if m > 32 {
		ty = 16
	}
	kp, mp := plan.AlignUp((depth+3)/4, bk), plan.AlignUp(m, 4*ty)
	var s shape
	s.windowed(x, y, win, groups)
	s.values("TX TY BK", tx, ty, bk)
	wp := b.bytesOf([2]any{w, fmt.Sprint("conv dp4a", kp, mp)}, groups*kp, 4*mp, func(out []int8) {
		for f := range groups * m {
			for k, v := range filters[f*depth:][:depth] {
				out[(((f/m)*kp+k/4)*mp+f%m)*4+k%4] = v
			}
		}
	})
	b.emitInteger(fmt.Sprintf("%s: implicit GEMM on integers, tiles %d×%d", doc, 4*tx, 4*ty), "conv_dp4a", &s, x, wp, b.filterSums(w, filters, groups*m), store,
		[3]int{(p + 4*tx - 1) / (4 * tx), mp / (4 * ty), groups}, tx*ty)
	b.Complete(n.Out[0]) // the place of the result may be that of an image
}

// emitInteger emits a kernel that calls a function of dp4a.cuh.
func (b *builder) emitInteger(doc, function string, s *shape, x, w, sums *place, store integerStore, grid [3]int, threads int) {
	c := code{head: s.text(), parts: []string{"integer", "dp4a"}, rate: 4, grid: grid, block: [3]int{threads, 1, 1}}
	c.reads("x", x)
	c.reads("w", w)
	c.reads("sums", sums)
	c.reads("bias", store.bias)
	c.reads("residual", store.residual)
	c.reads("multiplier", store.multiplier)
	c.reads("xzero", store.zero)
	c.writes("y", store.y)
	c.body = fmt.Sprintf("    %s<NAME_shape>(x, w, sums, %s, [&](int s, int n, int f%s) {\n        %s\n    });\n", function, zeroPoint(store.q, store.zero),
		map[bool]string{true: ", int h, int l"}[function == "conv_dp4a"], store.text())
	b.emit(doc, c)
}

// integerStore writes a result of a layer on integers at the position that axes name.
type integerStore struct {
	y, bias, multiplier, zero, residual *place
	axes                                []string
	q                                   ir.Integer
	epilogue                            ir.Act
	sum                                 ir.QBinary
}

// text returns the statement for the sum s.
func (t *integerStore) text() string {
	y := requantised(t.q, t.epilogue, "s", t.bias.channel("bias", "f"), t.multiplier.channel("multiplier", "f"))
	if t.residual != nil {
		y = combined(t.sum, y, t.residual.elem("residual", t.axes))
	}
	return fmt.Sprintf("%s = %s;", t.y.elem("y", t.axes), y)
}

// bytesOf returns rows of columns packed bytes as words, zero where pack writes none.
func (b *builder) bytesOf(key any, rows, columns int, pack func(out []int8)) *place {
	return b.stored(key, ir.T(ir.Uint32, rows*columns/4), func() []byte {
		t := ir.NewTensor(ir.T(ir.Int8, rows, columns))
		pack(ir.Elements[int8](t))
		return t.Bytes()
	})
}

// filterSums returns the sums of the weights of each filter.
func (b *builder) filterSums(w *ir.Tensor, filters []int8, m int) *place {
	return b.stored([2]any{w, "sums"}, ir.T(ir.Int32, m), func() []byte {
		sums := make([]uint32, m)
		for i, v := range filters {
			sums[i/(len(filters)/m)] += uint32(int32(v))
		}
		return words(sums)
	})
}
