package modelc_test

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"modelc"
	"modelc/backend/inproc"
	"modelc/backend/plan"
	"modelc/frontend/onnx"
	"modelc/frontend/source"
	"modelc/internal/conformance"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

var (
	outputsWrite   = flag.String("outputs.write", "", "write the digests of all outputs to this `file`")
	outputsCompare = flag.String("outputs.compare", "", "compare the digests of all outputs with those in this `file`")
	outputsLevel   = flag.Int("outputs.level", 0, "0: what an emulator can do; 1: every model with every option; 2: networks of full size too")
	outputsOnly    = flag.String("outputs.only", "", "only models whose name matches this `expression`")
)

// outputsModel is a model file with the options and inputs of a run.
type outputsModel struct {
	name, path string
	options    modelc.Options
	given      map[string]*ir.Tensor // inputs by name; others are random
}

// TestOutputs checks that a change of the code changes no bit of any output. Run
// the first command before the change and the second after it. MODELC_CORPUS is
// the corpus. MODELC_CPU selects a tier.
//
//	go test . -run 'TestOutputs$' -v -timeout 2h -outputs.level 2 -outputs.write FILE
//	go test . -run 'TestOutputs$' -v -timeout 2h -outputs.level 2 -outputs.compare FILE
//
// A line of FILE is a model, an output and the SHA-256 of its bytes, or the word
// refused for a model that does not compile. The test fails if a line differs or
// is missing, or if one thread and two threads give different outputs. Level 1 is
// for the generic tier, level 0 for emulators.
func TestOutputs(t *testing.T) {
	if *outputsWrite == "" && *outputsCompare == "" {
		t.Skip("neither -outputs.write nor -outputs.compare")
	}
	only, err := regexp.Compile(*outputsOnly)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]string{}
	if *outputsCompare != "" {
		text, err := os.ReadFile(*outputsCompare)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Split(strings.TrimSpace(line), "\t")
			if only.MatchString(f[0]) {
				before[f[0]+"\t"+f[1]] = f[2]
			}
		}
	}
	w := bufio.NewWriter(io.Discard)
	if *outputsWrite != "" {
		f, err := os.Create(*outputsWrite)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w.Reset(f)
	}

	start, lines, changed := time.Now(), 0, 0
	outputsModels(t, only, func(m outputsModel) {
		start := time.Now()
		for _, line := range outputsOf(t, m) {
			lines++
			key, digest := m.name+"\t"+line[0], line[1]
			fmt.Fprintf(w, "%s\t%s\n", key, digest)
			if was := before[key]; *outputsCompare != "" && was != digest {
				changed++
				t.Errorf("%q: %s, was %s", key, digest, was)
			}
			delete(before, key)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		debug.FreeOSMemory()
		if d := time.Since(start); d > 5*time.Second {
			t.Logf("%s took %.0f s", m.name, d.Seconds())
		}
	})
	for _, key := range slices.Sorted(maps.Keys(before)) {
		t.Errorf("%q: is no more", key)
	}
	t.Logf("%s: %d outputs in %.0f s, %d changed, %d no more", runtime.Tier(), lines, time.Since(start).Seconds(), changed, len(before))
}

