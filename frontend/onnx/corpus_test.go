package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// The topologies of onnx-light. All their outputs are equal, so they test only the
// import.
func TestLightModels(t *testing.T) {
	dir := corpus(t)
	files, _ := filepath.Glob(filepath.Join(dir, "onnx-light", "*.onnx"))
	if len(files) != 9 {
		t.Fatalf("%d models", len(files))
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			if testing.Short() {
				t.Skip("short")
			}
			m, err := Load(f, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Release()
			want, _, err := ReadTensor(f[:len(f)-len(".onnx")] + "_output_0.pb")
			if err != nil {
				t.Fatal(err)
			}
			in := ir.NewTensor(m.Graph.Inputs[0].Type)
			x := in.Float32s()
			for i := range x {
				x[i] = float32(i) / float32(len(x))
			}
			got, err := eval.Run(m.Graph, []*ir.Tensor{in})
			if err != nil {
				t.Fatal(err)
			}
			d, err := eval.Compare(got[0], want)
			if err != nil || !d.Within(1e-4) {
				t.Errorf("%v %v", d, err)
			}
		})
	}
}

func TestModelsWithData(t *testing.T) {
	dir := corpus(t)
	models := filepath.Join(dir, "models", "onnx")
	pb, _ := filepath.Glob(filepath.Join(models, "*", "test_data_set_*", "input_0.pb"))
	npy, _ := filepath.Glob(filepath.Join(models, "*", "test_data_set", "*", "input_0.npy"))
	if len(pb) == 0 || len(npy) == 0 {
		t.Fatalf("data sets: %d .pb, %d .npy", len(pb), len(npy))
	}
	for _, f := range append(pb, npy...) {
		set := filepath.Dir(f)
		rel, _ := filepath.Rel(models, set)
		name, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
		t.Run(rel, func(t *testing.T) { checkSet(t, filepath.Join(models, name, "model.onnx"), set, 1e-4) })
	}
}

// Exports of PyTorch and graphs written by hand, with stored inputs and outputs.
func TestSmallModels(t *testing.T) {
	models, _ := filepath.Glob(filepath.Join(corpus(t), "torch-small", "*", "model.onnx"))
	if len(models) < 200 {
		t.Fatalf("%d models", len(models))
	}
	for _, path := range models {
		set := filepath.Dir(path)
		name := filepath.Base(set)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tol := 1e-4
			if strings.Contains(name, "float16") {
				tol = 1e-2
			}
			checkSet(t, path, set, tol)
		})
	}
}

// checkSet evaluates a model on one folder of input_N.npy or .pb and
// output_N.npy or .pb.
func checkSet(t *testing.T, path, set string, tol float64) {
	t.Helper()
	in := readSet(t, set, "input")
	var opts source.Options
	for _, x := range in {
		opts.InputShapes = append(opts.InputShapes, x.Shape)
	}
	m, err := Load(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	got, err := eval.Run(m.Graph, in)
	if err != nil {
		t.Fatal(err)
	}
	want := readSet(t, set, "output")
	if len(want) != len(got) {
		t.Fatalf("%d outputs, want %d", len(got), len(want))
	}
	for i := range got {
		if d, err := eval.Compare(got[i], want[i]); err != nil || !d.Agrees(tol, eval.Step(m.Graph.Outputs[i].Value)) {
			t.Errorf("output %d: %v %v", i, d, err)
		}
	}
}

// readSet reads stem_0, stem_1, … It converts half-precision data to float32, as the
// import does for models.
func readSet(t *testing.T, dir, stem string) []*ir.Tensor {
	t.Helper()
	var list []*ir.Tensor
	for {
		base := filepath.Join(dir, fmt.Sprintf("%s_%d", stem, len(list)))
		x, err := npy.Read(base + ".npy")
		if errors.Is(err, fs.ErrNotExist) {
			x, _, err = ReadTensor(base + ".pb")
		}
		if errors.Is(err, fs.ErrNotExist) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, widen(x))
	}
}
