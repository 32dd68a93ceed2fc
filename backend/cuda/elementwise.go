package cuda

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"modelc/backend/plan"
	"modelc/ir"
)

var elementwiseLowerings = map[string]lowering{
	"Unary":     do((*builder).unary),
	"Binary":    do((*builder).binary),
	"PRelu":     do((*builder).prelu),
	"Where":     do((*builder).where),
	"Cast":      do((*builder).cast),
	"Affine":    do((*builder).affine),
	"BatchNorm": do((*builder).batchNorm),
}

// elementwise emits a kernel that computes each element of dst from the elements of the
// operands at the same position. Operands broadcast. value returns the expression of the
// element, given those of the operands.
func (b *builder) elementwise(doc string, dst *place, operands []*place, value func(e []string) string, parts ...string) {
	// Axes in the order of the result's memory, and as few as possible.
	var axes []int
	for i, d := range dst.Shape {
		if d > 1 {
			axes = append(axes, i)
		}
	}
	slices.SortStableFunc(axes, func(i, k int) int { return cmp.Compare(dst.strides[k], dst.strides[i]) })
	pick := func(s []int) []int {
		out := make([]int, len(axes))
		for i, a := range axes {
			out[i] = s[a]
		}
		return out
	}
	strides := [][]int{pick(dst.strides)}
	c := code{params: []param{{"y", dst, true}}, parts: parts}
	for i, p := range operands {
		strides = append(strides, pick(p.broadcast(dst.Shape)))
		c.params = append(c.params, param{fmt.Sprint("x", i), p, false})
	}
	shape, strides := plan.Collapse(pick(dst.Shape), strides...)
	var w writer
	at := w.each(shape, ir.Shape(shape).Strides())
	e := make([]string, len(operands))
	for i, p := range operands {
		e[i] = fmt.Sprint("e", i)
		w.line("const %s %s = x%d[%s];", cType(p.DType), e[i], i, sum(at, strides[1+i], 0))
	}
	w.line("y[%s] = %s;", sum(at, strides[0], 0), value(e))
	c.body = w.String()
	c.grid, c.block = grid(dst.Shape.Len())
	b.emit(doc, c)
}

// copy emits a copy between places of the same shape.
func (b *builder) copy(doc string, src, dst *place) {
	if dst.Shape.Len() > 0 {
		b.elementwise(doc, dst, []*place{src}, func(e []string) string { return e[0] })
	}
}

func (b *builder) unary(n *ir.Node, op ir.Unary) error {
	x := b.in(n.In[0])
	typ := computes(x.DType)
	b.elementwise(op.Fn.String(), b.overwrite(n, n.In[0]), []*place{x}, func(e []string) string {
		to := n.Out[0].Type.DType
		if x.DType.IsInt() {
			switch op.Fn.Fn { // exact
			case ir.Identity:
				return e[0]
			case ir.Neg:
				return "(" + cType(to) + ")(0ull - (unsigned long long)" + e[0] + ")"
			case ir.Abs:
				if x.DType >= ir.Uint8 {
					return e[0]
				}
				return "(" + cType(to) + ")(" + e[0] + " < 0 ? 0ull - (unsigned long long)" + e[0] + " : (unsigned long long)" + e[0] + ")"
			}
		}
		return convert(to, apply(op.Fn, "("+typ+")"+e[0], typ))
	})
	return nil
}

func isWhole(d ir.DType) bool { return d.IsInt() || d == ir.Bool }

