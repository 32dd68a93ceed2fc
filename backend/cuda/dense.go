package cuda

import (
	"fmt"

	"modelc/backend/plan"
	"modelc/ir"
)

var denseLowerings = map[string]lowering{
	"Dense":  do((*builder).dense),
	"MatMul": do((*builder).matMul),
}

// fewRows is the maximum number of rows of a dense layer that reads its weights once for all
// rows, without a product of matrices.
const fewRows = 4

func (b *builder) dense(n *ir.Node, op ir.Dense) error {
	if b.integerDense(n, op) {
		return nil
	}
	x := b.in(n.In[0])
	w := n.Const(ir.Weights)
	bias := b.in(n.Input(ir.Bias))
	if x.DType != ir.Float32 || w == nil || bias != nil && bias.strides[0] != 1 {
		return b.denseGeneric(n, op)
	}
	dst := b.new(n.Out[0])
	k, m := op.KM(w.Shape)
	rows := x.Shape[0]
	if rows > fewRows {
		// A dense layer is a 1×1 convolution of images of one pixel.
		image := func(p *place) *place {
			return p.as(ir.Shape{p.Shape[0], p.Shape[1], 1, 1}, []int{p.strides[0], p.strides[1], 0, 0})
		}
		filters := w.Float32s()
		c := conv{builder: b, n: n, channels: k, x: image(x), y: image(dst), bias: bias, window: plan.Window{KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1}}
		c.op = ir.Conv{Groups: 1, Epilogue: op.Epilogue}
		c.w = w
		if !op.TransW {
			filters = transposed(filters, k, m)
		}
		c.filters = filters
		c.describe = func(how string) string {
			return fmt.Sprintf("Dense %d→%d, %d rows%s: %s", k, m, rows, plan.ActDoc(op.Epilogue), how)
		}
		c.gemm()
		return nil
	}
	kp := plan.AlignUp(k, vector)
	wp, step, files := b.packGEMV(w, op.TransW, k, m, kp)
	// More warps share a sum while that leaves multiprocessors idle and each warp has enough.
	warps := 1
	for warps < 8 && m*warps < 4*8*multiprocessors && kp/vector >= 2*32*warps {
		warps *= 2
	}
	var s shape
	s.values("N K M XN XK YN YM WARPS STEP", rows, k, m, x.strides[0], x.strides[1], dst.strides[0], dst.strides[1], warps, step)
	xv := x.strides[1] == 1 && k%vector == 0 && x.Off%(4*vector) == 0 && (rows == 1 || x.strides[0]%vector == 0)
	s.flags("XV BIAS", xv, bias != nil)
	s.function("after", op.Epilogue)
	params, args := compact([]param{{"x", x, false}, {"w", wp, false}, {"bias", bias, false}, {"y", dst, true}})
	b.emit(fmt.Sprintf("Dense %d→%d%s: %d warps for a sum", k, m, plan.ActDoc(op.Epilogue), warps), code{
		params: params, head: s.text(), body: "    dense_gemv<NAME_shape>(" + args + ");\n", parts: files,
		grid: [3]int{(m + 8/warps - 1) / (8 / warps), 1, 1}, block: [3]int{threads, 1, 1},
	})
	return nil
}

// packGEMV returns weights as dense_gemv reads them, see gemv.cuh, the elements of a vector
// in memory, and the files of device code that this takes.
func (b *builder) packGEMV(w *ir.Tensor, transposed bool, k, m, kp int) (wp *place, step int, files []string) {
	filters := w.Float32s()
	byFilter, byInput := 1, m
	if transposed {
		byFilter, byInput = k, 1
	}
	pack := func(out []float32) {
		for f := range m {
			for i := range k {
				out[f*kp+i] = filters[f*byFilter+i*byInput]
			}
		}
	}
	if b.cfg.Precision == F16 && F16.fits(filters) {
		return b.stored([2]any{w, "gemv f16"}, ir.T(ir.Uint32, m*kp/2), func() []byte {
			out := make([]float32, m*kp)
			pack(out)
			return words(halves(out))
		}), 2, []string{"mma", "gemv"}
	}
	return b.packed([2]any{w, "gemv"}, ir.Shape{m, kp}, pack), vector, []string{"gemv"}
}

