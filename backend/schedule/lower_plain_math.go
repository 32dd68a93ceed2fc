package schedule

import (
	"fmt"
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime"
)

// makers holds one constructor per element type of a generic kernel.
type makers struct {
	f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 func() runtime.Kernel
}

// of returns the constructor for d; Bool is held as uint8. nil when the kernel
// has none.
func (m makers) of(d ir.DType) func() runtime.Kernel {
	switch d {
	case ir.Float32:
		return m.f32
	case ir.Float64:
		return m.f64
	case ir.Int8:
		return m.i8
	case ir.Int16:
		return m.i16
	case ir.Int32:
		return m.i32
	case ir.Int64:
		return m.i64
	case ir.Uint8, ir.Bool:
		return m.u8
	case ir.Uint16:
		return m.u16
	case ir.Uint32:
		return m.u32
	case ir.Uint64:
		return m.u64
	}
	return nil
}

// emitTyped emits the kernel for elements of type d, or says that there is
// none.
func (b *builder) emitTyped(d ir.DType, doc string, reads, writes []*place, m makers) error {
	f := m.of(d)
	if f == nil {
		return unsupportedType(d)
	}
	b.emit(doc, reads, writes, f)
	return nil
}

func unaryKernel[T runtime.Number](src, dst *place, f ir.Act) func() runtime.Kernel {
	return func() runtime.Kernel {
		if f.Fn.ResultBool() {
			return &runtime.TestPlain[T]{Src: src.ref(), Dst: dst.ref(), Fn: runtime.Fn(f.Fn), Alpha: f.Alpha, Beta: f.Beta}
		}
		return &runtime.UnaryPlain[T]{Src: src.ref(), Dst: dst.ref(), Fn: runtime.Fn(f.Fn), Alpha: f.Alpha, Beta: f.Beta}
	}
}

func (b *builder) unaryPlain(n *ir.Node, u ir.Unary) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	return b.emitTyped(src.dtype, u.Fn.String(), []*place{src}, []*place{dst}, makers{
		f32: unaryKernel[float32](src, dst, u.Fn), f64: unaryKernel[float64](src, dst, u.Fn),
		i8: unaryKernel[int8](src, dst, u.Fn), i16: unaryKernel[int16](src, dst, u.Fn),
		i32: unaryKernel[int32](src, dst, u.Fn), i64: unaryKernel[int64](src, dst, u.Fn),
		u8: unaryKernel[uint8](src, dst, u.Fn), u16: unaryKernel[uint16](src, dst, u.Fn),
		u32: unaryKernel[uint32](src, dst, u.Fn), u64: unaryKernel[uint64](src, dst, u.Fn)})
}

// operands is a broadcast pair, its axes merged where both walk them alike.
type operands struct {
	a, b, dst *place
	shape     []int
	as, bs    []int
}

func broadcast(x, y, dst *place) operands {
	shape, st := collapse(dst.shape, broadcastStrides(x.shape, dst.shape), broadcastStrides(y.shape, dst.shape))
	return operands{x, y, dst, shape, st[0], st[1]}
}

func binaryKernel[T runtime.Number](fn ir.BinaryFn, o operands, a ir.Act) func() runtime.Kernel {
	return func() runtime.Kernel {
		if fn.ResultBool() {
			return &runtime.ComparePlain[T]{Fn: runtime.BinaryFn(fn), A: o.a.ref(), B: o.b.ref(), Dst: o.dst.ref(), Shape: o.shape, AStride: o.as, BStride: o.bs}
		}
		return &runtime.BinaryPlain[T]{Fn: runtime.BinaryFn(fn), A: o.a.ref(), B: o.b.ref(), Dst: o.dst.ref(), Shape: o.shape, AStride: o.as, BStride: o.bs, Act: act(a)}
	}
}

// binaryStep emits dst = act(fn(x, y)).
func (b *builder) binaryStep(doc string, fn ir.BinaryFn, x, y, dst *place, a ir.Act) error {
	o := broadcast(x, y, dst)
	return b.emitTyped(x.dtype, doc, []*place{x, y}, []*place{dst}, makers{
		f32: binaryKernel[float32](fn, o, a), f64: binaryKernel[float64](fn, o, a),
		i8: binaryKernel[int8](fn, o, a), i16: binaryKernel[int16](fn, o, a),
		i32: binaryKernel[int32](fn, o, a), i64: binaryKernel[int64](fn, o, a),
		u8: binaryKernel[uint8](fn, o, a), u16: binaryKernel[uint16](fn, o, a),
		u32: binaryKernel[uint32](fn, o, a), u64: binaryKernel[uint64](fn, o, a)})
}

