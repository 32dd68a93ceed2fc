package golang

import (
	"flag"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"modelc/backend/cpu"
	"modelc/internal/files"
	"modelc/internal/modpath"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime/vision"
)

var update = flag.Bool("update", false, "rewrite the generated packages below testdata")

// program returns the program of a graph in text form, and the options of its
// package.
func program(t *testing.T, file string) (*cpu.Program, Options) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := ir.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := cpu.Build(g, cpu.Config{Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	golden, err := eval.Run(g, GoldenInputs(g, 3))
	if err != nil {
		t.Fatal(err)
	}
	return p, Options{Package: "net", Runtime: modpath.Package("runtime"), Header: Header{Version: "v0", SHA256: "0123"}, Model: g.Name, Format: "text", Tolerance: 2e-6, Golden: golden, GoldenMask: 3}
}

// takePictures sets the options of a package with Predict, with labels that try to
// break out.
func takePictures(t *testing.T, p *cpu.Program, o *Options) {
	t.Helper()
	pre, err := vision.Preset("caffe", 8, 6)
	if err != nil {
		t.Fatal(err)
	}
	pre.Layout, pre.Filter, pre.Fit = vision.NHWC, vision.Lanczos, vision.Crop
	o.Pictures = &Pictures{pre, []string{"\"}\npanic(1)", "// Output: 1\n", "`+panic(1)+`", "zebra"}, "logit"}
	in, err := GoldenPicture(p.Graph, pre)
	if err != nil {
		t.Fatal(err)
	}
	if o.Golden, err = eval.Run(p.Graph, in); err != nil {
		t.Fatal(err)
	}
}

// tree reads the files below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// modelc writes the packages below testdata byte for byte. They build, pass go vet
// and pass their own tests. hostile has ports of many types, and names that try to
// break out of strings, comments and identifiers. classifier has Predict, and
// labels that try to break out. quantised computes on integers.
func TestGoldenPackages(t *testing.T) {
	var dirs []string
	for name, file := range map[string]string{"hostile": "hostile.ir", "hostile_file": "hostile.ir", "classifier": "classifier.ir", "quantised": "quantised.ir"} {
		p, o := program(t, "testdata/"+file)
		switch name {
		case "hostile_file":
			o.Sidecar = true
			o.Flags = []string{"--weights", "file", "--dim", "N\n=1"}
		case "classifier":
			takePictures(t, p, &o)
		}
		dir := filepath.Join("testdata", name)
		dirs = append(dirs, "./"+filepath.ToSlash(dir))
		to := dir
		if !*update {
			to = filepath.Join(t.TempDir(), name)
		}
		if _, err := Write(to, p, o); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tree(t, dir), tree(t, to)); d != "" {
			t.Errorf("%s differs from what modelc writes (-update accepts it):\n%s", dir, d)
		}
	}
	for _, args := range [][]string{{"vet"}, {"test", "-count=1"}} {
		if out, err := exec.Command("go", append(args, dirs...)...).CombinedOutput(); err != nil {
			t.Errorf("go %v: %v\n%s", args, err, out)
		}
	}
}

// Packages with ports of every type, and with Predict, build with only the copied
// parts of the runtime.
func TestCopiedRuntime(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hostile", "classifier", "quantised"} {
		p, o := program(t, "testdata/"+name+".ir")
		if name == "classifier" {
			takePictures(t, p, &o)
		}
		o.Runtime, o.RuntimeSource = "example.com/m/"+name+"/"+RuntimeDir, runtimeSource(t)
		if _, err := Write(filepath.Join(dir, name), p, o); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(filepath.Join(dir, name, RuntimeDir, "vision"))
		if (err == nil) != (name == "classifier") {
			t.Errorf("%s: package vision: %v", name, err)
		}
	}
	for _, args := range [][]string{{"vet", "./..."}, {"vet", "-tags", "purego", "./..."}, {"test", "./..."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %v: %v\n%s", args, err, out)
		}
	}
	if out, err := exec.Command("gofmt", "-l", dir).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt -l: %v\n%s", err, out)
	}
}

