package quantise

import (
	"math"

	"modelc/ir"
)

// mostWeight is the largest magnitude of a quantised weight. Symmetric weights do not use −128.
const mostWeight = 127

// mostBias is the largest magnitude of a quantised bias. Floats represent it exactly, and sums
// keep room.
const mostBias = 1 << 24

// weights has the quantised parameters of a layer with m output channels.
type weights struct {
	w     *ir.Tensor // i8
	steps []float32  // of each channel, or one for all
	bias  []float64  // the corrected bias
}

// dims describes the weights of a layer as a matrix: element i of channel m is at
// m·stride + i·next.
type dims struct {
	m, k         int
	axis         int // of the channels in the weights
	stride, next int
}

func dimsOf(n *ir.Node) dims {
	s := n.In[ir.Weights].Type.Shape
	if op, ok := n.Op.(ir.Dense); ok {
		k, m := op.KM(s)
		if op.TransW {
			return dims{m: m, k: k, stride: k, next: 1}
		}
		return dims{m: m, k: k, axis: 1, stride: 1, next: m}
	}
	return dims{m: s[0], k: s[1:].Len(), stride: s[1:].Len(), next: 1}
}

// operandMeans returns, for element i of channel m of the weights of n, the mean of the operands
// with which it is multiplied. x has the mean of each element of the layer's operand, without
// the axis of examples. The mean is over all positions of the result; zeros of the padding
// count.
func operandMeans(n *ir.Node, x []float64) func(m, i int) float64 {
	op, ok := n.Op.(ir.Conv)
	if !ok {
		return func(_, i int) float64 { return x[i] }
	}
	w, in, out := n.In[ir.Weights].Type.Shape, n.In[0].Type.Shape[2:], n.Out[0].Type.Shape[2:]
	kernel, each := w[2:], w[0]/op.Groups
	channels, taps, area := n.In[0].Type.Shape[1], kernel.Len(), in.Len()
	means := make([]float64, channels*taps)
	inStrides := in.Strides()
	tap := make([]int, len(kernel))
	for t := range taps {
		at := make([]int, len(out))
		for range out.Len() {
			offset, inside := 0, true
			for a := range at {
				p := at[a]*op.Strides[a] - op.Pads[a] + tap[a]*op.Dilations[a]
				inside = inside && p >= 0 && p < in[a]
				offset += p * inStrides[a]
			}
			if inside {
				for c := range channels {
					means[c*taps+t] += x[c*area+offset]
				}
			}
			advance(at, out)
		}
		advance(tap, kernel)
	}
	for i := range means {
		means[i] /= float64(out.Len())
	}
	return func(m, i int) float64 { return means[(m/each*w[1]+i/taps)*taps+i%taps] }
}

// advance moves to the next position in row-major order.
func advance(at []int, s ir.Shape) {
	for a := len(s) - 1; a >= 0; a-- {
		if at[a]++; at[a] < s[a] {
			return
		}
		at[a] = 0
	}
}

// weightsOf quantises the weights of n, symmetrically and with one scale per channel unless all
// have one. x is the scale of the operand. If means is not nil, it has the mean of each element
// of the operand, and the bias is corrected by the mean error of the sums, which is Σ(w−ŵ)·mean
// (M. Nagel et al., Data-Free Quantization through Weight Equalization and Bias Correction, 2019).
func weightsOf(n *ir.Node, x Scale, perTensor bool, means []float64) weights {
	d := dimsOf(n)
	w := n.Const(ir.Weights).Float64s()
	out := weights{bias: make([]float64, d.m)}
	if b := n.Const(ir.Bias); b != nil {
		copy(out.bias, b.Float64s())
	}
	steps := make([]float64, d.m)
	for m := range steps {
		most := 0.0
		for i := range d.k {
			most = max(most, math.Abs(w[m*d.stride+i*d.next]))
		}
		// The bias is an integer in units of the product of the two scales.
		steps[m] = max(most/mostWeight, math.Abs(out.bias[m])/(float64(x.Step)*mostBias))
	}
	if perTensor {
		most := 0.0
		for _, s := range steps {
			most = max(most, s)
		}
		for m := range steps {
			steps[m] = most
		}
	}
	var operand func(m, i int) float64
	if means != nil {
		operand = operandMeans(n, means)
	}
	q := make([]float64, len(w))
	for m := range steps {
		if steps[m] < minStep {
			steps[m] = 1 // all weights are zero
		}
		step := float32(steps[m])
		for i := range d.k {
			at := m*d.stride + i*d.next
			q[at] = min(max(math.RoundToEven(w[at]/float64(step)), -mostWeight), mostWeight)
			if means != nil {
				out.bias[m] += (w[at] - q[at]*float64(step)) * operand(m, i)
			}
		}
		out.steps = append(out.steps, step)
	}
	if perTensor {
		out.steps = out.steps[:1]
	}
	out.w = ir.FromFloat64s(ir.Type{DType: ir.Int8, Shape: n.Const(ir.Weights).Shape}, q)
	return out
}

// biasOf returns the bias as integers, and their scales.
func (p weights) biasOf(x Scale) (q *ir.Tensor, steps []float32) {
	v := make([]float64, len(p.bias))
	for i, b := range p.bias {
		step := x.Step * p.steps[i%len(p.steps)]
		if i < len(p.steps) {
			steps = append(steps, step)
		}
		v[i] = min(max(math.RoundToEven(b/float64(step)), -math.MaxInt32), math.MaxInt32)
	}
	return ir.FromFloat64s(ir.T(ir.Int32, len(v)), v), steps
}
