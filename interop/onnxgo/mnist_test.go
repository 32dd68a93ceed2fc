package onnxgo

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend"
	"github.com/owulveryck/onnx-go/backend/x/gorgonnx"
	"gorgonia.org/tensor"

	"modelc/internal/zoo"
	"modelc/runtime"
)

// classifiers returns networks for digits: LeNet-5 with seeded weights and, if
// MODELC_CORPUS contains it, the MNIST model of the ONNX model zoo.
func classifiers(t testing.TB) map[string][]byte {
	t.Helper()
	var lenet bytes.Buffer
	if err := zoo.Write(&lenet, "lenet5-relu", zoo.Options{}); err != nil {
		t.Fatal(err)
	}
	list := map[string][]byte{"lenet5": lenet.Bytes()}
	if dir := os.Getenv("MODELC_CORPUS"); dir != "" {
		b, err := os.ReadFile(filepath.Join(dir, "models", "onnx", "mnist-8", "model.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		list["mnist-8"] = b
	}
	return list
}

// user is a program that uses onnx-go.
type user struct {
	backend backend.ComputationBackend
	model   *onnx.Model
}

func newUser(t testing.TB, b backend.ComputationBackend, model []byte) user {
	t.Helper()
	u := user{b, onnx.NewModel(b)}
	if err := u.model.UnmarshalBinary(model); err != nil {
		t.Fatal(err)
	}
	return u
}

// classify runs the model on a picture.
func (u user) classify(t testing.TB, picture []float32) []float32 {
	t.Helper()
	if err := u.model.SetInput(0, tensor.New(tensor.WithShape(1, 1, 28, 28), tensor.WithBacking(picture))); err != nil {
		t.Fatal(err)
	}
	if err := u.backend.Run(); err != nil {
		t.Fatal(err)
	}
	out, err := u.model.GetOutputTensors()
	if err != nil {
		t.Fatal(err)
	}
	return out[0].Data().([]float32)
}

func picture() []float32 {
	x := make([]float32, 28*28)
	for i := range x {
		x[i] = float32(math.Abs(math.Sin(float64(i))))
	}
	return x
}

// Both backends give the same scores. If the processor has fast kernels, modelc's
// backend takes at most a twentieth of the time.
func TestMNIST(t *testing.T) {
	for name, model := range classifiers(t) {
		ours, theirs := newUser(t, New(), model), newUser(t, gorgonnx.NewGraph(), model)
		x := picture()
		got, want := ours.classify(t, x), theirs.classify(t, x)
		if len(got) != len(want) {
			t.Fatalf("%s: %d scores, want %d", name, len(got), len(want))
		}
		top := 0.0
		for _, w := range want {
			top = max(top, math.Abs(float64(w)))
		}
		for i, w := range want {
			if d := math.Abs(float64(got[i] - w)); !(d <= 1e-4*top) {
				t.Errorf("%s: score %d is %g, Gorgonia's is %g", name, i, got[i], w)
			}
		}
		// Measure successive runs, and take the best of several measurements,
		// because other processes use the machine too.
		const runs = 100
		took := [2]time.Duration{math.MaxInt64, math.MaxInt64}
		for range 5 {
			for i, u := range []user{ours, theirs} {
				start := time.Now()
				for range runs {
					u.classify(t, x)
				}
				took[i] = min(took[i], time.Since(start)/runs)
			}
		}
		times := float64(took[1]) / float64(took[0])
		t.Logf("%s: %v a run, Gorgonia's backend %v: %.0f times", name, took[0], took[1], times)
		if times < 20 && runtime.Tier() != "generic" {
			t.Errorf("%s: only %.1f times as fast as Gorgonia's backend", name, times)
		}
	}
}

func BenchmarkMNIST(b *testing.B) {
	for name, model := range classifiers(b) {
		for engine, backend := range map[string]backend.ComputationBackend{"modelc": New(), "gorgonia": gorgonnx.NewGraph()} {
			b.Run(name+"/"+engine, func(b *testing.B) {
				u := newUser(b, backend, model)
				x := picture()
				for b.Loop() {
					u.classify(b, x)
				}
			})
		}
	}
}
