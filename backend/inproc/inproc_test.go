package inproc

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"modelc/backend/schedule"
	"modelc/ir"
	"modelc/ir/eval"
)

// check runs g here and in the reference interpreter, value by value.
func check(t *testing.T, g *ir.Graph, cfg schedule.Config, tol float64) {
	t.Helper()
	if err := ir.Verify(g); err != nil {
		t.Fatal(err)
	}
	p, err := schedule.Build(g, cfg)
	if err != nil {
		t.Fatal(err)
	}
	in := eval.Inputs(g, 7)
	want := map[*ir.Value]*ir.Tensor{}
	wantOut, err := eval.Trace(g, in, func(v *ir.Value, x *ir.Tensor) error { want[v] = x; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{1, 3} {
		e, err := New(p, threads)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		// Twice: the second run meets a used arena.
		for range 2 {
			got, err := e.Trace(in, func(l schedule.Layer, x *ir.Tensor) {
				if d, err := eval.Compare(x, want[l.Value]); err != nil || !d.Within(tol) {
					t.Errorf("%d threads, %s (%s): %v %v", threads, l.Name, l.Doc, d, err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if d, err := eval.Compare(got[i], wantOut[i]); err != nil || !d.Within(tol) {
					t.Errorf("%d threads, output %d: %v %v", threads, i, d, err)
				}
			}
		}
		if a := testing.AllocsPerRun(3, func() { e.Step() }); a > 0 {
			t.Errorf("%d threads: %g allocations a run", threads, a)
		}
	}
}

// The graphs of the schedule's golden tests, by value.
func TestScheduleCases(t *testing.T) {
	files, _ := filepath.Glob("../schedule/testdata/*.txtar")
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".txtar")
		if name == "no_kernel" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			ar, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			g, err := ir.Parse(string(ar.Files[0].Data))
			if err != nil {
				t.Fatal(err)
			}
			check(t, g, schedule.Config{Exact: true}, 2e-6)
			check(t, g, schedule.Config{}, 1e-5)
		})
	}
}

// Each file of testdata/*.txtar is a graph of ops that run in plain kernels.
func TestPlainKernels(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, f := range files {
		ar, err := txtar.ParseFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range ar.Files {
			t.Run(c.Name, func(t *testing.T) {
				g, err := ir.Parse(string(c.Data))
				if err != nil {
					t.Fatal(err)
				}
				check(t, g, schedule.Config{Exact: true}, 2e-6)
			})
		}
	}
}

// Every kernel on every element type that it is said to take.
func TestExamples(t *testing.T) {
	list, err := schedule.Examples()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if _, err := schedule.Build(e.Graph, schedule.Config{}); err == nil {
			t.Run(e.Name+" "+e.DType.String(), func(t *testing.T) { check(t, e.Graph, schedule.Config{}, 1e-5) })
		}
	}
	kernels, err := schedule.Support()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kernels {
		if len(k.Types) == 0 || len(k.Names) == 0 && k.Op != "Reshape" {
			t.Errorf("%s: types %v, kernels %v: no example of it in schedule/examples.txtar", k.Op, k.Types, k.Names)
		}
		t.Log(k)
	}
}
