package quantise

import (
	"math"

	"modelc/ir"
)

// Scale is the scale and the zero point of a tensor: an integer q stands for Step·(q−Zero).
type Scale struct {
	Step float32
	Zero int
}

// minStep keeps scales, and products of two scales, out of the range of denormal numbers.
const minStep = 1e-15

// scaleOf returns the scale with which integers of type d represent the range from lo to hi,
// extended to include zero. The scale of a range without extent is 1.
func scaleOf(d ir.DType, lo, hi float64) Scale {
	lo, hi = min(lo, 0), max(hi, 0)
	least, most := d.Range()
	step := float32((hi - lo) / float64(most-least))
	if !(step >= minStep) {
		return Scale{1, least}
	}
	zero := math.RoundToEven(float64(least) - lo/float64(step))
	return Scale{step, int(min(max(zero, float64(least)), float64(most)))}
}

// quantise returns the integers of type d that represent x.
func (s Scale) quantise(d ir.DType, x []float64, shape ir.Shape) *ir.Tensor {
	least, most := d.Range()
	q := make([]float64, len(x))
	for i, v := range x {
		q[i] = min(max(math.RoundToEven(v/float64(s.Step))+float64(s.Zero), float64(least)), float64(most))
	}
	return ir.FromFloat64s(ir.Type{DType: d, Shape: shape}, q)
}

// constants adds the scale and the zero point to g.
func (s Scale) constants(g *ir.Graph, name string, d ir.DType) (step, zero *ir.Value) {
	return g.AddConst(name+"_scale", ir.Scalar(s.Step)), g.AddConst(name+"_zero_point", ir.FromFloat64s(ir.T(d), []float64{float64(s.Zero)}))
}
