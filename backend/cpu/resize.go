package cpu

import (
	"fmt"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/plain"
)

// resizeLowerings has the rows of ops that interpolate.
var resizeLowerings = map[string]lowering{
	"Resize":     {resizeRules, do((*builder).resizeImage), do((*builder).resizePlain)},
	"GridSample": {dense: do((*builder).gridSamplePlain)},
}

var resizeRules = rules{
	types: imageTypes,
	fits: func(l *layout, n *ir.Node) bool {
		r, x := n.Op.(ir.Resize), n.In[0]
		if isByte(x.Type.DType) && r.Mode != ir.ResizeNearest {
			return false
		}
		return l.image[x] && r.Keeps(0, x.Type.Shape[0]) && r.Keeps(1, x.Type.Shape[1])
	},
}

func (b *builder) resizeImage(n *ir.Node, r ir.Resize) error {
	x := n.In[0]
	src := b.asImage(x)
	dst := b.newImage(n.Out[0])
	rank := x.Type.Rank()
	k := kernel.ResizeImage{RowTaps: 1, RowIndex: []int32{0}, RowWeight: []float32{1}}
	if rank == 4 {
		k.RowTaps, k.RowIndex, k.RowWeight = plan.ResizeTable(r, 2, x.Type.Shape[2])
	}
	k.ColTaps, k.ColIndex, k.ColWeight = plan.ResizeTable(r, rank-1, x.Type.Shape[rank-1])
	b.emit(fmt.Sprintf("Resize %s to %s", r.Mode, plan.Extents(r.Shape[2:]...)), []*place{src}, []*place{dst}, func() kernel.Kernel {
		k := k
		k.Src, k.Dst = src.img(), dst.img()
		return &k
	})
	return nil
}

// resizePlain lowers a resize of a dense tensor: a step for each axis.
func (b *builder) resizePlain(n *ir.Node, r ir.Resize) error {
	v := n.Out[0]
	if err := checkFloat(v.Type.DType); err != nil && r.Mode != ir.ResizeNearest {
		return err
	}
	src := b.plain(n.In[0])
	shape := slices.Clone(src.Shape)
	var axes []int
	for i := range shape {
		if !r.Keeps(i, shape[i]) {
			axes = append(axes, i)
		}
	}
	if len(axes) == 0 {
		b.copyDense("Resize to the same extents", src, b.newDense(v))
		return nil
	}
	for k, i := range axes {
		a := resizeAxis{from: src, in: shape[i], out: r.Shape[i]}
		shape = slices.Clone(shape)
		shape[i] = a.out
		if k == len(axes)-1 {
			a.dst = b.newDense(v)
		} else {
			a.dst = b.temp(v.Name+".resized", ir.Type{DType: v.Type.DType, Shape: shape})
		}
		a.taps, a.index, a.weight = plan.ResizeTable(r, i, a.in)
		a.outer, _, a.inner = plan.Around(shape, i)
		if err := emitTyped(b, v.Type.DType, fmt.Sprintf("Resize %s, axis %d", r.Mode, i), []*place{a.from}, []*place{a.dst}, func(m resizer) kernel.Kernel { return m.resize(a) }); err != nil {
			return err
		}
		src = a.dst
	}
	return nil
}

// resizeAxis is the interpolation along one axis.
type resizeAxis struct {
	from, dst             *place
	outer, in, out, inner int
	taps                  int
	index                 []int32
	weight                []float32
}

type resizer interface {
	resize(r resizeAxis) kernel.Kernel
}

func (number[T]) resize(r resizeAxis) kernel.Kernel {
	return &plain.Resize[T]{Src: r.from.ref(), Dst: r.dst.ref(), Outer: r.outer, In: r.in, Out: r.out, Inner: r.inner, Taps: r.taps, Index: r.index, Weight: r.weight}
}

func (b *builder) gridSamplePlain(n *ir.Node, g ir.GridSample) error {
	src, grid := b.plain(n.In[0]), b.plain(n.In[ir.GridSampleGrid])
	dst := b.newDense(n.Out[0])
	return emitTyped(b, src.DType, fmt.Sprintf("GridSample %s, %s", g.Mode, g.Border), []*place{src, grid}, []*place{dst}, func(m sampler) kernel.Kernel { return m.sample(g, src, grid, dst) })
}

type sampler interface {
	sample(g ir.GridSample, src, grid, dst *place) kernel.Kernel
}

func (floating[T]) sample(g ir.GridSample, src, grid, dst *place) kernel.Kernel {
	return &plain.GridSample[T]{Src: src.ref(), Grid: grid.ref(), Dst: dst.ref(), N: src.Shape[0], C: src.Shape[1],
		In: src.Shape[2:], Out: dst.Shape[2:], Mode: int(g.Mode), Border: int(g.Border), AlignCorners: g.AlignCorners}
}
