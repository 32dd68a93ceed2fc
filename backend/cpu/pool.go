package cpu

import (
	"fmt"
	"slices"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime/kernel"
	"modelc/runtime/kernel/bfloat"
	"modelc/runtime/kernel/integer"
	"modelc/runtime/kernel/plain"
)

// poolLowerings has the rows of pools.
var poolLowerings = map[string]lowering{
	"Pool":      {poolRules, do((*builder).poolImage), do((*builder).poolPlain)},
	"MaxUnpool": {dense: do((*builder).maxUnpoolPlain)},
	"Reduce":    {globalPoolRules, do((*builder).globalPool), do((*builder).reducePlain)},
}

var poolRules = rules{
	types: movedTypes,
	fits: func(l *layout, n *ir.Node) bool {
		p := n.Op.(ir.Pool)
		if n.In[0].Type.DType != ir.Float32 && (p.Kind != ir.MaxPool || n.HasPrologue()) {
			return false
		}
		return p.Kind != ir.LpPool && !p.Indices && n.ConstOrAbsent(ir.PoolScale) && n.ConstOrAbsent(ir.PoolShift)
	},
}

// poolImage lowers a pool that is a step of its own.
func (b *builder) poolImage(n *ir.Node, p ir.Pool) error {
	if b.pooled[n] {
		return nil // the step of the convolution computes it
	}
	src := b.asImage(n.In[0])
	doc := fmt.Sprintf("%s at %s (%s)", plan.PoolDoc(p), plan.Extents(n.Out[0].Type.Shape[2:]...), poolAlone(n, p))
	if columns, rows, ok := separate(n, p); ok {
		t := ir.T(src.DType, src.dims.n, src.dims.c, n.Out[0].Type.Shape[2], src.dims.w)
		dst := b.tempImage(n.Out[0].Name+".columns", t, border{})
		b.poolStep(n, columns, doc+": columns", src, dst)
		b.Last().Padding = clipped(leaves(n, n.Op.(ir.Pool)))
		src, p, doc = dst, rows, doc+": rows"
	}
	b.poolStep(n, p, doc, src, b.newImage(n.Out[0]))
	b.Last().Padding = clipped(leaves(n, n.Op.(ir.Pool)))
	return nil
}

// poolStep emits a pool of images.
func (b *builder) poolStep(n *ir.Node, p ir.Pool, doc string, src, dst *place) {
	k, _ := b.poolKernel(n, p)
	b.emit(doc, []*place{src}, []*place{dst}, func() kernel.Kernel {
		if isByte(src.DType) {
			return &integer.MaxPool{Src: src.img(), Dst: dst.img(), Window: byteWindow(p), Empty: byte(stored(src.DType, 0))}
		}
		if src.DType == ir.BFloat16 {
			return &bfloat.MaxPool{Src: src.img(), Dst: dst.img(), KH: k.KH, KW: k.KW, SH: k.SH, SW: k.SW, DH: k.DH, DW: k.DW, PadTop: k.PadTop, PadLeft: k.PadLeft}
		}
		k := k
		k.Src, k.Dst = src.img(), dst.img()
		return &k
	})
}

// separate returns two pools that are together the maximum p over large windows that
// overlap, as in the pyramids of YOLO: over the columns of windows, then over rows of the
// result. They read kh+kw elements for each result instead of kh·kw, and ok reports whether
// that is less than half. p must have no prologue.
func separate(n *ir.Node, p ir.Pool) (columns, rows ir.Pool, ok bool) {
	if p.Kind != ir.MaxPool || len(p.Kernel) != 2 || n.HasPrologue() {
		return columns, rows, false
	}
	kh, kw, in, out := p.Kernel[0], p.Kernel[1], n.In[0].Type.Shape[3], n.Out[0].Type.Shape[3]
	if 2*(int64(in)*int64(kh)+int64(out)*int64(kw)) >= int64(out)*int64(kh)*int64(kw) {
		return columns, rows, false
	}
	along := func(a int) ir.Pool {
		q := ir.Pool{Kind: p.Kind, Kernel: []int{1, 1}, Strides: []int{1, 1}, Pads: make([]int, 4), Dilations: []int{1, 1}}
		q.Kernel[a], q.Strides[a], q.Dilations[a] = p.Kernel[a], p.Strides[a], p.Dilations[a]
		q.Pads[a], q.Pads[2+a] = p.Pads[a], p.Pads[2+a]
		return q
	}
	return along(0), along(1), true
}

// byteWindow returns the windows of a pool on bytes.
func byteWindow(p ir.Pool) integer.Window {
	w := plan.PoolWindow(p)
	return integer.Window{KH: w.KH, KW: w.KW, SH: w.SH, SW: w.SW, DH: w.DH, DW: w.DW, PadTop: w.PadTop, PadLeft: w.PadLeft}
}

// leaves reports whether a window of the pool leaves its operand.
func leaves(n *ir.Node, p ir.Pool) bool {
	return plan.Leaves(n.In[0].Type.Shape[2:], n.Out[0].Type.Shape[2:], p.Kernel, p.Strides, p.Dilations, p.Pads)
}

