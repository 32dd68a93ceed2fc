package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/inproc"
	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/ir/eval"
)

// FuzzList reads lists of models.
func FuzzList(f *testing.F) {
	for _, s := range []string{
		`[{"model": "a.onnx", "output": "a"}, {"model": "b.keras", "output": "b", "batch": [1, 8], "exact": true, "weights": "file,f16"}]`,
		`[{"model": "a.onnx", "output": "a", "dim": ["N=1", "H=3"], "bind": "x=y.npy", "package": "p"}]`,
		`[{"model": 1, "model": null, "colour": {}}] text`, `{}`, `[`,
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), listFile)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		c := &cobra.Command{}
		c.SetOut(io.Discard)
		c.SetErr(io.Discard)
		jobs, err := readList(c, path)
		if err == nil && len(jobs) == 0 {
			t.Error("a list without models is no error")
		}
		for _, j := range jobs {
			if err == nil && (j.model == "" || j.flags.output == "") {
				t.Errorf("a model %q with output %q is no error", j.model, j.flags.output)
			}
		}
	})
}

// FuzzTuning compiles a network with the algorithms in a tuning file. An algorithm
// that a layer cannot use is an error or ignored, and does not change results.
func FuzzTuning(f *testing.F) {
	dir := f.TempDir()
	model := filepath.Join(dir, "m.onnx")
	w, err := os.Create(model)
	if err != nil {
		f.Fatal(err)
	}
	if err := zoo.Write(w, "resnet18", zoo.Options{Width: 0.125, Size: 32, Classes: 4}); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	m, err := frontend.Load(model, source.Options{})
	if err != nil {
		f.Fatal(err)
	}
	in := eval.Inputs(m.Graph, 1)
	want, err := eval.Run(m.Graph, in)
	if err != nil {
		f.Fatal(err)
	}
	for _, algorithm := range []string{"direct", "winograd2", "winograd4", "pointwise", "first", "depthwise", "strassen", "none", ""} {
		for _, layer := range []string{"layer1.0.conv1", "conv1", "layer2.0.downsample.0"} {
			f.Add([]byte(`{"layers": [{"name": "` + layer + `", "algorithm": "` + algorithm + `", "ms": {"direct": 1}}]}`))
		}
	}
	path := filepath.Join(dir, "tune.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		begin := time.Now()
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		tuning := new(modelc.Tuning)
		if err := readJSON(path, "modelc tune -o", tuning); err != nil {
			return
		}
		tuning.SHA256 = m.SHA256
		c, err := modelc.CompileModel(m, modelc.Options{Tuning: tuning})
		if err != nil {
			return
		}
		e, err := inproc.New(c.Program, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		got, err := e.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := eval.Compare(got[0], want[0]); err != nil || !d.Within(1e-4) {
			t.Fatalf("%v %v\n%s", d, err, ir.Format(c.Graph))
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
