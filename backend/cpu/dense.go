package cpu

import (
	"fmt"
	"strings"

	"modelc/backend/cpu/pack"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/bfloat"
	"modelc/runtime/kernel/plain"
	"modelc/runtime/kernel/recurrent"
)

// denseLowerings has the rows of matrix products.
var denseLowerings = map[string]lowering{
	"Dense":     {dense: do((*builder).denseLayer)},
	"MatMul":    {dense: do((*builder).matMul)},
	"Recurrent": {dense: do((*builder).recurrent)},
}

// denseLayer lowers a dense layer to the kernel that reads packed weights.
func (b *builder) denseLayer(n *ir.Node, d ir.Dense) error {
	if !d.Integer.IsZero() {
		return b.denseInteger(n, d)
	}
	if !denseOnFloats(n) {
		return b.densePlain(n, d)
	}
	w := n.Const(ir.Weights)
	k, m := d.KM(w.Shape)
	doc := fmt.Sprintf("Dense %d→%d", k, m)
	if n.Input(ir.Bias) != nil {
		doc += ", bias"
	}
	doc += plan.ActDoc(d.Epilogue)
	src, rows := b.flattened(n.In[0])
	if src == nil {
		src = b.plain(n.In[0])
	} else {
		k = len(rows)
	}
	dst := b.newDense(n.Out[0])
	half := b.format(w) == kernel.BF16 && !b.cfg.Exact
	if half {
		doc += ", weights in bf16"
	}
	wref := b.packDense(w, d.TransW, rows, half)
	if !half {
		wref = b.floats32(w, wref)
	}
	bias := b.channels(n.Const(ir.Bias), m)
	batch := n.Out[0].Type.Shape[0]
	b.emit(doc, []*place{src}, []*place{dst}, func() kernel.Kernel {
		x := src.ref()
		x.Len = batch * k
		if half {
			return &bfloat.Dense{X: x, Y: dst.ref(), W: wref, Bias: bias, N: batch, K: k, M: m, Act: act(d.Epilogue)}
		}
		return &kernel.Dense{X: x, Y: dst.ref(), W: wref, Bias: bias, N: batch, K: k, M: m, Act: act(d.Epilogue)}
	})
	return nil
}

// denseOnFloats reports whether the dense layer n runs on the kernel that reads packed weights.
func denseOnFloats(n *ir.Node) bool {
	x := n.In[0].Type
	return n.Const(ir.Weights) != nil && n.ConstOrAbsent(ir.Bias) && x.DType == ir.Float32 && x.Shape.Len() > 0 && n.Out[0].Type.Shape.Len() > 0
}

// packDense stores a packed weight matrix. rows, unless nil, has, for each element
// of the operand, the row of the matrix that it is multiplied with, or −1 for a
// row of zeros. half stores pairs of columns in bfloat16.
func (b *builder) packDense(t *ir.Tensor, trans bool, rows []int, half bool) kernel.Ref {
	k, m := t.Shape[0], t.Shape[1]
	if trans {
		k, m = m, k
	}
	if inOrder(rows, k) {
		rows = nil // programs for other batch sizes may read the same weights without rows
	}
	form := fmt.Sprintf("dense %v %d", trans, len(rows))
	if rows != nil {
		form += fmt.Sprint(" ", rows[:min(len(rows), 33)])
		k = len(rows)
	}
	if half {
		return b.sectionOf(form+" pairs", t, pack.DenseLen(k, m), ir.BFloat16.Size(), func(yield func([]byte) bool) {
			for part := range pack.DenseParts(t.Float32s(), k, m, trans, rows) {
				if !yield(narrow(kernel.BF16, pack.PairColumns(part))) {
					return
				}
			}
		})
	}
	return b.layerParts(form, t, pack.DenseLen(k, m), func(yield func([]float32) bool) {
		pack.DenseParts(t.Float32s(), k, m, trans, rows)(yield)
	})
}

