package cpu

import (
	"fmt"
	"math"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/plain"
)

// elementwiseLowerings has the rows of elementwise ops.
var elementwiseLowerings = map[string]lowering{
	"BatchNorm": {batchNormRules, do((*builder).batchNormImage), do((*builder).batchNormPlain)},
	"Affine":    {affineRules, do((*builder).affineImage), do((*builder).affinePlain)},
	"Unary":     {unaryRules, do((*builder).unaryImage), do((*builder).unaryPlain)},
	"Binary":    {binaryRules, do((*builder).binaryImage), do((*builder).binaryPlain)},
	"PRelu":     {preluRules, do((*builder).preluImage), do((*builder).preluPlain)},
	"Where":     {dense: do((*builder).wherePlain)},
	"Cast":      {castRules, do((*builder).castImage), do((*builder).castPlain)},
}

// Arithmetic per channel and functions of one variable.

var (
	affineRules = rules{
		fits: func(l *layout, n *ir.Node) bool {
			return l.image[n.In[0]] && padsSafely(n.In[0], n.Op.(ir.Affine).Epilogue) && n.Const(ir.AffineScale) != nil && n.Const(ir.AffineShift) != nil
		},
		view: leftToGlobalPool,
	}
	batchNormRules = rules{
		fits: func(l *layout, n *ir.Node) bool {
			return l.image[n.In[0]] && n.Const(ir.BatchNormScale) != nil && n.Const(ir.BatchNormBias) != nil && n.Const(ir.BatchNormMean) != nil && n.Const(ir.BatchNormVar) != nil
		},
		view: leftToGlobalPool,
	}
	unaryRules = rules{
		fits: func(l *layout, n *ir.Node) bool { return l.image[n.In[0]] && padsSafely(n.In[0], n.Op.(ir.Unary).Fn) },
		view: leftToGlobalPool,
	}
)

func (b *builder) affineStep(n *ir.Node, scale, shift *ir.Tensor, a ir.Act, doc string) error {
	c := n.In[0].Type.Shape[1]
	s, t := b.channels(scale, c), b.channels(shift, c)
	if b.extend(n, s, t, act(a)) {
		return nil
	}
	src := b.asImage(n.In[0])
	if b.leaveToGlobalPool(n, src, prologue{n, s, t, act(a)}) {
		return nil
	}
	dst := b.elementwise(n, src)
	b.emit(doc, []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &kernel.Affine{Src: src.img(), Dst: dst.img(), Scale: s, Shift: t, Act: act(a)}
	})
	return nil
}

func (b *builder) affineImage(n *ir.Node, a ir.Affine) error {
	return b.affineStep(n, n.Const(ir.AffineScale), n.Const(ir.AffineShift), a.Epilogue, "Affine"+plan.ActDoc(a.Epilogue))
}

func (b *builder) affinePlain(n *ir.Node, a ir.Affine) error {
	return b.affineSteps(n, b.plain(n.In[ir.AffineScale]), b.plain(n.In[ir.AffineShift]), a.Epilogue)
}

// affineSteps emits an affine op on dense tensors: a product, then a sum.
func (b *builder) affineSteps(n *ir.Node, scale, shift *place, a ir.Act) error {
	t := n.Out[0].Type
	if err := checkFloat(t.DType); err != nil {
		return err
	}
	x := b.plain(n.In[0])
	alongChannels := func(p *place) *place {
		q := *p
		q.Shape = slices.Concat(p.Shape, slices.Repeat(ir.Shape{1}, len(x.Shape)-2))
		return &q
	}
	product := b.temp(n.Out[0].Name+".scaled", t)
	if err := b.binaryStep("Affine: scale", ir.Mul, x, alongChannels(scale), product, ir.Act{}); err != nil {
		return err
	}
	return b.binaryStep("Affine: shift"+plan.ActDoc(a), ir.Add, product, alongChannels(shift), b.newDense(n.Out[0]), a)
}

// scaleAndShift returns the scale and shift of each channel by which a batch
// normalisation is x·scale + shift.
func scaleAndShift(n *ir.Node, bn ir.BatchNorm) (scale, shift []float64, err error) {
	for i := 1; i < 5; i++ {
		if n.Const(i) == nil {
			return nil, nil, fmt.Errorf("its statistics must be constants")
		}
	}
	gamma, beta := n.Const(ir.BatchNormScale).Float64s(), n.Const(ir.BatchNormBias).Float64s()
	mean, variance := n.Const(ir.BatchNormMean).Float64s(), n.Const(ir.BatchNormVar).Float64s()
	scale, shift = make([]float64, len(gamma)), make([]float64, len(gamma))
	for i := range gamma {
		scale[i] = gamma[i] / math.Sqrt(variance[i]+bn.Epsilon)
		shift[i] = beta[i] - float64(mean[i]*scale[i]) // the conversion prevents a fused multiply-add, so the bits are the same on all machines
	}
	return scale, shift, nil
}

