package cpu

import (
	"fmt"
	"strings"
	"testing"

	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

// The compiler refuses a step whose operand lies in the arena, but not in a buffer of
// the step.
func TestVerifyBuffers(t *testing.T) {
	g, err := ir.Parse(`graph "chain"
input %x : f32[1,16,4,4]
%a = Unary(%x) fn=Tanh
%b = Binary(%a, %x) fn=Sub
%c = Binary(%a, %b) fn=Mul
output "y" %c
`)
	if err != nil {
		t.Fatal(err)
	}
	b, err := lowerAll(g, Config{}, nil, &store{byKey: map[string]kernel.Ref{}})
	if err != nil {
		t.Fatal(err)
	}
	p := b.program()
	if err := b.verify(p.Plan); err != nil {
		t.Fatal(err)
	}
	last := &p.Plan.Steps[len(p.Plan.Steps)-1]
	p.Plan.ArenaBytes += 4096
	b.Buffers[0].Off += 4096 // the kernels keep the old offset
	if err := b.verify(p.Plan); err == nil || !strings.Contains(err.Error(), "outside the buffers of the step") {
		t.Errorf("error %v, last step %q", err, last.Name)
	}
}

// A model may have at most runtime.MaxPorts inputs and outputs.
func TestMaxPorts(t *testing.T) {
	g := ir.NewGraph("wide")
	for i := range runtime.MaxPorts {
		if i == runtime.MaxPorts/2 {
			break
		}
		x := g.AddInput(fmt.Sprint("x", i), ir.T(ir.Float32, 4))
		g.AddOutput(fmt.Sprint("y", i), x)
	}
	if _, err := Build(g, Config{}); err != nil {
		t.Errorf("%d inputs and outputs: %v", len(g.Inputs)+len(g.Outputs), err)
	}
	for i := range 2 {
		g.AddInput(fmt.Sprint("z", i), ir.T(ir.Float32, 4))
	}
	if _, err := Build(g, Config{}); err == nil || !strings.Contains(err.Error(), "the maximum is") {
		t.Errorf("%d inputs and outputs: error %v", len(g.Inputs)+len(g.Outputs), err)
	}
}