// inOrder reports whether rows are 0 … k−1.
func inOrder(rows []int, k int) bool {
	for i, r := range rows {
		if r != i {
			return false
		}
	}
	return len(rows) == k
}

// densePlain lowers a dense layer whose weights are computed or are not float32.
func (b *builder) densePlain(n *ir.Node, d ir.Dense) error {
	x, w := b.plain(n.In[0]), b.plain(n.In[ir.Weights])
	if d.TransW {
		w = b.transposed(n, w)
	}
	v := n.Out[0]
	bias := n.Input(ir.Bias)
	dst := b.newDense(v)
	product := dst
	if bias != nil || !d.Epilogue.IsIdentity() {
		product = b.temp(v.Name+".product", v.Type)
	}
	if err := b.matMulStep(fmt.Sprintf("Dense %d→%d", x.Shape[1], v.Type.Shape[1]), x, w, product, x.Shape, w.Shape); err != nil {
		return err
	}
	add := b.tensor("constant", ir.NewTensor(ir.T(v.Type.DType, 1)))
	if bias != nil {
		add = b.plain(bias)
	}
	if product != dst {
		return b.binaryStep("Dense: bias"+plan.ActDoc(d.Epilogue), ir.Add, product, add, dst, d.Epilogue)
	}
	return nil
}

// transposed emits the transposition of the weights of the dense layer n.
func (b *builder) transposed(n *ir.Node, w *place) *place {
	t := b.temp(n.Out[0].Name+".weights", ir.T(w.DType, w.Shape[1], w.Shape[0]))
	b.permute("Dense: transpose weights", w, t, []int{1, 0})
	return t
}

// matMul lowers a product of two operands, which may have leading axes.
func (b *builder) matMul(n *ir.Node, _ ir.MatMul) error {
	x, y := b.plain(n.In[0]), b.plain(n.In[1])
	dst := b.newDense(n.Out[0])
	as, bs := x.Shape, y.Shape
	if len(as) == 1 {
		as = ir.Shape{1, as[0]}
	}
	if len(bs) == 1 {
		bs = ir.Shape{bs[0], 1}
	}
	return b.matMulStep(fmt.Sprintf("MatMul %s by %s", as, bs), x, y, dst, as, bs)
}

// matMulStep emits dst = x·y. as and bs are the shapes of x and y: leading axes
// that broadcast, and the two axes of a matrix.
func (b *builder) matMulStep(doc string, x, y, dst *place, as, bs ir.Shape) error {
	o := matrices{a: x, b: y, dst: dst, m: as[len(as)-2], k: as[len(as)-1], n: bs[len(bs)-1]}
	al, bl := as[:len(as)-2], bs[:len(bs)-2]
	lead, err := ir.BroadcastShapes(al, bl)
	if err != nil {
		return err
	}
	scaled := func(s ir.Shape, by int) []int {
		st := plan.BroadcastStrides(s, lead)
		for i := range st {
			st[i] *= by
		}
		return st
	}
	o.lead, o.strides = plan.Collapse(lead, scaled(al, o.m*o.k), scaled(bl, o.k*o.n))
	return emitTyped(b, x.DType, doc, []*place{x, y}, []*place{dst}, func(m matMulMaker) kernel.Kernel { return m.matMul(o) })
}

// matrices are the operands of a matrix product: m×k by k×n.
type matrices struct {
	a, b, dst *place
	m, k, n   int
	lead      []int   // extents of the leading axes
	strides   [][]int // of a and b along them
}