func (b *builder) binaryPlain(n *ir.Node, op ir.Binary) error {
	x, y := b.plain(n.In[0]), b.plain(n.In[1])
	dst := b.newDense(n.Out[0])
	if op.Fn == ir.Pow && x.dtype != y.dtype {
		return b.powPlain(broadcast(x, y, dst))
	}
	if !op.Epilogue.IsIdentity() && !x.dtype.IsFloat() {
		return fmt.Errorf("activation %s on elements of type %s", op.Epilogue, x.dtype)
	}
	return b.binaryStep(op.Fn.String()+actDoc(op.Epilogue), op.Fn, x, y, dst, op.Epilogue)
}

func powKernel[T, E runtime.Number](o operands) func() runtime.Kernel {
	return func() runtime.Kernel {
		return &runtime.PowPlain[T, E]{A: o.a.ref(), B: o.b.ref(), Dst: o.dst.ref(), Shape: o.shape, AStride: o.as, BStride: o.bs}
	}
}

func powMakers[T runtime.Number](o operands) makers {
	return makers{f32: powKernel[T, float32](o), f64: powKernel[T, float64](o),
		i8: powKernel[T, int8](o), i16: powKernel[T, int16](o), i32: powKernel[T, int32](o), i64: powKernel[T, int64](o),
		u8: powKernel[T, uint8](o), u16: powKernel[T, uint16](o), u32: powKernel[T, uint32](o), u64: powKernel[T, uint64](o)}
}

// powPlain is a power whose exponent has another type than its base.
func (b *builder) powPlain(o operands) error {
	var m makers
	switch o.a.dtype {
	case ir.Float32:
		m = powMakers[float32](o)
	case ir.Float64:
		m = powMakers[float64](o)
	case ir.Int32:
		m = powMakers[int32](o)
	case ir.Int64:
		m = powMakers[int64](o)
	default:
		return unsupportedType(o.a.dtype)
	}
	return b.emitTyped(o.b.dtype, "Pow", []*place{o.a, o.b}, []*place{o.dst}, m)
}

// preluPlain is where(x < 0, x·slope, x).
func (b *builder) preluPlain(n *ir.Node) error {
	x, slope := b.plain(n.In[0]), b.plain(n.In[ir.PReluSlope])
	t := n.Out[0].Type
	if err := checkFloat(t.DType); err != nil {
		return err
	}
	zero := b.constTensor(ir.NewTensor(ir.T(t.DType)))
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

func (b *builder) wherePlain(n *ir.Node) error {
	b.whereStep("Where", b.plain(n.In[0]), b.plain(n.In[ir.WhereA]), b.plain(n.In[ir.WhereB]), b.newDense(n.Out[0]))
	return nil
}

// whereStep selects elements; only their size matters.
func (b *builder) whereStep(doc string, cond, x, y, dst *place) {
	shape, st := collapse(dst.shape, broadcastStrides(cond.shape, dst.shape), broadcastStrides(x.shape, dst.shape), broadcastStrides(y.shape, dst.shape))
	b.emit(doc, []*place{cond, x, y}, []*place{dst}, func() runtime.Kernel {
		c, p, q, d := cond.ref(), x.ref(), y.ref(), dst.ref()
		switch x.dtype.Size() {
		case 1:
			return &runtime.WherePlain[uint8]{Cond: c, A: p, B: q, Dst: d, Shape: shape, CondStride: st[0], AStride: st[1], BStride: st[2]}
		case 2:
			return &runtime.WherePlain[uint16]{Cond: c, A: p, B: q, Dst: d, Shape: shape, CondStride: st[0], AStride: st[1], BStride: st[2]}
		case 4:
			return &runtime.WherePlain[uint32]{Cond: c, A: p, B: q, Dst: d, Shape: shape, CondStride: st[0], AStride: st[1], BStride: st[2]}
		}
		return &runtime.WherePlain[uint64]{Cond: c, A: p, B: q, Dst: d, Shape: shape, CondStride: st[0], AStride: st[1], BStride: st[2]}
	})
}

func castKernel[From, To runtime.Number](src, dst *place) func() runtime.Kernel {
	toBool := dst.dtype == ir.Bool
	return func() runtime.Kernel {
		return &runtime.CastPlain[From, To]{Src: src.ref(), Dst: dst.ref(), ToBool: toBool}
	}
}

func castMakers[From runtime.Number](src, dst *place) makers {
	return makers{
		f32: castKernel[From, float32](src, dst), f64: castKernel[From, float64](src, dst),
		i8: castKernel[From, int8](src, dst), i16: castKernel[From, int16](src, dst),
		i32: castKernel[From, int32](src, dst), i64: castKernel[From, int64](src, dst),
		u8: castKernel[From, uint8](src, dst), u16: castKernel[From, uint16](src, dst),
		u32: castKernel[From, uint32](src, dst), u64: castKernel[From, uint64](src, dst)}
}

func (b *builder) castPlain(n *ir.Node, c ir.Cast) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	var m makers
	switch src.dtype {
	case ir.Float32:
		m = castMakers[float32](src, dst)
	case ir.Float64:
		m = castMakers[float64](src, dst)
	case ir.Int8:
		m = castMakers[int8](src, dst)
	case ir.Int16:
		m = castMakers[int16](src, dst)
	case ir.Int32:
		m = castMakers[int32](src, dst)
	case ir.Int64:
		m = castMakers[int64](src, dst)
	case ir.Uint8, ir.Bool:
		m = castMakers[uint8](src, dst)
	case ir.Uint16:
		m = castMakers[uint16](src, dst)
	case ir.Uint32:
		m = castMakers[uint32](src, dst)
	case ir.Uint64:
		m = castMakers[uint64](src, dst)
	default:
		return unsupportedType(src.dtype)
	}
	return b.emitTyped(c.To, "Cast to "+c.To.String(), []*place{src}, []*place{dst}, m)
}

