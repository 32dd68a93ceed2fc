package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"modelc"
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

// corpusModel is a model of the corpus with a folder of inputs and outputs, ""
// for the reference interpreter's.
type corpusModel struct{ group, variant, path, set string }

func corpusModels(t *testing.T) []corpusModel {
	dir := corpus(t)
	var list []corpusModel
	trained, _ := filepath.Glob(filepath.Join(dir, "models", "onnx", "*", "model.onnx"))
	for _, f := range trained {
		m := corpusModel{group: "trained: " + filepath.Base(filepath.Dir(f)), path: f}
		if _, err := dataSets(filepath.Dir(f)); err == nil {
			m.set = filepath.Dir(f)
		}
		list = append(list, m)
	}
	light, _ := filepath.Glob(filepath.Join(dir, "onnx-light", "*.onnx"))
	for _, f := range light {
		name := strings.TrimSuffix(filepath.Base(f), ".onnx")
		list = append(list, corpusModel{group: "ImageNet topology: " + strings.TrimPrefix(name, "light_"), path: f, set: lightSet(t, f)})
	}
	small, _ := filepath.Glob(filepath.Join(dir, "torch-small", "*", "model.onnx"))
	for _, f := range small {
		network, variant, _ := strings.Cut(filepath.Base(filepath.Dir(f)), "_")
		switch {
		case network == "hand":
			network = "graphs of a few operators"
		case strings.Contains(variant, "float16"):
			network += ", half precision"
		case strings.HasPrefix(variant, "q"):
			network += ", quantised"
		}
		list = append(list, corpusModel{network, variant, f, filepath.Dir(f)})
	}
	if len(trained) != 7 || len(light) != 9 || len(small) != 248 {
		t.Fatalf("%d trained models, %d topologies and %d small ones", len(trained), len(light), len(small))
	}
	return list
}

// lightSet writes the input and output of an ImageNet topology: the input is
// i/n over the flat index.
func lightSet(t *testing.T, model string) string {
	set := t.TempDir()
	in := ir.NewTensor(ir.T(ir.Float32, 1, 3, 224, 224))
	x := in.Float32s()
	for i := range x {
		x[i] = float32(i) / float32(len(x))
	}
	if err := npy.Write(filepath.Join(set, "input_0.npy"), in); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(strings.TrimSuffix(model, ".onnx") + "_output_0.pb")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(set, "output_0.pb"), want, 0o644); err != nil {
		t.Fatal(err)
	}
	return set
}

// Every model of the corpus through the kernels, and with -long through the
// generated package too, against whoever computed its outputs. docs/models.md
// is the table of it; what it says of errors may differ between processors.
func TestCorpusModels(t *testing.T) {
	engines := []string{"inproc"}
	if *long {
		engines = append(engines, "go")
	}
	type row struct {
		variants []string
		models   int
		worst    float64
	}
	rows := map[string]*row{}
	var order []string
	for _, m := range corpusModels(t) {
		t.Run(m.group+"_"+m.variant, func(t *testing.T) {
			r := rows[m.group]
			if r == nil {
				r = &row{}
				rows[m.group] = r
				order = append(order, m.group)
			}
			r.models++
			if m.variant != "" {
				r.variants = append(r.variants, m.variant)
			}
			sets := []string{""}
			if m.set != "" {
				var err error
				if sets, err = dataSets(m.set); err != nil {
					t.Fatal(err)
				}
			}
			for _, engine := range engines {
				var out bytes.Buffer
				v := verifier{engine: engine, tol: 1e-4, halfTol: halfTolerance, out: &out}
				for _, set := range sets {
					if err := v.verify(t.Context(), m.path, set, modelc.Options{}); err != nil {
						t.Fatal(err)
					}
				}
				if v.failed {
					t.Errorf("%s", out.Bytes())
				}
				r.worst = max(r.worst, v.worst)
			}
		})
	}
	var b strings.Builder
	b.WriteString(modelsHead)
	for _, name := range order {
		r := rows[name]
		variants := strings.Join(r.variants, ", ")
		if r.models > 20 {
			variants = fmt.Sprintf("%d graphs", r.models)
		}
		fmt.Fprintf(&b, "| %s | %s | %.0e |\n", name, variants, r.worst)
	}
	t.Log(b.String())
	if t.Failed() {
		return
	}
	const path = "../../docs/models.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	errors := regexp.MustCompile(`[0-9]e[-+][0-9]+`)
	if diff := cmp.Diff(errors.ReplaceAllString(string(doc), "E"), errors.ReplaceAllString(b.String(), "E")); diff != "" {
		t.Errorf("docs/models.md is not current: run go test ./cmd/modelc -run TestCorpusModels -update\n%s", diff)
	}
}