func TestWriteLeavesOthersAlone(t *testing.T) {
	p, o := program(t, "testdata/hostile.ir")
	o.RuntimeSource = Files{"doc.go": []byte("// Package runtime.\npackage runtime\n")}
	dir := filepath.Join(t.TempDir(), "net")
	write := func(want string) {
		t.Helper()
		before := map[string]string{}
		if _, err := os.Stat(dir); err == nil {
			before = tree(t, dir)
		}
		_, err := Write(dir, p, o)
		switch {
		case want == "" && err != nil:
			t.Fatal(err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Fatalf("got error %v, want %q", err, want)
		case want != "":
			if d := cmp.Diff(before, tree(t, dir)); d != "" {
				t.Errorf("the folder changed in spite of an error:\n%s", d)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	has := func(name string, want bool) {
		t.Helper()
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}

	write("")
	put("labels.go", "package net\n")
	put("internal/mine/mine.go", "package mine\n")
	put("layers_old.go", marker+"v0; DO NOT EDIT.\n\npackage net\n")
	put("testdata/x.txt", "mine")
	write("")
	has("labels.go", true)
	has("internal/mine/mine.go", true)
	has("testdata/x.txt", true)
	has("layers_old.go", false)
	has("internal/runtime/runtime.go", true)

	o.RuntimeSource = nil
	write("")
	has("internal/runtime", false)
	has("internal/mine/mine.go", true)

	put("other.go", "package other\n")
	put("labels.go", "package net\n\nfunc New() {}\n\nvar _, Labels = 1, 2\n\ntype In int\n")
	put("ignored.go", "//go:build ignore\n\npackage main\n")
	put("labels_test.go", "package net_test\n\nfunc New() {}\n")
	write("labels.go:3:6 declares New, as model.go of the model does: rename it")
	write("holds several packages, net (labels.go) and other (other.go): choose another folder")
	put("third.go", "package third\n")
	write("holds several packages, net (labels.go) and other (other.go) and third (third.go)")
	os.Remove(filepath.Join(dir, "third.go"))
	put("labels.go", "package net\n\nfunc (m *Model) NewSession() {}\n")
	os.Remove(filepath.Join(dir, "other.go"))
	write("declares Model.NewSession")
	put("labels.go", "package net\n")
	write("")
	put("model.go", "package net\n")
	write("model.go: modelc did not write this file")
	os.Remove(filepath.Join(dir, "model.go"))
	put("weights.bin", "mine")
	write("weights.bin: modelc did not write this file")
	os.Remove(filepath.Join(dir, "weights.bin"))
	put("model_test.go", "package net\n")
	os.Remove(filepath.Join(dir, "layers.go"))
	write("did not write this file")

	o.Package = "func"
	write("cannot name a Go package")
	dir = filepath.Join(t.TempDir(), "file")
	o.Package = "net"
	if err := os.WriteFile(dir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(dir, p, o); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Error(err)
	}
}

func TestOwnersFirst(t *testing.T) {
	for _, l := range []layout{packageLayout, runtimeLayout} {
		files := []string{l.entry}
		for f, owner := range l.owners {
			files = append(files, f, owner)
		}
		slices.Sort(files)
		l.ownersFirst(files)
		for f, owner := range l.owners {
			if slices.Index(files, f) < slices.Index(files, owner) {
				t.Errorf("%s before %s in %v", f, owner, files)
			}
		}
	}
}

var kills = flag.Int("kills", 20, "number of times that TestWriteKilled kills a process")

// A process that is killed while it installs a package leaves the old package or the
// new one. Where names cannot be exchanged, it may also leave one that does not build.
// The next Write completes the package.
func TestWriteKilled(t *testing.T) {
	const steps = "MODELC_TEST_KILL"
	old, o := program(t, "testdata/hostile.ir")
	o.RuntimeSource = Files{"doc.go": []byte("// Package runtime.\npackage runtime\n"), licenseFile: []byte("text\n")}
	changed := o
	changed.Sidecar, changed.Flags, changed.RuntimeSource = true, []string{"--weights", "file"}, nil
	if dir := os.Getenv(steps); dir != "" { // the process to be killed
		for {
			for _, o := range []Options{o, changed} {
				if _, err := Write(dir, old, o); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	root := t.TempDir()
	dir := filepath.Join(root, "a", "net")
	want := map[string]bool{}
	sums := func() string {
		var all strings.Builder
		files := tree(t, dir)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			all.WriteString(name + files[name])
		}
		return all.String()
	}
	for _, o := range []Options{o, changed} {
		if _, err := Write(dir, old, o); err != nil {
			t.Fatal(err)
		}
		want[sums()] = true
	}
	broken, left := 0, 0
	for i := range *kills {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWriteKilled$")
		cmd.Env = append(os.Environ(), steps+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(50+i%20*7) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		if tmp, _ := filepath.Glob(filepath.Join(root, "a", ".net.tmp*")); len(tmp) > 0 {
			left++
		}
		if !want[sums()] {
			broken++
			if _, err := os.Stat(filepath.Join(dir, modelFile)); err == nil {
				t.Error("a package that is neither the old one nor the new one has its main file")
			}
		}
		again := o
		if i%2 == 1 {
			again = changed
		}
		if _, err := Write(dir, old, again); err != nil {
			t.Fatal(err)
		}
		if !want[sums()] {
			t.Error("the next Write does not complete the package")
		}
		if tmp, _ := filepath.Glob(filepath.Join(root, "a", ".*")); len(tmp) > 0 {
			t.Errorf("left behind: %v", tmp)
		}
	}
	t.Logf("%d kills: %d left a folder beside the package, %d an incomplete package", *kills, left, broken)
	if err := files.Exchange(filepath.Join(root, "a"), t.TempDir()); err == nil && broken > 0 {
		t.Errorf("%d packages are neither the old one nor the new one", broken)
	}
}
