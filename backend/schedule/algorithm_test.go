package schedule

import (
	"math"
	"testing"

	"modelc/ir"
)

// Sums of integers stay exact: Winograd would round them.
func TestAlgorithmOfIntegers(t *testing.T) {
	for _, whole := range []bool{false, true} {
		g, err := ir.Parse(`input %x : f32[1,64,28,28]
const %w : f32[64,64,3,3] = seed=1
%r = Unary(%x) fn=Round
%y = Conv(%r, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
output "y" %y
`)
		if err != nil {
			t.Fatal(err)
		}
		n := g.Outputs[0].Value.Def()
		want := ir.AlgWinograd4
		if whole {
			w := n.Const(1).Float64s()
			for i := range w {
				w[i] = math.Round(100 * w[i])
			}
			g.SetInput(n, 1, g.AddConst("integers", ir.FromFloat64s(n.In[1].Type, w)))
			want = ir.AlgDirect
		}
		p, err := Build(g, Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range p.Layers {
			if l.Node == n && l.Choice.Algorithm != want {
				t.Errorf("weights of whole numbers %v: %v", whole, l.Choice)
			}
		}
	}
}
