package schedule

import (
	"fmt"

	"modelc/ir"
	"modelc/runtime"
)

// interleave writes each operand to its positions in the result.
func (b *builder) interleave(n *ir.Node, op ir.Interleave, onImages bool) error {
	grid := ir.Shape(op.Strides)
	at := grid.Strides()
	if onImages {
		var srcs []*place
		for _, x := range n.In {
			srcs = append(srcs, b.asImage(x))
		}
		dst := b.newImage(n.Out[0])
		width := grid[len(grid)-1]
		for i, src := range srcs {
			b.emit(fmt.Sprintf("Interleave: operand %d", i), []*place{src}, []*place{dst}, func() runtime.Kernel {
				k := &runtime.Spread{Src: src.img(), Dst: dst.img(), SY: grid.Len() / width, SX: width, Y: i / width, X: i % width}
				k.Dst.Clear = k.Dst.Clear && i == 0
				return k
			})
		}
		return nil
	}
	if d := n.In[0].Def(); d != nil && b.layout.scattered[d] {
		return b.weave(n, grid)
	}
	var srcs []*place
	for _, x := range n.In {
		srcs = append(srcs, b.plain(x))
	}
	dst := b.newDense(n.Out[0])
	st := dst.shape.Strides()
	for i, src := range srcs {
		start := 0
		to := append([]int{}, st[:2]...)
		for a, s := range op.Strides {
			start += i / at[a] % s * st[2+a]
			to = append(to, s*st[2+a])
		}
		b.copyStrided(fmt.Sprintf("Interleave: operand %d", i), src, dst, src.shape, 0, src.shape.Strides(), start, to)
	}
	return nil
}

// weave writes channels selected from an image as the pixels of a dense
// result.
func (b *builder) weave(n *ir.Node, grid ir.Shape) error {
	src := b.asImage(n.In[0].Def().In[0])
	dst := b.newDense(n.Out[0])
	var from []int32
	for _, v := range n.In {
		from = append(from, channelIndices(v.Def())...)
	}
	width := grid[len(grid)-1]
	b.emit(fmt.Sprintf("Unpack from NC16, %s pixels each", shapeDoc(grid...)), []*place{src}, []*place{dst}, func() runtime.Kernel {
		return &runtime.UnpackWoven{Src: src.img(), Dst: dst.ref(), SY: grid.Len() / width, SX: width, From: from}
	})
	for _, v := range n.In {
		b.include(v.Def())
	}
	return nil
}
