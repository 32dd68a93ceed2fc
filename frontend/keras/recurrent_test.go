package keras

import (
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