func (b *builder) batchNormImage(n *ir.Node, bn ir.BatchNorm) error {
	scale, shift, err := scaleAndShift(n, bn)
	if err != nil {
		return err
	}
	if b.cfg.Exact {
		b.affineDouble(n, scale, shift)
		return nil
	}
	t := ir.T(n.In[0].Type.DType, len(scale))
	return b.affineStep(n, ir.FromFloat64s(t, scale), ir.FromFloat64s(t, shift), ir.Act{}, "BatchNorm")
}

func (b *builder) batchNormPlain(n *ir.Node, bn ir.BatchNorm) error {
	scale, shift, err := scaleAndShift(n, bn)
	if err != nil {
		return err
	}
	t := ir.T(n.In[0].Type.DType, len(scale))
	return b.affineSteps(n, b.tensor("constant", ir.FromFloat64s(t, scale)), b.tensor("constant", ir.FromFloat64s(t, shift)), ir.Act{})
}

func (b *builder) affineDouble(n *ir.Node, scale, shift []float64) {
	src := b.asImage(n.In[0])
	padded := func(v []float64) kernel.Ref {
		n := src.form.whole(len(v))
		return b.tensor("constant", ir.FromFloat64s(ir.T(ir.Float64, n), append(v, make([]float64, n-len(v))...))).ref()
	}
	s, h := padded(scale), padded(shift)
	dst := b.elementwise(n, src)
	b.emit("BatchNorm, in float64", []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &kernel.AffineDouble{Src: src.img(), Dst: dst.img(), Scale: s, Shift: h}
	})
}

func (b *builder) unaryImage(n *ir.Node, u ir.Unary) error {
	return b.affineStep(n, nil, nil, u.Fn, u.Fn.String())
}

func (b *builder) unaryPlain(n *ir.Node, u ir.Unary) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	return emitTyped(b, src.DType, u.Fn.String(), []*place{src}, []*place{dst}, func(m unaryMaker) kernel.Kernel { return m.unary(src, dst, u.Fn) })
}

type unaryMaker interface {
	unary(src, dst *place, f ir.Act) kernel.Kernel
}

func (number[T]) unary(src, dst *place, f ir.Act) kernel.Kernel {
	if f.Fn.ResultBool() {
		return &plain.Test[T]{Src: src.ref(), Dst: dst.ref(), Fn: kernel.Fn(f.Fn), Alpha: f.Alpha, Beta: f.Beta}
	}
	return &plain.Unary[T]{Src: src.ref(), Dst: dst.ref(), Fn: kernel.Fn(f.Fn), Alpha: f.Alpha, Beta: f.Beta}
}

var preluRules = rules{
	fits: func(l *layout, n *ir.Node) bool {
		return l.image[n.In[0]] && n.Const(ir.PReluSlope) != nil && ir.PerChannel(n.In[ir.PReluSlope].Type.Shape, n.In[0].Type.Shape)
	},
}

func (b *builder) preluImage(n *ir.Node, _ ir.PRelu) error {
	src := b.asImage(n.In[0])
	slope := b.channels(n.Const(ir.PReluSlope), src.dims.c)
	dst := b.newImage(n.Out[0])
	b.emit("PRelu", []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &kernel.PRelu{Src: src.img(), Dst: dst.img(), Slope: slope}
	})
	return nil
}

// preluPlain lowers a PRelu on dense tensors to where(x < 0, x·slope, x).
func (b *builder) preluPlain(n *ir.Node, _ ir.PRelu) error {
	x, slope := b.plain(n.In[0]), b.plain(n.In[ir.PReluSlope])
	t := n.Out[0].Type
	if err := checkFloat(t.DType); err != nil {
		return err
	}
	zero := b.tensor("constant", ir.NewTensor(ir.T(t.DType)))
	scaled := b.temp(n.Out[0].Name+".scaled", t)
	below := b.temp(n.Out[0].Name+".below", ir.Type{DType: ir.Bool, Shape: t.Shape})
	if err := b.binaryStep("PRelu: slope", ir.Mul, x, slope, scaled, ir.Act{}); err != nil {
		return err
	}
	if err := b.binaryStep("PRelu: compare", ir.Less, x, zero, below, ir.Act{}); err != nil {
		return err
	}
	b.whereStep("PRelu: select", below, scaled, x, b.newDense(n.Out[0]))
	return nil
}