// recurrent lowers a recurrent layer to a dense layer, which computes the products of all
// steps' inputs at once, and the recurrence.
func (b *builder) recurrent(n *ir.Node, op ir.Recurrent) error {
	w, r, bias, peepholes := n.Const(ir.RecurrentW), n.Const(ir.RecurrentR), n.Const(ir.RecurrentBias), n.Const(ir.RecurrentPeepholes)
	if w == nil || r == nil || !n.ConstOrAbsent(ir.RecurrentBias) || !n.ConstOrAbsent(ir.RecurrentPeepholes) {
		return fmt.Errorf("no kernel for computed weights")
	}
	if w.DType != ir.Float32 {
		return unsupportedType(w.DType)
	}
	x, h, c := b.plain(n.In[0]), b.plain(n.Input(ir.RecurrentH)), b.plain(n.Input(ir.RecurrentC))
	steps, batch, features := x.Shape[0], x.Shape[1], x.Shape[2]
	dirs, gates, hidden := op.Directions(), op.Cell.Gates(), r.Shape[2]
	padded := nc16.whole(hidden)
	m := dirs * gates * padded
	name := strings.ToUpper(op.Cell.String())

	form := fmt.Sprint("recurrent ", op.Cell) // gates of different cells have different extents
	wref := b.floats32(w, b.layerWeights(form+" w", w, pack.DenseLen(features, m), func() []float32 {
		return pack.Dense(pack.Gates(w.Float32s(), hidden, features), features, m, true, nil)
	}))
	rref := b.floats32(r, b.layerWeights(form+" r", r, dirs*pack.DenseLen(hidden, gates*padded), func() []float32 {
		return pack.Recurrence(r.Float32s(), dirs, hidden)
	}))
	var inputBias, stateBias, peep kernel.Ref
	if bias != nil {
		apart := op.LinearBeforeReset
		inputBias = b.floats(fmt.Sprint(form, " bias ", apart), bias, m, func() []float32 {
			in, _ := pack.GateBias(bias.Float32s(), dirs, hidden, apart)
			return in
		})
		if apart {
			stateBias = b.floats(form+" state bias", bias, dirs*padded, func() []float32 {
				_, state := pack.GateBias(bias.Float32s(), dirs, hidden, apart)
				return state
			})
		}
	}
	if peepholes != nil {
		peep = b.floats(form+" peepholes", peepholes, dirs*3*padded, func() []float32 { return pack.Gates(peepholes.Float32s(), hidden, 1) })
	}

	products := b.temp(n.Out[0].Name+".products", ir.T(ir.Float32, steps, batch, dirs, gates, padded))
	b.emit(fmt.Sprintf("%s: products of all inputs, %d→%d", name, features, m), []*place{x}, []*place{products}, func() kernel.Kernel {
		return &kernel.Dense{X: x.ref(), Y: products.ref(), W: wref, Bias: inputBias, N: steps * batch, K: features, M: m}
	})
	// A result that nothing reads is not stored.
	var stored [3]*place
	for i, v := range n.Out {
		if dst := b.newDense(v); len(v.Uses()) > 0 {
			stored[i] = dst
		}
	}
	var lengths []int32
	for _, l := range op.Lengths {
		lengths = append(lengths, int32(l))
	}
	doc := fmt.Sprintf("%s %s: recurrence of %d steps, %d hidden units", name, op.Direction, steps, hidden)
	b.emit(doc, []*place{products, h, c}, stored[:], func() kernel.Kernel {
		return &recurrent.Layer{Cell: recurrent.Cell(op.Cell), X: products.ref(), R: rref, Bias: stateBias, Peepholes: peep,
			H0: h.ref(), C0: c.ref(), Y: stored[0].ref(), YH: stored[1].ref(), YC: stored[2].ref(),
			Steps: steps, Batch: batch, Dirs: dirs, Hidden: hidden, Reverse: op.Direction == ir.Reverse,
			F: act(op.F), G: act(op.G), Out: act(op.H), Clip: float32(op.Clip),
			InputForget: op.InputForget, LinearBeforeReset: op.LinearBeforeReset, Lengths: lengths}
	})
	return nil
}

type matMulMaker interface {
	matMul(o matrices) kernel.Kernel
}

func (product[T]) matMul(o matrices) kernel.Kernel {
	return &plain.MatMul[T]{A: o.a.ref(), B: o.b.ref(), Dst: o.dst.ref(), Lead: o.lead, ALead: o.strides[0], BLead: o.strides[1], M: o.m, K: o.k, N: o.n, ARow: o.k, BRow: o.n}
}
