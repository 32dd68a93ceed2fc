package schedule

import (
	"fmt"

	"modelc/ir"
	"modelc/runtime"
)

// matMul lowers a product of two computed matrices, or of more than two axes.
func (b *builder) matMul(n *ir.Node) error {
	x, y := b.plain(n.In[0]), b.plain(n.In[1])
	dst := b.newDense(n.Out[0])
	as, bs := x.shape, y.shape
	if len(as) == 1 {
		as = ir.Shape{1, as[0]}
	}
	if len(bs) == 1 {
		bs = ir.Shape{bs[0], 1}
	}
	return b.matMulStep(fmt.Sprintf("MatMul %s by %s", as, bs), x, y, dst, as, bs)
}

func (b *builder) matMulStep(doc string, x, y, dst *place, as, bs ir.Shape) error {
	m, k, n := as[len(as)-2], as[len(as)-1], bs[len(bs)-1]
	al, bl := as[:len(as)-2], bs[:len(bs)-2]
	lead, err := ir.BroadcastShapes(al, bl)
	if err != nil {
		return err
	}
	scaled := func(s ir.Shape, by int) []int {
		st := broadcastStrides(s, lead)
		for i := range st {
			st[i] *= by
		}
		return st
	}
	dims, st := collapse(lead, scaled(al, m*k), scaled(bl, k*n))
	return b.emitTyped(x.dtype, doc, []*place{x, y}, []*place{dst}, makers{
		f32: matMulKernel[float32](x, y, dst, dims, st, m, k, n), f64: matMulKernel[float64](x, y, dst, dims, st, m, k, n),
		i32: matMulKernel[int32](x, y, dst, dims, st, m, k, n), i64: matMulKernel[int64](x, y, dst, dims, st, m, k, n)})
}

func matMulKernel[T runtime.Number](x, y, dst *place, lead []int, st [][]int, m, k, n int) func() runtime.Kernel {
	return func() runtime.Kernel {
		return &runtime.MatMulPlain[T]{A: x.ref(), B: y.ref(), Dst: dst.ref(), Lead: lead, ALead: st[0], BLead: st[1], M: m, K: k, N: n, ARow: k, BRow: n}
	}
}

// densePlain is a dense layer whose weights are computed, or not float32.
func (b *builder) densePlain(n *ir.Node, d ir.Dense) error {
	x, w := b.plain(n.In[0]), b.plain(n.In[ir.Weights])
	if d.TransW {
		t := b.temp(n.Out[0].Name+".weights", ir.T(w.dtype, w.shape[1], w.shape[0]))
		b.permute("Dense: transpose weights", w, t, []int{1, 0})
		w = t
	}
	v := n.Out[0]
	bias := n.Input(ir.Bias)
	dst := b.newDense(v)
	product := dst
	if bias != nil || !d.Epilogue.IsIdentity() {
		product = b.temp(v.Name+".product", v.Type)
	}
	if err := b.matMulStep(fmt.Sprintf("Dense %d→%d", x.shape[1], v.Type.Shape[1]), x, w, product, x.shape, w.shape); err != nil {
		return err
	}
	add := b.constTensor(ir.NewTensor(ir.T(v.Type.DType, 1)))
	if bias != nil {
		add = b.plain(bias)
	}
	if product != dst {
		return b.binaryStep("Dense: bias"+actDoc(d.Epilogue), ir.Add, product, add, dst, d.Epilogue)
	}
	return nil
}

// convPlain is a convolution of any rank or of float64, or with computed
// weights.
func (b *builder) convPlain(n *ir.Node, c ir.Conv) error {
	x, w := b.plain(n.In[0]), b.plain(n.In[ir.Weights])
	bias, residual := b.plain(n.Input(ir.Bias)), b.plain(n.Input(ir.ConvResidual))
	scale, shift := b.plain(n.Input(ir.ConvScale)), b.plain(n.Input(ir.ConvShift))
	dst := b.newDense(n.Out[0])
	doc := fmt.Sprintf("Conv %s %d→%d at %s%s: plain loops", shapeDoc(w.shape[2:]...), x.shape[1], w.shape[0], shapeDoc(dst.shape[2:]...), operandsDoc(n, c))
	return b.emitTyped(x.dtype, doc, []*place{x, w, bias, residual, scale, shift}, []*place{dst}, makers{
		f32: convKernel[float32](c, x, w, bias, residual, scale, shift, dst), f64: convKernel[float64](c, x, w, bias, residual, scale, shift, dst)})
}

