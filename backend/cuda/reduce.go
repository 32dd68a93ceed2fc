package cuda

import (
	"fmt"
	"slices"
	"strings"

	"modelc/ir"
)

var reduceLowerings = map[string]lowering{
	"Reduce":    do((*builder).reduce),
	"ArgReduce": do((*builder).argReduce),
	"Softmax":   do((*builder).softmax),
	"Normalize": do((*builder).normalize),
	"LRN":       do((*builder).lrn),
}

// group describes the elements of p that a thread reduces: those that differ along axes.
type group struct {
	p    *place
	axes []int
}

// keep returns the shape of p with an extent of 1 along the reduced axes.
func (g group) keep() ir.Shape {
	s := slices.Clone(g.p.Shape)
	for _, a := range g.axes {
		s[a] = 1
	}
	return s
}

// len returns the number of elements in a group.
func (g group) len() int {
	n := 1
	for _, a := range g.axes {
		n *= g.p.Shape[a]
	}
	return n
}

// loops opens loops over a group whose other coordinates are at. It returns the coordinates
// of an element, and the number of opened braces.
func (g group) loops(w *writer, at []string) ([]string, int) {
	at = slices.Clone(at)
	braces := 0
	for _, a := range g.axes {
		if d := g.p.Shape[a]; d != 1 {
			at[a] = fmt.Sprint("r", a)
			w.line("for (int r%d = 0; r%d < %d; r%d++) {", a, a, d, a)
			braces++
		}
	}
	return at, braces
}

// keptStrides returns the strides of the result of a reduction as if it had kept its axes.
func keptStrides(p *place, rank int, axes []int, kept bool) []int {
	if kept {
		return p.strides
	}
	st := make([]int, rank)
	k := 0
	for i := range st {
		if !slices.Contains(axes, i) {
			st[i] = p.strides[k]
			k++
		}
	}
	return st
}

// foldSteps has, for each reduction, the start of the accumulator a, its update by the
// element e, and the result. A is the type of the accumulator.
var foldSteps = map[ir.ReduceFn]struct{ start, update, result string }{
	ir.ReduceMean:      {"A(0)", "a += e", "a / A(LEN)"},
	ir.ReduceSum:       {"A(0)", "a += e", "a"},
	ir.ReduceMax:       {"A(-INF_DOUBLE)", "a = binary_max<A>(a, e)", "a"},
	ir.ReduceMin:       {"A(INF_DOUBLE)", "a = binary_min<A>(a, e)", "a"},
	ir.ReduceProd:      {"A(1)", "a *= e", "a"},
	ir.ReduceL1:        {"A(0)", "a += fabs(e)", "a"},
	ir.ReduceL2:        {"A(0)", "a += e * e", "sqrt(a)"},
	ir.ReduceSumSquare: {"A(0)", "a += e * e", "a"},
	ir.ReduceLogSum:    {"A(0)", "a += e", "log(a)"},
	ir.ReduceLogSumExp: {"A(0)", "a += exp(e - top)", "log(a) + top"},
}

// wholeSteps has the reductions of integers that are exact. i counts the elements.
var wholeSteps = map[ir.ReduceFn]struct{ start, update, result string }{
	ir.ReduceMean:      {"0", "a += e", "(long long)a / LEN"},
	ir.ReduceSum:       {"0", "a += e", "a"},
	ir.ReduceMax:       {"0", "a = k == 0 || (long long)e > (long long)a ? e : a", "a"},
	ir.ReduceMin:       {"0", "a = k == 0 || (long long)e < (long long)a ? e : a", "a"},
	ir.ReduceProd:      {"1", "a *= e", "a"},
	ir.ReduceL1:        {"0", "a += (long long)e < 0 ? 0 - e : e", "a"},
	ir.ReduceSumSquare: {"0", "a += e * e", "a"},
}