// splitAxes separates the axes of shape into those kept and those reduced,
// each with the operand's strides.
func splitAxes(shape ir.Shape, axes []int) (keep, keepStride, red, redStride []int) {
	st := shape.Strides()
	for i, d := range shape {
		if slices.Contains(axes, i) {
			red, redStride = append(red, d), append(redStride, st[i])
		} else {
			keep, keepStride = append(keep, d), append(keepStride, st[i])
		}
	}
	return
}

func reduceKernel[T runtime.Number](fn ir.ReduceFn, src, dst *place, axes []int) func() runtime.Kernel {
	keep, ks, red, rs := splitAxes(src.shape, axes)
	keep, kst := collapse(keep, ks)
	red, rst := collapse(red, rs)
	return func() runtime.Kernel {
		return &runtime.ReducePlain[T]{Fn: runtime.ReduceFn(fn), Src: src.ref(), Dst: dst.ref(), Shape: keep, SrcStride: kst[0], RedShape: red, RedStride: rst[0]}
	}
}

func (b *builder) reducePlain(n *ir.Node, r ir.Reduce) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	if src.shape.Len() == 0 {
		// What nothing folds to depends on the function alone.
		of, err := eval.Node(n, []*ir.Tensor{ir.NewTensor(n.In[0].Type)})
		if err != nil {
			return err
		}
		b.copyDense("Reduce "+r.Fn.String()+" of no elements", b.constTensor(of[0]), dst)
		return nil
	}
	return b.emitTyped(src.dtype, "Reduce "+r.Fn.String(), []*place{src}, []*place{dst}, makers{
		f32: reduceKernel[float32](r.Fn, src, dst, r.Axes), f64: reduceKernel[float64](r.Fn, src, dst, r.Axes),
		i8: reduceKernel[int8](r.Fn, src, dst, r.Axes), i16: reduceKernel[int16](r.Fn, src, dst, r.Axes),
		i32: reduceKernel[int32](r.Fn, src, dst, r.Axes), i64: reduceKernel[int64](r.Fn, src, dst, r.Axes),
		u8: reduceKernel[uint8](r.Fn, src, dst, r.Axes), u16: reduceKernel[uint16](r.Fn, src, dst, r.Axes),
		u32: reduceKernel[uint32](r.Fn, src, dst, r.Axes), u64: reduceKernel[uint64](r.Fn, src, dst, r.Axes)})
}

// around splits a shape into the extents before, at and behind axis.
func around(s ir.Shape, axis int) (outer, n, inner int) {
	return s[:axis].Len(), s[axis], s[axis+1:].Len()
}

func argKernel[T runtime.Number](a ir.ArgReduce, src, dst *place) func() runtime.Kernel {
	outer, n, inner := around(src.shape, a.Axis)
	return func() runtime.Kernel {
		return &runtime.ArgReducePlain[T]{Src: src.ref(), Dst: dst.ref(), Outer: outer, Axis: n, Inner: inner, Min: a.Min, Last: a.Last}
	}
}

func (b *builder) argReducePlain(n *ir.Node, a ir.ArgReduce) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	return b.emitTyped(src.dtype, "ArgReduce", []*place{src}, []*place{dst}, makers{
		f32: argKernel[float32](a, src, dst), f64: argKernel[float64](a, src, dst), i8: argKernel[int8](a, src, dst),
		i16: argKernel[int16](a, src, dst), i32: argKernel[int32](a, src, dst), i64: argKernel[int64](a, src, dst),
		u8: argKernel[uint8](a, src, dst), u16: argKernel[uint16](a, src, dst), u32: argKernel[uint32](a, src, dst), u64: argKernel[uint64](a, src, dst)})
}

