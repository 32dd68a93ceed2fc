package cpu

import (
	"fmt"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/plain"
)

// reduceLowerings has the rows of ops that reduce or normalise axes.
var reduceLowerings = map[string]lowering{
	"LRN":               {lrnRules, do((*builder).lrnImage), do((*builder).lrnPlain)},
	"Normalize":         {normalizeRules, do((*builder).normalizeImage), do((*builder).normalizePlain)},
	"Softmax":           {dense: do((*builder).softmaxPlain)},
	"ArgReduce":         {dense: do((*builder).argReducePlain)},
	"TopK":              {dense: do((*builder).topKPlain)},
	"NonMaxSuppression": {dense: do((*builder).nonMaxSuppression)},
}

// Ops along axes: reductions, normalisations, selections.

func (b *builder) reducePlain(n *ir.Node, r ir.Reduce) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	if src.Shape.Len() == 0 {
		// The result of a reduction of no elements depends only on the function.
		of, err := eval.Node(n, []*ir.Tensor{ir.NewTensor(n.In[0].Type)})
		if err != nil {
			return err
		}
		b.copyDense("Reduce "+r.Fn.String()+" of no elements", b.tensor("constant", of[0]), dst)
		return nil
	}
	return emitTyped(b, src.DType, "Reduce "+r.Fn.String(), []*place{src}, []*place{dst}, func(m reducer) kernel.Kernel { return m.reduce(r.Fn, src, dst, r.Axes) })
}

type reducer interface {
	reduce(fn ir.ReduceFn, src, dst *place, axes []int) kernel.Kernel
}

func (number[T]) reduce(fn ir.ReduceFn, src, dst *place, axes []int) kernel.Kernel {
	keep, ks, red, rs := plan.SplitAxes(src.Shape, axes)
	keep, kst := plan.Collapse(keep, ks)
	red, rst := plan.Collapse(red, rs)
	return &plain.Reduce[T]{Fn: plain.ReduceFn(fn), Src: src.ref(), Dst: dst.ref(), Shape: keep, SrcStride: kst[0], RedShape: red, RedStride: rst[0]}
}

func (b *builder) argReducePlain(n *ir.Node, a ir.ArgReduce) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	return emitTyped(b, src.DType, "ArgReduce", []*place{src}, []*place{dst}, func(m argReducer) kernel.Kernel { return m.argReduce(a, src, dst) })
}

type argReducer interface {
	argReduce(a ir.ArgReduce, src, dst *place) kernel.Kernel
}

func (number[T]) argReduce(a ir.ArgReduce, src, dst *place) kernel.Kernel {
	outer, n, inner := plan.Around(src.Shape, a.Axis)
	return &plain.ArgReduce[T]{Src: src.ref(), Dst: dst.ref(), Outer: outer, Axis: n, Inner: inner, Min: a.Min, Last: a.Last}
}

func (b *builder) topKPlain(n *ir.Node, op ir.TopK) error {
	src := b.plain(n.In[0])
	values, indices := b.newDense(n.Out[0]), b.newDense(n.Out[1])
	return emitTyped(b, src.DType, fmt.Sprintf("TopK %d of %d", op.K, src.Shape[op.Axis]), []*place{src}, []*place{values, indices}, func(m topKMaker) kernel.Kernel { return m.topK(op, src, values, indices) })
}

type topKMaker interface {
	topK(op ir.TopK, src, values, indices *place) kernel.Kernel
}

func (number[T]) topK(op ir.TopK, src, values, indices *place) kernel.Kernel {
	outer, n, inner := plan.Around(src.Shape, op.Axis)
	return &plain.TopK[T]{Src: src.ref(), Values: values.ref(), Indices: indices.ref(), Outer: outer, Axis: n, K: op.K, Inner: inner, Smallest: op.Smallest}
}

func (b *builder) nonMaxSuppression(n *ir.Node, op ir.NonMaxSuppression) error {
	boxes, scores := b.plain(n.In[0]), b.plain(n.In[ir.NonMaxSuppressionScores])
	rows, count := b.newDense(n.Out[0]), b.newDense(n.Out[1])
	s := scores.Shape
	b.emitPlain(fmt.Sprintf("NonMaxSuppression of %d boxes in %d classes", s[2], s[1]), []*place{boxes, scores}, []*place{rows, count}, func() kernel.Kernel {
		return &plain.NonMaxSuppression{Boxes: boxes.ref(), Scores: scores.ref(), Rows: rows.ref(), Count: count.ref(),
			N: s[0], Classes: s[1], B: s[2], PerClass: min(op.PerClass, s[2]), Overlap: float32(op.Overlap), Score: float32(op.Score), Center: op.Center}
	})
	return nil
}