func (b *builder) reduce(n *ir.Node, op ir.Reduce) error {
	x, v := b.in(n.In[0]), n.Out[0]
	if op.Fn == ir.ReduceMean && x.channelsLast() && slices.Equal(op.Axes, ir.SpatialAxes(len(x.Shape))) {
		return b.globalMean(n, x)
	}
	g := group{x, op.Axes}
	dst := b.new(v)
	to := keptStrides(dst, len(x.Shape), op.Axes, op.KeepDims)
	var w writer
	at := w.each(g.keep(), to)
	steps, whole := wholeSteps[op.Fn]
	if whole = whole && x.DType.IsInt(); whole {
		w.line("unsigned long long a = %s;", steps.start)
		w.line("int k = 0;")
	} else {
		steps = foldSteps[op.Fn]
		w.line("typedef double A;")
		if op.Fn == ir.ReduceLogSumExp {
			w.line("A top = -INF_DOUBLE;")
			e, braces := g.loops(&w, at)
			w.line("top = binary_max<A>(top, (A)%s);", x.elem("x", e))
			w.close(braces)
			w.line("if (isinf(top)) top = 0;")
		}
		w.line("A a = %s;", steps.start)
	}
	e, braces := g.loops(&w, at)
	if whole {
		w.line("const unsigned long long e = (unsigned long long)(long long)%s;", x.elem("x", e))
		w.line("%s;", steps.update)
		w.line("k++;")
	} else {
		w.line("const A e = (A)%s;", x.elem("x", e))
		w.line("%s;", steps.update)
	}
	w.close(braces)
	if whole {
		w.line("if (k == 0) { y[%s] = (%s)a; return; }", sum(at, to, 0), cType(dst.DType))
	}
	w.line("const auto r = %s;", replaceLen(steps.result, g.len()))
	w.line("y[%s] = %s;", sum(at, to, 0), convert(dst.DType, "r"))
	b.emitGroups("Reduce "+op.Fn.String(), g, dst, w.String())
	return nil
}

// emitGroups emits a kernel with a thread for each group.
func (b *builder) emitGroups(doc string, g group, dst *place, body string, more ...param) {
	c := code{params: append([]param{{"x", g.p, false}}, more...), body: body}
	c.params = append(c.params, param{"y", dst, true})
	c.grid, c.block = grid(g.keep().Len())
	b.emit(doc, c)
}

func (b *builder) argReduce(n *ir.Node, op ir.ArgReduce) error {
	x := b.in(n.In[0])
	g := group{x, []int{op.Axis}}
	dst := b.new(n.Out[0])
	to := keptStrides(dst, len(x.Shape), g.axes, op.KeepDims)
	var w writer
	at := w.each(g.keep(), to)
	typ := "double" // as in the reference, also for integers
	if x.DType == ir.Float32 {
		typ = "float"
	}
	first := slices.Clone(at)
	first[op.Axis] = "0"
	w.line("int best = 0;")
	w.line("%s b = (%s)%s;", typ, typ, x.elem("x", first))
	at[op.Axis] = "k"
	w.line("for (int k = 0; k < %d; k++) {", x.Shape[op.Axis])
	w.line("const %s e = (%s)%s;", typ, typ, x.elem("x", at))
	better := "e > b"
	if op.Min {
		better = "e < b"
	}
	if op.Last {
		better += " || e == b"
	}
	w.line("if (%s || e != e && b == b) {", better)
	w.line("best = k;")
	w.line("b = e;")
	w.close(2)
	at[op.Axis] = "0"
	w.line("y[%s] = best;", sum(at, to, 0))
	b.emitGroups("ArgReduce", g, dst, w.String())
	return nil
}

// cooperative is the minimum size of groups that the threads of a block share.
const cooperative = 64

func (b *builder) softmax(n *ir.Node, op ir.Softmax) error {
	x := b.in(n.In[0])
	g := group{x, op.Axes}
	dst := b.new(n.Out[0])
	doc := "Softmax"
	if op.Log {
		doc = "LogSoftmax"
	}
	typ := computes(x.DType)
	if typ == "float" && g.len() >= cooperative {
		b.emit(doc, code{
			params: []param{{"x", x, false}, {"y", dst, true}},
			head:   g.positions(dst, ""),
			body:   fmt.Sprintf("    softmax<NAME_at, %d, %v>(x, y);\n", g.len(), op.Log),
			grid:   [3]int{g.keep().Len(), 1, 1}, block: [3]int{threads, 1, 1},
			parts: []string{"softmax"},
		})
		return nil
	}
	var w writer
	at := w.each(g.keep(), dst.strides)
	w.line("%s top = -INF_DOUBLE, s = 0;", typ)
	e, braces := g.loops(&w, at)
	w.line("top = binary_max<%s>(top, %s);", typ, x.elem("x", e))
	w.close(braces)
	g.loops(&w, at)
	w.line("s += exp((%s)%s - top);", typ, x.elem("x", e))
	w.close(braces)
	g.loops(&w, at)
	if op.Log {
		w.line("%s = %s;", dst.elem("y", e), convert(dst.DType, fmt.Sprintf("(%s)%s - top - log(s)", typ, x.elem("x", e))))
	} else {
		w.line("%s = %s;", dst.elem("y", e), convert(dst.DType, fmt.Sprintf("exp((%s)%s - top) / s", typ, x.elem("x", e))))
	}
	w.close(braces)
	b.emitGroups(doc, g, dst, w.String())
	return nil
}