func (b *builder) softmaxPlain(n *ir.Node, s ir.Softmax) error {
	src := b.plain(n.In[0])
	if err := checkFloat(src.dtype); err != nil {
		return err
	}
	dst := b.newDense(n.Out[0])
	doc := "Softmax"
	if s.Log {
		doc = "LogSoftmax"
	}
	if len(s.Axes) == 0 {
		return fmt.Errorf("no axes")
	}
	first, last := s.Axes[0], s.Axes[len(s.Axes)-1]
	if last-first+1 != len(s.Axes) {
		return b.softmaxScattered(src, dst, s, doc)
	}
	outer, inner := src.shape[:first].Len(), src.shape[last+1:].Len()
	b.softmaxStep(doc, src, dst, outer, src.shape[first:last+1].Len(), inner, s.Log)
	return nil
}

func (b *builder) softmaxStep(doc string, src, dst *place, outer, axis, inner int, log bool) {
	b.emit(doc, []*place{src}, []*place{dst}, func() runtime.Kernel {
		if inner == 1 && src.dtype == ir.Float32 && !log && !b.cfg.Exact {
			return &runtime.SoftmaxRows{Src: src.ref(), Dst: dst.ref(), Rows: outer, N: axis}
		}
		if src.dtype == ir.Float64 {
			return &runtime.SoftmaxPlain[float64]{Src: src.ref(), Dst: dst.ref(), Outer: outer, Axis: axis, Inner: inner, Log: log}
		}
		return &runtime.SoftmaxPlain[float32]{Src: src.ref(), Dst: dst.ref(), Outer: outer, Axis: axis, Inner: inner, Log: log}
	})
}

// softmaxScattered brings axes that are not neighbours together and back.
func (b *builder) softmaxScattered(src, dst *place, s ir.Softmax, doc string) error {
	var perm []int
	for i := range src.shape {
		if !slices.Contains(s.Axes, i) {
			perm = append(perm, i)
		}
	}
	outer := len(perm)
	perm = append(perm, s.Axes...)
	shape := make(ir.Shape, len(perm))
	back := make([]int, len(perm))
	for i, p := range perm {
		shape[i], back[p] = src.shape[p], i
	}
	t := b.temp("softmax", ir.Type{DType: src.dtype, Shape: shape})
	u := b.temp("softmax", ir.Type{DType: src.dtype, Shape: shape})
	b.permute(doc+": gather the axes", src, t, perm)
	b.softmaxStep(doc, t, u, shape[:outer].Len(), shape[outer:].Len(), 1, s.Log)
	b.permute(doc+": axes back", u, dst, back)
	return nil
}

func normalizeKernel[T runtime.Number](nm ir.Normalize, x, scale, bias, dst *place) func() runtime.Kernel {
	keep, ks, red, rs := splitAxes(x.shape, nm.Axes)
	order := func(p *place) []int {
		if p == nil {
			return nil
		}
		st := broadcastStrides(p.shape, x.shape)
		var k, r []int
		for i := range x.shape {
			if slices.Contains(nm.Axes, i) {
				r = append(r, st[i])
			} else {
				k = append(k, st[i])
			}
		}
		return append(k, r...)
	}
	ss, bs := order(scale), order(bias)
	return func() runtime.Kernel {
		return &runtime.NormalizePlain[T]{Src: x.ref(), Dst: dst.ref(), Scale: scale.ref(), Bias: bias.ref(),
			Shape: keep, SrcStride: ks, RedShape: red, RedStride: rs, ScaleStride: ss, BiasStride: bs, Epsilon: nm.Epsilon}
	}
}

func (b *builder) normalizePlain(n *ir.Node, nm ir.Normalize) error {
	x, scale, bias := b.plain(n.In[0]), b.plain(n.Input(ir.NormalizeScale)), b.plain(n.Input(ir.NormalizeBias))
	dst := b.newDense(n.Out[0])
	return b.emitTyped(x.dtype, "Normalize", []*place{x, scale, bias}, []*place{dst}, makers{
		f32: normalizeKernel[float32](nm, x, scale, bias, dst), f64: normalizeKernel[float64](nm, x, scale, bias, dst)})
}

func (b *builder) lrnPlain(n *ir.Node, l ir.LRN) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	nn, c, inner := src.shape[0], src.shape[1], src.shape[2:].Len()
	if err := checkFloat(src.dtype); err != nil {
		return err
	}
	b.emit("LRN", []*place{src}, []*place{dst}, func() runtime.Kernel {
		if src.dtype == ir.Float64 {
			return &runtime.LRNPlain[float64]{Src: src.ref(), Dst: dst.ref(), N: nn, C: c, Inner: inner, Size: l.Size, Alpha: l.Alpha, Beta: l.Beta, Bias: l.Bias}
		}
		return &runtime.LRNPlain[float32]{Src: src.ref(), Dst: dst.ref(), N: nn, C: c, Inner: inner, Size: l.Size, Alpha: l.Alpha, Beta: l.Beta, Bias: l.Bias}
	})
	return nil
}
