package modelc

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"modelc/backend/inproc"
	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/internal/npy"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
)

var long = flag.Bool("long", false, "check networks of full size too, which takes minutes of the reference interpreter")

// Every model of the corpus that a front end accepts keeps its values after each
// pass, and in the in-process engine: within the default tolerance or, with Exact,
// within the exact one. With -v the test prints the errors.
func TestCorpusCheck(t *testing.T) {
	root := os.Getenv("MODELC_CORPUS")
	if root == "" {
		t.Skip("MODELC_CORPUS is not set: models from outside are not tested")
	}
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "hostile" {
			return fs.SkipDir // TestHostileFiles reads them
		}
		full := strings.Contains(path, "onnx-light") || strings.Contains(path, "mobilenet_v1") || strings.Contains(path, "squeezenet1.1")
		if slices.Contains([]string{".onnx", ".keras", ".h5"}, filepath.Ext(path)) && (*long || !full) {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 300 {
		t.Fatalf("%d models, %v", len(files), err)
	}
	var mu sync.Mutex
	var rows, refused []string
	t.Run("models", func(t *testing.T) {
		for _, f := range files {
			name, _ := filepath.Rel(root, f)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				m, err := frontend.Load(f, source.Options{InputShapes: storedShapes(filepath.Dir(f))})
				var u *source.Unsupported
				if errors.As(err, &u) || err != nil && mayRefuse(filepath.Dir(f)) {
					mu.Lock()
					defer mu.Unlock()
					refused = append(refused, fmt.Sprintf("%s: %v", name, err))
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer m.Release()
				row := check(t, m)
				mu.Lock()
				defer mu.Unlock()
				rows = append(rows, fmt.Sprintf("%-60s %s", name, row))
			})
		}
	})
	slices.Sort(rows)
	slices.Sort(refused)
	t.Logf("%d models, default and exact error as a part of the largest value:\n%s", len(rows), strings.Join(rows, "\n"))
	t.Logf("%d refused:\n%s", len(refused), strings.Join(refused, "\n"))
}

// The networks of the zoo at full size keep their values too.
func TestCheckZoo(t *testing.T) {
	for _, name := range zoo.Names() {
		t.Run(name, func(t *testing.T) {
			o := zoo.Options{Width: 0.25, Size: 64}
			if strings.HasPrefix(name, "lenet") || *long {
				o = zoo.Options{}
			}
			path := filepath.Join(t.TempDir(), name+".onnx")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(zoo.Write(f, name, o), f.Close()); err != nil {
				t.Fatal(err)
			}
			m, err := frontend.Load(path, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Release()
			t.Log(check(t, m))
		})
	}
}

// mayRefuse reports whether the description beside a model allows an error instead
// of a value.
func mayRefuse(dir string) bool {
	about, err := os.ReadFile(filepath.Join(dir, "about.txt"))
	return err == nil && regexp.MustCompile(`(?m)^expected: .*refusal`).Match(about)
}

// storedShapes returns the shapes of the inputs stored beside a model.
func storedShapes(dir string) (shapes []ir.Shape) {
	for i := 0; ; i++ {
		x, err := npy.Read(filepath.Join(dir, fmt.Sprintf("input_%d.npy", i)))
		if err != nil {
			return shapes
		}
		shapes = append(shapes, x.Shape)
	}
}

// check compiles m with a comparison after every pass and compares the
// program with the reference interpreter, by default and exactly.
func check(t *testing.T, m *source.Model) string {
	t.Helper()
	in := eval.Inputs(m.Graph, 1)
	want, err := eval.Run(m.Graph, in)
	if err != nil {
		t.Fatal(err)
	}
	var row []string
	for _, exact := range []bool{false, true} {
		c, err := CompileModel(m, Options{Exact: exact, Passes: passes.Config{Check: true}})
		if err != nil {
			t.Fatal(err)
		}
		if c.Program.Plan.ArenaBytes > c.Program.LowerBound*11/10 && c.Program.LowerBound > 1<<20 {
			t.Errorf("memory %d, lower bound %d", c.Program.Plan.ArenaBytes, c.Program.LowerBound)
		}
		e, err := inproc.New(c.Program, 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Run(in)
		e.Close()
		if err != nil {
			t.Fatal(err)
		}
		tol := tolerance
		if exact {
			tol = exactTolerance
		}
		worst := 0.0
		for i := range want {
			d, err := eval.Compare(got[i], want[i])
			if err != nil {
				t.Fatal(err)
			}
			worst = max(worst, d.Rel)
			if !d.Within(tol) {
				t.Errorf("exact %v, output %q: %v", exact, m.Graph.Outputs[i].Name, d)
			}
		}
		row = append(row, fmt.Sprintf("%.1e", worst))
	}
	return strings.Join(row, " ")
}

// Graphs that Keras exports have channels last and transpositions around each
// convolution. No transposition is a step of the program.
func TestCorpusTransposes(t *testing.T) {
	root := os.Getenv("MODELC_CORPUS")
	if root == "" {
		t.Skip("MODELC_CORPUS is not set: models from outside are not tested")
	}
	files, err := filepath.Glob(filepath.Join(root, "keras-small", "*", "model.onnx"))
	if err != nil || len(files) < 77 {
		t.Fatalf("%d models, %v", len(files), err)
	}
	of := 0
	for _, f := range append(files, filepath.Join(root, "models", "onnx", "mnist-keras2onnx", "model.onnx")) {
		c, err := Compile(f, Options{Source: source.Options{InputShapes: storedShapes(filepath.Dir(f))}})
		if err != nil {
			t.Fatal(err)
		}
		n := c.fused().Transposes
		of += n.Of
		if n.Left > 0 {
			t.Errorf("%s: %d of %d transpositions are steps: %s", f, n.Left, n.Of, c.fused().Steps)
		}
		c.Close()
	}
	t.Logf("%d transpositions in %d models", of, len(files)+1)
}
