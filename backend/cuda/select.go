package cuda

import (
	"fmt"
	"slices"
	"strings"

	"modelc/ir"
)

var selectLowerings = map[string]lowering{
	"TopK":              do((*builder).topK),
	"NonMaxSuppression": do((*builder).suppression),
	"Scatter":           do((*builder).scatter),
}

// topK emits a kernel with a thread for each line of x. A thread finds one element after the
// other: the first among those that follow the element before.
func (b *builder) topK(n *ir.Node, op ir.TopK) error {
	x := b.in(n.In[0])
	y, at64 := b.new(n.Out[0]), b.new(n.Out[1])
	g := group{x, []int{op.Axis}}
	typ := cType(x.DType)
	var w writer
	at := w.each(g.keep(), y.strides)
	e, to := slices.Clone(at), slices.Clone(at)
	e[op.Axis], to[op.Axis] = "k", "t"
	// NaN is smaller than every number.
	before := func(a, b string) string {
		if op.Smallest {
			a, b = b, a
		}
		if x.DType.IsFloat() {
			return fmt.Sprintf("(%s > %s || %s != %s && %s == %s)", a, b, b, b, a, a)
		}
		return fmt.Sprintf("(%s > %s)", a, b)
	}
	w.line("%s last = 0;", typ)
	w.line("int lastAt = -1;")
	w.line("for (int t = 0; t < %d; t++) {", op.K)
	w.line("%s best = 0;", typ)
	w.line("int bestAt = -1;")
	w.line("for (int k = 0; k < %d; k++) {", x.Shape[op.Axis])
	w.line("const %s e = %s;", typ, x.elem("x", e))
	w.line("const bool follows = lastAt < 0 || %s || !%s && k > lastAt;", before("last", "e"), before("e", "last"))
	w.line("if (follows && (bestAt < 0 || %s)) {", before("e", "best"))
	w.line("best = e;")
	w.line("bestAt = k;")
	w.close(2)
	w.line("%s = best;", y.elem("y", to))
	w.line("%s = bestAt;", at64.elem("at", to))
	w.line("last = best;")
	w.line("lastAt = bestAt;")
	w.line("}")
	b.emitGroups("TopK", g, y, w.String(), param{"at", at64, true})
	return nil
}

// suppression emits two kernels: one finds the boxes of each image and class, the other
// writes them side by side.
func (b *builder) suppression(n *ir.Node, op ir.NonMaxSuppression) error {
	boxes, scores := b.in(n.In[0]), b.in(n.In[ir.NonMaxSuppressionScores])
	rows, count := b.new(n.Out[0]), b.new(n.Out[1])
	images, classes, num := scores.Shape[0], scores.Shape[1], scores.Shape[2]
	most := min(op.PerClass, num)
	found := b.temp(boxes.Buffer.Name, ir.T(ir.Int32, images*classes, most+1)) // the number, then the boxes
	// The kernels read dense operands.
	boxes, scores = b.densely(boxes), b.densely(scores)
	c := code{params: []param{{"boxes", boxes, false}, {"scores", scores, false}, {"found", found, true}}, parts: []string{"suppression"}}
	c.body = fmt.Sprintf("    find_boxes<%d, %d, %d, %d, %v>(boxes, scores, found, %s, %s);\n", images, classes, num, most, op.Center, literal(op.Overlap, "float"), literal(op.Score, "float"))
	c.grid, c.block = grid(images * classes)
	b.emit("NonMaxSuppression: boxes of each class", c)
	b.emit("NonMaxSuppression", code{params: []param{{"found", found, false}, {"rows", rows, true}, {"count", count, true}},
		body: fmt.Sprintf("    gather_boxes<%d, %d, %d>(found, rows, count);\n", images, classes, most),
		grid: [3]int{1, 1, 1}, block: [3]int{1, 1, 1}, parts: []string{"suppression"}})
	return nil
}

// scatter emits a kernel with a thread for each element of the result, which looks for its
// updates in their order.
func (b *builder) scatter(n *ir.Node, op ir.Scatter) error {
	x, t, u := b.in(n.In[0]), b.densely(b.in(n.In[ir.ScatterIndices])), b.in(n.In[ir.ScatterUpdates])
	// Indices are flat, and so are the axes of the updates that they stand for.
	k := t.Shape.Len()
	flat := t.as(ir.Shape{k}, []int{1})
	u, shape := b.densely(u), append(ir.Shape{k}, x.Shape[1:]...)
	rows := u.as(shape, shape.Strides())
	fn, combines := op.Reduction.Fn()
	typ, parts := computes(x.DType), []string(nil)
	if isWhole(x.DType) {
		typ, parts = cType(x.DType), []string{"integer"}
	}
	b.pick("Scatter "+op.Reduction.String(), n, b.new(n.Out[0]), []*place{flat, rows}, func(w *writer, at []string) string {
		w.line("%s v = %s;", typ, x.elem("x", at))
		w.line("for (int k = 0; k < %d; k++) {", k)
		w.line("long long p = %s;", flat.elem("t0", []string{"k"}))
		w.line("if (p < 0) p += %d;", x.Shape[0])
		w.line("if (p != %s) continue;", at[0])
		e := rows.elem("t1", slices.Concat([]string{"k"}, at[1:]))
		switch {
		case combines && isWhole(x.DType):
			e = fmt.Sprintf("(%s)whole_%s(v, %s, %v)", typ, strings.ToLower(fn.String()), e, x.DType == ir.Uint64)
		case combines && (fn == ir.Add || fn == ir.Mul):
			e = fmt.Sprintf("v %s %s", map[ir.BinaryFn]string{ir.Add: "+", ir.Mul: "*"}[fn], e)
		case combines:
			e = fmt.Sprintf("binary_%s<%s>(v, %s)", strings.ToLower(fn.String()), typ, e)
		}
		w.line("v = %s;", e)
		w.line("}")
		return convert(x.DType, "v")
	}, parts...)
	return nil
}
