package cuda

import (
	"fmt"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
)

var movementLowerings = map[string]lowering{
	"Reshape":    do((*builder).reshape),
	"Transpose":  do((*builder).transpose),
	"Concat":     do((*builder).concat),
	"Interleave": do((*builder).interleave),
	"Slice":      do((*builder).slice),
	"Pad":        do((*builder).pad),
	"Expand":     do((*builder).expand),
	"Gather":     do((*builder).gather),
	"MaxUnpool":  do((*builder).maxUnpool),
}

// reshape makes the result a place in the buffer of the operand if it is dense. Otherwise it
// copies.
func (b *builder) reshape(n *ir.Node, _ ir.Reshape) error {
	x, v := b.in(n.In[0]), n.Out[0]
	if x.isDense() {
		b.places[v] = x.as(v.Type.Shape, v.Type.Shape.Strides())
		return nil
	}
	dst := b.new(v)
	b.copy("Reshape: copy", x, dst.as(x.Shape, x.Shape.Strides()))
	b.Complete(v)
	return nil
}

func (b *builder) transpose(n *ir.Node, op ir.Transpose) error {
	x := b.in(n.In[0])
	st := make([]int, len(op.Perm))
	for i, p := range op.Perm {
		st[i] = x.strides[p]
	}
	b.places[n.Out[0]] = x.as(n.Out[0].Type.Shape, st)
	return nil
}

func (b *builder) expand(n *ir.Node, _ ir.Expand) error {
	x, s := b.in(n.In[0]), n.Out[0].Type.Shape
	b.places[n.Out[0]] = x.as(s, x.broadcast(s))
	return nil
}

func (b *builder) slice(n *ir.Node, op ir.Slice) error {
	x, v := b.in(n.In[0]), n.Out[0]
	if isView(n) {
		p := x.as(v.Type.Shape, make([]int, len(op.Step)))
		for i, s := range op.Step {
			p.strides[i] = x.strides[i] * s
			p.Off += x.strides[i] * op.Start[i] * x.DType.Size()
		}
		b.places[v] = p
		return nil
	}
	dst := b.new(v)
	b.pick("Slice", n, dst, nil, func(_ *writer, at []string) string {
		from := make([]string, len(at))
		for i, a := range at {
			from[i] = fmt.Sprintf("(%d + %s * %d)", op.Start[i], a, op.Step[i])
		}
		return x.elem("x", from)
	})
	return nil
}

// pick emits a kernel that computes each element of dst from operand x of n: element returns
// the expression of the element at given coordinates. tables are further operands t0, ….
func (b *builder) pick(doc string, n *ir.Node, dst *place, tables []*place, element func(w *writer, at []string) string, parts ...string) {
	c := code{parts: parts, params: []param{{"x", b.in(n.In[0]), false}}}
	for i, t := range tables {
		c.params = append(c.params, param{fmt.Sprint("t", i), t, false})
	}
	c.params = append(c.params, param{"y", dst, true})
	var w writer
	at := w.each(dst.Shape, dst.strides)
	e := element(&w, at)
	w.line("%s = %s;", dst.elem("y", at), e)
	c.body = w.String()
	c.grid, c.block = grid(dst.Shape.Len())
	b.emit(doc, c)
}

// concat copies the operands that were not written in place.
func (b *builder) concat(n *ir.Node, op ir.Concat) error {
	v := n.Out[0]
	dst := b.new(v)
	at := 0
	for i, x := range n.In {
		d := x.Type.Shape[op.Axis]
		if x.Type.Shape.Len() == 0 {
			continue
		}
		first := b.Shares(v) && b.FirstCopy(x, v, at)
		if !(b.Shares(v) && b.InPlace(x, v, at)) && !(first && b.joined[x]) {
			b.joined[x] = b.joined[x] || first
			part := dst.as(x.Type.Shape, dst.strides)
			part.Off += at * dst.strides[op.Axis] * dst.DType.Size()
			b.copy(fmt.Sprintf("Concat: copy operand %d", i), b.in(x), part)
			b.Complete(v)
		}
		at += d
	}
	return nil
}

