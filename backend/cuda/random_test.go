package cuda

import (
	"flag"
	"testing"

	"modelc/ir"
	"modelc/ir/examples"
	"modelc/passes"
)

var randomGraphs = flag.Int("cuda.graphs", 6, "the number of random graphs that TestRandomGraphs compares")

// Random networks, as they are and after the passes, give the values of the reference
// interpreter.
func TestRandomGraphs(t *testing.T) {
	const together = 30 // graphs that are compiled at once
	for first := 0; first < *randomGraphs; first += together {
		var graphs []*ir.Graph
		for seed := first; seed < min(first+together, *randomGraphs); seed++ {
			g, err := examples.Random(uint64(seed))
			if err != nil {
				t.Fatal(err)
			}
			passed := g.Clone()
			if _, err := passes.Run(passed, &passes.Config{}); err != nil {
				t.Fatal(err)
			}
			graphs = append(graphs, g, passed)
		}
		e := emulate(t, graphs, Config{}, chooseTile)
		for i, g := range graphs {
			if err := e.compare(i, g, uint64(i)); err != nil {
				t.Errorf("seed %d: %v\n%s", first+i/2, err, ir.Format(g))
			}
		}
	}
}
