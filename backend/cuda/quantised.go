package cuda

import (
	"fmt"

	"modelc/ir"
)

var quantisedLowerings = map[string]lowering{
	"Quantize":        do((*builder).quantize),
	"Dequantize":      do((*builder).dequantize),
	"DynamicQuantize": do((*builder).dynamicQuantize),
	"Lookup":          do((*builder).lookup),
	"QBinary":         do((*builder).qBinary),
	"QAveragePool":    do((*builder).qAveragePool),
}

func (b *builder) quantize(n *ir.Node, op ir.Quantize) error {
	x := b.in(n.In[0])
	lo, hi := op.To.Range()
	operands := []*place{x, b.in(n.In[ir.QuantizeScale])}
	if z := b.in(n.Input(ir.QuantizeZero)); z != nil {
		operands = append(operands, z)
	}
	b.elementwise("Quantize to "+op.To.String(), b.new(n.Out[0]), operands, func(e []string) string {
		zero := "0"
		if len(e) > 2 {
			zero = e[2]
		}
		return fmt.Sprintf("(%s)saturate(%s / %s, %s, %d, %d)", cType(op.To), e[0], e[1], zero, lo, hi)
	}, "integer")
	return nil
}

func (b *builder) dequantize(n *ir.Node, _ ir.Dequantize) error {
	operands := []*place{b.in(n.In[0]), b.in(n.In[ir.QuantizeScale])}
	if z := b.in(n.Input(ir.QuantizeZero)); z != nil {
		operands = append(operands, z)
	}
	to := n.Out[0].Type.DType
	b.elementwise("Dequantize", b.new(n.Out[0]), operands, func(e []string) string {
		zero := ""
		if len(e) > 2 {
			zero = " - (long long)" + e[2]
		}
		return fmt.Sprintf("(%s)((long long)%s%s) * %s", cType(to), e[0], zero, e[1])
	})
	return nil
}

// dynamicQuantize finds the range of x with one block, and quantises with another kernel.
func (b *builder) dynamicQuantize(n *ir.Node, _ ir.DynamicQuantize) error {
	x := b.in(n.In[0])
	y, scale, zero := b.new(n.Out[0]), b.new(n.Out[1]), b.new(n.Out[2])
	head := group{x, allAxes(x.Shape)}.positions(x, "")
	b.emit("DynamicQuantize: range", code{
		params: []param{{"x", x, false}, {"scale", scale, true}, {"zero", zero, true}}, head: head,
		body:  fmt.Sprintf("    quantised_range<NAME_at, %d>(x, scale, zero);\n", x.Shape.Len()),
		grid:  [3]int{1, 1, 1},
		block: [3]int{threads, 1, 1}, parts: []string{"integer", "softmax", "range"},
	})
	b.elementwise("DynamicQuantize", y, []*place{x, scale, zero}, func(e []string) string {
		return fmt.Sprintf("(unsigned char)saturate(%s / %s, %s, 0, 255)", e[0], e[1], e[2])
	}, "integer")
	return nil
}

func allAxes(s ir.Shape) []int {
	a := make([]int, len(s))
	for i := range a {
		a[i] = i
	}
	return a
}

func (b *builder) lookup(n *ir.Node, _ ir.Lookup) error {
	x, t := b.in(n.In[0]), b.in(n.In[ir.LookupTable])
	lowest, _ := x.DType.Range()
	b.pick("Lookup", n, b.new(n.Out[0]), []*place{t}, func(w *writer, at []string) string {
		return t.elem("t0", []string{fmt.Sprintf("(%s - (%d))", x.elem("x", at), lowest)})
	})
	return nil
}

func (b *builder) qBinary(n *ir.Node, op ir.QBinary) error {
	b.elementwise("QBinary "+op.Fn.String(), b.new(n.Out[0]), []*place{b.in(n.In[0]), b.in(n.In[1])}, func(e []string) string {
		return combined(op, e[0], e[1])
	}, "integer")
	return nil
}

// combined returns the expression of the sum or product of the elements x and y.
func combined(op ir.QBinary, x, y string) string {
	x, y = fmt.Sprintf("(%s - (%d))", x, op.AZero), fmt.Sprintf("(%s - (%d))", y, op.BZero)
	// The functions keep the compiler from fusing the product and the sum.
	v := fmt.Sprintf("__fmul_rn((float)(%s * %s), %s)", x, y, literal(op.AScale, "float"))
	if op.Fn == ir.Add {
		v = fmt.Sprintf("__fadd_rn(__fmul_rn((float)%s, %s), __fmul_rn((float)%s, %s))", x, literal(op.AScale, "float"), y, literal(op.BScale, "float"))
	}
	return fmt.Sprintf("(%s)saturate(%s, %d, %d, %d)", cType(op.To), v, op.YZero, op.Lo, op.Hi)
}

func (b *builder) qAveragePool(n *ir.Node, op ir.QAveragePool) error {
	x := b.in(n.In[0])
	lo, hi := op.To.Range()
	p := op.Pool()
	b.pick("QAveragePool", n, b.new(n.Out[0]), nil, func(w *writer, at []string) string {
		w.line("int s = 0, n = 0;")
		counts := ""
		if p.CountPad {
			counts = "n++;"
		}
		e := window(w, x.Shape, at, p.Kernel, p.Strides, p.Dilations, p.Pads, counts)
		w.line("s += (int)%s - (%d);", x.elem("x", e), op.XZero)
		if !p.CountPad {
			w.line("n++;")
		}
		w.close(len(p.Kernel))
		return fmt.Sprintf("(%s)saturate(__fmul_rn((float)s, __fdiv_rn(%s, __fmul_rn(%s, (float)n))), %d, %d, %d)", cType(op.To), literal(op.XScale, "float"), literal(op.YScale, "float"), op.YZero, lo, hi)
	}, "integer")
	return nil
}

// zeroPoint returns the expression of the zero point of x, the operand zero if it is present.
func zeroPoint(q ir.Integer, zero *place) string {
	if zero != nil {
		return "xzero[0]"
	}
	return fmt.Sprintf("(%d)", q.XZero)
}

// requantised returns the expression of a result of an integer layer, given those of the
// sum of products, of the bias or "", and of the multiplier or "".
func requantised(q ir.Integer, epilogue ir.Act, sum, bias, multiplier string) string {
	if bias != "" && q.To != ir.Float32 {
		sum = "(" + sum + " + " + bias + ")"
	}
	if multiplier == "" {
		multiplier = "1.0f"
	}
	switch {
	case q.Requantises():
		return fmt.Sprintf("(%s)saturate(__fmul_rn((float)%s, %s), %d, %d, %d)", cType(q.To), sum, multiplier, q.YZero, q.Lo, q.Hi)
	case q.To == ir.Float32:
		v := fmt.Sprintf("__fmul_rn((float)%s, %s)", sum, multiplier)
		if bias != "" {
			v = fmt.Sprintf("__fadd_rn(%s, %s)", v, bias)
		}
		return apply(epilogue, v, "float")
	}
	return sum
}