// interleave copies each operand to its positions of the grid.
func (b *builder) interleave(n *ir.Node, op ir.Interleave) error {
	dst := b.new(n.Out[0])
	grid := ir.Shape(op.Strides).Strides()
	for i, x := range n.In {
		if x.Type.Shape.Len() == 0 {
			continue
		}
		part := dst.as(x.Type.Shape, slices.Clone(dst.strides))
		for a, s := range op.Strides {
			part.Off += i / grid[a] % s * dst.strides[2+a] * dst.DType.Size()
			part.strides[2+a] *= s
		}
		b.copy(fmt.Sprintf("Interleave: operand %d", i), b.in(x), part)
		b.Complete(n.Out[0])
	}
	return nil
}

func (b *builder) pad(n *ir.Node, op ir.Pad) error {
	x := b.in(n.In[0])
	r := len(x.Shape)
	dst := b.new(n.Out[0])
	var tables []*place
	which := make([]int, r) // of each axis, the table that it reads, −1 for none
	for i, d := range x.Shape {
		which[i] = -1
		if op.Pads[i] != 0 || op.Pads[r+i] != 0 {
			which[i] = len(tables)
			tables = append(tables, b.integers(plan.PadTable(op.Mode, d, op.Pads[i], op.Pads[r+i])))
		}
	}
	b.pick("Pad "+op.Mode.String(), n, dst, tables, func(w *writer, at []string) string {
		from := slices.Clone(at)
		inside := "true"
		for i, t := range which {
			if t < 0 {
				continue
			}
			from[i] = fmt.Sprint("p", i)
			w.line("const int p%d = t%d[%s];", i, t, at[i])
			if op.Mode == ir.PadConstant {
				inside += fmt.Sprintf(" && p%d >= 0", i)
			}
		}
		return fmt.Sprintf("%s ? %s : %s", inside, x.elem("x", from), convert(x.DType, literal(op.Value, "double")))
	})
	return nil
}

func (b *builder) gather(n *ir.Node, op ir.Gather) error {
	x, t := b.in(n.In[0]), b.in(n.In[ir.GatherIndices])
	r := len(t.Shape)
	d := x.Shape[op.Axis]
	b.pick("Gather", n, b.new(n.Out[0]), []*place{t}, func(w *writer, at []string) string {
		w.line("long long k = %s;", t.elem("t0", at[op.Axis:op.Axis+r]))
		w.line("if (k < 0) k += %d;", d)
		w.line("k = k < 0 ? 0 : k > %d ? %d : k;", d-1, d-1)
		return x.elem("x", slices.Concat(at[:op.Axis], []string{"(int)k"}, at[op.Axis+r:]))
	})
	return nil
}

// maxUnpool clears the result, then moves the elements of x. Two kernels are needed, because
// another thread may write the element.
func (b *builder) maxUnpool(n *ir.Node, _ ir.MaxUnpool) error {
	x, t := b.in(n.In[0]), b.in(n.In[ir.MaxUnpoolIndices])
	dst := b.new(n.Out[0])
	var w writer
	w.line("%s = 0;", dst.elem("y", w.each(dst.Shape, dst.strides)))
	c := code{params: []param{{"y", dst, true}}, body: w.String()}
	c.grid, c.block = grid(dst.Shape.Len())
	b.emit("MaxUnpool: clear", c)

	w = writer{}
	at := w.each(x.Shape, x.strides)
	w.line("const long long k = %s;", t.elem("t", at))
	w.line("if (k < 0 || k >= %d) return;", dst.Shape.Len())
	to := make([]string, len(dst.Shape))
	for i, st := range dst.Shape.Strides() {
		to[i] = fmt.Sprintf("(int)(k / %d %% %d)", st, dst.Shape[i])
	}
	w.line("%s = %s;", dst.elem("y", to), x.elem("x", at))
	c = code{params: []param{{"x", x, false}, {"t", t, false}, {"y", dst, true}}, body: w.String()}
	c.grid, c.block = grid(x.Shape.Len())
	b.emit("MaxUnpool", c)
	return nil
}
