package keras

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"modelc/frontend/keras/hdf5/h5test"
	"modelc/frontend/keras/kerastest"
	"modelc/frontend/source"
)

// Random models with recurrent layers have the outputs of Keras, from both formats.
// MODELC_KERAS names a Python with Keras.
func TestRecurrent(t *testing.T) {
	python := os.Getenv("MODELC_KERAS")
	if python == "" {
		t.Skip("MODELC_KERAS is not set: it names a Python with Keras, which computes recurrent layers")
	}
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), python, "testdata/recurrent.py", dir, "1", "20").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	folders, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(folders) != 20 {
		t.Errorf("%d models", len(folders))
	}
	for _, folder := range folders {
		for _, name := range []string{"model.keras", "model.h5"} {
			path := filepath.Join(folder, name)
			if worst, err := compare(path, arrays(t, folder, "input"), arrays(t, folder, "output")); err != nil || !(worst <= 1e-5) {
				t.Errorf("%s: error %.2g %v", strings.TrimPrefix(path, dir), worst, err)
			}
		}
	}
}

// Recurrent layers that modelc does not compile are refused with a reason.
func TestRecurrentRefused(t *testing.T) {
	lstm := func(config dict) dict {
		if config["units"] == nil {
			config["units"] = 2
		}
		return entryOf("LSTM", "layer", config)
	}
	for _, c := range []struct {
		layer dict
		want  string
	}{
		{lstm(dict{"stateful": true}), "it keeps its states from one call to the next"},
		{lstm(dict{"activation": "softmax"}), "activation softmax is not supported in a recurrent layer"},
		{lstm(dict{"recurrent_activation": dict{"module": "mine", "class_name": "function", "config": "tanh"}}), "recurrent_activation is not a function of Keras"},
		{lstm(dict{"units": 0}), "units"},
		{entryOf("Bidirectional", "layer", dict{"layer": lstm(dict{"go_backwards": true})}), "its layer goes backwards"},
		{entryOf("Bidirectional", "layer", dict{"layer": entryOf("Dense", "d", dict{"units": 2})}), `it wraps Dense "d", want SimpleRNN, GRU or LSTM`},
		{entryOf("Bidirectional", "layer", dict{"layer": lstm(dict{}), "merge_mode": "max"}), `merge_mode "max"`},
	} {
		w := weights{}
		for _, place := range []string{"lstm", "bidirectional/forward_layer", "bidirectional/backward_layer"} {
			w[place+"/cell"] = []*h5test.Node{seeded(4, 8), seeded(2, 8), seeded(8)}
		}
		file := kerastest.Archive(sequential([]any{nil, 3, 4}, c.layer), w)
		_, err := loadBytes(file, source.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.layer, err, c.want)
		}
	}
}

// The first elements of results for an input of ones, computed by Keras 3.15.
func TestRecurrentValues(t *testing.T) {
	cell := func(gates int, bias ...int) []*h5test.Node {
		return []*h5test.Node{seeded(4, gates*2), seeded(2, gates*2), seeded(bias...)}
	}
	of := func(class string, config dict) dict {
		config["units"] = 2
		return entryOf(class, "layer", config)
	}
	for _, c := range []struct {
		layer dict
		w     weights
		want  float32
	}{
		{of("LSTM", dict{}), weights{"lstm/cell": cell(4, 8)}, 0.006245818},
		{of("GRU", dict{"reset_after": true}), weights{"gru/cell": cell(3, 2, 6)}, -0.7104038},
		{of("GRU", dict{"reset_after": false}), weights{"gru/cell": cell(3, 6)}, -0.8015212},
		{of("SimpleRNN", dict{"go_backwards": true, "return_sequences": true}), weights{"simple_rnn/cell": cell(1, 2)}, -0.44967562},
		{entryOf("Bidirectional", "layer", dict{"merge_mode": "mul", "layer": of("LSTM", dict{"return_sequences": true})}),
			weights{"bidirectional/forward_layer/cell": cell(4, 8), "bidirectional/backward_layer/cell": cell(4, 8)}, -0.0023629388},
	} {
		file := kerastest.Archive(sequential([]any{nil, 3, 4}, c.layer), c.w)
		if got := firstOf(t, file); math.Abs(float64(got-c.want)) > 1e-6 {
			t.Errorf("%v: got %v, want %v", c.layer, got, c.want)
		}
	}
}