// outputsModels calls f for each model of testdata, of the corpus with its ONNX node
// tests, and of the zoo.
func outputsModels(t *testing.T, only *regexp.Regexp, f func(outputsModel)) {
	one := func(m outputsModel) {
		if only.MatchString(m.name) {
			f(m)
		}
	}
	// all calls one with every option that selects other kernels.
	all := func(m outputsModel) {
		one(m)
		if *outputsLevel == 0 && !strings.HasPrefix(m.name, "zoo/") && !(strings.HasPrefix(m.name, "testdata/") && strings.HasSuffix(m.name, ".onnx")) {
			return
		}
		for _, v := range []struct {
			name string
			modelc.Options
		}{{"exact", modelc.Options{Exact: true}}, {"f16", modelc.Options{Weights: kernel.F16}}, {"bf16", modelc.Options{Weights: kernel.BF16}}} {
			v.Source = m.options.Source
			one(outputsModel{m.name + " " + v.name, m.path, v.Options, m.given})
		}
		for name, tuning := range outputsTunings(m) {
			o := m.options
			o.Tuning = tuning
			one(outputsModel{m.name + " " + name, m.path, o, m.given})
		}
	}
	folder := func(name, dir string, f func(outputsModel)) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "model.json" && !slices.Contains([]string{".onnx", ".keras", ".h5"}, filepath.Ext(path)) {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			o := modelc.Options{Source: source.Options{InputShapes: outputsShapes(filepath.Dir(path))}}
			f(outputsModel{name + "/" + filepath.ToSlash(rel), path, o, nil})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	root := os.Getenv("MODELC_CORPUS")
	if root == "" {
		t.Fatal("MODELC_CORPUS is not set")
	}
	folder("testdata", "testdata", all)
	for _, d := range []string{"models", "keras-small", "torch-small", "reported", "keras-2.14"} {
		folder(d, filepath.Join(root, d), all)
	}
	if *outputsLevel == 2 {
		folder("onnx-light", filepath.Join(root, "onnx-light"), one)
	}
	temp := filepath.Join(t.TempDir(), "model.onnx")
	outputsNodes(t, root, temp, one)
	for _, name := range zoo.Names() {
		write := func(o zoo.Options) {
			f, err := os.Create(temp)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(zoo.Write(f, name, o), f.Close()); err != nil {
				t.Fatal(err)
			}
		}
		o := zoo.Options{Width: 0.25, Size: 64}
		if strings.HasPrefix(name, "lenet") {
			o = zoo.Options{}
		}
		write(o)
		all(outputsModel{"zoo/" + name, temp, modelc.Options{}, nil})
		one(outputsModel{"zoo/" + name + " batch=3", temp, modelc.Options{Batches: []int{3}}, nil})
		full := "zoo/" + name + " full"
		if *outputsLevel == 2 && (only.MatchString(full) || only.MatchString(full+" f16")) {
			write(zoo.Options{})
			one(outputsModel{full, temp, modelc.Options{}, nil})
			one(outputsModel{full + " f16", temp, modelc.Options{Weights: kernel.F16}, nil})
		}
	}
}

// outputsTunings returns a tuning for each algorithm that can compute a convolution
// of m. The tuning selects the algorithm for all convolutions that it can compute.
func outputsTunings(m outputsModel) iter.Seq2[string, *modelc.Tuning] {
	list := map[string]*modelc.Tuning{}
	if c, err := modelc.Compile(m.path, m.options); err == nil {
		defer c.Close()
		for _, l := range c.Program.Layers {
			for a := range l.Choice.Estimates {
				k := list[a]
				if k == nil {
					k = &modelc.Tuning{SHA256: c.Model.SHA256}
					list[a] = k
				}
				k.Layers = append(k.Layers, modelc.TunedConv{Name: plan.NodeName(l.Node), Algorithm: a})
			}
		}
	}
	return func(yield func(string, *modelc.Tuning) bool) {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if !yield(name, list[name]) {
				return
			}
		}
	}
}

// outputsNodes calls f for each ONNX node test, with its stored inputs. Inputs that
// are weights or arguments in real networks become constants.
func outputsNodes(t *testing.T, root, temp string, f func(outputsModel)) {
	s, err := conformance.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range s.Cases {
		if c.SameAs != "" {
			continue
		}
		data, err := c.Model()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(temp, data, 0o644); err != nil {
			t.Fatal(err)
		}
		o := source.Options{Bind: map[string]*ir.Tensor{}, Shapes: map[string]ir.Shape{}}
		given := map[string]*ir.Tensor{}
		inputs, _ := c.Data("input")
		names, _ := onnx.InputNames(data)
		for i := range min(len(inputs), len(names)) {
			x, _, err := onnx.ParseTensor(inputs[i])
			if err != nil {
				continue
			}
			given[names[i]], o.Shapes[names[i]] = x, x.Shape
			crop := strings.HasPrefix(c.Name, "test_center_crop_pad") && i == 1
			if kind := c.Kinds[min(i, len(c.Kinds)-1)]; kind == "weight" || kind == "argument" || crop {
				o.Bind[names[i]] = x
			}
		}
		f(outputsModel{c.String(), temp, modelc.Options{Source: o}, given})
	}
}

