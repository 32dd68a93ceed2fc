package cuda

import (
	"fmt"

	"modelc/backend/plan"
	"modelc/ir"
)

var convLowerings = map[string]lowering{
	"Conv":          do((*builder).conv),
	"ConvTranspose": do((*builder).convTranspose),
}

// conv lowers a convolution to the first algorithm that fits: implicit GEMM on integers,
// depthwise, implicit GEMM, or the generic kernel, which computes all types and ranks. An operand of many channels is
// copied to channels-last first.
func (b *builder) conv(n *ir.Node, op ir.Conv) error {
	if b.integerConv(n, op) {
		return nil
	}
	x := b.in(n.In[0])
	if r := len(x.Shape); x.DType != ir.Float32 || r > 4 || n.Const(ir.Weights) == nil {
		return b.convGeneric(n, op)
	}
	if x.Shape[1] > vector && !x.channelsLast() {
		image := b.newImage(plan.NodeName(n), x.Type)
		b.copy("Copy to channels-last", x, image)
		x = image
	}
	c := conv{builder: b, n: n, op: op, x: x, w: n.Const(ir.Weights)}
	c.channels, c.filters = x.Shape[1], c.w.Float32s()
	c.describe = func(how string) string { return plan.ConvDoc(n, op) + ": " + how }
	if n.Input(ir.ConvScale) != nil || n.Input(ir.ConvShift) != nil || !op.Prologue.IsIdentity() {
		c.scale, c.shift = b.channelVector(n.Input(ir.ConvScale), c.channels, 1), b.channelVector(n.Input(ir.ConvShift), c.channels, 0)
		if c.scale == nil || c.shift == nil {
			return b.convGeneric(n, op)
		}
	}
	c.bias, c.residual = b.in(n.Input(ir.Bias)), b.in(n.Input(ir.ConvResidual))
	if c.bias != nil && c.bias.strides[0] != 1 {
		return b.convGeneric(n, op)
	}
	if r := n.Input(ir.ConvResidual); r != nil {
		c.y = b.overwrite(n, r)
	} else {
		c.y = b.new(n.Out[0])
	}
	c.window = plan.ConvWindow(op, c.w.Shape)
	if op.IsDepthwise(x.Shape, c.w.Shape) && x.channelsLast() {
		c.depthwise()
		return nil
	}
	c.gemm()
	return nil
}

// conv is a convolution of f32 on one or two spatial axes.
type conv struct {
	*builder
	n                                  *ir.Node
	op                                 ir.Conv
	w                                  *ir.Tensor
	filters                            []float32 // the elements of w, [M,C/groups,taps]
	describe                           func(how string) string
	channels                           int
	window                             plan.Window
	x, y, bias, residual, scale, shift *place
}

// shape returns the members that all algorithms read.
func (c *conv) shape(groups int) *shape {
	var s shape
	s.windowed(c.x, c.y, c.window, groups)
	rn, rc, rh, rw := 0, 0, 0, 0
	if c.residual != nil {
		rn, rc, rh, rw = c.residual.nchw()
	}
	s.values("RN RC RH RW", rn, rc, rh, rw)
	m := c.y.Shape[1] / groups
	s.flags("YV BIAS RESIDUAL PROLOGUE", vectors(m, c.y, c.residual) && side(c.bias), c.bias != nil, c.residual != nil, c.scale != nil)
	s.function("before", c.op.Prologue)
	s.function("after", c.op.Epilogue)
	return &s
}

func (c *conv) depthwise() {
	m := c.y.Shape[1]
	taps := c.window.Taps()
	m4 := plan.AlignUp(m, vector)
	wp := c.packed([2]any{c.w, "depthwise"}, ir.Shape{taps, m4}, func(out []float32) {
		for i, v := range c.filters {
			out[i%taps*m4+i/taps] = v
		}
	})
	params, args := compact([]param{{"x", c.x, false}, {"w", wp, false}, {"scale", c.scale, false}, {"shift", c.shift, false}, {"bias", c.bias, false}, {"residual", c.residual, false}, {"y", c.y, true}})
	k := code{params: params, head: c.shape(1).text(), body: "    depthwise<NAME_shape>(" + args + ");\n", parts: []string{"store", "depthwise"}}
	n, _, oh, ow := extents(c.y.Shape)
	k.grid, k.block = grid(n * oh * ow * m4 / vector)
	c.emit(c.describe("depthwise"), k)
}