// Functions of two variables.

var binaryRules = rules{
	fits: func(l *layout, n *ir.Node) bool {
		op, x := n.Op.(ir.Binary), n.In[0]
		quotient := op.Fn == ir.Div && n.In[1].Const == nil && !fillsBlocks(x) // 0/0 in unused channels
		return op.Fn <= ir.Min && !quotient && padsSafely(x, op.Epilogue) && binaryOnImages(l, n, op.Fn.Commutative())
	},
}

// binaryOnImages reports whether both operands are images of the result's
// extents, or one operand is and the other has one value for each channel.
func binaryOnImages(l *layout, n *ir.Node, commutative bool) bool {
	x, y := n.In[0], n.In[1]
	out := n.Out[0].Type.Shape
	full := func(v *ir.Value) bool { return l.image[v] && v.Type.Shape.Equal(out) }
	small := func(v *ir.Value) bool {
		return v.Const != nil && ir.PerChannel(v.Type.Shape, out) || v.Const == nil && overPixels(v.Type.Shape, out)
	}
	switch {
	case full(x) && y.Type.Shape.Equal(out) && y.Const == nil, full(y) && x.Type.Shape.Equal(out) && x.Const == nil:
		return true
	case full(x) && small(y):
		return true
	case full(y) && small(x):
		return commutative
	}
	return false
}

// overPixels reports whether s is [N,C,1,…] or [1,C,1,…] for x [N,C,…]: one value
// for each channel.
func overPixels(s, x ir.Shape) bool {
	if len(s) != len(x) || s[1] != x[1] || s[0] != x[0] && s[0] != 1 {
		return false
	}
	for _, d := range s[2:] {
		if d != 1 {
			return false
		}
	}
	return true
}

func (b *builder) binaryImage(n *ir.Node, op ir.Binary) error {
	x, y := n.In[0], n.In[1]
	out := n.Out[0].Type.Shape
	if !x.Type.Shape.Equal(out) || !b.image[x] && b.image[y] && y.Type.Shape.Equal(out) && op.Fn.Commutative() {
		x, y = y, x
	}
	src := b.asImage(x)
	var second *place
	if y.Const != nil && ir.PerChannel(y.Type.Shape, out) {
		pad := float32(0)
		if op.Fn == ir.Div {
			pad = 1 // not 0/0
		}
		second = b.channelImage(y.Const, src.dims.c, pad)
	} else {
		second = b.asImage(y)
	}
	var dst *place
	if x == n.In[0] && x != y {
		dst = b.elementwise(n, src)
	} else {
		dst = b.newImage(n.Out[0])
	}
	b.emit(op.Fn.String()+plan.ActDoc(op.Epilogue), []*place{src, second}, []*place{dst}, func() kernel.Kernel {
		return &kernel.Binary{Fn: kernel.BinaryFn(op.Fn), A: src.img(), B: second.img(), Dst: dst.img(), Act: act(op.Epilogue)}
	})
	return nil
}

// operands are the operands of a binary op, broadcast to the shape of the result.
// Axes that are one axis in both operands are merged.
type operands struct {
	a, b, dst *place
	shape     []int
	as, bs    []int // strides
}

func broadcast(x, y, dst *place) operands {
	shape, st := plan.Collapse(dst.Shape, plan.BroadcastStrides(x.Shape, dst.Shape), plan.BroadcastStrides(y.Shape, dst.Shape))
	return operands{x, y, dst, shape, st[0], st[1]}
}

func (b *builder) binaryPlain(n *ir.Node, op ir.Binary) error {
	x, y := b.plain(n.In[0]), b.plain(n.In[1])
	dst := b.newDense(n.Out[0])
	if op.Fn == ir.Pow && x.DType != y.DType {
		return b.powPlain(broadcast(x, y, dst))
	}
	if !op.Epilogue.IsIdentity() && !x.DType.IsFloat() {
		return fmt.Errorf("activation %s on elements of type %s", op.Epilogue, x.DType)
	}
	return b.binaryStep(op.Fn.String()+plan.ActDoc(op.Epilogue), op.Fn, x, y, dst, op.Epilogue)
}

// binaryStep emits dst = act(fn(x, y)).
func (b *builder) binaryStep(doc string, fn ir.BinaryFn, x, y, dst *place, a ir.Act) error {
	o := broadcast(x, y, dst)
	return emitTyped(b, x.DType, doc, []*place{x, y}, []*place{dst}, func(m binaryMaker) kernel.Kernel { return m.binary(fn, o, a) })
}

