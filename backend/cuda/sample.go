package cuda

import (
	"fmt"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
)

var sampleLowerings = map[string]lowering{
	"Resize":     do((*builder).resize),
	"GridSample": do((*builder).gridSample),
}

// resize emits a kernel that sums, for each element, the products of its taps along all
// axes. The positions and weights of the taps are tables.
func (b *builder) resize(n *ir.Node, op ir.Resize) error {
	x := b.in(n.In[0])
	typ := computes(x.DType)
	type axis struct{ axis, taps, index, weight int }
	var axes []axis
	var tables []*place
	for a, d := range x.Shape {
		if op.Keeps(a, d) {
			continue
		}
		taps, index, weight := plan.ResizeTable(op, a, d)
		axes = append(axes, axis{a, taps, len(tables), len(tables) + 1})
		tables = append(tables, b.integers(index), b.packed(fmt.Sprint("weights", weight), ir.Shape{len(weight)}, func(w []float32) { copy(w, weight) }))
	}
	b.pick(fmt.Sprintf("Resize %s to %s", op.Mode, op.Shape), n, b.new(n.Out[0]), tables, func(w *writer, at []string) string {
		from := slices.Clone(at)
		if len(axes) == 0 {
			return x.elem("x", at)
		}
		w.line("%s s = 0;", typ)
		product := ""
		for _, a := range axes {
			k := "0"
			if a.taps > 1 {
				k = fmt.Sprint("k", a.axis)
				w.line("for (int %s = 0; %s < %d; %s++) {", k, k, a.taps, k)
			}
			tap := sum([]string{at[a.axis], k}, []int{a.taps, 1}, 0)
			from[a.axis] = fmt.Sprint("p", a.axis)
			w.line("const int p%d = t%d[%s];", a.axis, a.index, tap)
			w.line("const %s w%d = t%d[%s];", typ, a.axis, a.weight, tap)
			product += fmt.Sprintf("w%d * ", a.axis)
		}
		w.line("s += %s(%s)%s;", product, typ, x.elem("x", from))
		for _, a := range axes {
			if a.taps > 1 {
				w.line("}")
			}
		}
		return convert(x.DType, "s")
	})
	return nil
}

func (b *builder) gridSample(n *ir.Node, op ir.GridSample) error {
	x, g := b.in(n.In[0]), b.in(n.In[ir.GridSampleGrid])
	r := len(x.Shape) - 2
	taps := map[ir.ResizeMode]int{ir.ResizeNearest: 1, ir.ResizeLinear: 2, ir.ResizeCubic: 4}[op.Mode]
	b.pick("GridSample "+op.Mode.String(), n, b.new(n.Out[0]), []*place{g}, func(w *writer, at []string) string {
		from := slices.Clone(at)
		product := ""
		for a := range r {
			coordinate := slices.Concat(at[:1], at[2:], []string{fmt.Sprint(r - 1 - a)})
			w.line("int p%d[%d];", a, taps)
			w.line("double w%d[%d];", a, taps)
			w.line("sample_taps<%d, %d, %v>(%s, %d, p%d, w%d);", taps, op.Border, op.AlignCorners, g.elem("t0", coordinate), x.Shape[2+a], a, a)
		}
		w.line("double s = 0;")
		inside := "true"
		for a := range r {
			w.line("for (int k%d = 0; k%d < %d; k%d++) {", a, a, taps, a)
			from[2+a] = fmt.Sprintf("p%d[k%d]", a, a)
			inside += fmt.Sprintf(" && p%d[k%d] >= 0", a, a)
			product += fmt.Sprintf("w%d[k%d] * ", a, a)
		}
		w.line("if (%s) s += %s(double)%s;", inside, product, x.elem("x", from))
		w.close(r)
		return convert(x.DType, "s")
	}, "sample")
	return nil
}
