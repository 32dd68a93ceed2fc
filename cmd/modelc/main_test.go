package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"html"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"modelc"
	"modelc/internal/measure"
	"modelc/internal/npy"
	"modelc/internal/units"
	"modelc/internal/zoo"
	"modelc/ir/eval"
)

var long = flag.Bool("long", false, "test the networks of the zoo at full size, and the packages of all models of the corpus, too")

// invoke runs the command in this process.
func invoke(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, newTerminal(&out, &errs))
	return code, out.String(), errs.String()
}

const digits = "../../testdata/digits/"

func TestMain(m *testing.M) {
	if os.Getenv(commandArgs) != "" { // TestCommand uses the cache of the test that starts it
		os.Exit(m.Run())
	}
	// The cache must not contain builds of other versions.
	dir, err := os.MkdirTemp("", "modelc-cache")
	if err != nil {
		panic(err)
	}
	gocache, _ := exec.Command("go", "env", "GOCACHE").Output()
	os.Setenv("GOCACHE", strings.TrimSpace(string(gocache)))
	os.Setenv("XDG_CACHE_HOME", dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func TestRunDigits(t *testing.T) {
	for _, engine := range []string{"go", "inproc", "eval"} {
		code, out, errs := invoke(t, "run", "--engine", engine, "--top", "1", digits+"lenet5.onnx", digits+"3_0.png", digits+"7_0.png")
		if code != 0 || !strings.Contains(out, "3_0.png\n  class 3 ") || !strings.Contains(out, "7_0.png\n  class 7 ") {
			t.Errorf("%s: exit %d\n%s%s", engine, code, out, errs)
		}
	}
}

func TestVerifyDigits(t *testing.T) {
	code, out, errs := invoke(t, "verify", digits+"lenet5.onnx", "--data", digits+"data", "--layers", "--check")
	if code != 0 || !strings.Contains(out, "layers agree") || !strings.Contains(out, ": ok") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	// A tolerance that no output meets fails.
	if code, _, _ := invoke(t, "verify", digits+"lenet5.onnx", "--data", digits+"data", "--engine", "inproc", "--tol", "1e-12"); code != 1 {
		t.Errorf("exit %d", code)
	}
}

func zooFile(t *testing.T, name string, o zoo.Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".onnx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := zoo.Write(f, name, o); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every layer of every network of the zoo gives the values of the reference
// interpreter. Without -long the networks are small.
func TestZoo(t *testing.T) {
	for _, name := range zoo.Names() {
		t.Run(name, func(t *testing.T) {
			o := zoo.Options{Width: 0.25, Size: 64}
			if strings.HasPrefix(name, "lenet") || *long {
				o = zoo.Options{}
			}
			path := zooFile(t, name, o)
			code, out, errs := invoke(t, "verify", path, "--engine", "inproc", "--layers")
			if code != 0 {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
			t.Log(out)
		})
	}
}

// A generated package builds and passes its own test, also with the race detector
// if the platform has one. Compiling again writes the same bytes.
func TestGeneratedPackage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/generated\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := zooFile(t, "resnet18", zoo.Options{Width: 0.25, Size: 64})
	for _, weights := range []string{"embed", "file"} {
		pkg := filepath.Join(dir, weights)
		code, out, errs := invoke(t, "compile", path, "-o", pkg, "--package", "net", "--weights", weights)
		if code != 0 {
			t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
		again := filepath.Join(dir, "again", weights)
		if code, _, errs := invoke(t, "compile", path, "-o", again, "--package", "net", "--weights", weights); code != 0 {
			t.Fatal(errs)
		}
		for _, f := range []string{"weights.bin", "model_test.go", "testdata/golden.bin"} {
			a, err := os.ReadFile(filepath.Join(pkg, f))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := os.ReadFile(filepath.Join(again, f))
			if !bytes.Equal(a, b) {
				t.Errorf("%s differs the second time", f)
			}
			if bytes.Contains(a, []byte(dir)) {
				t.Errorf("%s holds a path", f)
			}
		}
		os.RemoveAll(filepath.Join(dir, "again"))
	}
	goTool(t, dir, nil, "vet", "./...")
	goTool(t, dir, nil, "test", "./...")
	goTool(t, dir, []string{"MODELC_CPU=generic"}, "test", "-count=1", "./embed")
	goTool(t, dir, []string{"GOARCH=arm64"}, "build", "./...")
	goTool(t, dir, []string{"GOOS=js", "GOARCH=wasm"}, "build", "./...")
	if _, err := exec.LookPath("gcc"); err == nil && runtime.GOARCH != "386" {
		goTool(t, dir, []string{"CGO_ENABLED=1"}, "test", "-race", "./embed")
	}
	if unformatted, _ := exec.Command("gofmt", "-l", filepath.Join(dir, "embed")).Output(); len(unformatted) > 0 {
		t.Errorf("gofmt would change %s", unformatted)
	}
}

// A package with Predict passes its own test, including the Example, as the only
// package of its module: with names of classes, without, and with ImageNet's names.
// Predict gives the same answers as modelc run.
func TestPredict(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/pictures\n\ngo 1.24\n")
	write("labels.txt", "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n")
	labels := filepath.Join(dir, "labels.txt")
	flags := []string{"--preprocess", "unit", "--interpolation", "bicubic"}
	for name, more := range map[string][]string{"named": {"--labels", labels}, "plain": {"--weights", "file"}} {
		args := append(append([]string{"compile", digits + "lenet5.onnx", "-o", filepath.Join(dir, name)}, flags...), more...)
		if code, out, errs := invoke(t, args...); code != 0 {
			t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
	}
	code, out, errs := invoke(t, "compile", zooFile(t, "squeezenet1.1", zoo.Options{Width: 0.25, Size: 64}), "-o", filepath.Join(dir, "imagenet"),
		"--preprocess", "torch", "--crop", "72", "--labels", "imagenet")
	if code != 0 || !strings.Contains(out, "pictures: resized to a short side of 72 pixels and cropped to 64×64 pixels, filter bilinear; ordered RGB, with levels from -2.118 to 2.249,") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	write("main.go", `package main

import (
	"fmt"
	"image"
	_ "image/png"
	"os"

	"example.com/pictures/named"
)

func main() {
	m, err := named.New()
	if err != nil {
		panic(err)
	}
	s := m.NewSession()
	for _, path := range os.Args[1:] {
		f, err := os.Open(path)
		if err != nil {
			panic(err)
		}
		img, _, err := image.Decode(f)
		if err != nil {
			panic(err)
		}
		classes, err := s.Predict(img)
		if err != nil {
			panic(err)
		}
		fmt.Println(path)
		for _, c := range classes {
			fmt.Println(" ", c)
		}
	}
}
`)
	goTool(t, dir, nil, "vet", "./...")
	goTool(t, dir, nil, "test", "./...")
	goTool(t, dir, []string{"GOOS=js", "GOARCH=wasm"}, "build", "./plain")
	for name, text := range map[string]string{"named/predict_test.go": "\n\t// Output: class ", "named/model.go": "--labels labels.txt", "plain/predict.go": "filter bicubic", "imagenet/classes.go": "\n\t\"Egyptian_cat\","} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), text) {
			t.Errorf("%s lacks %q: %v", name, text, err)
		}
	}

	var photos []string
	for _, p := range []string{"3_0.png", "7_0.png"} {
		path, err := filepath.Abs(digits + p)
		if err != nil {
			t.Fatal(err)
		}
		photos = append(photos, path)
	}
	cmd := exec.Command("go", append([]string{"run", "."}, photos...)...)
	cmd.Dir = dir
	got, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	code, want, errs := invoke(t, append(append([]string{"run", digits + "lenet5.onnx", "--engine", "inproc", "--labels", labels}, flags...), photos...)...)
	if code != 0 || string(got) != want {
		t.Errorf("the program says\n%srun says\n%s%s", got, want, errs)
	}
}

func goTool(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go %s %v: %v\n%s", strings.Join(args, " "), env, err, out)
	}
}

func TestInspect(t *testing.T) {
	for _, args := range [][]string{{"inspect", digits + "lenet5.onnx"}, {"inspect", digits + "lenet5.onnx", "--json"}, {"inspect", digits + "lenet5.onnx", "--ir"},
		{"inspect", digits + "lenet5.onnx", "--steps"}, {"passes"}, {"ops"}, {"zoo"}, {"version"}} {
		if code, out, errs := invoke(t, args...); code != 0 || len(out) < 10 {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

// The layers of a model have the rows of testdata/inspect.txtar. -update writes it anew.
func TestInspectLayers(t *testing.T) {
	const golden = "testdata/inspect.txtar"
	got := &txtar.Archive{}
	for _, args := range []string{"digits/lenet5.onnx", "keras/lenet5/model.keras", "keras/resnet_v1/model.keras", "keras/resnet_v1/model.keras --optimised"} {
		words := strings.Fields("inspect ../../testdata/" + args)
		code, out, errs := invoke(t, words...)
		if code != 0 {
			t.Fatal(errs)
		}
		got.Files = append(got.Files, txtar.File{Name: args, Data: []byte(out)})
	}
	if *update {
		if err := os.WriteFile(golden, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(txtar.Format(want)), string(txtar.Format(got))); d != "" {
		t.Errorf("the layers differ from %s (-update accepts them):\n%s", golden, d)
	}
}

// The layers of a model that cannot be compiled are shown, if it can be read.
func TestInspectRefused(t *testing.T) {
	code, out, errs := invoke(t, "inspect", digits+"lenet5.onnx", "--limit", "flops=1000")
	if code != exitFailed || !strings.Contains(out, "fc3      Gemm") || !strings.Contains(out, "parameters: 61706;") || strings.Contains(out, "weights:") || !strings.Contains(errs, "--limit flops=") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, errs = invoke(t, "inspect", digits+"lenet5.onnx", "--limit", "flops=1000", "--optimised")
	if code != exitFailed || out != "" {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestCompileJSON(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/x\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := zooFile(t, "resnet18", zoo.Options{Width: 0.25, Size: 32})
	code, out, errs := invoke(t, "compile", path, "-o", filepath.Join(dir, "resnet-18"), "--json")
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	var s modelc.Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	if s.Package != "resnet18" || s.Runtime != "example.com/x/resnet-18/internal/runtime" || s.Fused.BatchNorms != (modelc.Count{Of: 20}) || s.Fused.Folded != 20 ||
		s.ModelSize.FLOPs == 0 || s.Layers == 0 || s.Arena < s.LowerBound || s.FileBytes["weights.bin"] <= s.Weights {
		t.Errorf("%+v", s)
	}
}

// verify reads the outputs that run writes as .npy. run prints labels to the
// standard output, and --print-after prints graphs to the standard error.
func TestRunOutputs(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := invoke(t, "run", "--engine", "inproc", "--output", filepath.Join(dir, "out"), digits+"lenet5.onnx", digits+"data/input_0.npy")
	if code != 0 || !strings.Contains(out, "input_0.output_0.npy: probabilities f32[12,10]") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	got, err := npy.Read(filepath.Join(dir, "out", "input_0.output_0.npy"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := npy.Read(digits + "data/output_0.npy")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := eval.Compare(got, want); err != nil || !d.Within(1e-5) {
		t.Error(d, err)
	}

	labels := filepath.Join(dir, "labels.txt")
	if err := os.WriteFile(labels, []byte("zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs = invoke(t, "run", "--engine", "inproc", "--top", "1", "--labels", labels, "--print-after", "fuse_activation", digits+"lenet5.onnx", digits+"3_0.png")
	if code != 0 || !strings.Contains(out, "\n  three 0.9") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if !strings.HasPrefix(errs, "# after fuse_activation\ngraph ") || !strings.Contains(errs, "epilogue=Tanh") {
		t.Errorf("--print-after printed\n%s", errs)
	}

	// The model agrees with the reference interpreter with all options.
	for _, flags := range [][]string{nil, {"--exact"}, {"--disable-pass", "fuse_activation"}, {"--passes", "choose_padding"}} {
		args := append([]string{"verify", digits + "lenet5.onnx", "--engine", "inproc", "--dim", "N=3"}, flags...)
		if code, out, errs := invoke(t, args...); code != 0 || !strings.Contains(out, "f32[3,10]") {
			t.Errorf("%v: exit %d\n%s%s", flags, code, out, errs)
		}
	}
}

func TestBench(t *testing.T) {
	code, out, errs := invoke(t, "bench", digits+"lenet5.onnx", "--runs", "3", "--json")
	var p measure.Profile
	if code != 0 || json.Unmarshal([]byte(out), &p) != nil {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	if len(p.Layers) < 5 || p.Time <= 0 || p.Best > p.Time || p.Time > p.P90 || p.GFLOPS <= 0 || p.Layers[0].FLOPs == 0 || p.Layers[0].Best <= 0 {
		t.Errorf("%+v", p)
	}
	if code, out, _ = invoke(t, "bench", digits+"lenet5.onnx", "--runs", "2", "--top", "2"); code != 0 || strings.Count(out, "\n") != 7 {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, _, _ := invoke(t, "bench", digits+"lenet5.onnx", "--runs", "0"); code != 2 {
		t.Errorf("exit %d", code)
	}
}

// The commands print the same figures: inspect, compile and report those of the model, and
// bench and report those of a measurement.
func TestFiguresAgree(t *testing.T) {
	model, dir := "../../testdata/keras/resnet_v1/model.keras", t.TempDir()
	read := func(to any, args ...string) {
		t.Helper()
		code, out, errs := invoke(t, append(args, "--json")...)
		if err := json.Unmarshal([]byte(out), to); code != 0 || err != nil {
			t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
		}
	}
	var in inspection
	var p measure.Profile
	var s modelc.Summary
	read(&in, "inspect", model)
	read(&p, "bench", model, "--runs", "4")
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n\ngo 1.26\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	read(&s, "compile", model, "-o", filepath.Join(dir, "net"))
	size := modelc.Size{Parameters: in.Total.Trainable + in.Total.Fixed, Fixed: in.Total.Fixed, FLOPs: in.Total.FLOPs}
	if size != s.ModelSize || size.Fixed == 0 {
		t.Errorf("inspect prints %+v, compile %+v", size, s.ModelSize)
	}
	if p.FLOPs != s.FLOPs {
		t.Errorf("bench has %d FLOP, compile %d", p.FLOPs, s.FLOPs)
	}
	profile, page := filepath.Join(dir, "profile.json"), filepath.Join(dir, "report.html")
	text, err := json.Marshal(&p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(profile, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := invoke(t, "report", model, "-o", page, "--profile", profile, "--verify=false"); code != 0 {
		t.Fatal(errs)
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	tile := func(name string) string {
		m := regexp.MustCompile(`<span class="k">` + name + `</span><strong>([^<]*)</strong>`).FindSubmatch(html)
		if m == nil {
			t.Fatalf("the page has no tile %q", name)
		}
		return string(m[1])
	}
	sum := regexp.MustCompile(`<tfoot>.*data-l="ms">([^<]*)<`).FindSubmatch(html)
	if tile("Parameters") != units.Count(size.Parameters) || tile("Work") != units.FLOP(size.FLOPs) || sum == nil || tile("Time") != string(sum[1])+" ms" {
		t.Errorf("the page has %s parameters, %s, and %s beside a sum of %.200q; inspect has %+v", tile("Parameters"), tile("Work"), tile("Time"), sum, size)
	}
	sums, percent := 0.0, 0.0
	code, out, errs := invoke(t, "bench", model, "--runs", "4")
	for _, row := range regexp.MustCompile(`(?m)^ *([0-9.]+) +([0-9.]+) % `).FindAllStringSubmatch(out, -1) {
		ms, _ := strconv.ParseFloat(row[1], 64)
		share, _ := strconv.ParseFloat(row[2], 64)
		sums, percent = sums+ms, percent+share
	}
	total := regexp.MustCompile(`: ([0-9.]+) ms a run`).FindStringSubmatch(out)
	if code != 0 || total == nil {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	// Rows are printed with four decimals, the total with three.
	if all, _ := strconv.ParseFloat(total[1], 64); math.Abs(sums-all) > 0.0005+0.00005*float64(len(p.Layers)) || math.Abs(percent-100) > 0.05*float64(len(p.Layers)) {
		t.Errorf("the rows sum up to %g ms and %g %%, the model takes %g ms\n%s", sums, percent, all, out)
	}
}

// compile uses the algorithms in a file of tune. The test replaces them by the
// opposite of the cost model's choice.
func TestTune(t *testing.T) {
	dir := t.TempDir()
	path, file := zooFile(t, "resnet18", zoo.Options{Width: 0.5, Size: 64}), filepath.Join(dir, "tune.json")
	code, out, errs := invoke(t, "tune", path, "--runs", "2", "-o", file)
	if code != 0 || !strings.Contains(out, "layer1.0.conv1") || !strings.Contains(out, "% more\n") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	tuning := new(modelc.Tuning)
	if err := readJSON(file, "modelc tune", tuning); err != nil || len(tuning.Layers) == 0 {
		t.Fatal(tuning, err)
	}
	for i := range tuning.Layers {
		l := &tuning.Layers[i]
		if l.Ms[l.Algorithm] <= 0 || l.Ms[l.Algorithm] > l.Ms[l.Model] {
			t.Errorf("%+v", l)
		}
		l.Algorithm = "direct"
	}
	b, err := json.Marshal(tuning)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := invoke(t, "inspect", path, "--steps", "--tune", file); code != 0 || strings.Contains(out, "winograd") || !strings.Contains(out, "direct, as measured") {
		t.Errorf("exit %d\n%s", code, out)
	}
	// A file for another model, and a file that is no tuning, are refused.
	if code, _, errs := invoke(t, "inspect", digits+"lenet5.onnx", "--tune", file); code != 1 || !strings.Contains(errs, "another model") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := invoke(t, "inspect", path, "--tune", path); code != 1 || !strings.Contains(errs, "was not written by modelc tune") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestGraph(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		file string
		args []string
		want string
	}{
		{"a.svg", nil, "<title>Gemm fc1\n"},
		{"ir.svg", []string{"--ir"}, "<title>Dense 400→120 fc1\n"},
		{"b.svg", []string{"--optimised"}, `class="p act"`},
		{"c.dot", []string{"--after", "fuse_activation"}, `\n+ Tanh"`},
		{"d.dot", []string{"--after", "fold_pad"}, `[label="Tanh`},
	} {
		path := filepath.Join(dir, c.file)
		code, out, errs := invoke(t, append([]string{"graph", digits + "lenet5.onnx", "-o", path}, c.args...)...)
		if b, err := os.ReadFile(path); code != 0 || err != nil || !strings.Contains(html.UnescapeString(string(b)), c.want) {
			t.Errorf("%s lacks %q: exit %d, %v\n%s%s", c.file, c.want, code, err, out, errs)
		}
	}
	for _, args := range [][]string{{"-o", "x.png"}, {}, {"-o", filepath.Join(dir, "e.svg"), "--after", "fuse"}} {
		if code, _, errs := invoke(t, append([]string{"graph", digits + "lenet5.onnx"}, args...)...); code != 2 || errs == "" {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}

// A report shows the times that bench measured for the same program.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	page, profile := filepath.Join(dir, "report.html"), filepath.Join(dir, "profile.json")
	code, out, errs := invoke(t, "bench", digits+"lenet5.onnx", "--runs", "2", "--json")
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	if err := os.WriteFile(profile, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--profile", profile}, {"--bench", "--runs", "2", "--verify=false"}} {
		code, out, errs := invoke(t, append([]string{"report", digits + "lenet5.onnx", "-o", page}, args...)...)
		b, err := os.ReadFile(page)
		if code != 0 || err != nil || !strings.Contains(out, "layers") || !strings.Contains(string(b), `id="times"`) {
			t.Errorf("%v: exit %d, %v\n%s%s", args, code, err, out, errs)
		}
		if shown := strings.Contains(string(b), `data-l="error"`); shown != (args[0] == "--profile") {
			t.Errorf("%v: errors shown: %v", args, shown)
		}
	}
	if code, _, errs := invoke(t, "report", digits+"lenet5.onnx", "-o", page, "--profile", profile, "--disable-pass", "fuse_activation"); code != 1 || !strings.Contains(errs, "another program") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := invoke(t, "report", digits+"lenet5.onnx", "-o", page, "--profile", page); code != 1 || !strings.Contains(errs, "bench --json") {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, args := range [][]string{{}, {"-o", page, "--bench", "--profile", profile}, {"-o", page, "--bench", "--runs", "0"}} {
		if code, _, errs := invoke(t, append([]string{"report", digits + "lenet5.onnx"}, args...)...); code != 2 || errs == "" {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}

// The help of every command fits a terminal of 80 columns, puts every flag into a group, and
// shows examples that the command accepts.
func TestHelpPages(t *testing.T) {
	_, top, _ := invoke(t, "--help")
	names := regexp.MustCompile(`(?m)^  ([a-z]+)  `).FindAllStringSubmatch(top, -1)
	if len(names) < 15 {
		t.Fatalf("commands %v", names)
	}
	for _, n := range append(names, []string{"", ""}, []string{"", "completion bash"}, []string{"", "completion zsh"}) {
		args := strings.Fields(n[1] + " --help")
		code, help, errs := invoke(t, args...)
		if code != 0 || errs != "" {
			t.Errorf("%s: exit %d, %s", n[1], code, errs)
		}
		for line := range strings.Lines(help) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > helpWidth {
				t.Errorf("%q: %d columns: %s", args, n, line)
			}
		}
		if nameless := regexp.MustCompile(`--[a-z-]+ (u?int|float|strings?|duration)\b`).FindString(help); nameless != "" {
			t.Errorf("%q: no name for the value of %q", args, nameless)
		}
		if n[1] == "" || strings.Contains(n[1], " ") {
			continue
		}
		_, part, ok := strings.Cut(help, "\nExamples:\n")
		part, _, _ = strings.Cut(part, "\n\n")
		if !ok {
			t.Errorf("%q has no examples", args)
		}
		for line := range strings.Lines(part) {
			if n[1] == "completion" { // a line for a shell
				continue
			}
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "modelc" || words[1] != n[1] {
				t.Errorf("%q has the example %q", args, line)
				continue
			}
			// Without a model and its data, only the command line can be wrong.
			t.Chdir(t.TempDir())
			put(t, "modelc.json", `[{"model": "x.onnx", "output": "x"}]`)
			if words[1] == "doctor" || words[1] == "ops" || words[1] == "passes" || words[1] == "version" || words[1] == "zoo" {
				continue
			}
			if code, _, errs := invoke(t, words[1:]...); code != exitFailed {
				t.Errorf("%s: exit %d, %s", line, code, errs)
			}
		}
	}
}
