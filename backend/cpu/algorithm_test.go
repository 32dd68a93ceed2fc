package cpu

import (
	"fmt"
	"testing"

	"modelc/ir"
)

// Strassen's algorithm replaces a matrix product of many channels and pixels if
// half of the channels fill whole blocks.
func TestStrassen(t *testing.T) {
	for _, c := range []struct {
		in, out, size int
		attrs         string
		cfg           Config
		want          string
	}{
		{256, 1024, 14, "strides=[1,1] pads=[0,0,0,0]", Config{}, "strassen"},
		{512, 256, 28, "strides=[2,2] pads=[0,0,0,0]", Config{}, "strassen"},
		{64, 64, 56, "strides=[1,1] pads=[0,0,0,0]", Config{}, "pointwise"},    // the sums cost too much
		{2048, 512, 7, "strides=[1,1] pads=[0,0,0,0]", Config{}, "pointwise"},  // the weights cost too much
		{240, 1024, 14, "strides=[1,1] pads=[0,0,0,0]", Config{}, "pointwise"}, // 15 blocks
		{256, 1056, 14, "strides=[1,1] pads=[0,0,0,0]", Config{}, "pointwise"}, // 33 units
		{256, 1024, 14, "strides=[1,1] pads=[1,1,0,0]", Config{}, "pointwise"}, // a row of padding
		{256, 1024, 14, "strides=[1,1] pads=[0,0,0,0]", Config{Exact: true}, "pointwise"},
		{256, 1024, 14, "strides=[1,1] pads=[0,0,0,0]", Config{Algorithms: map[string]string{"c": "pointwise"}}, "pointwise"},
		{64, 64, 56, "strides=[1,1] pads=[0,0,0,0]", Config{Algorithms: map[string]string{"c": "strassen"}}, "strassen"},
	} {
		g, err := ir.Parse(fmt.Sprintf(`input %%x : f32[1,%[1]d,%[3]d,%[3]d]
const %%w : f32[%[2]d,%[1]d,1,1] = seed=1
%%c = Conv(%%x, %%w) %[4]s dilations=[1,1] groups=1
output "y" %%c
`, c.in, c.out, c.size, c.attrs))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Build(g, c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range p.Layers {
			if l.Node == g.Outputs[0].Value.Def() && l.Choice.Algorithm != c.want {
				t.Errorf("%d→%d at %d, %s: %v, want %v", c.in, c.out, c.size, c.attrs, l.Choice, c.want)
			}
		}
	}
}

// A batch shares the reading of the weights of Strassen's algorithm, which are larger.
// Programs for several batch sizes choose what is fastest for one example, so that they
// share one form of the weights.
func TestAlgorithmOfBatch(t *testing.T) {
	graph := func(n int) *ir.Graph {
		g, err := ir.Parse(fmt.Sprintf(`input %%x : f32[%d,2048,7,7]
const %%w : f32[512,2048,1,1] = seed=1
%%c = Conv(%%x, %%w) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1
output "y" %%c
`, n))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for _, c := range []struct {
		sizes []int
		want  string
	}{{[]int{1}, "pointwise"}, {[]int{8}, "strassen"}, {[]int{1, 8}, "pointwise"}} {
		var graphs []*ir.Graph
		for _, n := range c.sizes {
			graphs = append(graphs, graph(n))
		}
		programs, err := BuildAll(graphs, Config{})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range programs {
			for _, l := range p.Layers {
				if l.Choice.Algorithm != "" && l.Choice.Algorithm != c.want {
					t.Errorf("batches of %v: %d: %v, want %s", c.sizes, c.sizes[i], l.Choice, c.want)
				}
			}
		}
	}
}

// If a result is rounded, as in quantised networks, a small error of Winograd's
// or Strassen's algorithm can change it by a whole step.
func TestAlgorithmOfRounded(t *testing.T) {
	for _, c := range []struct {
		after   string
		rounded bool
	}{
		{"%y = Unary(%c) fn=Round", true},
		{"%y = Affine(%c, %s, %s) epilogue=Round", true},
		{"%y = Binary(%c, %x) epilogue=Round", true},
		{"%z = Quantize(%c, %one) to=u8\n%y = Dequantize(%z, %one)", true},
		{"%z, %a, %b = DynamicQuantize(%c)\n%y = Dequantize(%z, %a, %b)", true},
		{"%y = Unary(%c) fn=Tanh", false},
	} {
		for kernel, fast := range map[string]string{"3,3] = seed=1\n%c = Conv(%x, %w) pads=[1,1,1,1]": "winograd4", "1,1] = seed=1\n%c = Conv(%x, %w) pads=[0,0,0,0]": "strassen"} {
			g, err := ir.Parse("input %x : f32[1,512,28,28]\nconst %s : f32[512] = seed=2\nconst %one : f32[] = {1}\nconst %w : f32[512,512," + kernel + " strides=[1,1] dilations=[1,1] groups=1\n" + c.after + "\noutput \"y\" %y\n")
			if err != nil {
				t.Fatal(err)
			}
			p, err := Build(g, Config{})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range p.Layers {
				if l.Node == nil || l.Node.Op.Name() != "Conv" || l.Choice.Algorithm == "" {
					continue
				}
				if (l.Choice.Algorithm == fast) == c.rounded {
					t.Errorf("%s: %v", c.after, l.Choice)
				}
			}
		}
	}
}