// outputsOf compiles m and runs it with one thread and with two. It returns the name
// and digest of each output.
func outputsOf(t *testing.T, m outputsModel) (lines [][2]string) {
	c, err := modelc.Compile(m.path, m.options)
	if err != nil {
		return [][2]string{{"-", "refused"}}
	}
	defer c.Close()
	in := outputsInputs(m, c.Graph)
	for threads := 1; threads <= 2; threads++ {
		e, err := inproc.New(c.Program, threads)
		if err != nil {
			return [][2]string{{"-", "no engine"}}
		}
		out, err := e.Run(in)
		e.Close()
		if err != nil {
			return [][2]string{{"-", "no run"}}
		}
		for i, x := range out {
			digest := fmt.Sprintf("%x", sha256.Sum256(x.Bytes()))
			if threads == 1 {
				lines = append(lines, [2]string{strconv.Itoa(i) + " " + c.Graph.Outputs[i].Name, digest})
			} else if lines[i][1] != digest {
				t.Errorf("%s: output %s differs with %d threads", m.name, lines[i][0], threads)
			}
		}
	}
	return lines
}

// outputsInputs returns the inputs of m. An input that m does not give depends only
// on the model's name and the number of the input. It has floats from -2 to 2 that
// every precision represents exactly, small integers, or bytes of any value.
func outputsInputs(m outputsModel, g *ir.Graph) (in []*ir.Tensor) {
	name, _, _ := strings.Cut(m.name, " ") // the same with other options
	h := fnv.New64a()
	h.Write([]byte(name))
	for i, v := range g.Inputs {
		if x := m.given[v.Name]; x != nil && x.Type.Equal(v.Type) {
			in = append(in, x)
			continue
		}
		r := rand.New(rand.NewPCG(h.Sum64(), uint64(i)))
		x := make([]float64, v.Type.Shape.Len())
		for k := range x {
			switch v.Type.DType {
			case ir.Float16, ir.BFloat16:
				x[k] = float64(r.IntN(1<<8)-1<<7) / (1 << 6)
			case ir.Float32, ir.Float64:
				x[k] = float64(r.IntN(1<<23)-1<<22) / (1 << 21)
			case ir.Bool:
				x[k] = float64(r.IntN(2))
			case ir.Int8:
				x[k] = float64(r.IntN(256) - 128)
			case ir.Uint8:
				x[k] = float64(r.IntN(256))
			default:
				x[k] = float64(r.IntN(4))
			}
		}
		in = append(in, ir.FromFloat64s(v.Type, x))
	}
	return in
}

var outputsShape = regexp.MustCompile(`'shape': \(([^)]*)\)`)

// outputsShapes returns the shapes of the inputs stored beside a model.
func outputsShapes(dir string) (shapes []ir.Shape) {
	switch filepath.Base(dir) { // of testdata/pictures, for pictures of any size
	case "espcn":
		return []ir.Shape{{1, 1, 24, 40}}
	case "unet":
		return []ir.Shape{{1, 3, 32, 48}}
	}
	for {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("input_%d.npy", len(shapes))))
		f := outputsShape.FindSubmatch(b)
		if err != nil || f == nil {
			return shapes
		}
		s := ir.Shape{}
		for x := range strings.FieldsFuncSeq(string(f[1]), func(r rune) bool { return r == ',' || r == ' ' }) {
			n, _ := strconv.Atoi(x)
			s = append(s, n)
		}
		shapes = append(shapes, s)
	}
}
