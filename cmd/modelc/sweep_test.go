package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"modelc"
	"modelc/frontend/source"
	"modelc/ir/eval"
)

// Every layer, activation and operation of Keras gives the outputs of Keras, for
// combinations of its options, from .keras and .h5 files. testdata/sweep.py makes
// models with these layers as branches. testdata/sweep.txt lists the refused ones
// with the reason. -update rewrites it.
func TestKerasSweep(t *testing.T) {
	dir := sweep(t, kerasPython(t), "sweep")
	mutants(t, filepath.Join(dir, "mutants"))
}

// The TensorFlow operators in models of Keras 2, and layers that Keras 3 has no more, give
// the outputs of Keras. testdata/sweep2.py makes the models, testdata/sweep2.txt lists the
// refused ones.
func TestKeras2Sweep(t *testing.T) {
	python := os.Getenv("MODELC_KERAS2")
	if python == "" {
		t.Skip("MODELC_KERAS2 is not set: it names a Python with tensorflow-cpu 2.12 to 2.15, which makes the models")
	}
	sweep(t, python, "sweep2")
}

// mutants compares models whose configurations were changed at random with Keras. A model
// that Keras does not load must be refused; another one gives the outputs of Keras or is
// refused too.
func mutants(t *testing.T, dir string) {
	values, refused, both := 0, 0, 0
	for _, set := range folders(t, dir) {
		path := filepath.Join(set, "model.keras")
		reason, err := os.ReadFile(filepath.Join(set, "error.txt"))
		invalid := err == nil
		code, out, errs := invoke(t, "verify", path, "--data", set, "--engine", "inproc", "--tol", "1e-5")
		switch {
		case code == 0 && !invalid:
			values++
		case invalid && strings.Contains(errs, path):
			both++
		case invalid:
			t.Errorf("%s: it is compiled, but Keras refuses it: %s", path, reason)
		case strings.Contains(out, "FAILED"):
			t.Errorf("%s", out)
		default:
			refused++
			t.Logf("Keras loads it, but: %s", errs)
		}
	}
	t.Logf("%d mutants agree, both refuse %d, modelc alone %d", values, both, refused)
	if values < 60 || both < 60 {
		t.Errorf("%d mutants agree, and both refuse %d", values, both)
	}
}

// sweep runs a script of testdata and compares all models with the outputs that it
// stored. The refused ones are those in the script's list. It returns the folder.
func sweep(t *testing.T, python, script string) string {
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), python, "testdata/"+script+".py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
	var refused []string
	count, worst := 0, 0.0
	for _, set := range folders(t, dir) {
		if filepath.Base(set) == "mutants" {
			continue
		}
		var cases []string
		text, err := os.ReadFile(filepath.Join(set, "cases.json"))
		if err == nil {
			err = json.Unmarshal(text, &cases)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"model.keras", "model.h5"} {
			path := filepath.Join(set, file)
			if _, err := os.Stat(path); err != nil {
				continue // sweep.py has the reason
			}
			c, err := load(path, set, modelc.Options{})
			var u *source.Unsupported
			if errors.As(err, &u) {
				for _, p := range u.Problems {
					reason, _, _ := strings.Cut(p.Reason, "; ") // without names that Keras counts
					refused = append(refused, fmt.Sprintf("%s/%s: %s: %s", filepath.Base(set), file, p.Op, reason))
				}
				if filepath.Base(set) == "refused" {
					break // the .h5 file repeats it
				}
				continue
			}
			if err != nil {
				t.Error(err)
				continue
			}
			defer c.Close()
			got, err := inProcessOnce(0, c)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if len(got) != len(c.want) || len(got) != len(cases) {
				t.Fatalf("%s: %d outputs, %d expected for %d cases", path, len(got), len(c.want), len(cases))
			}
			for i, name := range cases {
				count++
				want, err := fit(c.want[i], got[i].Type)
				if err != nil {
					t.Errorf("%s: %s: %v", path, name, err)
					continue
				}
				d, err := eval.Compare(got[i], want)
				tol := 1e-5
				switch {
				case c.Model.Half: // bfloat16 keeps 8 bits
					tol = 1e-2
				case !got[i].DType.IsFloat():
					tol = 0
				default:
					worst = max(worst, d.Rel)
				}
				if err != nil || !d.Within(tol) {
					t.Errorf("%s: %s: %v %v", path, name, d, err)
				}
			}
		}
	}
	t.Logf("%d results agree, the worst error is %.2g", count, worst)
	slices.Sort(refused)
	list := "testdata/" + script + ".txt"
	text := strings.Join(slices.Compact(refused), "\n") + "\n"
	if *update {
		if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	want, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("what is refused differs from %s (-update accepts it):\n%s", list, diff)
	}
	return dir
}
