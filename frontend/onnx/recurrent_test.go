package onnx

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// Recurrent and scattering operators that modelc does not compile are refused with a reason.
func TestRecurrentRefused(t *testing.T) {
	functions := func(names ...string) message { return message{}.str(1, "activations").str(9, names...).int(20, 8) }
	lstm := []string{"x", "w", "r", "b", "lengths"}
	for _, c := range []struct {
		node message
		want string
	}{
		{nodeMessage("LSTM", "", []string{"x", "x", "r"}, []string{"y"}), "W (x) is computed at run time"},
		{nodeMessage("LSTM", "", []string{"x", "w", "r", "", "n"}, []string{"y"}), `sequence_lens ("n") is computed at run time`},
		{nodeMessage("LSTM", "", lstm, []string{"y"}), "length 5 of x"},
		{nodeMessage("LSTM", "", lstm[:3], []string{"y"}, stringAttr("direction", "up")), "direction"},
		{nodeMessage("LSTM", "", lstm[:3], []string{"y"}, functions("Tanh")), "activations has 1 functions, want 3 for each of 1 directions"},
		{nodeMessage("LSTM", "", lstm[:3], []string{"y"}, functions("Tanh", "Sigmoid", "Cosh")), `there is no function "Cosh"`},
		{nodeMessage("LSTM", "", lstm[:3], []string{"y"}, message{}.str(1, "clip").float(2, -1).int(20, 1)), "clip is -1"},
		{nodeMessage("ScatterND", "", []string{"x", "at", "x"}, []string{"y"}), "updates are"},
		{nodeMessage("ScatterND", "", []string{"x", "outside", "x"}, []string{"y"}), "index 7 is outside an axis of 3 elements"},
		{nodeMessage("ScatterND", "", []string{"x", "at", "x"}, []string{"y"}, stringAttr("reduction", "mean")), "reduction"},
	} {
		g := graphParts{
			nodes: []message{c.node},
			weights: []message{floatWeights("w", []int64{1, 8, 4}, make([]float32, 32)...), floatWeights("r", []int64{1, 8, 2}, make([]float32, 16)...),
				floatWeights("b", []int64{1, 16}, make([]float32, 16)...), intWeights("lengths", 5, 1),
				message{}.packed(1, 1, 1).int(2, 7).packed(7, 2).str(8, "at"), message{}.packed(1, 3, 1).int(2, 7).packed(7, 7, 0, 1).str(8, "outside")},
			inputs: []message{tensorInput("x", 1, 3, 2, 4), tensorInput("n", 6, 2)}, outputs: []message{tensorInput("y", 1)},
		}
		if _, err := Parse("model", modelMessage(8, 18, g.encode()), "", source.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
