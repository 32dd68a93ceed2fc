package passes_test

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"

	"modelc/backend/cpu"
	"modelc/backend/inproc"
	"modelc/internal/choices"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/ir/examples"
	"modelc/passes"
)

var graphs = flag.Int("passes.graphs", 300, "the number of random graphs that TestRandomGraphs compares")

// TestRandomGraphs compares, on random graphs, the results of the reference interpreter
// without passes, with each pass alone and with all passes, and of the compiled program.
// The default number of graphs finds broken conditions of passes, see TestMutations.
func TestRandomGraphs(t *testing.T) {
	for seed := range uint64(*graphs) {
		g, err := examples.Random(seed)
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

// FuzzGraphs compares the compiled program of any graph that the bytes choose with the
// reference interpreter.
func FuzzGraphs(f *testing.F) {
	for i := range byte(16) {
		f.Add([]byte{16 * i, 100, 50 * i, 30 * i, 7 * i, 200, 11 * i})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := choices.New(b)
		g, err := examples.RandomFrom(r, 1<<13)
		if err != nil {
			t.Fatal(err)
		}
		in := eval.Inputs(g, 1)
		want, err := eval.Run(g, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, exact := range []bool{true, false} {
			c, rounding := g.Clone(), 0x1p-23
			if !exact {
				rounding = 1e-6 // of Winograd's F(4×4)
			}
			if _, err := passes.Run(c, &passes.Config{Exact: exact, Verify: true}); err != nil {
				t.Fatalf("%v\n%s", err, ir.Format(g))
			}
			p, err := cpu.Build(c, cpu.Config{Exact: exact})
			if err != nil {
				t.Fatalf("%v\n%s", err, ir.Format(c))
			}
			e, err := inproc.New(p, 1+r.IntN(2))
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			var first []*ir.Tensor
			for range 2 { // the second run uses an arena that is not zero
				got, err := e.Run(in)
				if err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if d, err := eval.Compare(overflow(got[i], want[i]), want[i]); err != nil || !d.Within(5e-5) && d.MaxAbs > sensitivity(t, g, in, want[i], i, rounding) {
						t.Fatalf("exact %v, output %d: %v %v\n%s", exact, i, d, err, ir.Format(g))
					}
					if first != nil && !slices.Equal(first[i].Bytes(), got[i].Bytes()) {
						t.Fatalf("exact %v, output %d: the second run gives other bits\n%s", exact, i, ir.Format(g))
					}
				}
				first = got
			}
		}
	})
}

// overflow returns got with the elements of want where neither is finite. Gates multiply a
// few layers' values beyond the range of float32. A sum of them is infinite or NaN,
// depending on the order of its terms.
func overflow(got, want *ir.Tensor) *ir.Tensor {
	if want.Type.DType != ir.Float32 || !got.Type.Equal(want.Type) {
		return got
	}
	finite := func(v float32) bool { return v-v == 0 }
	out := ir.NewTensor(got.Type)
	for i, v := range got.Float32s() {
		if w := want.Float32s()[i]; !finite(v) && !finite(w) {
			v = w
		}
		out.Float32s()[i] = v
	}
	return out
}

// sensitivity returns how far output i of g moves from want if the inputs change by a
// relative amount. It exceeds any tolerance relative to the output if the output is a sum
// that cancels. Subnormal numbers move by their rounding at least.
func sensitivity(t *testing.T, g *ir.Graph, in []*ir.Tensor, want *ir.Tensor, i int, by float64) float64 {
	t.Helper()
	most := 0x1p-126
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		moved := make([]*ir.Tensor, len(in))
		for j, x := range in {
			if moved[j] = x; x.Type.DType != ir.Float32 {
				continue
			}
			moved[j] = ir.NewTensor(x.Type)
			for k, v := range x.Float32s() {
				moved[j].Float32s()[k] = v * float32(1+by*float64(r.IntN(3)-1))
			}
		}
		got, err := eval.Run(g, moved)
		if err != nil {
			t.Fatal(err)
		}
		d, err := eval.Compare(got[i], want)
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, d.MaxAbs)
	}
	return most
}
