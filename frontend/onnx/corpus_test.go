package onnx

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"modelc/frontend/source"
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

// The topologies of onnx-light: all outputs equal, so they test plumbing.
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
	sets, _ := filepath.Glob(filepath.Join(dir, "models", "onnx", "*", "test_data_set*"))
	nested, _ := filepath.Glob(filepath.Join(dir, "models", "onnx", "*", "test_data_set*", "test_data_set*"))
	for _, set := range append(sets, nested...) {
		if _, err := os.Stat(filepath.Join(set, "input_0.pb")); err != nil {
			continue
		}
		path := filepath.Join(filepath.Dir(set), "model.onnx")
		if _, err := os.Stat(path); err != nil {
			path = filepath.Join(filepath.Dir(filepath.Dir(set)), "model.onnx")
		}
		rel, _ := filepath.Rel(dir, set)
		t.Run(rel, func(t *testing.T) { checkSet(t, path, set, source.Options{}, 1e-4) })
	}
}

// checkSet evaluates a model on one folder of input_N.pb and output_N.pb.
func checkSet(t *testing.T, path, set string, opts source.Options, tol float64) {
	t.Helper()
	m, err := Load(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	in := make([]*ir.Tensor, len(m.Graph.Inputs))
	for i := range in {
		if in[i], _, err = ReadTensor(filepath.Join(set, fmt.Sprintf("input_%d.pb", i))); err != nil {
			t.Fatal(err)
		}
	}
	got, err := eval.Run(m.Graph, in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		want, _, err := ReadTensor(filepath.Join(set, fmt.Sprintf("output_%d.pb", i)))
		if err != nil {
			t.Fatal(err)
		}
		if d, err := eval.Compare(got[i], want); err != nil || !d.Within(tol) {
			t.Errorf("output %d: %v %v", i, d, err)
		}
	}
}
