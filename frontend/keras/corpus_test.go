package keras

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc/frontend/source"
	"modelc/internal/npy"
	"modelc/ir"
	"modelc/ir/eval"
)

// corpus returns the folder of models that are not part of the repository.
func corpus(t *testing.T) string {
	dir := os.Getenv("MODELC_CORPUS")
	if dir == "" {
		t.Skip("MODELC_CORPUS is not set: models from outside are not tested")
	}
	return dir
}

// tolerances lists the models with a tolerance above 1e-4, relative to the
// largest value: Keras computes them in half precision, or sixty normalisations
// amplify rounding.
var tolerances = map[string]float64{
	"many-layers": 5e-4, "mixed-precision": 2e-4, "float16-weights": 1e-3, "bfloat16-weights": 2e-2,
}

// TestCorpus evaluates every model of the corpus on stored inputs and compares
// the outputs with those of Keras. With -v it prints the list.
func TestCorpus(t *testing.T) {
	dir := filepath.Join(corpus(t), "keras-small")
	folders, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	models := 0
	for _, e := range folders {
		folder := filepath.Join(dir, e.Name())
		inputs, want := arrays(t, folder, "input"), arrays(t, folder, "output")
		if len(inputs) == 0 {
			t.Errorf("%s: no inputs", e.Name())
		}
		for _, ext := range []string{"keras", "h5"} {
			path := filepath.Join(folder, "model."+ext)
			if _, err := os.Stat(path); err != nil {
				rows = append(rows, fmt.Sprintf("%-34s %-6s not in the corpus: Keras cannot reload it", e.Name(), ext))
				continue
			}
			models++
			worst, err := compare(path, inputs, want)
			limit := 1e-4
			if l := tolerances[e.Name()]; l != 0 {
				limit = l
			}
			switch {
			case err != nil:
				rows = append(rows, fmt.Sprintf("%-34s %-6s %v", e.Name(), ext, err))
				t.Errorf("%s %s: %v", e.Name(), ext, err)
			default:
				rows = append(rows, fmt.Sprintf("%-34s %-6s %.2g", e.Name(), ext, worst))
				if !(worst <= limit) {
					t.Errorf("%s %s: error %.3g of the largest value, at most %.3g is allowed", e.Name(), ext, worst, limit)
				}
			}
		}
	}
	t.Logf("%d models; error as a part of the largest value\n%s", models, strings.Join(rows, "\n"))
	if models < 150 {
		t.Errorf("only %d models", models)
	}
}

// arrays reads KIND_0.npy, KIND_1.npy, … of a folder.
func arrays(t *testing.T, folder, kind string) []*ir.Tensor {
	t.Helper()
	var list []*ir.Tensor
	for i := 0; ; i++ {
		path := filepath.Join(folder, fmt.Sprintf("%s_%d.npy", kind, i))
		if _, err := os.Stat(path); err != nil {
			return list
		}
		a, err := npy.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
}

// compare evaluates a model and returns the largest error of its outputs,
// relative to the largest value of each.
func compare(path string, inputs, want []*ir.Tensor) (float64, error) {
	var opts source.Options
	for _, in := range inputs {
		opts.InputShapes = append(opts.InputShapes, in.Shape)
	}
	m, err := Load(path, opts)
	if err != nil {
		return 0, err
	}
	defer m.Release()
	in := slices.Clone(inputs)
	for i, v := range m.Graph.Inputs {
		if i < len(in) && v.Type.DType != in[i].DType {
			in[i] = ir.FromFloat64s(v.Type, in[i].Float64s())
		}
	}
	got, err := eval.Run(m.Graph, in)
	if err != nil {
		return 0, err
	}
	if len(got) != len(want) {
		return 0, fmt.Errorf("%d outputs, want %d", len(got), len(want))
	}
	worst := 0.0
	for i := range got {
		w := ir.FromFloat64s(ir.Type{DType: got[i].DType, Shape: want[i].Shape}, want[i].Float64s())
		d, err := eval.Compare(got[i], w)
		if err != nil {
			return 0, fmt.Errorf("output %d: %w", i, err)
		}
		worst = max(worst, d.Rel)
	}
	return worst, nil
}

// The trained models load. Tests of cmd/modelc check their accuracy.
func TestTrained(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus(t), "models", "keras", "*", "model.*"))
	if err != nil || len(files) != 7 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		m, err := Load(f, source.Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("%s: %s, %d nodes, %v", f, m.Format, len(m.Graph.Nodes), m.Notes)
		m.Release()
	}
}
