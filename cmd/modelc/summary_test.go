package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc/frontend/source"
)

// The layers, their shapes, windows and parameters in modelc inspect are those of Keras'
// summary(), for all networks of keras.applications and for models in models.
func TestKerasSummary(t *testing.T) {
	python := kerasPython(t)
	list, err := exec.CommandContext(t.Context(), python, "testdata/summary.py").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(list))
	if len(names) < 38 {
		t.Errorf("keras.applications has only %q", names)
	}
	for _, name := range append([]string{"nested", "options"}, names...) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if out, err := exec.CommandContext(t.Context(), python, "testdata/summary.py", dir, name).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			sameSummary(t, filepath.Join(dir, name+".keras"), filepath.Join(dir, name+".json"))
		})
	}
}

// The same for the Keras models of the corpus. MODELC_KERAS2 names a Python for those that
// Keras 3 does not read.
func TestCorpusSummary(t *testing.T) {
	python, corpus := kerasPython(t), corpus(t)
	var list []string
	for _, pattern := range []string{"models/keras/*/model.*", "keras-small/*/model.keras", "keras-small/keras2-*/model.h5", "keras-2.14/*/model.keras"} {
		files, err := filepath.Glob(filepath.Join(corpus, filepath.FromSlash(pattern)))
		if err != nil || files == nil {
			t.Fatal(pattern, err)
		}
		list = append(list, files...)
	}
	n := 0
	for _, python := range []string{python, os.Getenv("MODELC_KERAS2")} {
		if python == "" {
			continue
		}
		dir := t.TempDir()
		out, err := exec.CommandContext(t.Context(), python, append([]string{"testdata/summary.py", dir}, list...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		list = slices.DeleteFunc(list, func(file string) bool {
			oracle := filepath.Join(dir, file+".json")
			if _, err := os.Stat(oracle); err != nil {
				return false
			}
			n++
			return t.Run(strings.TrimPrefix(file, corpus), func(t *testing.T) { sameSummary(t, file, oracle) })
		})
	}
	t.Logf("%d models; not read by Keras: %q", n, list)
	if n < 70 {
		t.Errorf("Keras reads only %d models", n)
	}
}

// sameSummary compares what modelc inspect prints of a file with oracle, which
// testdata/summary.py wrote.
func sameSummary(t *testing.T, file, oracle string) {
	t.Helper()
	text, err := os.ReadFile(oracle)
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Layers []struct {
			Name, Class string
			Shapes      [][]int // null is an open extent, 1 of a batch
			Parameters  int64
			Window      source.Window
		}
		Trainable, Others int64
		Open              bool // the size of images
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	args := []string{"inspect", "--json", file}
	if want.Open {
		args = append(args, "--dim", "height=224", "--dim", "width=224")
	}
	code, out, errs := invoke(t, args...)
	if code != 0 {
		t.Fatalf("exit %d, %s", code, errs)
	}
	var in inspection
	if err := json.Unmarshal([]byte(out), &in); err != nil {
		t.Fatal(err)
	}
	if in.Total.Trainable != want.Trainable || in.Total.Fixed != want.Others {
		t.Errorf("parameters %d and %d, Keras has %d and %d", in.Total.Trainable, in.Total.Fixed, want.Trainable, want.Others)
	}
	var top []*source.Layer
	for _, l := range in.Layers {
		if l.Depth == 0 {
			top = append(top, l)
		}
	}
	if len(top) != len(want.Layers) {
		t.Fatalf("%d layers, Keras has %d", len(top), len(want.Layers))
	}
	for i, w := range want.Layers {
		l := top[i]
		if l.Name != w.Name || l.Class != w.Class || l.Trainable+l.Fixed != w.Parameters {
			t.Errorf("layer %d is %s (%s) with %d parameters, for Keras %s (%s) with %d", i, l.Name, l.Class, l.Trainable+l.Fixed, w.Name, w.Class, w.Parameters)
		}
		if got, want := l.Window.String(), w.Window.String(); got != want {
			t.Errorf("%s: window %q, Keras has %q", l.Name, got, want)
		}
		if w.Shapes == nil { // unknown
			continue
		}
		if len(l.Shapes) != len(w.Shapes) {
			t.Errorf("%s: shapes %v, Keras has %v", l.Name, l.Shapes, w.Shapes)
			continue
		}
		for k, s := range w.Shapes {
			open := func(a, b int) bool { return a == b || b == 0 }
			if !slices.EqualFunc(l.Shapes[k], s, open) || s[0] == 0 && l.Shapes[k][0] != 1 {
				t.Errorf("%s: shape %v, Keras has %v", l.Name, l.Shapes[k], s)
			}
		}
	}
}
