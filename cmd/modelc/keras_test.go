package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc"
	"modelc/backend/inproc"
	"modelc/backend/plan"
	"modelc/internal/gorun"
	"modelc/ir"
	"modelc/ir/eval"
)

// kerasTolerances has the tolerances of models whose stored outputs differ from all
// other engines by more than 1e-4, with the reason.
var kerasTolerances = map[string]struct {
	tol    float64
	reason string
}{
	"many-layers": {1e-3, "sixty normalisations amplify rounding: what Keras computes in float32 is 2.5e-4 from what it computes in float64"},
}

// TestCorpusKeras verifies every Keras model of the corpus in every format, on the
// kernels in this process and on generated packages. It compares with the outputs
// of Keras or, for the trained models, with the reference interpreter. With -v it
// prints a list of all models, with the reasons for missing files.
func TestCorpusKeras(t *testing.T) {
	dir := corpus(t)
	b, err := gorun.NewBuilder(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	var list []*comparison
	add := func(path, set string) {
		c, err := load(path, set, modelc.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { c.Close() })
		if _, err := b.Add(c.Compiled); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		list = append(list, c)
	}
	for _, set := range folders(t, filepath.Join(dir, "keras-small")) {
		for _, file := range []string{"model.keras", "model.h5", "model.onnx"} {
			path := filepath.Join(set, file)
			if _, err := os.Stat(path); err == nil {
				add(path, set)
			} else if why := leftOut(t, set, file); why != "" {
				t.Logf("not in the corpus: %s of %s: %s", file, filepath.Base(set), why)
			} else {
				t.Errorf("%s is missing and %s does not say why", path, filepath.Join(set, "about.txt"))
			}
		}
	}
	for _, folder := range folders(t, filepath.Join(dir, "models", "keras")) {
		files, _ := filepath.Glob(filepath.Join(folder, "model.*"))
		for _, path := range files {
			add(path, "")
		}
	}
	built, err := b.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	generated := func(i int, c *comparison) ([]*ir.Tensor, error) { return built.Run(t.Context(), i, c.in) }
	for i, c := range list {
		var out bytes.Buffer
		v := verifier{tol: 1e-4, halfTol: halfTolerance, out: &out}
		if loose, ok := kerasTolerances[filepath.Base(filepath.Dir(c.path))]; ok {
			v.tol = loose.tol
			fmt.Fprintf(&out, "  %s\n", loose.reason)
		}
		for name, run := range map[string]func(int, *comparison) ([]*ir.Tensor, error){"inproc": inProcessOnce, "go": generated} {
			v.engine = name
			got, err := run(i, c)
			if err == nil {
				err = v.report(c, got)
			}
			if err != nil {
				t.Errorf("%s, engine %s: %v", c.path, name, err)
			}
		}
		if v.failed {
			t.Errorf("%s", out.Bytes())
		} else {
			t.Logf("%s", out.Bytes())
		}
	}
	t.Logf("%d models", len(list))
	if len(list) < 240 {
		t.Errorf("only %d models", len(list))
	}
}

// folders lists the folders in dir.
func folders(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	return list
}

// leftOut returns the reason why a file of the corpus does not exist: the line of
// about.txt that contains its name.
func leftOut(t *testing.T, folder, file string) string {
	about, err := os.ReadFile(filepath.Join(folder, "about.txt"))
	if err != nil {
		t.Error(err)
	}
	for _, l := range strings.Split(string(about), "\n") {
		if strings.HasPrefix(l, file+": left out, ") || strings.HasPrefix(l, "no "+file+": ") {
			_, why, _ := strings.Cut(l, ": ")
			return why
		}
	}
	return ""
}

func inProcessOnce(_ int, c *comparison) ([]*ir.Tensor, error) {
	e, err := inproc.New(c.Program, 0)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return e.Run(c.in)
}

// A model that Keras exported to ONNX gives the outputs of its Keras file, and no
// transposition remains inside the network. The exceptions have reasons.
var (
	exportRounds = map[string]struct {
		limit  float64
		reason string
	}{
		"keras2-densenet-app":     {5e-6, "the exporter folded batch normalisations and rounded the weights"},
		"keras2-depthwise-pad":    {5e-6, "the exporter folded batch normalisations and rounded the weights"},
		"keras2-mobilenet-nested": {5e-6, "the exporter folded batch normalisations and rounded the weights"},
		"resnet-v1-bottleneck":    {5e-6, "the exporter wrote batch normalisations as rounded factors and shifts"},
		"long-weight-names":       {5e-6, "58 batch normalisations in a row, written as rounded factors and shifts"},
		"many-layers":             {1e-3, kerasTolerances["many-layers"].reason},
		"mixed-precision":         {halfTolerance, "the exporter rounded weights to half precision"},
		"norm-others":             {1e-5, "the exporter wrote normalisations as arithmetic on rounded statistics"},
	}
	exportMoves = map[string]struct {
		transposes int
		reason     string
	}{
		"keras2-depthwise-pad": {1, "layer normalisation is written as batch normalisation of an image whose axes are joined, the batch too"},
		"pool-odd":             {4, "Flatten of an image with channels last is read by a Concat, so the order counts"},
	}
)

func TestCorpusKerasONNX(t *testing.T) {
	pairs := 0
	for _, set := range folders(t, filepath.Join(corpus(t), "keras-small")) {
		name := filepath.Base(set)
		if _, err := os.Stat(filepath.Join(set, "model.onnx")); err != nil {
			continue // TestCorpusKeras prints the reason
		}
		pairs++
		var out [2][]*ir.Tensor
		var inside int
		for i, file := range []string{"model.keras", "model.onnx"} {
			c, err := load(filepath.Join(set, file), set, modelc.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if out[i], err = inProcessOnce(0, c); err != nil {
				t.Fatalf("%s: %v", c.path, err)
			}
			inside = transposesInside(c.Graph, c.Program.Layers)
			c.Close()
		}
		worst := 0.0
		for i := range out[0] {
			d, err := eval.Compare(out[1][i], out[0][i])
			if err != nil {
				t.Fatalf("%s: output %d: %v", name, i, err)
			}
			worst = max(worst, d.Rel)
		}
		limit, why := 1e-6, ""
		if e, ok := exportRounds[name]; ok {
			limit, why = e.limit, "; "+e.reason
		}
		t.Logf("%-34s differs by %.2g%s", name, worst, why)
		if !(worst <= limit) {
			t.Errorf("%s: the .onnx file's result differs by %.3g from the .keras file's, at most %g is allowed", name, worst, limit)
		}
		if e := exportMoves[name]; inside > e.transposes {
			t.Errorf("%s: %d transpositions are left inside, %d are known", name, inside, e.transposes)
		} else if inside > 0 {
			t.Logf("%-34s %d transpositions inside: %s", name, inside, e.reason)
		}
	}
	if pairs < 77 {
		t.Errorf("only %d pairs", pairs)
	}
}

// transposesInside counts the transpositions inside the network that are steps of the
// program. It does not count those of an input of the model, reshaped or not, or of an
// output.
func transposesInside(g *ir.Graph, layers []plan.Layer) int {
	n := 0
	for _, node := range g.Nodes {
		if _, ok := node.Op.(ir.Transpose); !ok || node.Out[0].IsOutput() {
			continue
		}
		if !slices.ContainsFunc(layers, func(l plan.Layer) bool { return l.Value == node.Out[0] || slices.Contains(l.Nodes, node) }) {
			continue
		}
		from := node.In[0].Def()
		if from != nil {
			if _, ok := from.Op.(ir.Reshape); ok {
				from = from.In[0].Def()
			}
		}
		if from != nil {
			n++
		}
	}
	return n
}