func (b *builder) softmaxPlain(n *ir.Node, s ir.Softmax) error {
	src := b.plain(n.In[0])
	if err := checkFloat(src.DType); err != nil {
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
	outer, inner := src.Shape[:first].Len(), src.Shape[last+1:].Len()
	return b.softmaxStep(doc, softmax{src, dst, outer, src.Shape[first : last+1].Len(), inner, s.Log})
}

// softmax is a softmax over the second of three axes.
type softmax struct {
	src, dst           *place
	outer, axis, inner int
	log                bool
}

func (b *builder) softmaxStep(doc string, s softmax) error {
	reads, writes := []*place{s.src}, []*place{s.dst}
	if s.inner == 1 && s.src.DType == ir.Float32 && !s.log && !b.cfg.Exact {
		b.emit(doc, reads, writes, func() kernel.Kernel {
			return &kernel.SoftmaxRows{Src: s.src.ref(), Dst: s.dst.ref(), Rows: s.outer, N: s.axis}
		})
		return nil
	}
	return emitTyped(b, s.src.DType, doc, reads, writes, func(m softmaxMaker) kernel.Kernel { return m.softmax(s) })
}

type softmaxMaker interface {
	softmax(s softmax) kernel.Kernel
}

func (floating[T]) softmax(s softmax) kernel.Kernel {
	return &plain.Softmax[T]{Src: s.src.ref(), Dst: s.dst.ref(), Outer: s.outer, Axis: s.axis, Inner: s.inner, Log: s.log}
}

// softmaxScattered emits a softmax over axes that are not neighbours: it permutes
// them to the end, and permutes the result back.
func (b *builder) softmaxScattered(src, dst *place, s ir.Softmax, doc string) error {
	var perm []int
	for i := range src.Shape {
		if !slices.Contains(s.Axes, i) {
			perm = append(perm, i)
		}
	}
	outer := len(perm)
	perm = append(perm, s.Axes...)
	shape := make(ir.Shape, len(perm))
	back := make([]int, len(perm))
	for i, p := range perm {
		shape[i], back[p] = src.Shape[p], i
	}
	t := b.temp("softmax", ir.Type{DType: src.DType, Shape: shape})
	u := b.temp("softmax", ir.Type{DType: src.DType, Shape: shape})
	b.permute(doc+": gather the axes", src, t, perm)
	if err := b.softmaxStep(doc, softmax{t, u, shape[:outer].Len(), shape[outer:].Len(), 1, s.Log}); err != nil {
		return err
	}
	b.permute(doc+": axes back", u, dst, back)
	return nil
}

var normalizeRules = rules{
	fits: func(l *layout, n *ir.Node) bool {
		x := n.In[0]
		s := x.Type.Shape
		return l.image[x] && slices.Equal(n.Op.(ir.Normalize).Axes, []int{1}) && fillsBlocks(x) && channelsOrAbsent(n, ir.NormalizeScale, s) && channelsOrAbsent(n, ir.NormalizeBias, s)
	},
}

func (b *builder) normalizeImage(n *ir.Node, nm ir.Normalize) error {
	src := b.asImage(n.In[0])
	scale, shift := b.channels(n.Const(ir.NormalizeScale), src.dims.c), b.channels(n.Const(ir.NormalizeBias), src.dims.c)
	dst := b.elementwise(n, src)
	b.emit("Normalize over the channels", []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &kernel.NormalizeChannels{Src: src.img(), Dst: dst.img(), Scale: scale, Shift: shift, Epsilon: float32(nm.Epsilon)}
	})
	return nil
}

func (b *builder) normalizePlain(n *ir.Node, nm ir.Normalize) error {
	x, scale, bias := b.plain(n.In[0]), b.plain(n.Input(ir.NormalizeScale)), b.plain(n.Input(ir.NormalizeBias))
	dst := b.newDense(n.Out[0])
	return emitTyped(b, x.DType, "Normalize", []*place{x, scale, bias}, []*place{dst}, func(m normalizer) kernel.Kernel { return m.normalize(nm, x, scale, bias, dst) })
}

type normalizer interface {
	normalize(nm ir.Normalize, x, scale, bias, dst *place) kernel.Kernel
}

func (floating[T]) normalize(nm ir.Normalize, x, scale, bias, dst *place) kernel.Kernel {
	keep, ks, red, rs := plan.SplitAxes(x.Shape, nm.Axes)
	order := func(p *place) []int {
		if p == nil {
			return nil
		}
		st := plan.BroadcastStrides(p.Shape, x.Shape)
		var k, r []int
		for i := range x.Shape {
			if slices.Contains(nm.Axes, i) {
				r = append(r, st[i])
			} else {
				k = append(k, st[i])
			}
		}
		return append(k, r...)
	}
	return &plain.Normalize[T]{Src: x.ref(), Dst: dst.ref(), Scale: scale.ref(), Bias: bias.ref(),
		Shape: keep, SrcStride: ks, RedShape: red, RedStride: rs, ScaleStride: order(scale), BiasStride: order(bias), Epsilon: nm.Epsilon}
}

var lrnRules = rules{
	fits: func(l *layout, n *ir.Node) bool { return l.image[n.In[0]] },
}

func (b *builder) lrnImage(n *ir.Node, l ir.LRN) error {
	src := b.asImage(n.In[0])
	dst := b.newImage(n.Out[0])
	b.emit(fmt.Sprintf("LRN over %d channels", l.Size), []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &kernel.LRN{Src: src.img(), Dst: dst.img(), Size: l.Size, Alpha: float32(l.Alpha), Beta: float32(l.Beta), Bias: float32(l.Bias)}
	})
	return nil
}

func (b *builder) lrnPlain(n *ir.Node, l ir.LRN) error {
	src := b.plain(n.In[0])
	dst := b.newDense(n.Out[0])
	return emitTyped(b, src.DType, "LRN", []*place{src}, []*place{dst}, func(m lrnMaker) kernel.Kernel { return m.lrn(l, src, dst) })
}

type lrnMaker interface {
	lrn(l ir.LRN, src, dst *place) kernel.Kernel
}

func (floating[T]) lrn(l ir.LRN, src, dst *place) kernel.Kernel {
	return &plain.LRN[T]{Src: src.ref(), Dst: dst.ref(), N: src.Shape[0], C: src.Shape[1], Inner: src.Shape[2:].Len(), Size: l.Size, Alpha: l.Alpha, Beta: l.Beta, Bias: l.Bias}
}
