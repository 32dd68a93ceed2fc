package main

import (
	"encoding/csv"
	"encoding/json"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"modelc"
	"modelc/backend/inproc"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime"
	"modelc/runtime/kernel"
	"modelc/runtime/vision"
)

// Packages with weights in half precision pass their own test, and their comment
// gives the error of rounding.
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
		text := strings.Join(strings.Fields(strings.ReplaceAll(string(doc), "\n//", " ")), " ") // without line breaks
		if !strings.Contains(text, s.Rounding.String()) || !strings.Contains(string(doc), "// Flags: --weights "+c.weights) {
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

// The package of a model runs the weights of a retrained model. The weights of
// another graph are refused, and the file does not change.
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
		c, err := modelc.Compile(path, modelc.Options{Weights: kernel.F16})
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

// Trained networks with weights in f16 give pictures the same classes as with
// weights in f32: the photos, and 100 pictures each of the test sets of MNIST and
// CIFAR-10. bf16 has three bits less, and may change the class of one picture.
func TestCorpusHalf(t *testing.T) {
	dir := corpus(t)
	for _, c := range []struct{ model, pictures, mode string }{
		{"onnx/squeezenet1.1/model.onnx", "imagenet", "torch"},
		{"keras/mobilenet_v1_0.25_224/model.h5", "imagenet", "tf"},
		{"onnx/resnet20-cifar10/model.onnx", "cifar10", "torch"},
		{"onnx/densenet40-cifar10/model.onnx", "cifar10", "none"},
		{"keras/resnet20-cifar10/model.h5", "cifar10", "unit"},
		{"keras/resnet8-cifar10/model.h5", "cifar10", "none"},
		{"keras/cifar10-cnn/model.h5", "cifar10", "unit"},
		{"onnx/mnist-8/model.onnx", "mnist", "none"},
		{"onnx/mnist-keras2onnx/model.onnx", "mnist", "unit"},
		{"keras/mnist-keras2onnx/model.h5", "mnist", "unit"},
		{"onnx/lenet5-mnist/model.onnx", "mnist", "unit"},
		{"keras/lenet5/model.keras", "mnist", "unit"},
	} {
		t.Run(c.model, func(t *testing.T) {
			pictures, labels := corpusPictures(t, dir, c.pictures)
			var full [][]float32
			bytes := 0
			for _, f := range []kernel.Format{kernel.F32, kernel.F16, kernel.BF16} {
				m, err := modelc.Compile(filepath.Join(dir, "models", c.model), modelc.Options{Weights: f})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				pre, err := m.Preprocess(c.mode)
				if err != nil {
					t.Fatal(err)
				}
				e, err := inproc.New(m.Program, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				right, changed, worst := 0, 0, 0.0
				for i, p := range pictures {
					in := ir.NewTensor(m.Before.Inputs[0].Type)
					if err := pre.Apply(in.Float32s(), p); err != nil {
						t.Fatal(err)
					}
					out, err := e.Run([]*ir.Tensor{in})
					if err != nil {
						t.Fatal(err)
					}
					scores := out[0].Float32s()
					best := vision.Top(scores, 1, nil)[0].Index
					if best == labels[i] {
						right++
					}
					if f == kernel.F32 {
						full = append(full, scores)
						continue
					}
					want := ir.TensorOf(out[0].Shape, full[i]...)
					d, err := eval.Compare(out[0], want)
					if err != nil {
						t.Fatal(err)
					}
					worst = max(worst, d.Rel)
					if first := vision.Top(full[i], 1, nil)[0]; best != first.Index {
						changed++
						t.Logf("%s: picture %d is class %d, not %d, whose score is %.3f", f, i, best, first.Index, first.Score)
					}
				}
				if f == kernel.F32 {
					bytes = m.Program.Plan.WeightsBytes
				}
				t.Logf("%s: %d bytes, %.2f of full; %d of %d pictures named right, %d otherwise than in full precision; error %.1e",
					f, m.Program.Plan.WeightsBytes, float64(m.Program.Plan.WeightsBytes)/float64(bytes), right, len(pictures), changed, worst)
				if (f == kernel.F16 || c.pictures == "imagenet") && changed > 0 || changed > 1 {
					t.Errorf("%s: %d pictures change their class", f, changed)
				}
				if 2*right < len(pictures) {
					t.Errorf("%s: %d of %d pictures named right", f, right, len(pictures))
				}
			}
		})
	}
}

// corpusPictures returns the pictures of a set of the corpus and their classes.
func corpusPictures(t *testing.T, dir, set string) (pictures []image.Image, labels []int) {
	t.Helper()
	dir = filepath.Join(dir, "images")
	if set == "imagenet" {
		photos, err := filepath.Glob(filepath.Join(dir, set, "*_*"))
		if err != nil || len(photos) < 10 {
			t.Fatalf("%d photos, %v", len(photos), err)
		}
		for _, p := range photos {
			img, err := vision.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimSuffix(filepath.Base(p), filepath.Ext(p))
			class, err := strconv.Atoi(name[strings.LastIndexByte(name, '_')+1:])
			if err != nil {
				t.Fatal(err)
			}
			pictures, labels = append(pictures, img), append(labels, class)
		}
		return pictures, labels
	}
	f, err := os.Open(filepath.Join(dir, set+"_test.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		v := make([]uint8, len(r))
		for i, x := range r {
			n, err := strconv.ParseUint(x, 10, 8)
			if err != nil {
				t.Fatal(err)
			}
			v[i] = uint8(n)
		}
		label, v := int(v[0]), v[1:]
		if len(v) == 28*28 {
			pictures = append(pictures, &image.Gray{Pix: v, Stride: 28, Rect: image.Rect(0, 0, 28, 28)})
		} else { // planes of red, green and blue, 32×32 pixels each
			img := image.NewNRGBA(image.Rect(0, 0, 32, 32))
			for i := range 32 * 32 {
				img.SetNRGBA(i%32, i/32, color.NRGBA{v[3*i], v[3*i+1], v[3*i+2], 255})
			}
			pictures = append(pictures, img)
		}
		labels = append(labels, label)
	}
	return pictures, labels
}
