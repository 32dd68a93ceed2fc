package onnx

import (
	"flag"
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

var operatorSeed = flag.String("onnx.seed", "1", "seed of the random models that ONNX Runtime computes")

// ONNX Runtime computes these operators in float32 in an order of its own. A result that
// lies between two integers may be rounded to the other one.
var inFloats = []string{"QLinearAdd", "QLinearMul", "QLinearAveragePool", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"}

// Random models of each operator have the results of ONNX Runtime. MODELC_ORT names a Python
// with onnx and onnxruntime.
func TestOperators(t *testing.T) {
	python := os.Getenv("MODELC_ORT")
	if python == "" {
		t.Skip("MODELC_ORT is not set: it names a Python with onnx and onnxruntime, which computes the operators")
	}
	for _, family := range []struct {
		script string
		models int     // the minimum number of models; ONNX Runtime refuses some
		tol    float64 // for floats
	}{
		{"quantised", 400, 1e-6},
		{"resampling", 600, 1e-4},
		{"contrib", 300, 2e-5},
		{"control", 40, 1e-5},
		{"optimised", 100, 1e-4},
	} {
		t.Run(family.script, func(t *testing.T) {
			dir := t.TempDir()
			out, err := exec.CommandContext(t.Context(), python, "testdata/"+family.script+".py", dir, *operatorSeed, "20").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
			models, _ := filepath.Glob(filepath.Join(dir, "*", "model.onnx"))
			if len(models) < family.models {
				t.Errorf("%d models", len(models))
			}
			for _, path := range models {
				checkOperator(t, path, family.tol)
			}
		})
	}
}

// checkOperator compares a model with the stored results in its folder.
func checkOperator(t *testing.T, path string, tol float64) {
	set := filepath.Dir(path)
	name := filepath.Base(set)
	op, _, _ := strings.Cut(name, "-")
	m, err := Load(path, source.Options{})
	if err != nil && strings.Contains(err.Error(), "in the layout of one machine") {
		return // and the message says what to do
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer m.Release()
	got, err := eval.Run(m.Graph, readSet(t, set, "input"))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for i, want := range readSet(t, set, "output") {
		if !agree(got[i], want, tol, slices.Contains(inFloats, op)) {
			d, err := eval.Compare(got[i], want)
			t.Errorf("%s, output %d: %v %v", name, i, d, err)
		}
	}
}

// agree reports whether floats agree to rounding, which ONNX Runtime does after each operation,
// and integers are equal. If steps is set, one
// in a hundred integers, or one of a small tensor, may differ by one.
func agree(got, want *ir.Tensor, tol float64, steps bool) bool {
	d, err := eval.Compare(got, want)
	switch {
	case err != nil:
		return false
	case got.DType.IsFloat():
		return d.Within(tol)
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