type binaryMaker interface {
	binary(fn ir.BinaryFn, o operands, a ir.Act) kernel.Kernel
}

func (number[T]) binary(fn ir.BinaryFn, o operands, a ir.Act) kernel.Kernel {
	if fn.ResultBool() {
		return &plain.Compare[T]{Fn: kernel.BinaryFn(fn), A: o.a.ref(), B: o.b.ref(), Dst: o.dst.ref(), Shape: o.shape, AStride: o.as, BStride: o.bs}
	}
	return &plain.Binary[T]{Fn: kernel.BinaryFn(fn), A: o.a.ref(), B: o.b.ref(), Dst: o.dst.ref(), Shape: o.shape, AStride: o.as, BStride: o.bs, Act: act(a)}
}

// powPlain emits a power whose exponent and base have different types.
func (b *builder) powPlain(o operands) error {
	base, ok := elements[o.a.DType].(powerBase)
	if !ok {
		return unsupportedType(o.a.DType)
	}
	m, ok := base.power(o.b.DType).(powMaker)
	if !ok {
		return unsupportedType(o.b.DType)
	}
	b.emitPlain("Pow", []*place{o.a, o.b}, []*place{o.dst}, func() kernel.Kernel { return m.pow(o) })
	return nil
}

// powerBase is implemented by element types of bases. power returns the
// constructors for exponents of the given type.
type powerBase interface{ power(exponent ir.DType) any }

func (product[T]) power(exponent ir.DType) any { return with[T](exponent) }

type powMaker interface {
	pow(o operands) kernel.Kernel
}

func (pair[T, U]) pow(o operands) kernel.Kernel {
	return &plain.Pow[T, U]{A: o.a.ref(), B: o.b.ref(), Dst: o.dst.ref(), Shape: o.shape, AStride: o.as, BStride: o.bs}
}

func (b *builder) wherePlain(n *ir.Node, _ ir.Where) error {
	b.whereStep("Where", b.plain(n.In[0]), b.plain(n.In[ir.WhereA]), b.plain(n.In[ir.WhereB]), b.newDense(n.Out[0]))
	return nil
}

// whereStep emits a selection of elements. The kernel depends only on the size of
// an element.
func (b *builder) whereStep(doc string, cond, x, y, dst *place) {
	o := choice{cond: cond, x: x, y: y, dst: dst}
	o.shape, o.strides = plan.Collapse(dst.Shape, plan.BroadcastStrides(cond.Shape, dst.Shape), plan.BroadcastStrides(x.Shape, dst.Shape), plan.BroadcastStrides(y.Shape, dst.Shape))
	b.emitPlain(doc, []*place{cond, x, y}, []*place{dst}, func() kernel.Kernel { return ofSize[chooser](x).where(o) })
}

// choice describes a selection between the elements of two tensors.
type choice struct {
	cond, x, y, dst *place
	shape           []int
	strides         [][]int // of cond, x and y
}

type chooser interface{ where(o choice) kernel.Kernel }

func (number[T]) where(o choice) kernel.Kernel {
	return &plain.Where[T]{Cond: o.cond.ref(), A: o.x.ref(), B: o.y.ref(), Dst: o.dst.ref(), Shape: o.shape, CondStride: o.strides[0], AStride: o.strides[1], BStride: o.strides[2]}
}

func (b *builder) castPlain(n *ir.Node, c ir.Cast) error {
	if roundedByFirst(n) {
		b.dense[n.Out[0]] = b.dense[n.In[0]]
		return nil
	}
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	from, ok := elements[src.DType].(caster)
	if !ok {
		return unsupportedType(src.DType)
	}
	m, ok := from.cast(c.To).(castMaker)
	if !ok {
		return unsupportedType(c.To)
	}
	b.emitPlain("Cast to "+c.To.String(), []*place{src}, []*place{dst}, func() kernel.Kernel { return m.castTo(src, dst) })
	return nil
}

// caster is implemented by element types of operands. cast returns the
// constructors for results of the given type.
type caster interface{ cast(to ir.DType) any }

func (number[T]) cast(to ir.DType) any { return with[T](to) }

type castMaker interface {
	castTo(src, dst *place) kernel.Kernel
}

func (pair[T, U]) castTo(src, dst *place) kernel.Kernel {
	return &plain.Cast[T, U]{Src: src.ref(), Dst: dst.ref(), ToBool: dst.DType == ir.Bool}
}
