package cuda

import (
	"fmt"
	"strings"
	"testing"

	"modelc/ir"
)

// The same graph makes the same source and weights, and launches of equal extents share a
// function.
func TestBuild(t *testing.T) {
	for _, text := range networks {
		var programs []*Program
		for range 2 {
			g, err := ir.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Build(g, Config{})
			if err != nil {
				t.Fatal(err)
			}
			programs = append(programs, p)
		}
		if a, b := programs[0], programs[1]; a.Source != b.Source || string(a.Weights) != string(b.Weights) || fmt.Sprint(a.Kernels) != fmt.Sprint(b.Kernels) {
			t.Error("two programs of one graph differ")
		}
	}
	g, err := ir.Parse(`input %x : f32[1,16,6,6]
const %w : f32[16,16,3,3] = seed=1
const %v : f32[16,16,3,3] = seed=2
%a = Conv(%x, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%b = Conv(%a, %v) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%c = Conv(%b, %w) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%y = Unary(%c) fn=Relu
output "y" %y
`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Build(g, Config{})
	if err != nil {
		t.Fatal(err)
	}
	shared := map[string]int{}
	for _, k := range p.Kernels {
		shared[k.Name]++
	}
	if n := shared["k002_a"]; n != 3 {
		t.Errorf("%d convolutions share a function, want 3: %v", n, shared)
	}
	flops := int64(0)
	for _, k := range p.Kernels {
		flops += k.FLOPs
	}
	if want := int64(3*2*36*16*16*9 + 36*16); flops != want {
		t.Errorf("%d operations, want %d", flops, want)
	}
}

// The name of a layer does not leave its comment.
func TestHostileNames(t *testing.T) {
	g := ir.NewGraph("hostile")
	v := g.AddInput("x", ir.T(ir.Float32, 4))
	for _, name := range []string{"a\n#error newline", "b\\", "c*/ #error", "d\u2028#error", "\"); }", "é", strings.Repeat("long", 100), ""} {
		var err error
		if v, err = g.Emit(name, ir.Unary{Fn: ir.Act{Fn: ir.Relu}}, v); err != nil {
			t.Fatal(err)
		}
	}
	g.AddOutput("y", v)
	p, err := Build(g, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(p.Source) {
		if line = strings.TrimRight(line, "\n"); strings.HasPrefix(strings.TrimSpace(line), "#error") || strings.HasSuffix(line, "\\") || strings.ContainsAny(line, "\u2028\r") {
			t.Errorf("line %q", line)
		}
	}
	if err := emulate(t, []*ir.Graph{g}, Config{}, chooseTile).compare(0, g, 1); err != nil {
		t.Error(err)
	}
}
