package passes

import (
	"slices"

	"modelc/ir"
)

// trimKernels removes the first and last rows and columns of the filters of a convolution
// that only multiply padding. They occur with a dilation as wide as the image, or with 3×3
// filters on a single pixel, if a network for pictures reads thumbnails.
//
// It is legal for constant weights. A removed weight that is infinite or NaN no longer makes
// the result NaN. The pass keeps taps between others that are used, and one tap on each axis.
func trimKernels(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		op, ok := n.Op.(ir.Conv)
		if !ok || n.Const(ir.Weights) == nil {
			continue
		}
		w := n.Const(ir.Weights)
		taps := slices.Clone(w.Shape[2:])
		first := make([]int, len(taps))
		pads, dilations := slices.Clone(op.Pads), slices.Clone(op.Dilations)
		for a := range taps {
			from, to := tapsInside(op, a, n.In[0].Type.Shape[2+a], w.Shape[2+a], n.Out[0].Type.Shape[2+a])
			pads[a] -= from * op.Dilations[a]
			pads[len(taps)+a] -= (taps[a] - to) * op.Dilations[a]
			first[a], taps[a] = from, to-from
			if taps[a] == 1 {
				dilations[a] = 1
			}
		}
		if slices.Equal(taps, w.Shape[2:]) {
			continue
		}
		op.Pads, op.Dilations = pads, dilations
		n.Op = op
		g.SetInput(n, ir.Weights, g.AddConst(n.In[ir.Weights].Name+".trimmed", slicedTaps(w, first, taps)))
		changed++
	}
	return changed, nil
}

// tapsInside returns the range of taps along an axis without the first and last taps that lie
// outside the image at every position. in, kernel and out are the extents of the operand, the
// filters and the result.
func tapsInside(op ir.Conv, axis, in, kernel, out int) (from, to int) {
	// at returns the position of a tap for the first result. For the last result it is
	// larger by reach.
	at := func(tap int) int { return tap*op.Dilations[axis] - op.Pads[axis] }
	reach := (out - 1) * op.Strides[axis]
	from, to = 0, kernel
	for from < to-1 && at(from)+reach < 0 {
		from++
	}
	for to > from+1 && at(to-1) >= in {
		to--
	}
	return from, to
}

// slicedTaps returns filters [M,C,taps…] of those in w [M,C,K…], starting at
// first.
func slicedTaps(w *ir.Tensor, first, taps []int) *ir.Tensor {
	kernel := w.Shape[2:]
	out := ir.NewTensor(ir.Type{DType: w.DType, Shape: append(w.Shape[:2:2], taps...)})
	size, last := w.DType.Size(), len(taps)-1
	run := taps[last] * size
	strides := kernel.Strides()
	for i := range len(out.Bytes()) / max(1, run) {
		rest, at := i, first[last]
		for a := last - 1; a >= 0; a-- {
			at += (first[a] + rest%taps[a]) * strides[a]
			rest /= taps[a]
		}
		at += rest * kernel.Len()
		copy(out.Bytes()[i*run:][:run], w.Bytes()[at*size:])
	}
	return out
}