// gemm emits an implicit GEMM, and a kernel that adds the parts of its sums if it has several.
func (c *conv) gemm() {
	groups := c.op.Groups
	cg, m := c.channels/groups, c.y.Shape[1]/groups
	vec := c.x.channelsLast() && (groups == 1 || cg%vector == 0)
	taps := c.window.Taps()
	depth := taps * cg
	if vec {
		depth = taps * plan.AlignUp(cg, vector)
	}
	n, _, oh, ow := extents(c.y.Shape)
	p := n * oh * ow
	precision := c.cfg.Precision
	if !precision.fits(c.filters) {
		precision = TF32
	}
	t, splits := c.tile(p, m, depth, groups, precision)
	kp, mp := plan.AlignUp(depth, t.bk), plan.AlignUp(m, t.bn)
	wp := c.packGEMM(precision, groups, m, cg, kp, mp, vec)
	s := c.shape(groups)
	threads := t.threads(precision)
	s.values("BM BN BK THREADS SPLITS", t.bm, t.bn, t.bk, threads, splits)
	s.flags("XV", vec)
	kernel, how := "conv_gemm", "implicit GEMM"
	files := []string{"store", "gemm"}
	if precision == Float32 {
		s.values("TM TN", t.tm, t.tn)
	} else {
		s.values("WM WN", t.tm, t.tn)
		s.flags("HALF", precision == F16)
		kernel, how = "conv_tensor", "implicit GEMM in "+precision.String()
		files = append(files, "mma", "tensor")
	}
	y, parts := c.y, (*place)(nil)
	bias, residual := c.bias, c.residual
	if splits > 1 {
		parts = c.temp(plan.NodeName(c.n), ir.T(ir.Float32, splits, p, groups*mp))
		y, bias, residual = nil, nil, nil
	}
	how += fmt.Sprintf(", tiles %d×%d×%d", t.bm, t.bn, t.bk)
	if splits > 1 {
		how += fmt.Sprintf(", sums in %d parts", splits)
	}
	params, args := compact([]param{{"x", c.x, false}, {"w", wp, false}, {"scale", c.scale, false}, {"shift", c.shift, false}, {"bias", bias, false}, {"residual", residual, false}, {"y", y, true}, {"parts", parts, true}})
	c.emit(c.describe(how), code{params: params, head: s.text(), body: "    " + kernel + "<NAME_shape>(" + args + ");\n", parts: files, rate: precision.rate() / Float32.rate(),
		grid: [3]int{(p + t.bm - 1) / t.bm, mp / t.bn, groups * splits}, block: [3]int{threads, 1, 1}})
	if splits > 1 {
		params, args := compact([]param{{"parts", parts, false}, {"bias", c.bias, false}, {"residual", c.residual, false}, {"y", c.y, true}})
		k := code{params: params, head: s.text(), body: "    conv_finish<NAME_shape>(" + args + ");\n", parts: []string{"store", "gemm"}}
		k.grid, k.block = grid(p * groups * mp / vector)
		c.emit(c.describe("sum of the parts"), k)
	}
	c.Complete(c.n.Out[0])
	if splits > 1 { // the operations are those of the first kernel
		l := c.Layers[len(c.Layers)-2:]
		l[0].FLOPs, l[1].FLOPs = l[1].FLOPs, 0
	}
}

// packGEMM returns the weights [groups·m][cg][taps] as the kernels read them, see gemm.cuh.
func (c *conv) packGEMM(precision Precision, groups, m, cg, kp, mp int, vec bool) *place {
	key := [2]any{c.w, fmt.Sprint("gemm", precision, vec, kp, mp)}
	shape := ir.Shape{groups, kp, mp}
	taps, c4 := c.window.Taps(), plan.AlignUp(cg, vector)
	pack := func(out []float32) {
		for g := range groups {
			for f := range m {
				for ch := range cg {
					for t := range taps {
						k := ch*taps + t
						if vec {
							k = t*c4 + ch
						}
						out[(g*kp+k)*mp+f] = c.filters[((g*m+f)*cg+ch)*taps+t]
					}
				}
			}
		}
	}
	if precision == Float32 {
		return c.packed(key, shape, pack)
	}
	n := shape.Len()
	if precision == F16 {
		n /= 2
	}
	return c.stored(key, ir.T(ir.Uint32, n), func() []byte {
		w := make([]float32, shape.Len())
		pack(w)
		return words(precision.words(w, groups, kp, mp))
	})
}

