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

// dims describes the weights of n: element (m, i) is at m·stride + i·next for Dense with weights
// [K,M], and in rows otherwise. inputs returns the input channel that element i reads.
type dims struct {
	m, k         int
	axis         int // of the channels
	stride, next int
	input        func(m, i int) int
}

func dimsOf(n *ir.Node) dims {
	s := n.In[ir.Weights].Type.Shape
	switch op := n.Op.(type) {
	case ir.Dense:
		k, m := op.KM(s)
		d := dims{m: m, k: k, axis: 1, stride: 1, next: m, input: func(_, i int) int { return i }}
		if op.TransW {
			d.axis, d.stride, d.next = 0, k, 1
		}
		return d
	case ir.Conv:
		each, taps := s[0]/op.Groups, s[2:].Len()
		return dims{m: s[0], k: s[1:].Len(), stride: s[1:].Len(), next: 1,
			input: func(m, i int) int { return m/each*s[1] + i/taps }}
	}
	panic("quantise: weights of " + n.Op.Name())
}

// weightsOf quantises the weights of n, symmetrically and with one scale per channel unless all
// have one. x is the scale of the operand. If means is not nil, it has the mean of each channel
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
				out.bias[m] += (w[at] - q[at]*float64(step)) * means[d.input(m, i)]
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