func convKernel[T runtime.Number](c ir.Conv, x, w, bias, residual, scale, shift, dst *place) func() runtime.Kernel {
	r := len(x.shape) - 2
	return func() runtime.Kernel {
		return &runtime.ConvPlain[T]{Src: x.ref(), Dst: dst.ref(), W: w.ref(), Bias: bias.ref(), Residual: residual.ref(), Scale: scale.ref(), Shift: shift.ref(),
			N: x.shape[0], C: x.shape[1], M: w.shape[0], Groups: c.Groups, In: x.shape[2:], Out: dst.shape[2:], Kernel: w.shape[2:],
			Strides: c.Strides, Pads: c.Pads[:r], Dilations: c.Dilations, Pre: act(c.Prologue), Act: act(c.Epilogue)}
	}
}

func (b *builder) convTransposePlain(n *ir.Node, c ir.ConvTranspose) error {
	x, w, bias := b.plain(n.In[0]), b.plain(n.In[ir.Weights]), b.plain(n.Input(ir.Bias))
	dst := b.newDense(n.Out[0])
	doc := fmt.Sprintf("ConvTranspose %s %d→%d at %s%s", shapeDoc(w.shape[2:]...), x.shape[1], dst.shape[1], shapeDoc(dst.shape[2:]...), actDoc(c.Epilogue))
	return b.emitTyped(x.dtype, doc, []*place{x, w, bias}, []*place{dst}, makers{
		f32: convTransposeKernel[float32](c, x, w, bias, dst), f64: convTransposeKernel[float64](c, x, w, bias, dst)})
}

func convTransposeKernel[T runtime.Number](c ir.ConvTranspose, x, w, bias, dst *place) func() runtime.Kernel {
	r := len(x.shape) - 2
	return func() runtime.Kernel {
		return &runtime.ConvTransposePlain[T]{Src: x.ref(), Dst: dst.ref(), W: w.ref(), Bias: bias.ref(),
			N: x.shape[0], C: x.shape[1], M: dst.shape[1], Groups: c.Groups, In: x.shape[2:], Out: dst.shape[2:], Kernel: w.shape[2:],
			Strides: c.Strides, Pads: c.Pads[:r], Dilations: c.Dilations, Act: act(c.Epilogue)}
	}
}

func (b *builder) poolPlain(n *ir.Node, p ir.Pool) error {
	x, scale, shift := b.plain(n.In[0]), b.plain(n.Input(ir.PoolScale)), b.plain(n.Input(ir.PoolShift))
	dst := b.newDense(n.Out[0])
	writes := []*place{dst}
	var idx *place
	if p.Indices {
		idx = b.newDense(n.Out[1])
		writes = append(writes, idx)
	}
	doc := fmt.Sprintf("Pool %s %s/%s", p.Kind, shapeDoc(p.Kernel...), shapeDoc(p.Strides...))
	return b.emitTyped(x.dtype, doc, []*place{x, scale, shift}, writes, makers{
		f32: poolKernel[float32](p, x, scale, shift, dst, idx), f64: poolKernel[float64](p, x, scale, shift, dst, idx),
		i8: poolKernel[int8](p, x, scale, shift, dst, idx), u8: poolKernel[uint8](p, x, scale, shift, dst, idx)})
}

func poolKernel[T runtime.Number](p ir.Pool, x, scale, shift, dst, idx *place) func() runtime.Kernel {
	r := len(x.shape) - 2
	return func() runtime.Kernel {
		return &runtime.PoolPlain[T]{Kind: uint8(p.Kind), Src: x.ref(), Dst: dst.ref(), Indices: idx.ref(), Scale: scale.ref(), Shift: shift.ref(),
			N: x.shape[0], C: x.shape[1], In: x.shape[2:], Out: dst.shape[2:], Kernel: p.Kernel,
			Strides: p.Strides, Pads: p.Pads[:r], EndPads: p.Pads[r:], Dilations: p.Dilations,
			CountPad: p.CountPad, P: p.P, ColMajor: p.ColMajor, Pre: act(p.Prologue)}
	}
}
