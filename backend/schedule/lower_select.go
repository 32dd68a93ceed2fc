package schedule

import (
	"fmt"

	"modelc/ir"
	"modelc/runtime"
)

func topKKernel[T runtime.Number](op ir.TopK, src, values, indices *place) func() runtime.Kernel {
	outer, n, inner := around(src.shape, op.Axis)
	return func() runtime.Kernel {
		return &runtime.TopKPlain[T]{Src: src.ref(), Values: values.ref(), Indices: indices.ref(), Outer: outer, Axis: n, K: op.K, Inner: inner, Smallest: op.Smallest}
	}
}

func (b *builder) topKPlain(n *ir.Node, op ir.TopK) error {
	src := b.plain(n.In[0])
	values, indices := b.newDense(n.Out[0]), b.newDense(n.Out[1])
	return b.emitTyped(src.dtype, fmt.Sprintf("TopK %d of %d", op.K, src.shape[op.Axis]), []*place{src}, []*place{values, indices}, makers{
		f32: topKKernel[float32](op, src, values, indices), f64: topKKernel[float64](op, src, values, indices),
		i8: topKKernel[int8](op, src, values, indices), i16: topKKernel[int16](op, src, values, indices),
		i32: topKKernel[int32](op, src, values, indices), i64: topKKernel[int64](op, src, values, indices),
		u8: topKKernel[uint8](op, src, values, indices), u16: topKKernel[uint16](op, src, values, indices),
		u32: topKKernel[uint32](op, src, values, indices), u64: topKKernel[uint64](op, src, values, indices)})
}

func (b *builder) nonMaxSuppression(n *ir.Node, op ir.NonMaxSuppression) error {
	boxes, scores := b.plain(n.In[0]), b.plain(n.In[ir.NonMaxSuppressionScores])
	rows, count := b.newDense(n.Out[0]), b.newDense(n.Out[1])
	s := scores.shape
	b.emit(fmt.Sprintf("NonMaxSuppression of %d boxes in %d classes", s[2], s[1]), []*place{boxes, scores}, []*place{rows, count}, func() runtime.Kernel {
		return &runtime.NonMaxSuppressionPlain{Boxes: boxes.ref(), Scores: scores.ref(), Rows: rows.ref(), Count: count.ref(),
			N: s[0], Classes: s[1], B: s[2], PerClass: min(op.PerClass, s[2]), Overlap: float32(op.Overlap), Score: float32(op.Score), Center: op.Center}
	})
	return nil
}

// maxUnpoolPlain moves elements; only their size matters.
func (b *builder) maxUnpoolPlain(n *ir.Node) error {
	src, idx := b.plain(n.In[0]), b.plain(n.In[ir.MaxUnpoolIndices])
	dst := b.newDense(n.Out[0])
	b.emit("MaxUnpool", []*place{src, idx}, []*place{dst}, func() runtime.Kernel {
		switch src.dtype.Size() {
		case 1:
			return &runtime.MaxUnpoolPlain[uint8]{Src: src.ref(), Indices: idx.ref(), Dst: dst.ref()}
		case 2:
			return &runtime.MaxUnpoolPlain[uint16]{Src: src.ref(), Indices: idx.ref(), Dst: dst.ref()}
		case 4:
			return &runtime.MaxUnpoolPlain[uint32]{Src: src.ref(), Indices: idx.ref(), Dst: dst.ref()}
		}
		return &runtime.MaxUnpoolPlain[uint64]{Src: src.ref(), Indices: idx.ref(), Dst: dst.ref()}
	})
	return nil
}

func gridSampleKernel[T runtime.Number](g ir.GridSample, src, grid, dst *place) func() runtime.Kernel {
	return func() runtime.Kernel {
		return &runtime.GridSamplePlain[T]{Src: src.ref(), Grid: grid.ref(), Dst: dst.ref(), N: src.shape[0], C: src.shape[1],
			In: src.shape[2:], Out: dst.shape[2:], Mode: int(g.Mode), Border: int(g.Border), AlignCorners: g.AlignCorners}
	}
}

func (b *builder) gridSamplePlain(n *ir.Node, g ir.GridSample) error {
	src, grid := b.plain(n.In[0]), b.plain(n.In[ir.GridSampleGrid])
	dst := b.newDense(n.Out[0])
	return b.emitTyped(src.dtype, fmt.Sprintf("GridSample %s, %s", g.Mode, g.Border), []*place{src, grid}, []*place{dst}, makers{
		f32: gridSampleKernel[float32](g, src, grid, dst), f64: gridSampleKernel[float64](g, src, grid, dst)})
}