// coordinates returns the expressions of the coordinates of element i of group g.
func (g group) coordinates() []string {
	at := make([]string, len(g.p.Shape))
	divisor := map[bool]int{true: 1, false: 1} // of i and of g
	for a := len(at) - 1; a >= 0; a-- {
		inside := slices.Contains(g.axes, a)
		at[a] = "0"
		if d := g.p.Shape[a]; d > 1 {
			at[a] = fmt.Sprintf("(%s / %d %% %d)", map[bool]string{true: "i", false: "g"}[inside], divisor[inside], d)
			divisor[inside] *= d
		}
	}
	return at
}

// positions returns a struct NAME_at whose functions return the positions in x and y of
// element i of group g. more are further functions.
func (g group) positions(dst *place, more string) string {
	s := "struct NAME_at {\n"
	for _, p := range []param{{"x", g.p, false}, {"y", dst, true}} {
		s += fmt.Sprintf("    static __device__ int %s(int g, int i) { return %s; }\n", p.name, sum(g.coordinates(), p.at.strides, 0))
	}
	return s + more + "};\n"
}

func (b *builder) normalize(n *ir.Node, op ir.Normalize) error {
	x := b.in(n.In[0])
	g := group{x, op.Axes}
	dst := b.new(n.Out[0])
	var operands []param
	value := func(e []string) string {
		v := "v"
		for _, p := range operands {
			v += map[string]string{"scale": " * ", "bias": " + "}[p.name] + p.at.elem(p.name, e)
		}
		return v
	}
	args := ""
	for _, o := range []struct {
		i    int
		name string
	}{{ir.NormalizeScale, "scale"}, {ir.NormalizeBias, "bias"}} {
		if p := b.in(n.Input(o.i)); p != nil {
			operands = append(operands, param{o.name, p.as(x.Shape, p.broadcast(x.Shape)), false})
			args += ", " + o.name
		} else {
			args += ", nullptr"
		}
	}
	if computes(x.DType) == "float" && g.len() >= cooperative {
		finish := fmt.Sprintf("    static __device__ float finish(float v, int g, int i, const float* scale, const float* bias) { return %s; }\n", value(g.coordinates()))
		c := code{params: slices.Concat([]param{{"x", x, false}}, operands, []param{{"y", dst, true}}), head: g.positions(dst, finish),
			body:  fmt.Sprintf("    normalize<NAME_at, %d>(x, y, %s%s);\n", g.len(), literal(op.Epsilon, "float"), args),
			grid:  [3]int{g.keep().Len(), 1, 1},
			block: [3]int{threads, 1, 1}, parts: []string{"softmax"}}
		b.emit("Normalize", c)
		return nil
	}
	var w writer
	at := w.each(g.keep(), dst.strides)
	w.line("double mean = 0, variance = 0;")
	e, braces := g.loops(&w, at)
	w.line("mean += %s;", x.elem("x", e))
	w.close(braces)
	w.line("mean /= %d;", g.len())
	g.loops(&w, at)
	w.line("variance += (%s - mean) * (%s - mean);", x.elem("x", e), x.elem("x", e))
	w.close(braces)
	w.line("const double s = sqrt(variance / %d + %s);", g.len(), literal(op.Epsilon, "double"))
	g.loops(&w, at)
	w.line("const double v = (%s - mean) / s;", x.elem("x", e))
	w.line("%s = %s;", dst.elem("y", e), convert(dst.DType, value(e)))
	w.close(braces)
	b.emitGroups("Normalize", g, dst, w.String(), operands...)
	return nil
}

func (b *builder) lrn(n *ir.Node, op ir.LRN) error {
	x := b.in(n.In[0])
	typ := computes(x.DType)
	c := x.Shape[1]
	below := (op.Size - 1) / 2
	b.pick("LRN", n, b.new(n.Out[0]), nil, func(w *writer, at []string) string {
		near := slices.Clone(at)
		near[1] = "c"
		w.line("%s s = 0;", typ)
		w.line("for (int c = max(0, %s - %d); c <= min(%d, %s + %d); c++) {", at[1], below, c-1, at[1], op.Size-1-below)
		w.line("const %s e = %s;", typ, x.elem("x", near))
		w.line("s += e * e;")
		w.line("}")
		return convert(x.DType, fmt.Sprintf("(%s)%s / pow(%s + %s * s, %s)", typ, x.elem("x", at),
			literal(op.Bias, typ), literal(op.Alpha/float64(op.Size), typ), literal(op.Beta, typ)))
	})
	return nil
}

func replaceLen(s string, n int) string { return strings.ReplaceAll(s, "LEN", fmt.Sprint(n)) }
