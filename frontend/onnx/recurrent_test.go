package onnx

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"modelc/frontend/source"
	"modelc/ir/eval"
)

// Random models of each recurrent and scattering operator have the results of ONNX Runtime.
// MODELC_ORT names a Python with onnx and onnxruntime.
func TestRecurrentOperators(t *testing.T) {
	python := os.Getenv("MODELC_ORT")
	if python == "" {
		t.Skip("MODELC_ORT is not set: it names a Python with onnx and onnxruntime, which computes recurrent operators")
	}
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), python, "testdata/recurrent.py", dir, "1", "40").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	models, _ := filepath.Glob(filepath.Join(dir, "*", "model.onnx"))
	if len(models) != 200 {
		t.Errorf("%d models", len(models))
	}
	for _, path := range models {
		set := filepath.Dir(path)
		m, err := Load(path, source.Options{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(set), err)
			continue
		}
		got, err := eval.Run(m.Graph, readSet(t, set, "input"))
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(set), err)
			continue
		}
		for i, want := range readSet(t, set, "output") {
			if d, err := eval.Compare(got[i], want); err != nil || !d.Within(1e-5) {
				t.Errorf("%s, output %d: %v %v", filepath.Base(set), i, d, err)
			}
		}
		m.Release()
	}
}