// convGeneric emits a kernel with a thread for each element of the result.
func (b *builder) convGeneric(n *ir.Node, op ir.Conv) error {
	x, wt, v := b.in(n.In[0]), b.in(n.In[ir.Weights]), n.Out[0]
	dst := b.new(v)
	c := code{parts: []string{"integer"}}
	c.reads("x", x)
	c.reads("w", wt)
	bias, residual := c.reads("bias", b.in(n.Input(ir.Bias))), c.reads("residual", b.in(n.Input(ir.ConvResidual)))
	scale, shift := c.reads("scale", b.in(n.Input(ir.ConvScale))), c.reads("shift", b.in(n.Input(ir.ConvShift)))
	multiplier, zero := c.reads("multiplier", b.in(n.Input(ir.ConvMultiplier))), c.reads("xzero", b.in(n.Input(ir.ConvXZero)))
	c.writes("y", dst)
	cg, mg := wt.Shape[1], wt.Shape[0]/op.Groups
	var w writer
	p := w.each(dst.Shape, dst.strides)
	m := p[1]
	e := append([]string{p[0], fmt.Sprintf("(%s / %d * %d + c)", m, mg, cg)}, p[2:]...)
	integers := !op.Integer.IsZero()
	typ := computes(x.DType)
	if integers {
		w.line("int s = 0;")
	} else {
		w.line("%s s = 0;", typ)
	}
	w.line("for (int c = 0; c < %d; c++) {", cg)
	e = window(&w, x.Shape, e, wt.Shape[2:], op.Strides, op.Dilations, op.Pads, "")
	k := []string{m, "c"}
	for a := range wt.Shape[2:] {
		k = append(k, fmt.Sprint("k", a))
	}
	if integers {
		w.line("s += ((int)%s - %s) * (int)%s;", x.elem("x", e), zeroPoint(op.Integer, zero), wt.elem("w", k))
	} else {
		element := scaled(fmt.Sprintf("(%s)%s", typ, x.elem("x", e)), scale.channel("scale", e[1]), shift.channel("shift", e[1]))
		w.line("s += (%s) * %s;", apply(op.Prologue, element, typ), wt.elem("w", k))
	}
	w.close(1 + len(op.Strides))
	if integers {
		y := requantised(op.Integer, op.Epilogue, "s", bias.channel("bias", m), multiplier.channel("multiplier", m))
		if residual != nil {
			y = combined(op.Sum, y, residual.elem("residual", p))
		}
		w.line("%s = %s;", dst.elem("y", p), y)
	} else {
		s := scaled("s", "", bias.channel("bias", m))
		if residual != nil {
			s += " + " + residual.elem("residual", p)
		}
		w.line("%s = %s;", dst.elem("y", p), convert(dst.DType, apply(op.Epilogue, s, typ)))
	}
	c.body = w.String()
	c.grid, c.block = grid(dst.Shape.Len())
	b.emitGeneric("Conv", c)
	return nil
}

// convTranspose emits a kernel with a thread for each element of the result. Passes replace
// most transposed convolutions by ordinary ones.
func (b *builder) convTranspose(n *ir.Node, op ir.ConvTranspose) error {
	x, wt := b.in(n.In[0]), b.in(n.In[ir.Weights])
	dst := b.new(n.Out[0])
	mg, cg := wt.Shape[1], x.Shape[1]/op.Groups
	typ := computes(x.DType)
	var c code
	c.reads("x", x)
	c.reads("w", wt)
	bias := c.reads("bias", b.in(n.Input(ir.Bias)))
	c.writes("y", dst)
	var w writer
	p := w.each(dst.Shape, dst.strides)
	e, k := []string{p[0], "c"}, []string{"c", fmt.Sprintf("(%s %% %d)", p[1], mg)}
	w.line("%s s = 0;", typ)
	inside := "true"
	for a := range op.Strides {
		w.line("for (int k%d = 0; k%d < %d; k%d++) {", a, a, wt.Shape[2+a], a)
		w.line("const int q%d = %s + %d - k%d * %d;", a, p[2+a], op.Pads[a], a, op.Dilations[a])
		w.line("const int p%d = q%d / %d;", a, a, op.Strides[a])
		inside += fmt.Sprintf(" && q%d >= 0 && q%d %% %d == 0 && p%d < %d", a, a, op.Strides[a], a, x.Shape[2+a])
		e, k = append(e, fmt.Sprint("p", a)), append(k, fmt.Sprint("k", a))
	}
	w.line("if (!(%s)) continue;", inside)
	w.line("for (int c = %s / %d * %d; c < (%s / %d + 1) * %d; c++) s += (%s)%s * %s;", p[1], mg, cg, p[1], mg, cg, typ, x.elem("x", e), wt.elem("w", k))
	w.close(len(op.Strides))
	w.line("%s = %s;", dst.elem("y", p), convert(dst.DType, apply(op.Epilogue, scaled("s", "", bias.channel("bias", p[1])), typ)))
	c.body = w.String()
	c.grid, c.block = grid(dst.Shape.Len())
	b.emitGeneric("ConvTranspose", c)
	return nil
}
