package passes

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"modelc/ir"
	"modelc/ir/eval"
)

var update = flag.Bool("update", false, "rewrite testdata with the results of the passes")

// TestPasses runs the cases in testdata/PASS.txtar: pairs of files NAME.before and
// NAME.after, and files NAME.unchanged that the pass must not change. It also compares the
// values of outputs.
func TestPasses(t *testing.T) {
	for _, p := range Pipeline {
		t.Run(p.Name, func(t *testing.T) {
			path := filepath.Join("testdata", p.Name+".txtar")
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatalf("a pass needs cases: %v", err)
			}
			var out []txtar.File
			for _, f := range ar.Files {
				name, kind, _ := strings.Cut(f.Name, ".")
				if kind == "after" {
					continue
				}
				g, err := ir.Parse(string(f.Data))
				if err != nil {
					t.Fatalf("%s: %v", f.Name, err)
				}
				before := g
				g = before.Clone()
				changed, err := p.Fn(g, &Config{})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				g.Prune()
				if err := ir.Verify(g); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				sameValues(t, name, before, g)
				if lost := lost(before, g); len(lost) > 0 {
					t.Errorf("%s: no node does the work of %v", name, lost)
				}
				got := ir.Format(g)
				out = append(out, f)
				if kind == "unchanged" {
					if want := ir.Format(before); got != want {
						t.Errorf("%s must not change:\n%s", name, cmp.Diff(want, got))
					}
					continue
				}
				if changed == 0 && got == ir.Format(before) {
					t.Errorf("%s: the pass did nothing", name)
				}
				out = append(out, txtar.File{Name: name + ".after", Data: []byte(got)})
				if want := find(ar, name+".after"); want != got && !*update {
					t.Errorf("%s:\n%s", name, cmp.Diff(want, got))
				}
			}
			if *update {
				ar.Files = out
				if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func find(ar *txtar.Archive, name string) string {
	for _, f := range ar.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

// sameValues compares two graphs in the reference interpreter. In quantised networks it
// compares each layer alone.
func sameValues(t *testing.T, name string, a, b *ir.Graph) {
	t.Helper()
	in := eval.Inputs(a, 3)
	want, err := eval.Run(a, in)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	got, err := eval.Run(b, in)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for i := range want {
		if d, err := eval.Compare(got[i], want[i]); err != nil || !d.Within(2e-6) {
			if steps := eval.CompareSteps(b, a, in, 2e-6); steps != nil {
				t.Errorf("%s: output %d: %v %v\n%v", name, i, d, err, steps)
			}
		}
	}
}

func TestUnknownPass(t *testing.T) {
	g, err := ir.Parse("input %x : f32[1]\noutput \"x\" %x\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(g, &Config{Disable: []string{"fold_batch"}})
	if err == nil || !strings.Contains(err.Error(), `did you mean "fold_batchnorm"`) {
		t.Error(err)
	}
}

func TestDocs(t *testing.T) {
	const path = "../docs/passes.md"
	if *update {
		if err := os.WriteFile(path, []byte(Docs()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != Docs() {
		t.Errorf("%s is not current: run go test ./passes -update (%v)", path, err)
	}
}

// lost returns the nodes of before that outputs depend on and that are not among the Origins
// of a node of after: passes must record which node does their work. Nodes that depend on
// inputs and constants only may lack such a node.
func lost(before, after *ir.Graph) []*ir.Node {
	done := map[*ir.Node]bool{}
	for _, n := range after.Nodes {
		for _, o := range n.Origins {
			done[o] = true
		}
	}
	// Values that are given or computed at compile time.
	given := map[*ir.Value]bool{nil: true}
	for _, v := range slices.Concat(before.Inputs, before.Constants) {
		given[v] = true
	}
	needed := before.Clone()
	needed.Prune()
	var list []*ir.Node
	for _, n := range needed.Nodes {
		o := n.Origins[0]
		if done[o] {
			continue
		}
		if !slices.ContainsFunc(o.In, func(v *ir.Value) bool { return !given[v] }) {
			for _, v := range o.Out {
				given[v] = true
			}
			continue
		}
		list = append(list, o)
	}
	return list
}

// Folding stops where constants become too large or the work too long.
func TestFoldingBounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int64 // of constants
		grow  func(g *ir.Graph, v *ir.Value) (*ir.Value, error)
		start ir.Type
	}{
		{"doubling", 8 << 20, func(g *ir.Graph, v *ir.Value) (*ir.Value, error) { return g.Emit("c", ir.Concat{}, v, v) }, ir.T(ir.Float32, 4)},
		{"products", 0, func(g *ir.Graph, v *ir.Value) (*ir.Value, error) { return g.Emit("p", ir.MatMul{}, v, v) }, ir.T(ir.Float32, 256, 256)},
	} {
		g := ir.NewGraph(c.name)
		g.Bounds[ir.BoundConstants] = c.limit
		v := g.AddConst("c0", ir.NewTensor(c.start))
		for range 20 {
			var err error
			if v, err = c.grow(g, v); err != nil {
				t.Fatal(err)
			}
		}
		g.AddOutput("y", v)
		changed, err := foldConstants(g, &Config{})
		if err != nil || changed == 0 || changed == 20 {
			t.Errorf("%s: %d of 20 nodes folded, %v", c.name, changed, err)
		}
		bytes := 0
		for _, v := range g.Constants {
			bytes += v.Type.Bytes()
		}
		if c.limit > 0 && int64(bytes) > c.limit/8 {
			t.Errorf("%s: constants of %d bytes", c.name, bytes)
		}
		if err := ir.Verify(g); err != nil {
			t.Error(err)
		}
	}
}
