package schedule

import (
	"fmt"
	"slices"

	"modelc/ir"
)

// lower emits the steps of one node and gives its results places.
func (b *builder) lower(n *ir.Node) error {
	if !slices.ContainsFunc(n.Out, func(v *ir.Value) bool { return v.Type.Shape.Len() > 0 }) {
		for _, v := range n.Out {
			b.newDense(v) // nothing to compute
		}
		return nil
	}
	onImages := b.layout.node[n]
	switch op := n.Op.(type) {
	case ir.Conv:
		return b.lowerConv(n, op)
	case ir.ConvTranspose:
		return b.convTransposePlain(n, op)
	case ir.Dense:
		return b.lowerDense(n, op)
	case ir.MatMul:
		return b.matMul(n)
	case ir.Pool:
		if onImages {
			return b.poolImage(n, op)
		}
		return b.poolPlain(n, op)
	case ir.MaxUnpool:
		return b.maxUnpoolPlain(n)
	case ir.Reduce:
		if onImages {
			return b.globalPool(n, op)
		}
		return b.reducePlain(n, op)
	case ir.BatchNorm:
		return b.batchNorm(n, op, onImages)
	case ir.Affine:
		return b.affine(n, op, onImages)
	case ir.LRN:
		if onImages {
			return b.lrnImage(n, op)
		}
		return b.lrnPlain(n, op)
	case ir.Normalize:
		if onImages {
			return b.normalizeImage(n, op)
		}
		return b.normalizePlain(n, op)
	case ir.Unary:
		if onImages {
			return b.unaryImage(n, op)
		}
		return b.unaryPlain(n, op)
	case ir.Binary:
		if onImages {
			return b.binaryImage(n, op)
		}
		return b.binaryPlain(n, op)
	case ir.PRelu:
		if onImages {
			return b.preluImage(n)
		}
		return b.preluPlain(n)
	case ir.Where:
		return b.wherePlain(n)
	case ir.Cast:
		return b.castPlain(n, op)
	case ir.Softmax:
		return b.softmaxPlain(n, op)
	case ir.ArgReduce:
		return b.argReducePlain(n, op)
	case ir.TopK:
		return b.topKPlain(n, op)
	case ir.NonMaxSuppression:
		return b.nonMaxSuppression(n, op)
	case ir.Reshape:
		return b.reshape(n)
	case ir.Transpose:
		return b.lowerTranspose(n, op)
	case ir.Concat:
		if onImages {
			return b.concatImage(n)
		}
		return b.concatPlain(n, op)
	case ir.Interleave:
		return b.interleave(n, op, onImages)
	case ir.Slice:
		if onImages {
			return b.sliceImage(n, op)
		}
		return b.slicePlain(n, op)
	case ir.Pad:
		if onImages {
			return b.padImage(n, op)
		}
		return b.padPlain(n, op)
	case ir.Expand:
		return b.expandPlain(n)
	case ir.Gather:
		if onImages {
			return b.selectImage(n)
		}
		return b.gatherPlain(n, op)
	case ir.Resize:
		if onImages {
			return b.resizeImage(n, op)
		}
		return b.resizePlain(n, op)
	case ir.GridSample:
		return b.gridSamplePlain(n, op)
	}
	return fmt.Errorf("no kernel for this op")
}

// reshape is free where the operand is dense.
func (b *builder) reshape(n *ir.Node) error {
	v := n.Out[0]
	if b.onlyFlattened(n) {
		return nil // the readers take the image itself
	}
	src := b.plain(n.In[0])
	b.dense[v] = &place{buf: src.buf, off: src.off, dtype: v.Type.DType, shape: v.Type.Shape}
	return nil
}

// onlyFlattened reports whether every reader of a reshaped image is a dense
// layer whose weights absorb the layout.
func (b *builder) onlyFlattened(n *ir.Node) bool {
	v := n.Out[0]
	if img, _ := b.flattened(v); img == nil {
		return false
	}
	for _, u := range v.Uses() {
		if u.Node == nil || u.Index != 0 {
			return false
		}
		if _, ok := u.Node.Op.(ir.Dense); !ok || u.Node.Const(ir.Weights) == nil || !u.Node.ConstOrAbsent(ir.Bias) {
			return false
		}
	}
	return true
}

// lowerTranspose defers the move of channels to axis 1, which packing absorbs,
// and unpacks straight into channels-last order.
func (b *builder) lowerTranspose(n *ir.Node, t ir.Transpose) error {
	x, v := n.In[0], n.Out[0]
	r := x.Type.Rank()
	isImageRank := (r == 3 || r == 4) && v.Type.DType == ir.Float32
	if src := b.dense[x]; src != nil && !src.nhwc && isImageRank && slices.Equal(t.Perm, ir.ChannelsFirst(r)) && outputOf(v) < 0 {
		b.dense[v] = &place{buf: src.buf, off: src.off, dtype: src.dtype, shape: v.Type.Shape, nhwc: true}
		return nil
	}
	if img := b.images[x]; img != nil && b.dense[x] == nil && slices.Equal(t.Perm, ir.ChannelsLast(r)) {
		dst := b.newDense(v)
		// The memory of [N,H,W,C] is the value itself.
		as := *dst
		as.shape, as.nhwc = x.Type.Shape, true
		b.emit("Unpack from NC16, channels last", []*place{img}, []*place{dst}, b.unpackKernel(img, &as))
		return nil
	}
	src := b.plain(x)
	b.permute("Transpose", src, b.newDense(v), t.Perm)
	return nil
}