func (b *builder) binary(n *ir.Node, op ir.Binary) error {
	x, y := b.in(n.In[0]), b.in(n.In[1])
	to := n.Out[0].Type.DType
	var dst *place
	switch {
	case n.In[0].Type.Shape.Equal(n.Out[0].Type.Shape):
		dst = b.overwrite(n, n.In[0])
	default:
		dst = b.new(n.Out[0])
	}
	doc := op.Fn.String() + plan.ActDoc(op.Epilogue)
	if isWhole(x.DType) && isWhole(y.DType) {
		b.elementwise(doc, dst, []*place{x, y}, func(e []string) string {
			whole := fmt.Sprintf("whole_%s(%s, %s, %v)", strings.ToLower(op.Fn.String()), e[0], e[1], x.DType == ir.Uint64)
			if to == ir.Bool {
				return "(unsigned char)(" + whole + " != 0)"
			}
			return "(" + cType(to) + ")" + whole
		}, "integer")
		return nil
	}
	typ := computes(x.DType, y.DType)
	b.elementwise(doc, dst, []*place{x, y}, func(e []string) string {
		v := fmt.Sprintf("(%s)%s", typ, e[0])
		u := fmt.Sprintf("(%s)%s", typ, e[1])
		if typ == "float" {
			v, u = e[0], e[1]
		}
		switch op.Fn {
		case ir.Add:
			v += " + " + u
		case ir.Sub:
			v += " - " + u
		case ir.Mul:
			v += " * " + u
		case ir.Div:
			v += " / " + u
		default:
			v = fmt.Sprintf("binary_%s<%s>(%s, %s)", strings.ToLower(op.Fn.String()), typ, v, u)
		}
		return convert(to, apply(op.Epilogue, v, typ))
	})
	return nil
}

func (b *builder) prelu(n *ir.Node, _ ir.PRelu) error {
	x, s := b.in(n.In[0]), b.in(n.In[1])
	typ := computes(x.DType)
	b.elementwise("PRelu", b.overwrite(n, n.In[0]), []*place{x, s}, func(e []string) string {
		return convert(x.DType, fmt.Sprintf("(%s)%s < 0 ? (%s)%s * (%s)%s : (%s)%s", typ, e[0], typ, e[0], typ, e[1], typ, e[0]))
	})
	return nil
}

func (b *builder) where(n *ir.Node, _ ir.Where) error {
	b.elementwise("Where", b.new(n.Out[0]), []*place{b.in(n.In[0]), b.in(n.In[ir.WhereA]), b.in(n.In[ir.WhereB])}, func(e []string) string {
		return fmt.Sprintf("%s ? %s : %s", e[0], e[1], e[2])
	})
	return nil
}

func (b *builder) cast(n *ir.Node, op ir.Cast) error {
	x := b.in(n.In[0])
	b.elementwise("Cast to "+op.To.String(), b.new(n.Out[0]), []*place{x}, func(e []string) string {
		switch {
		case op.To == x.DType:
			return e[0]
		case x.DType.IsFloat() && (op.To.IsFloat() || op.To == ir.Bool):
			return convert(op.To, e[0])
		}
		return convert(op.To, "(long long)"+e[0])
	})
	return nil
}

// perChannel returns the place of a value [C] that is broadcast to shape along axis 1.
func (b *builder) perChannel(v *ir.Value, shape ir.Shape) *place {
	p := b.in(v)
	s, st := make(ir.Shape, len(shape)), make([]int, len(shape))
	for i := range s {
		s[i] = 1
	}
	s[1], st[1] = shape[1], p.strides[0]
	return p.as(s, st)
}

func (b *builder) affine(n *ir.Node, op ir.Affine) error {
	x := b.in(n.In[0])
	typ := computes(x.DType)
	operands := []*place{x, b.perChannel(n.In[ir.AffineScale], x.Shape), b.perChannel(n.In[ir.AffineShift], x.Shape)}
	b.elementwise("Affine"+plan.ActDoc(op.Epilogue), b.overwrite(n, n.In[0]), operands, func(e []string) string {
		return convert(x.DType, apply(op.Epilogue, fmt.Sprintf("(%s)%s * %s + %s", typ, e[0], e[1], e[2]), typ))
	})
	return nil
}

func (b *builder) batchNorm(n *ir.Node, op ir.BatchNorm) error {
	x := b.in(n.In[0])
	typ := computes(x.DType)
	operands := []*place{x}
	for _, i := range []int{ir.BatchNormScale, ir.BatchNormBias, ir.BatchNormMean, ir.BatchNormVar} {
		operands = append(operands, b.perChannel(n.In[i], x.Shape))
	}
	b.elementwise("BatchNorm", b.overwrite(n, n.In[0]), operands, func(e []string) string {
		return convert(x.DType, fmt.Sprintf("((%s)%s - %s) / sqrt((%s)%s + %s) * %s + %s", typ, e[0], e[3], typ, e[4], literal(op.Epsilon, typ), e[1], e[2]))
	})
	return nil
}
