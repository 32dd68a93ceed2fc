package onnx

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

// ONNX Runtime computes these operators in float32 in an order of its own. A result that
// lies between two integers may be rounded to the other one.
var inFloats = []string{"QLinearAdd", "QLinearMul", "QLinearAveragePool", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"}

// Random models of each quantised operator have the results of ONNX Runtime. MODELC_ORT
// names a Python with onnx and onnxruntime.
func TestQuantisedOperators(t *testing.T) {
	python := os.Getenv("MODELC_ORT")
	if python == "" {
		t.Skip("MODELC_ORT is not set: it names a Python with onnx and onnxruntime, which computes quantised operators")
	}
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), python, "testdata/operators.py", dir, "1", "20").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	models, _ := filepath.Glob(filepath.Join(dir, "*", "model.onnx"))
	if len(models) < 400 {
		t.Errorf("%d models", len(models))
	}
	for _, path := range models {
		set := filepath.Dir(path)
		name := filepath.Base(set)
		op, _, _ := strings.Cut(name, "-")
		m, err := Load(path, source.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := eval.Run(m.Graph, readSet(t, set, "input"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range readSet(t, set, "output") {
			if !agree(got[i], want, slices.Contains(inFloats, op)) {
				d, err := eval.Compare(got[i], want)
				t.Errorf("%s, output %d: %v %v", name, i, d, err)
			}
		}
	}
}

// agree reports whether floats agree to rounding, and integers are equal. If steps is set, one
// in a hundred integers, or one of a small tensor, may differ by one.
func agree(got, want *ir.Tensor, steps bool) bool {
	d, err := eval.Compare(got, want)
	switch {
	case err != nil:
		return false
	case got.DType.IsFloat():
		return d.Within(1e-6)
	case !steps:
		return d.MaxAbs == 0
	}
	differ := 0
	w := want.Float64s()
	for i, x := range got.Float64s() {
		if x != w[i] {
			differ++
		}
	}
	return d.MaxAbs <= 1 && differ <= 1+len(w)/100
}
