package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"modelc"
	"modelc/internal/classes"
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

// corpusModel is a model of the corpus with a folder of inputs and outputs. The
// folder is "" if the outputs are those of the reference interpreter.
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

// The kernels compute the stored outputs of every model of the corpus. With -long,
// the generated package does too. docs/models.md has a table of the errors, which
// may differ between processors.
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
	b.WriteString("| model | exports (exporter and opset) | error |\n| --- | --- | --- |\n")
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
	doc, err := os.ReadFile(modelsDoc)
	if err != nil {
		t.Fatal(err)
	}
	want := replaceSection(t, doc, "corpus", b.String())
	if *update {
		if err := os.WriteFile(modelsDoc, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	errors := regexp.MustCompile(`[0-9]e[-+][0-9]+`)
	if diff := cmp.Diff(errors.ReplaceAllString(string(doc), "E"), errors.ReplaceAllString(string(want), "E")); diff != "" {
		t.Errorf("%s is not current: run go test ./cmd/modelc -run TestCorpusModels -update\n%s", modelsDoc, diff)
	}
}

const modelsDoc = "../../docs/models.md"

// Every value of trained models is that of the reference interpreter, also after
// each pass.
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

// The compiled network gives photos the same best classes as the reference
// interpreter. The name of a photo contains its class.
func TestCorpusPhotos(t *testing.T) {
	dir := corpus(t)
	photos, _ := filepath.Glob(filepath.Join(dir, "images", "imagenet", "*"))
	if len(photos) < 10 {
		t.Fatalf("%d photos", len(photos))
	}
	args := append([]string{"run", "--preprocess", "torch", "--crop", "256", "--top", "1", filepath.Join(dir, "models", "onnx", "squeezenet1.1", "model.onnx")}, photos...)
	code, want, errs := invoke(t, append(args, "--engine", "eval")...)
	code2, got, errs2 := invoke(t, append(args, "--engine", "go")...)
	if code != 0 || code2 != 0 { // a slow machine prints progress, too
		t.Fatalf("exit %d and %d\n%s%s", code, code2, errs, errs2)
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

// The answers of Keras for the photos: load_img(photo, target_size=(224, 224),
// interpolation=…), preprocess_input in mode tf, and predict. The best class is the
// same with both interpolations.
var kerasPhotos = map[string]struct {
	class             int
	nearest, bilinear float64 // the class' probability
}{
	"cat_285.png":         {281, 0.4996, 0.4996}, // 224×224 pixels already
	"dog_207.png":         {207, 0.9948, 0.9948},
	"imagenet_00_243.jpg": {242, 0.3057, 0.2574},
	"imagenet_02_438.jpg": {438, 0.4298, 0.6055},
	"imagenet_04_949.jpg": {852, 0.1722, 0.1303},
	"imagenet_06_609.jpg": {609, 0.4349, 0.4068},
	"imagenet_08_915.jpg": {915, 0.8313, 0.7020},
	"imagenet_10_541.jpg": {541, 0.8288, 0.9058},
	"imagenet_12_741.jpg": {741, 0.8573, 0.8838},
	"imagenet_14_129.jpg": {129, 0.2337, 0.2851},
	"imagenet_16_251.jpg": {251, 0.3278, 0.1466},
	"imagenet_18_317.jpg": {317, 0.8894, 0.9443},
	"zebra_340.png":       {340, 1.0000, 1.0000},
}

// A trained Keras network gives the photos the same classes as Keras. Go and
// libjpeg decode some levels of a JPEG differently by one, so probabilities differ
// slightly. A different resize would differ more.
func TestCorpusKerasPhotos(t *testing.T) {
	dir := corpus(t)
	names := classes.ImageNet()
	model := filepath.Join(dir, "models", "keras", "mobilenet_v1_0.25_224", "model.h5")
	for _, interpolation := range []string{"nearest", "bilinear"} {
		args := []string{"run", model, "--preprocess", "tf", "--labels", "imagenet", "--interpolation", interpolation, "--top", "1"}
		photos, _ := filepath.Glob(filepath.Join(dir, "images", "imagenet", "*"))
		if len(photos) != len(kerasPhotos) {
			t.Fatalf("%d photos, want %d", len(photos), len(kerasPhotos))
		}
		code, out, errs := invoke(t, append(args, photos...)...)
		if code != 0 {
			t.Fatalf("exit %d\n%s", code, errs)
		}
		lines := strings.Split(out, "\n")
		worst := 0.0
		for i, p := range photos {
			want := kerasPhotos[filepath.Base(p)]
			probability := want.nearest
			if interpolation == "bilinear" {
				probability = want.bilinear
			}
			var name string
			var got float64
			if _, err := fmt.Sscanf(lines[2*i+1], "  %s %f", &name, &got); err != nil {
				t.Fatalf("%s: %v", lines[2*i+1], err)
			}
			if lines[2*i] != p || name != names[want.class] {
				t.Errorf("%s %s: %s, Keras names it %s", interpolation, p, name, names[want.class])
			}
			worst = max(worst, math.Abs(got-probability))
		}
		if worst > 0.02 {
			t.Errorf("%s: a probability is %.4f off Keras'", interpolation, worst)
		}
		t.Logf("%s: %d of %d photos named as Keras names them, probabilities within %.4f", interpolation, len(photos), len(photos), worst)
	}
}
