package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"modelc/frontend/source"
	"modelc/ir"
)

// The layers, their shapes and their parameters in modelc inspect are those of Keras'
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
			text, err := os.ReadFile(filepath.Join(dir, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var want struct {
				Layers []struct {
					Name, Class string
					Shapes      [][]int // null is an open extent
					Parameters  int64
				}
				Trainable, Others int64
				Open              bool // the size of images
			}
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			args := []string{"inspect", "--json", filepath.Join(dir, name+".keras")}
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
				if len(l.Shapes) != len(w.Shapes) {
					t.Errorf("%s: shapes %v, Keras has %v", l.Name, l.Shapes, w.Shapes)
					continue
				}
				for k, s := range w.Shapes {
					for axis, n := range s {
						if n == 0 { // open
							s[axis] = 1
						}
					}
					if !l.Shapes[k].Equal(ir.Shape(s)) {
						t.Errorf("%s: shape %v, Keras has %v", l.Name, l.Shapes[k], s)
					}
				}
			}
		})
	}
}
