package main

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/inproc"
	"modelc/internal/classes"
	"modelc/internal/npy"
	"modelc/ir"
)

// heldOut has 359 digits with labels that no network of testdata was trained on.
const heldOut = digits + "heldout-images-idx3-ubyte.gz"

// mostDrop is the largest drop of top-1 accuracy by quantisation, in percentage points.
const mostDrop = 0.5

// quantized is a float model, and how it is quantised and evaluated.
type quantized struct {
	model, data string
	flags       []string // of the preprocessing
	least       float64  // the top-1 accuracy of the float model
}

// write quantises the model.
func (q quantized) write(t *testing.T, flags ...string) (path string, r modelc.QuantizedReport) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "quantised.onnx")
	args := slices.Concat([]string{"quantize", q.model, "-o", path, "--calibrate", q.data, "--json"}, q.flags, flags)
	code, out, errs := invoke(t, args...)
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	return path, r
}

// check quantises the model and compares the accuracy of both on 2,000 examples, or on all.
func (q quantized) check(t *testing.T, flags ...string) (path string) {
	t.Helper()
	path, _ = q.write(t, flags...)
	args := append([]string{"eval", path, "--against", q.model, "--data", q.data, "--samples", "2000", "--json"}, q.flags...)
	code, out, errs := invoke(t, args...)
	var e evaluation
	if err := json.Unmarshal([]byte(out), &e); code != 0 || err != nil || e.Against == nil {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	t.Logf("top-1 %.2f %%, in float32 %.2f %%, the same class for %.2f %% of %d examples", e.Top1, e.Against.Top1, e.Against.Same, e.Examples)
	if e.Against.Top1 < q.least {
		t.Errorf("top-1 of the float model is %.2f %%: the preprocessing is wrong", e.Against.Top1)
	}
	if drop := e.Against.Top1 - e.Top1; drop > mostDrop {
		t.Errorf("top-1 drops by %.2f points", drop)
	}
	return path
}

// networks returns the networks of testdata.
func networks() map[string]quantized {
	m := map[string]quantized{"digits": {digits + "lenet5.onnx", heldOut, nil, 99}}
	for _, name := range []string{"lenet5", "vgg", "resnet_v1", "resnet_v2", "densenet"} {
		m["keras-"+name] = quantized{"../../testdata/keras/" + name + "/model.keras", heldOut, nil, 98}
	}
	return m
}

// Quantised networks of testdata recognise as many digits as the float ones.
func TestQuantize(t *testing.T) {
	for name, q := range networks() {
		t.Run(name, func(t *testing.T) { q.check(t, "--samples", "0", "--max-drop", fmt.Sprint(mostDrop)) })
	}
}

// If the accuracy drops by more than the maximum, the most sensitive layers stay in float32,
// and no more than necessary.
func TestMaxDrop(t *testing.T) {
	q := quantized{model: "../../testdata/keras/resnet_v2/model.keras", data: heldOut}
	_, r := q.write(t, "--per-tensor", "--samples", "100", "--max-drop", "0")
	worst, kept := 0.0, 0
	for _, l := range r.Layers {
		if l.Float == "" {
			worst = max(worst, l.Alone.Error)
		}
	}
	for _, l := range r.Layers {
		if l.Float != "" {
			kept++
			if l.Float != "fallback" || l.Alone.Error < worst {
				t.Errorf("%s stays in float32 (%s) with the error %g, another layer does not with %g", l.Name, l.Float, l.Alone.Error, worst)
			}
		}
	}
	if kept == 0 || kept > 12 || r.Accuracy.Drop() > 0 || len(r.Tried) < 2 || r.Tried[0].Accuracy.Drop() <= 0 {
		t.Errorf("%d layers in float32, drop %g, tried %+v", kept, r.Accuracy.Drop(), r.Tried)
	}
}

// narrowDrop is the largest drop of top-1 accuracy by computing in bfloat16, in percentage
// points, and at most one example of a small set.
const narrowDrop = 0.3

// checkNarrow compares the accuracy of the float model in bfloat16 with that in float32, on
// all examples.
func (q quantized) checkNarrow(t *testing.T) {
	t.Helper()
	top1, examples := map[string]float64{}, 0
	for _, format := range []string{"f32", "bf16"} {
		args := append([]string{"eval", q.model, "--data", q.data, "--samples", "0", "--json", "--compute", format}, q.flags...)
		code, out, errs := invoke(t, args...)
		var e evaluation
		if err := json.Unmarshal([]byte(out), &e); code != 0 || err != nil {
			t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
		}
		top1[format], examples = e.Top1, e.Examples
	}
	t.Logf("top-1 %.2f %%, in float32 %.2f %% of %d examples", top1["bf16"], top1["f32"], examples)
	if top1["f32"] < q.least {
		t.Errorf("top-1 in float32 is %.2f %%: the preprocessing is wrong", top1["f32"])
	}
	if drop := top1["f32"] - top1["bf16"]; drop > max(narrowDrop, 100.5/float64(examples)) {
		t.Errorf("top-1 drops by %.2f points", drop)
	}
}

// Networks of testdata recognise as many digits in bfloat16 as in float32.
func TestComputeAccuracy(t *testing.T) {
	for name, q := range networks() {
		t.Run(name, q.checkNarrow)
	}
}

// Networks of the corpus do on 10,000 digits and 2,000 pictures of CIFAR-10.
func TestCorpusComputeAccuracy(t *testing.T) {
	for name, q := range corpusNetworks(t, corpus(t)) {
		t.Run(name, q.checkNarrow)
	}
}

// corpusNetworks returns the trained classifiers of the corpus.
func corpusNetworks(t *testing.T, corpus string) map[string]quantized {
	t.Helper()
	mnist := filepath.Join(corpus, "images", "mnist-t10k-images-idx3-ubyte.gz")
	cifar := unzip(t, filepath.Join(corpus, "images", "cifar10-test-2000.zip"))
	model := func(name string) string { return filepath.Join(corpus, "models", filepath.FromSlash(name)) }
	levels := []string{"--preprocess", "none"}
	return map[string]quantized{
		"digits":             {digits + "lenet5.onnx", mnist, nil, 60},
		"mnist-8":            {model("onnx/mnist-8/model.onnx"), mnist, levels, 98},
		"lenet5-mnist":       {model("onnx/lenet5-mnist/model.onnx"), mnist, nil, 97},
		"mnist-keras2onnx":   {model("onnx/mnist-keras2onnx/model.onnx"), mnist, nil, 97},
		"resnet20-cifar10":   {model("onnx/resnet20-cifar10/model.onnx"), cifar, []string{"--preprocess", "torch"}, 80},
		"densenet40-cifar10": {model("onnx/densenet40-cifar10/model.onnx"), cifar, levels, 86},
		"keras lenet5":       {model("keras/lenet5/model.keras"), mnist, nil, 97},
		"keras mnist":        {model("keras/mnist-keras2onnx/model.h5"), mnist, nil, 97},
		"keras cifar10-cnn":  {model("keras/cifar10-cnn/model.keras"), cifar, nil, 67},
		"keras resnet8":      {model("keras/resnet8-cifar10/model.h5"), cifar, levels, 74},
		"keras resnet20":     {model("keras/resnet20-cifar10/model.h5"), cifar, []string{"--mean", "0.491,0.482,0.447"}, 78},
	}
}

// unzip extracts a folder of pictures.
func unzip(t *testing.T, path string) (dir string) {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir = t.TempDir()
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		to := filepath.Join(dir, filepath.FromSlash(f.Name))
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Quantised networks of the corpus are as accurate as the float ones. With MODELC_ORT, which
// names a Python with ONNX Runtime, they choose the same classes there.
func TestCorpusQuantize(t *testing.T) {
	corpus := os.Getenv("MODELC_CORPUS")
	if corpus == "" {
		t.Skip("MODELC_CORPUS is not set")
	}
	for name, q := range corpusNetworks(t, corpus) {
		t.Run(name, func(t *testing.T) {
			path := q.check(t)
			if python := os.Getenv("MODELC_ORT"); python != "" {
				q.compareORT(t, python, path)
			}
		})
	}
}

// The quantised networks of testdata choose the same classes in ONNX Runtime.
func TestQuantizeORT(t *testing.T) {
	python := os.Getenv("MODELC_ORT")
	if python == "" {
		t.Skip("MODELC_ORT is not set: it names a Python with ONNX Runtime")
	}
	for name, q := range networks() {
		t.Run(name, func(t *testing.T) {
			path, _ := q.write(t)
			q.compareORT(t, python, path)
			path, _ = q.write(t, "--activations", "i8", "--per-tensor")
			q.compareORT(t, python, path)
		})
	}
}

// compareORT compares the answers of ONNX Runtime and modelc to 1,000 examples.
func (q quantized) compareORT(t *testing.T, python, path string) {
	t.Helper()
	m, err := modelc.Compile(path, modelc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var pictures pictureFlags
	c := &cobra.Command{}
	pictures.add(c, true)
	if err := c.ParseFlags(q.flags); err != nil {
		t.Fatal(err)
	}
	set, err := pictures.examples(c, m, q.data)
	if err != nil {
		t.Fatal(err)
	}
	set = set.Sample(1000)
	e, err := inproc.New(m.Program, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	typ := m.Before.Inputs[0].Type
	all := ir.NewTensor(ir.Type{DType: ir.Float32, Shape: append(ir.Shape{set.Len()}, typ.Shape...)})
	var got [][]float32
	for i := range set.Len() {
		in, err := set.Input(i)
		if err != nil {
			t.Fatal(err)
		}
		copy(all.Float32s()[i*typ.Shape.Len():], in.Float32s())
		out, err := e.Run([]*ir.Tensor{in})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, out[0].Float32s())
	}
	dir := t.TempDir()
	inputs, outputs := filepath.Join(dir, "in.npy"), filepath.Join(dir, "out.npy")
	if err := npy.Write(inputs, all); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "testdata/ort.py", path, inputs, outputs).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, err := npy.Read(outputs)
	if err != nil {
		t.Fatal(err)
	}
	n := len(got[0])
	differ, largest := 0, 0.0
	for i, y := range got {
		w := want.Float32s()[i*n : (i+1)*n]
		if classes.Best(y) != classes.Best(w) {
			differ++
		}
		for k := range y {
			largest = max(largest, math.Abs(float64(y[k]-w[k])))
		}
	}
	t.Logf("ONNX Runtime chooses another class for %d of %d examples; the largest difference of a score is %.2g", differ, len(got), largest)
	if differ > 0 {
		t.Errorf("%d classes differ", differ)
	}
}

// A report has the decisions and the measurements. Excluded layers stay in float32, and a
// folder of pictures without labels measures the agreement.
func TestQuantizeReport(t *testing.T) {
	q := quantized{model: digits + "lenet5.onnx", data: heldOut}
	path, r := q.write(t, "--samples", "200", "--exclude", "conv*", "--exclude-op", "tanh", "--sensitivity")
	kept, measured := []string{}, 0
	for _, l := range r.Layers {
		if l.Float != "" {
			kept = append(kept, l.Name)
		} else if l.Alone.Error > 0 {
			measured++
		}
	}
	if got := strings.Join(kept, " "); got != "conv1 tanh1 conv2 tanh2 tanh3 tanh4" || len(r.Layers) != 11 || measured != 5 {
		t.Errorf("in float32: %s; %d layers, %d measured", got, len(r.Layers), measured)
	}
	if a := r.Accuracy; !a.Labelled || a.Top1 < 99 || a.Agreement < 99 || a.Error > 0.05 || r.Weights >= r.FloatWeights || r.Examples != 200 {
		t.Errorf("%+v", r)
	}
	if code, out, errs := invoke(t, "run", path, digits+"3_0.png", "--engine", "inproc", "--top", "1"); code != 0 || !strings.Contains(out, "class 3 0.9") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, data := range []string{digits, digits + "data/input_0.npy"} {
		q.data = data
		if _, r = q.write(t, "--calibration", "entropy"); r.Accuracy.Labelled || !r.Accuracy.Classifier || r.Accuracy.Agreement != 100 || r.Examples != 12 {
			t.Errorf("%+v", r.Accuracy)
		}
	}
	q.data = heldOut
	code, out, errs := invoke(t, "quantize", q.model, "-o", path, "--calibrate", q.data, "--samples", "20", "--exclude", "fc1", "--sensitivity")
	for _, want := range []string{" in 8 bits\n", "10 of 11 layers in 8 bits: 2 Conv, 2 Dense, 4 Tanh, 2 avg pool\n", "    fc1 (Dense): excluded\n", "top-1 100.00 %, in float32 100.00 %", "\n  error alone "} {
		if !strings.Contains(out, want) {
			t.Errorf("exit %d: no %q in\n%s%s", code, want, out, errs)
		}
	}
}

// compile --quantize writes the package of the quantised model. diff makes it again from the
// flags in its header and the examples.
func TestCompileQuantized(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/quantised\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	pkg, data := filepath.Join(dir, "lenet5"), digits+"data/input_0.npy"
	code, out, errs := invoke(t, "compile", digits+"lenet5.onnx", "-o", pkg, "--quantize", "--calibrate", data, "--calibration", "percentile", "--exclude", "conv1", "--exclude", "tanh1")
	if code != 0 || !strings.Contains(out, "9 of 11 layers in 8 bits") || !strings.Contains(out, "61.7 k parameters") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	goTool(t, dir, nil, "test", "./...")
	if code, out, errs := invoke(t, "diff", digits+"lenet5.onnx", pkg, "--calibrate", data); code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs := invoke(t, "diff", digits+"lenet5.onnx", pkg); code != 2 || !strings.Contains(errs, "--calibrate input_0.npy: repeat the flag") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}
