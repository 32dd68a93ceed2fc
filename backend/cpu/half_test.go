package cpu

import (
	"math"
	"testing"

	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime/kernel"
)

// Every weight becomes a value of the format, and the sum over each filter
// stays within the rounding of its last weight, whatever the layer's layout.
func TestRoundWeightsKeepsSums(t *testing.T) {
	for name, src := range map[string]string{
		"conv": `input %x : f32[1,8,6,6]
const %w : f32[6,4,3,3] = seed=1
`,
		"deconv": `input %x : f32[1,8,6,6]
const %w : f32[8,3,3,3] = seed=1
`,
		"dense": `input %x : f32[1,300]
const %w : f32[300,7] = seed=1
`,
		"transposed": `input %x : f32[1,300]
const %w : f32[7,300] = seed=1
`,
	} {
		node := map[string]string{
			"conv":       `%y = Conv(%x, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=2`,
			"deconv":     `%y = ConvTranspose(%x, %w) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] outputPads=[0,0] groups=2`,
			"dense":      `%y = Dense(%x, %w)`,
			"transposed": `%y = Dense(%x, %w) transW=true`,
		}[name]
		for _, f := range []kernel.Format{kernel.F16, kernel.BF16} {
			g, err := ir.Parse("graph \"g\"\n" + src + node + "\noutput \"y\" %y\n")
			if err != nil {
				t.Fatal(err)
			}
			// For an input of ones, a pixel away from the border is the sum of a filter.
			ones := ir.NewTensor(g.Inputs[0].Type)
			for i := range ones.Float32s() {
				ir.Elements[float32](ones)[i] = 1
			}
			was, err := eval.Run(g, []*ir.Tensor{ones})
			if err != nil {
				t.Fatal(err)
			}
			if err := RoundWeights(g, f); err != nil {
				t.Fatal(err)
			}
			largest := 0.0
			for _, v := range g.Constants {
				for _, x := range v.Const.Float32s() {
					if round(f, x) != x {
						t.Fatalf("%s: %g is no %s", name, x, f)
					}
					largest = max(largest, math.Abs(float64(x)))
				}
			}
			is, err := eval.Run(g, []*ir.Tensor{ones})
			if err != nil {
				t.Fatal(err)
			}
			shape := is[0].Shape
			per := shape[2:].Len()
			sums := make([]float64, shape[1])
			for i := range sums {
				at := i * per
				if per > 1 {
					at += shape[2]/2*shape[3] + shape[3]/2
				}
				sums[i] = float64(is[0].Float32s()[at]) - float64(was[0].Float32s()[at])
			}
			ulp := math.Ldexp(largest, map[kernel.Format]int{kernel.F16: -11, kernel.BF16: -8}[f]) + 1e-5 // of the sum
			for i, s := range sums {
				if math.Abs(s) > ulp {
					t.Errorf("%s as %s: filter %d gained %g, want at most %g", name, f, i, s, ulp)
				}
			}
		}
	}
}
