package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"modelc"
	"modelc/backend/inproc"
	"modelc/ir"
	"modelc/ir/eval"
)

// kerasTolerances are the models whose expected outputs are not within 1e-4 of
// any other engine's, with the reason.
var kerasTolerances = map[string]struct {
	tol    float64
	reason string
}{
	"many-layers": {1e-3, "sixty normalisations amplify rounding: what Keras computes in float32 is 2.5e-4 from what it computes in float64"},
}

// TestCorpusKeras verifies every Keras model of the corpus in every format, on
// the kernels in this process and on generated packages: against the outputs
// Keras computed or, for the trained models, which have none, against the
// reference interpreter. With -v it prints the list of all, and why files are
// missing where the corpus has not got them.
func TestCorpusKeras(t *testing.T) {
	dir := corpus(t)
	b := newBatch(t)
	defer b.close()
	for _, set := range folders(t, filepath.Join(dir, "keras-small")) {
		for _, file := range []string{"model.keras", "model.h5", "model.onnx"} {
			path := filepath.Join(set, file)
			if _, err := os.Stat(path); err == nil {
				b.add(path, set)
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
			b.add(path, "")
		}
	}
	b.build()
	for i, c := range b.list {
		var out bytes.Buffer
		v := verifier{tol: 1e-4, halfTol: halfTolerance, out: &out}
		if loose, ok := kerasTolerances[filepath.Base(filepath.Dir(c.path))]; ok {
			v.tol = loose.tol
			fmt.Fprintf(&out, "  %s\n", loose.reason)
		}
		for name, run := range map[string]func(int, *comparison) ([]*ir.Tensor, error){"inproc": inProcessOnce, "go": b.run} {
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
	t.Logf("%d models", len(b.list))
	if len(b.list) < 240 {
		t.Errorf("only %d models", len(b.list))
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

// leftOut returns why a file of the corpus does not exist: the line of
// about.txt that names it.
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

// batch builds the generated packages of many models into one program, which
// takes a second for each and not two for each.
type batch struct {
	t    *testing.T
	dir  string
	list []*comparison
	main bytes.Buffer // functions of the program, one per model
}

func newBatch(t *testing.T) *batch {
	b := &batch{t: t, dir: t.TempDir()}
	// A module of this name with the runtime alone: the packages import it, and
	// building them needs no other module.
	b.write("go.mod", "module modelc\n\ngo 1.24\n")
	for _, pattern := range []string{"*.go", "*.s"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "runtime", pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			b.write(filepath.Join("runtime", filepath.Base(f)), string(src))
		}
	}
	return b
}

func (b *batch) write(name, text string) {
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// add compiles a model and generates its package; the reason why that fails is
// an error of the test.
func (b *batch) add(path, set string) {
	c, err := load(path, set, modelc.Options{})
	if err != nil {
		b.t.Error(err)
		return
	}
	name := fmt.Sprintf("m%d", len(b.list))
	if _, err := c.WritePackage(filepath.Join(b.dir, name), modelc.PackageOptions{Package: name}); err != nil {
		b.t.Errorf("%s: %v", path, err)
		c.Close()
		return
	}
	b.list = append(b.list, c)
	fmt.Fprintf(&b.main, "\nfunc run%s(r io.Reader, w io.Writer) {\n\tm, err := %[1]s.New()\n\tcheck(err)\n%s}\n", name, driverRun(name, c.Graph))
}

func (b *batch) build() {
	var head strings.Builder
	head.WriteString("package main\n\nimport (\n\t\"encoding/binary\"\n\t\"io\"\n\t\"log\"\n\t\"os\"\n\n")
	for i := range b.list {
		fmt.Fprintf(&head, "\t\"modelc/m%d\"\n", i)
	}
	head.WriteString(`)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() { run[os.Args[1]](os.Stdin, os.Stdout) }

var run = map[string]func(r io.Reader, w io.Writer){
`)
	for i := range b.list {
		fmt.Fprintf(&head, "\t\"m%d\": runm%[1]d,\n", i)
	}
	head.WriteString("}\n")
	b.write("main.go", head.String()+b.main.String())
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off", "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("go build: %v\n%.2000s", err, msg)
	}
}

// run runs the program for one model.
func (b *batch) run(i int, c *comparison) ([]*ir.Tensor, error) {
	cmd := exec.Command(filepath.Join(b.dir, program), fmt.Sprintf("m%d", i))
	var in []io.Reader
	for _, t := range c.in {
		in = append(in, bytes.NewReader(t.Bytes()))
	}
	cmd.Stdin = io.MultiReader(in...)
	var msg bytes.Buffer
	cmd.Stderr = &msg
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%.2000s", err, msg.Bytes())
	}
	return outputs(c.Graph, out)
}

func (b *batch) close() {
	for _, c := range b.list {
		c.Close()
	}
}

// What Keras exports to ONNX computes what its own file does, and no
// transposition is left inside. The exceptions, with the reason.
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
		"conv-1d":              {3, "the input gets an axis before it is transposed; UpSampling1D is written as Tile and joins the axes that it repeats"},
		"keras2-depthwise-pad": {1, "layer normalisation is written as batch normalisation of an image whose axes are joined, the batch too"},
		"norm-layer-axes":      {2, "a scale of [H,W,C] is normalised over with channels last"},
		"pool-odd":             {4, "Flatten of an image with channels last is read by a Concat, so the order counts"},
		"upsample":             {2, "nearest resizing by Tile joins the axes that it repeats"},
	}
)

func TestCorpusKerasONNX(t *testing.T) {
	pairs := 0
	for _, set := range folders(t, filepath.Join(corpus(t), "keras-small")) {
		name := filepath.Base(set)
		if _, err := os.Stat(filepath.Join(set, "model.onnx")); err != nil {
			continue // TestCorpusKeras says why
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
			inside = transposesInside(c.Graph)
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

// transposesInside counts transpositions that neither read a model input nor
// make an output, where they are how the tensor is packed.
func transposesInside(g *ir.Graph) int {
	n := 0
	for _, node := range g.Nodes {
		if _, ok := node.Op.(ir.Transpose); ok && node.In[0].Def() != nil && !node.Out[0].IsOutput() {
			n++
		}
	}
	return n
}
