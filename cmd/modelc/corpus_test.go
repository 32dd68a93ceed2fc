package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelc/internal/npy"
	"modelc/ir"
)

// corpus returns the folder of models that are not part of the repository.
func corpus(t *testing.T) string {
	dir := os.Getenv("MODELC_CORPUS")
	if dir == "" {
		t.Skip("MODELC_CORPUS is not set: models from outside are not tested")
	}
	return dir
}

// Trained models and their stored outputs, through the generated package.
func TestCorpusModels(t *testing.T) {
	dir := filepath.Join(corpus(t), "models", "onnx")
	for _, m := range []string{"mnist-8", "squeezenet1.1", "lenet5-mnist", "resnet20-cifar10", "densenet40-cifar10", "mnist-keras2onnx", "super-resolution"} {
		t.Run(m, func(t *testing.T) {
			args := []string{"verify", filepath.Join(dir, m, "model.onnx"), "--engine", "go", "--check", "--layers"}
			if _, err := dataSets(filepath.Join(dir, m)); err == nil {
				args = append(args, "--data", filepath.Join(dir, m))
			}
			code, out, errs := invoke(t, args...)
			if code != 0 {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
			t.Log(out)
		})
	}
}

// The nine ImageNet topologies: their input is i/n over the flat index.
func TestCorpusLight(t *testing.T) {
	dir := filepath.Join(corpus(t), "onnx-light")
	in := ir.NewTensor(ir.T(ir.Float32, 1, 3, 224, 224))
	x := in.Float32s()
	for i := range x {
		x[i] = float32(i) / float32(len(x))
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if len(files) != 9 {
		t.Fatalf("%d models", len(files))
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			set := t.TempDir()
			if err := npy.Write(filepath.Join(set, "input_0.npy"), in); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(f, ".onnx") + "_output_0.pb")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(set, "output_0.pb"), want, 0o644); err != nil {
				t.Fatal(err)
			}
			code, out, errs := invoke(t, "verify", f, "--data", set, "--engine", "go")
			if code != 0 {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
			t.Log(out)
		})
	}
}

// The photos' class ids stand in their names; what counts is that the
// compiled network ranks them as the reference interpreter does.
func TestCorpusPhotos(t *testing.T) {
	dir := corpus(t)
	photos, _ := filepath.Glob(filepath.Join(dir, "images", "imagenet", "*"))
	if len(photos) < 10 {
		t.Fatalf("%d photos", len(photos))
	}
	args := append([]string{"run", "--preprocess", "torch", "--crop", "256", "--top", "1", filepath.Join(dir, "models", "onnx", "squeezenet1.1", "model.onnx")}, photos...)
	_, want, errs := invoke(t, append(args, "--engine", "eval")...)
	_, got, errs2 := invoke(t, append(args, "--engine", "go")...)
	if errs+errs2 != "" {
		t.Fatal(errs, errs2)
	}
	classes := func(s string) (list []string) {
		for _, l := range strings.Split(s, "\n") {
			if f := strings.Fields(l); len(f) > 1 && f[0] == "class" {
				list = append(list, f[1])
			}
		}
		return list
	}
	g, w := classes(got), classes(want)
	right := 0
	for i, p := range photos {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("%s: got %v, want %v", p, g, w)
		}
		if strings.Contains(filepath.Base(p), g[i]) {
			right++
		}
	}
	t.Logf("top-1 equals the reference's on %d photos; it is the photo's label on %d", len(photos), right)
}
