package passes_test

import (
	"flag"
	"testing"

	"modelc/backend/cpu"
	"modelc/backend/inproc"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
)

var graphs = flag.Int("passes.graphs", 300, "the number of random graphs that TestRandomGraphs compares")

// TestRandomGraphs compares, on random graphs, the results of the reference interpreter
// without passes, with each pass alone and with all passes, and of the compiled program.
// The default number of graphs finds broken conditions of passes, see TestMutations.
func TestRandomGraphs(t *testing.T) {
	for seed := range uint64(*graphs) {
		g, err := randomGraph(seed)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		in := eval.Inputs(g, seed)
		want, err := eval.Run(g, in)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		// c computes got. The integers of a quantised network may differ by steps.
		compare := func(what string, c *ir.Graph, got, want []*ir.Tensor, tol float64) {
			t.Helper()
			for i := range want {
				if d, err := eval.Compare(got[i], want[i]); err != nil || !d.Within(tol) {
					if c == nil || eval.CompareSteps(c, g, in, tol) != nil {
						t.Fatalf("seed %d, %s, output %d: %v %v\n%s", seed, what, i, d, err, ir.Format(g))
					}
				}
			}
		}
		run := func(what string, cfg *passes.Config) *ir.Graph {
			t.Helper()
			c := g.Clone()
			cfg.Verify = true
			if _, err := passes.Run(c, cfg); err != nil {
				t.Fatalf("seed %d, %s: %v\n%s", seed, what, err, ir.Format(g))
			}
			got, err := eval.Run(c, in)
			if err != nil {
				t.Fatalf("seed %d, %s: %v", seed, what, err)
			}
			compare(what, c, got, want, 1e-5)
			return c
		}
		for _, p := range passes.Pipeline {
			run(p.Name, &passes.Config{Only: []string{p.Name}})
		}
		run("exact", &passes.Config{Exact: true})
		for _, c := range []*ir.Graph{g, run("all", &passes.Config{})} {
			want, err := eval.Run(c, in)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			p, err := cpu.Build(c, cpu.Config{})
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, ir.Format(c))
			}
			e, err := inproc.New(p, 2)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := e.Run(in)
				if err != nil {
					t.Fatal(err)
				}
				compare("compiled", nil, got, want, 5e-5)
			}
			e.Close()
		}
	}
}
