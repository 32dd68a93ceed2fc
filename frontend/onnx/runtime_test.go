package onnx

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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
	compareRuntime(t, "operators.py", 20, 400, func(op string, got, want *ir.Tensor) bool {
		return agree(got, want, slices.Contains(inFloats, op))
	})
}

// Random models of each recurrent and scattering operator have the results of ONNX Runtime.
func TestRecurrentOperators(t *testing.T) {
	compareRuntime(t, "recurrent.py", 40, 200, func(op string, got, want *ir.Tensor) bool {
		d, err := eval.Compare(got, want)
		return err == nil && d.Within(1e-5)
	})
}

// compareRuntime compares the outputs of the models that a script of testdata writes, at least
// least in number, with those of ONNX Runtime. count is the number of models of an operator.
func compareRuntime(t *testing.T, script string, count, least int, agree func(op string, got, want *ir.Tensor) bool) {
	t.Helper()
	python := os.Getenv("MODELC_ORT")
	if python == "" {
		t.Skip("MODELC_ORT is not set: it names a Python with onnx and onnxruntime, which computes the operators")
	}
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), python, filepath.Join("testdata", script), dir, "1", strconv.Itoa(count)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	models, _ := filepath.Glob(filepath.Join(dir, "*", "model.onnx"))
	if len(models) < least {
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
			if !agree(op, got[i], want) {
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