// transposed returns the transposition of a matrix [k,m].
func transposed[T any](w []T, k, m int) []T {
	out := make([]T, len(w))
	for i := range k {
		for j := range m {
			out[j*k+i] = w[i*m+j]
		}
	}
	return out
}

// denseGeneric emits a kernel with a thread for each result.
func (b *builder) denseGeneric(n *ir.Node, op ir.Dense) error {
	x, wt := b.in(n.In[0]), b.in(n.In[ir.Weights])
	dst := b.new(n.Out[0])
	k, _ := op.KM(wt.Shape)
	c := code{parts: []string{"integer"}}
	c.reads("x", x)
	c.reads("w", wt)
	bias := c.reads("bias", b.in(n.Input(ir.Bias)))
	multiplier, zero := c.reads("multiplier", b.in(n.Input(ir.DenseMultiplier))), c.reads("xzero", b.in(n.Input(ir.DenseXZero)))
	c.writes("y", dst)
	var w writer
	at := w.each(dst.Shape, dst.strides)
	e, f := []string{at[0], "k"}, []string{"k", at[1]}
	if op.TransW {
		f = []string{at[1], "k"}
	}
	typ := computes(x.DType)
	if !op.Integer.IsZero() {
		w.line("int s = 0;")
		w.line("for (int k = 0; k < %d; k++) s += ((int)%s - %s) * (int)%s;", k, x.elem("x", e), zeroPoint(op.Integer, zero), wt.elem("w", f))
		w.line("%s = %s;", dst.elem("y", at), requantised(op.Integer, op.Epilogue, "s", bias.channel("bias", at[1]), multiplier.channel("multiplier", at[1])))
	} else {
		w.line("%s s = 0;", typ)
		w.line("for (int k = 0; k < %d; k++) s += (%s)%s * %s;", k, typ, x.elem("x", e), wt.elem("w", f))
		w.line("%s = %s;", dst.elem("y", at), convert(dst.DType, apply(op.Epilogue, scaled("s", "", bias.channel("bias", at[1])), typ)))
	}
	c.body = w.String()
	c.grid, c.block = grid(dst.Shape.Len())
	b.emitGeneric("Dense", c)
	return nil
}

// matMul emits a kernel with a thread for each result.
func (b *builder) matMul(n *ir.Node, _ ir.MatMul) error {
	x, y, v := b.in(n.In[0]), b.in(n.In[1]), n.Out[0]
	dst := b.new(v)
	// Operands of one axis are matrices of one row or column.
	a, c := x, y
	if len(x.Shape) == 1 {
		a = x.as(ir.Shape{1, x.Shape[0]}, []int{0, x.strides[0]})
	}
	if len(y.Shape) == 1 {
		c = y.as(ir.Shape{y.Shape[0], 1}, []int{y.strides[0], 0})
	}
	var w writer
	at := w.each(dst.Shape, dst.strides)
	lead := at
	row, column := "0", "0"
	if len(y.Shape) > 1 {
		column, lead = lead[len(lead)-1], lead[:len(lead)-1]
	}
	if len(x.Shape) > 1 {
		row, lead = lead[len(lead)-1], lead[:len(lead)-1]
	}
	operand := func(p *place, name, r, k string) string {
		batch := p.Shape[:len(p.Shape)-2]
		st := make([]int, len(lead))
		for i, d := range batch {
			if d != 1 {
				st[len(lead)-len(batch)+i] = p.strides[i]
			}
		}
		return name + "[" + sum(append(append([]string{}, lead...), r, k), append(st, p.strides[len(p.Shape)-2:]...), 0) + "]"
	}
	k := a.Shape[len(a.Shape)-1]
	typ := computes(x.DType)
	if x.DType.IsInt() {
		typ = "unsigned long long"
	}
	w.line("%s s = 0;", typ)
	w.line("for (int k = 0; k < %d; k++) s += (%s)%s * (%s)%s;", k, typ, operand(a, "a", row, "k"), typ, operand(c, "b", "k", column))
	w.line("%s = %s;", dst.elem("y", at), convert(dst.DType, "s"))
	kernel := code{params: []param{{"a", x, false}, {"b", y, false}, {"y", dst, true}}, body: w.String()}
	kernel.grid, kernel.block = grid(dst.Shape.Len())
	b.emitGeneric("MatMul", kernel)
	return nil
}
