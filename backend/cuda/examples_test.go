package cuda

import (
	"testing"

	"modelc/backend/cpu"
	"modelc/ir"
	"modelc/ir/examples"
)

// Each op has kernels for the element types for which the CPU has them, and the kernels give
// the values of the reference interpreter. Without -cuda.long they run on two types.
func TestExamples(t *testing.T) {
	list, err := examples.All()
	if err != nil {
		t.Fatal(err)
	}
	var graphs []*ir.Graph
	var names []string
	done := map[string]bool{}
	for _, e := range list {
		if _, err := cpu.Build(e.Graph, cpu.Config{}); err != nil {
			continue
		}
		if _, err := Build(e.Graph, Config{}); err != nil {
			t.Errorf("%s %s: %v", e.Name, e.DType, err)
			continue
		}
		if e.DType == ir.Float32 || e.DType == ir.Uint8 || *long {
			graphs, names = append(graphs, e.Graph), append(names, e.Name+" "+e.DType.String())
		}
		done[e.Op] = true
	}
	for _, info := range ir.Ops() {
		if !done[info.Op.Name()] {
			t.Errorf("%s: no example", info.Op.Name())
		}
	}
	e := emulate(t, graphs, Config{}, chooseTile)
	for i, g := range graphs {
		if err := e.compare(i, g, 7); err != nil {
			t.Errorf("%s: %v\n%s", names[i], err, ir.Format(g))
		}
	}
}
