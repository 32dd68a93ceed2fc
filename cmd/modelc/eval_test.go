package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"modelc/internal/npy"
	"modelc/ir"
)

// eval prints the accuracy, the agreement and the confusions.
func TestEval(t *testing.T) {
	code, out, errs := invoke(t, "eval", digits+"lenet5.onnx", "--data", heldOut, "--against", digits+"lenet5.onnx")
	_, rest, _ := strings.Cut(out, "\n") // the first line has a time
	want := `  top-1 99.72 %, top-5 100.00 %
  same class as ` + digits + `lenet5.onnx for 100.00 %, which has top-1 99.72 %
number of examples by label (rows) and answer (columns):
  label   0   1   2   3   4   5   6   7   8   9
  0      27   ·   ·   ·   ·   ·   ·   ·   ·   ·
  1       ·  21   ·   ·   ·   ·   ·   ·   ·   ·
  2       ·   ·  34   ·   ·   ·   ·   ·   ·   ·
  3       ·   ·   ·  51   ·   1   ·   ·   ·   ·
  4       ·   ·   ·   ·  34   ·   ·   ·   ·   ·
  5       ·   ·   ·   ·   ·  28   ·   ·   ·   ·
  6       ·   ·   ·   ·   ·   ·  31   ·   ·   ·
  7       ·   ·   ·   ·   ·   ·   ·  43   ·   ·
  8       ·   ·   ·   ·   ·   ·   ·   ·  47   ·
  9       ·   ·   ·   ·   ·   ·   ·   ·   ·  42
`
	if code != 0 || !strings.HasPrefix(out, digits+"lenet5.onnx: 359 examples, ") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if d := cmp.Diff(want, rest); d != "" {
		t.Error(d)
	}
	code, out, errs = invoke(t, "eval", digits+"lenet5.onnx", "--data", heldOut, "--samples", "100", "--json")
	var e evaluation
	if err := json.Unmarshal([]byte(out), &e); code != 0 || err != nil || e.Examples != 100 || e.Labelled != 100 || e.Top1 < 99 || e.Rate <= 0 || len(e.Confusion) != 10 {
		t.Errorf("exit %d, %v: %+v\n%s", code, err, e, errs)
	}
	// Examples without labels have no accuracy.
	if code, out, errs := invoke(t, "eval", digits+"lenet5.onnx", "--data", digits); code != 0 || strings.Count(out, "\n") != 1 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// The classes of a network with many classes are not printed as a matrix.
func TestEvalManyClasses(t *testing.T) {
	dir := t.TempDir()
	x := ir.NewTensor(ir.T(ir.Float32, 3, 1, 28, 28))
	copy(x.Float32s(), ir.Seeded(x.Type, 1).Float32s())
	for name, v := range map[string]*ir.Tensor{"x.npy": x, "x_labels.npy": ir.TensorOf(ir.Shape{3}, int64(24), 24, 24)} {
		if err := npy.Write(filepath.Join(dir, name), v); err != nil {
			t.Fatal(err)
		}
	}
	w := make([]byte, 25*784*4)
	w[len(w)-1], w[3] = 0x3f, 0xbf // the first class loses the last one wins
	file := filepath.Join(dir, "wide.onnx")
	b := model(node("Flatten", "f", "image", "flat"), node("MatMul", "m", "flat", "w", "y"), tensor("w", w, 784, 25))
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := invoke(t, "eval", file, "--data", filepath.Join(dir, "x.npy"))
	if code != 0 || !strings.Contains(out, "examples  label  answer\n") || !strings.Contains(out, " 24  ") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}
