package passes

import (
	"fmt"

	"modelc/ir"
)

// splitTransposed replaces a transposed convolution by ordinary ones, one for each position
// within a stride, and an Interleave of their results. Outputs that are a stride apart have
// the same taps of the kernel. The ordinary convolutions do not multiply zeros between the
// elements of the operand.
//
// It is legal for constant weights. The pass does not change dilated kernels, results smaller
// than a stride, strides with more than maxPhases positions, and kernels whose padding would
// exceed the limits. It does not change more than two spatial axes, for which there is no fast
// convolution.
func splitTransposed(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		op, ok := n.Op.(ir.ConvTranspose)
		if !ok || n.Const(ir.Weights) == nil || !splits(n, op) {
			continue
		}
		grid := ir.Shape(op.Strides)
		st := grid.Strides()
		parts := make([]*ir.Value, grid.Len())
		for i := range parts {
			at := make([]int, len(grid))
			for a, s := range grid {
				at[a] = i / st[a] % s
			}
			c, w := phase(n, op, at)
			wv := g.AddConst(fmt.Sprintf("%s.phase%d", n.In[ir.Weights].Name, i), w)
			part, err := g.InsertBefore(n, n.Name, c, n.In[0], wv, n.Input(ir.Bias))
			if err != nil {
				return changed, err
			}
			part.Absorb(n)
			parts[i] = part.Out[0]
		}
		v := parts[0]
		if len(parts) > 1 {
			woven, err := g.InsertBefore(n, n.Name, ir.Interleave{Strides: op.Strides}, parts...)
			if err != nil {
				return changed, err
			}
			v = woven.Out[0]
		}
		name := n.Out[0].Name
		replace(g, n, v)
		g.Rename(v, name)
		changed++
	}
	return changed, nil
}

// maxPhases is the maximum number of convolutions that replace one. The largest strides in
// segmentation networks are 8×8. The limit keeps a hostile file from making the graph grow
// without bound.
const maxPhases = 64

func splits(n *ir.Node, op ir.ConvTranspose) bool {
	if len(op.Strides) > 2 || ir.Shape(op.Strides).Len() > maxPhases || n.Out[0].Type.Shape.Len() == 0 {
		return false
	}
	for a, s := range op.Strides {
		if op.Dilations[a] != 1 || n.Out[0].Type.Shape[2+a] < s || n.Const(1).Shape[2+a] > ir.MaxStep/2 {
			return false
		}
	}
	return true
}

// phase returns the convolution that computes the outputs at q·stride+at, and its weights
// [M,C/groups,J…].
//
// Output o is the sum over taps k of x[(o+pad−k)/stride] where that is whole:
// with r and base the remainder and quotient of at+pad, over k = r+stride·j of
// x[q+base−j]. Read forwards, that is a window of J taps that starts at
// q+base−J+1.
func phase(n *ir.Node, op ir.ConvTranspose, at []int) (ir.Conv, *ir.Tensor) {
	x, w, y := n.In[0].Type.Shape, n.Const(ir.Weights), n.Out[0].Type.Shape
	dims := len(at)
	c := ir.Conv{Strides: make([]int, dims), Pads: make([]int, 2*dims), Dilations: make([]int, dims), Groups: op.Groups, Epilogue: op.Epilogue}
	first, taps := make([]int, dims), make(ir.Shape, dims)
	for a, s := range op.Strides {
		from := at[a] + op.Pads[a]
		base := from / s
		r := from - base*s
		if r < 0 { // negative pads
			r, base = r+s, base-1
		}
		first[a] = r
		taps[a] = max(1, (w.Shape[2+a]-r+s-1)/s) // one tap of zero if there is none
		c.Strides[a], c.Dilations[a] = 1, 1
		c.Pads[a] = taps[a] - 1 - base
		out := (y[2+a] - at[a] + s - 1) / s
		c.Pads[dims+a] = out + taps[a] - 1 - c.Pads[a] - x[2+a]
	}
	mg, cg := w.Shape[1], w.Shape[0]/op.Groups
	src := w.Float64s()
	kernel := ir.Shape(w.Shape[2:])
	shape := append(ir.Shape{mg * op.Groups, cg}, taps...)
	dst := make([]float64, shape.Len())
	for i := range dst {
		// i counts output channels, input channels of the group, and taps.
		t := i % taps.Len()
		ci, m := i/taps.Len()%cg, i/taps.Len()/cg
		k, inside := 0, true
		for a, s := range taps.Strides() {
			j := taps[a] - 1 - t/s%taps[a] // the window reads backwards
			tap := first[a] + op.Strides[a]*j
			inside = inside && tap < kernel[a]
			k = k*kernel[a] + tap
		}
		if inside {
			dst[i] = src[((m/mg*cg+ci)*mg+m%mg)*kernel.Len()+k]
		}
	}
	return c, ir.FromFloat64s(ir.Type{DType: w.DType, Shape: shape}, dst)
}