// poolAlone returns the reason why the pool is a step of its own.
func poolAlone(n *ir.Node, p ir.Pool) string {
	conv := n.In[0].Def()
	if conv == nil {
		return "reads the model's input"
	}
	if _, ok := conv.Op.(ir.Conv); !ok {
		return "no convolution is before it"
	}
	if n.In[0].OnlyUse() == nil {
		return "its operand is read elsewhere"
	}
	if why := unfit(n, p); why != "" {
		return why
	}
	if isByte(n.In[0].Type.DType) {
		return "the convolution's kernel on bytes does not pool"
	}
	if why := apart(n, p); why != "" {
		return why
	}
	return "the convolution is not in tiles"
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
	err := emitTyped(b, x.DType, plan.PoolDoc(p), []*place{x, scale, shift}, writes, func(m poolMaker) kernel.Kernel { return m.pool(p, x, scale, shift, dst, idx) })
	if err == nil {
		b.Last().Padding = clipped(leaves(n, p))
	}
	return err
}

type poolMaker interface {
	pool(p ir.Pool, x, scale, shift, dst, idx *place) kernel.Kernel
}

func (windowed[T]) pool(p ir.Pool, x, scale, shift, dst, idx *place) kernel.Kernel {
	r := len(x.Shape) - 2
	return &plain.Pool[T]{Kind: uint8(p.Kind), Src: x.ref(), Dst: dst.ref(), Indices: idx.ref(), Scale: scale.ref(), Shift: shift.ref(),
		N: x.Shape[0], C: x.Shape[1], In: x.Shape[2:], Out: dst.Shape[2:], Kernel: p.Kernel,
		Strides: p.Strides, Pads: p.Pads[:r], EndPads: p.Pads[r:], Dilations: p.Dilations,
		CountPad: p.CountPad, P: p.P, ColMajor: p.ColMajor, Pre: act(p.Prologue)}
}

// globalPoolRules: a mean or maximum over all pixels of an image is a global
// pool. Its result [N,C] is a view of an image of 1×1 pixels.
var globalPoolRules = rules{
	fits: func(l *layout, n *ir.Node) bool {
		r, x := n.Op.(ir.Reduce), n.In[0]
		spatial := []int{2, 3}[:x.Type.Rank()-2]
		return (r.Fn == ir.ReduceMean || r.Fn == ir.ReduceMax) && slices.Equal(r.Axes, spatial) && l.image[x]
	},
	view: always,
}

func (b *builder) globalPool(n *ir.Node, r ir.Reduce) error {
	src := b.asImage(n.In[0])
	d, v := src.dims, n.Out[0]
	dst := b.tempImage(v.Name, ir.T(v.Type.DType, d.n, d.c, 1, 1), border{})
	kind := kernel.PoolMax
	if r.Fn == ir.ReduceMean {
		kind = kernel.PoolAvg
	}
	if r.KeepDims {
		dst = b.newImage(v)
	} else {
		// The result [N,C] is the memory of an image of 1×1 pixels.
		b.images[v] = dst
		dst.Shape = v.Type.Shape
	}
	doc := fmt.Sprintf("Global %s pool over %s", r.Fn, plan.Extents(d.h, d.w))
	pr, has := b.prologues[n.In[0]]
	if has {
		doc += ", " + pr.doc() + " before"
	}
	b.emit(doc, []*place{src}, []*place{dst}, func() kernel.Kernel {
		return &kernel.GlobalPool{Kind: kind, Src: src.img(), Dst: dst.img(), Scale: pr.scale, Shift: pr.shift, Pre: pr.act}
	})
	if has {
		b.Include(pr.node)
	}
	return nil
}

func (p prologue) doc() string {
	switch op := p.node.Op.(type) {
	case ir.Affine:
		return "affine" + plan.ActDoc(op.Epilogue)
	case ir.Unary:
		return op.Fn.String()
	}
	return p.node.Op.Name()
}

// leaveToGlobalPool leaves the arithmetic p of n to the global pool that reads the
// result, and reports whether it did.
func (b *builder) leaveToGlobalPool(n *ir.Node, src *place, p prologue) bool {
	if !leftToGlobalPool(b.layout, n) {
		return false
	}
	b.prologues[n.Out[0]], b.images[n.Out[0]] = p, src
	return true
}

// leftToGlobalPool reports whether a global pool is the only reader of the result
// of n, which is arithmetic per channel.
func leftToGlobalPool(l *layout, n *ir.Node) bool {
	v := n.Out[0]
	r := v.OnlyUse()
	if r == nil || !l.node[r] {
		return false
	}
	_, isGlobal := r.Op.(ir.Reduce)
	return isGlobal && !l.Shares(v)
}

// maxUnpoolPlain lowers an unpooling. The kernel depends only on the size of an
// element.
func (b *builder) maxUnpoolPlain(n *ir.Node, _ ir.MaxUnpool) error {
	src, idx := b.plain(n.In[0]), b.plain(n.In[ir.MaxUnpoolIndices])
	dst := b.newDense(n.Out[0])
	b.emitPlain("MaxUnpool", []*place{src, idx}, []*place{dst}, func() kernel.Kernel {
		return ofSize[maxUnpooler](src).maxUnpool(src, idx, dst)
	})
	return nil
}

type maxUnpooler interface {
	maxUnpool(src, idx, dst *place) kernel.Kernel
}

func (number[T]) maxUnpool(src, idx, dst *place) kernel.Kernel {
	return &plain.MaxUnpool[T]{Src: src.ref(), Indices: idx.ref(), Dst: dst.ref()}
}
