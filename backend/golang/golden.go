package golang

import (
	"math"

	"modelc/ir"
)

// maxGolden is the maximum number of elements of an output that the self-test
// stores. Larger outputs are sampled evenly.
const maxGolden = 1 << 14

func stride(n int) int { return max(1, (n+maxGolden-1)/maxGolden) }

func sample(t *ir.Tensor, stride int) []byte {
	size := t.DType.Size()
	var out []byte
	for i := 0; i < t.Shape.Len(); i += stride {
		out = append(out, t.Bytes()[i*size:(i+1)*size]...)
	}
	return out
}

// GoldenMasks are masks for the integers of the self-test's inputs, widest first.
// A model that uses an integer as an index may accept only small ones.
var GoldenMasks = []uint64{3, 1, 0}

// GoldenInputs returns the inputs of the self-test. Integers have only bits of
// mask. The template of model_test.go has the same generator.
func GoldenInputs(g *ir.Graph, mask uint64) []*ir.Tensor {
	var in []*ir.Tensor
	for i, v := range g.Inputs {
		t := ir.NewTensor(v.Type)
		n := v.Type.Shape.Len()
		switch v.Type.DType {
		case ir.Float32:
			fill(ir.Elements[float32](t), uint64(i))
		case ir.Float64:
			fill(ir.Elements[float64](t), uint64(i))
		case ir.Bool:
			e := ir.Elements[bool](t)
			for k := range n {
				e[k] = mix(uint64(i)<<32+uint64(k))&1 == 1
			}
		default:
			x := make([]int64, n)
			for k := range x {
				x[k] = int64(mix(uint64(i)<<32+uint64(k)) & mask)
			}
			t = ir.FromInt64s(v.Type, x)
		}
		in = append(in, t)
	}
	return in
}

// fill writes pseudo-random numbers with mean 0 and variance 1.
func fill[T float32 | float64](x []T, seed uint64) {
	for k := range x {
		u := float64(mix(seed<<32+uint64(k))>>11) / (1 << 53)
		// The conversion prevents a fused multiply-add, which would give other bits
		// on some machines.
		x[k] = T(float32(float64(u*(2*math.Sqrt(3))) - math.Sqrt(3)))
	}
}

// mix is the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