const modelsHead = `# Models

Made by ` + "`MODELC_CORPUS=… go test ./cmd/modelc -run TestCorpusModels -update`" + `, which runs every model of a corpus of exports in this process and, with ` + "`-long`" + `, as a generated package, and fails where an output is further off than 1e-4 of the largest.

The error is the largest difference from the stored output, of PyTorch or ONNX Runtime, or from the reference interpreter, relative to the largest output. Half precision is computed in float32: the stored outputs are off by rounding every layer to 11 bits. Quantised networks may lie one step of the output's scale off. The ImageNet topologies have weights that make all their outputs equal: they test that everything is understood, not how exactly it is computed.

| model | exports (exporter and opset) | error |
| --- | --- | --- |
`

// Trained models, value by value, with every pass checked.
func TestCorpusLayers(t *testing.T) {
	for _, m := range corpusModels(t) {
		if !strings.HasPrefix(m.group, "trained") {
			continue
		}
		t.Run(m.group, func(t *testing.T) {
			args := []string{"verify", m.path, "--engine", "go", "--check", "--layers"}
			if m.set != "" {
				args = append(args, "--data", m.set)
			}
			code, out, errs := invoke(t, args...)
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

// What Keras 3.15 answers for the photos: load_img(target_size=(224, 224),
// interpolation), preprocess_input in mode tf, the class of the highest score.
// The answers are the same for both interpolations.
func TestCorpusKerasAnswers(t *testing.T) {
	want := map[string]string{
		"cat_285.png": "tabby", "dog_207.png": "golden_retriever", "imagenet_00_243.jpg": "boxer", "imagenet_02_438.jpg": "beaker",
		"imagenet_04_949.jpg": "tennis_ball", "imagenet_06_609.jpg": "jeep", "imagenet_08_915.jpg": "yurt", "imagenet_10_541.jpg": "drum",
		"imagenet_12_741.jpg": "prayer_rug", "imagenet_14_129.jpg": "spoonbill", "imagenet_16_251.jpg": "dalmatian",
		"imagenet_18_317.jpg": "leafhopper", "zebra_340.png": "zebra",
	}
	dir := corpus(t)
	photos, _ := filepath.Glob(filepath.Join(dir, "images", "imagenet", "*"))
	if len(photos) != len(want) {
		t.Fatalf("%d photos", len(photos))
	}
	for _, filter := range []string{"bilinear", "nearest"} {
		args := append([]string{"run", "--preprocess", "tf", "--labels", "imagenet", "--interpolation", filter, "--top", "1",
			filepath.Join(dir, "models", "keras", "mobilenet_v1_0.25_224", "model.h5")}, photos...)
		code, out, errs := invoke(t, args...)
		if code != 0 {
			t.Fatal(errs)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		for i := 0; i+1 < len(lines); i += 2 {
			name := want[filepath.Base(lines[i])]
			if name == "" || !strings.HasPrefix(lines[i+1], "  "+name+" ") {
				t.Errorf("%s, %s: got %q, Keras says %q", filter, lines[i], lines[i+1], name)
			}
		}
	}
}
