package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc"
	"modelc/backend/inproc"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime"
)

// Packages of half the size pass their own test and say what rounding costs.
func TestHalfWeights(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/half\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := zooFile(t, "resnet18", zoo.Options{Width: 0.25, Size: 64})
	bytes := map[string]int{}
	for name, c := range map[string]struct {
		weights  string
		min, max float64 // of the error
	}{
		"full": {"embed", 0, 0}, "f16": {"f16", 1e-5, 1e-2}, "bf16": {"file,bf16", 1e-4, 1e-1},
	} {
		code, out, errs := invoke(t, "compile", path, "-o", filepath.Join(dir, name), "--weights", c.weights, "--json")
		if code != 0 {
			t.Fatal(errs)
		}
		var s modelc.Summary
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			t.Fatal(err)
		}
		bytes[name] = s.FileBytes["weights.bin"]
		doc, err := os.ReadFile(filepath.Join(dir, name, "model.go"))
		if err != nil {
			t.Fatal(err)
		}
		if c.max == 0 {
			if s.Rounding != nil {
				t.Errorf("%s: %s", name, s.Rounding)
			}
			continue
		}
		if s.Rounding == nil || s.Rounding.Error < c.min || s.Rounding.Error > c.max || s.Rounding.Rows != 1 {
			t.Errorf("%s: %+v, want an error in %g … %g", name, s.Rounding, c.min, c.max)
		}
		if !strings.Contains(string(doc), s.Rounding.String()) || !strings.Contains(string(doc), "// Flags: --weights "+c.weights) {
			t.Errorf("%s: the package does not tell of %s", name, s.Rounding)
		}
	}
	for _, name := range []string{"f16", "bf16"} {
		if n := bytes[name]; float64(n) > 0.51*float64(bytes["full"]) {
			t.Errorf("%s: %d bytes, full precision takes %d", name, n, bytes["full"])
		}
	}
	goTool(t, dir, nil, "test", "./f16", "./bf16")
}

// The weights of a retrained model run in the package of the first; those of
// another graph are refused, and leave the file as it was.
func TestRetrained(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/retrained\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	small := func(seed uint64) zoo.Options { return zoo.Options{Width: 0.25, Size: 64, Seed: seed} }
	first, second := zooFile(t, "densenet121", small(1)), zooFile(t, "densenet121", small(2))
	pkg := filepath.Join(dir, "net")
	if code, _, errs := invoke(t, "compile", first, "-o", pkg, "--weights", "f16"); code != 0 {
		t.Fatal(errs)
	}
	file := filepath.Join(dir, "new", "weights.bin")
	if code, _, errs := invoke(t, "weights", second, pkg, "-o", file); code != 0 {
		t.Fatal(errs)
	}
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	compile := func(path string) *modelc.Compiled {
		c, err := modelc.Compile(path, modelc.Options{Weights: runtime.F16})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	a, b := compile(first), compile(second)
	in := eval.Inputs(a.Before, 3)
	e, err := inproc.New(b.Program, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	want, err := e.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	m, err := runtime.OpenModel(a.Program.Plan, file, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession(runtime.Options{Threads: 2})
	defer s.Close()
	got := ir.NewTensor(want[0].Type)
	for i, x := range []*ir.Tensor{in[0], got} {
		if err := s.Bind(i, x.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Run(); err != nil || !slices.Equal(got.Float32s(), want[0].Float32s()) {
		t.Errorf("%v: the retrained model's outputs differ", err)
	}

	for _, c := range []struct {
		args []string
		err  string
	}{
		{[]string{zooFile(t, "densenet121", zoo.Options{Width: 0.25, Size: 32}), pkg}, "do not fit the package"},
		{[]string{second, pkg, "--weights", "bf16"}, "do not fit the package"},
		{[]string{second, pkg, "--exact"}, "do not fit the package"},
		{[]string{second, filepath.Join(dir, "nothing")}, "no such file"},
		{[]string{second}, "want a model, the folder"},
		{[]string{second, pkg, "--weights", "f16,bf16"}, "f16 or bf16?"},
	} {
		code, _, errs := invoke(t, append([]string{"weights", "-o", file}, c.args...)...)
		if code == 0 || !strings.Contains(errs, c.err) {
			t.Errorf("%v: exit %d, %s", c.args, code, errs)
		}
	}
	if now, _ := os.ReadFile(file); string(now) != string(stored) {
		t.Error("an error changed the file")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "new", "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
