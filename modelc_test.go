package modelc

import (
	"runtime/debug"

	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelc/backend/inproc"
	"modelc/frontend/onnx"
	"modelc/frontend/source"
	"modelc/internal/modpath"
	"modelc/internal/zoo"
	"modelc/ir/eval"
)

func Example() {
	c, err := Compile("testdata/digits/lenet5.onnx", Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	for _, v := range c.Graph.Inputs {
		fmt.Println("input", v.Name, v.Type)
	}
	for _, o := range c.Graph.Outputs {
		fmt.Println("output", o.Name, o.Value.Type)
	}
	fmt.Println(len(c.Before.Nodes), "nodes became", len(c.Program.Layers), "steps")
	// Output:
	// input image f32[1,1,28,28]
	// output probabilities f32[1,10]
	// 13 nodes became 6 steps
}

// A program writes a package into a module and later compares it with the model.
func ExampleCompiled_WritePackage() {
	module, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(module)
	if err := os.WriteFile(filepath.Join(module, "go.mod"), []byte("module example.com/digits\n\ngo 1.24\n"), 0o644); err != nil {
		fmt.Println(err)
		return
	}

	c, err := Compile("testdata/digits/lenet5.onnx", Options{Source: source.Options{Dims: map[string]int{"N": 1}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	o := PackageOptions{Standalone: true}
	s, err := c.WritePackage(filepath.Join(module, "lenet"), o)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("package", s.Package, "with", s.Layers, "steps and runtime", s.Runtime)
	differences, err := c.DiffPackage(s.Dir, o)
	fmt.Println(len(differences), "differences", err)
	// Output:
	// package lenet with 6 steps and runtime example.com/digits/lenet/internal/runtime
	// 0 differences <nil>
}

// The runtime that is copied beside packages imports only the standard library and
// its own packages, and its licence comes with it.
func TestRuntimeFiles(t *testing.T) {
	files, err := runtimeFiles()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if strings.HasSuffix(name, "_test.go") {
			t.Errorf("%s is a test", name)
		}
		for line := range strings.Lines(string(b)) {
			path := strings.TrimSpace(line)
			if strings.HasPrefix(path, `"golang.org/`) || strings.HasPrefix(path, `"`+modpath.Module+"/") && !strings.HasPrefix(path, `"`+modpath.Package("runtime")+"/") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	if !strings.Contains(string(files["LICENSE"]), "Apache License") {
		t.Error("no licence")
	}
}

// The same model, options and version give the same bytes.
func TestDeterministic(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module example.com/m\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "net")
	digests := func() map[string]string {
		c, err := Compile("testdata/digits/lenet5.onnx", Options{Flags: []string{"--exact"}, Exact: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.WritePackage(dir, PackageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sums := map[string]string{}
		for name, size := range s.FileBytes {
			b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
			if err != nil || len(b) != size {
				t.Fatalf("%s: %d bytes, reported %d: %v", name, len(b), size, err)
			}
			if strings.Contains(string(b), root) {
				t.Errorf("%s holds a path", name)
			}
			sums[name] = fmt.Sprintf("%x", sha256.Sum256(b))
		}
		return sums
	}
	a, b := digests(), digests()
	for name := range a {
		if a[name] != b[name] {
			t.Errorf("%s differs the second time", name)
		}
	}
	if len(a) < 10 {
		t.Errorf("%d files in a standalone package", len(a))
	}
}

// Damaged files are refused or run. None causes a panic.
func TestDamagedModels(t *testing.T) {
	var squeezenet strings.Builder
	if err := zoo.Write(&squeezenet, "squeezenet1.1", zoo.Options{Width: 0.25, Size: 32}); err != nil {
		t.Fatal(err)
	}
	lenet, err := os.ReadFile("testdata/digits/lenet5.onnx")
	if err != nil {
		t.Fatal(err)
	}
	const most = 1 << 26 // maximum size in bytes of a tensor of a model to run
	run := func(b []byte) (ok bool, err error) {
		m, err := onnx.Parse("damaged", b, "", source.Options{})
		if err != nil {
			return false, nil
		}
		for v := range m.Graph.Values() {
			if v.Type.Bytes() > most {
				return false, nil
			}
		}
		c, err := CompileModel(m, Options{})
		if err != nil {
			return false, nil
		}
		e, err := inproc.New(c.Program, 1)
		if err != nil {
			return false, err
		}
		defer e.Close()
		_, err = e.Run(eval.Inputs(c.Graph, 1))
		return true, err
	}
	for _, model := range [][]byte{lenet, []byte(squeezenet.String())} {
		r := rand.New(rand.NewPCG(1, 2))
		ran := 0
		const tries = 400
		for range tries {
			b := append([]byte(nil), model...)
			// The graph is at the ends of the file. Between them are weights.
			for range 1 + r.IntN(3) {
				at := r.IntN(min(len(b), 4000))
				if r.IntN(2) == 0 {
					at = len(b) - 1 - at
				}
				if b[at] ^= 1 << r.IntN(8); r.IntN(2) == 0 {
					b[at] = byte(r.IntN(20))
				}
			}
			if r.IntN(8) == 0 {
				b = b[:r.IntN(len(b))]
			}
			ok, err := run(b)
			if err != nil {
				t.Error(err)
			}
			if ok {
				ran++
			}
		}
		if ran == 0 || ran == tries {
			t.Errorf("%d of %d damaged models ran: the damage is not what this test wants", ran, tries)
		}
	}
}

func TestVersion(t *testing.T) {
	self := func(version string) debug.Module { return debug.Module{Path: modpath.Module, Version: version} }
	dependency, replaced := self("v0.3.0"), self("v0.3.0")
	replaced.Replace = &debug.Module{Path: "../modelc"}
	user := debug.Module{Path: "example.com/user", Version: "v1.0.0"}
	for _, c := range []struct {
		info debug.BuildInfo
		want string
	}{
		{debug.BuildInfo{Main: self("v0.2.0")}, "v0.2.0"},
		{debug.BuildInfo{Main: self("v0.2.1-0.20260102150405-abcdef012345+dirty")}, "v0.2.1-0.20260102150405-abcdef012345+dirty"},
		{debug.BuildInfo{Main: self("(devel)")}, "devel"},
		{debug.BuildInfo{Main: user, Deps: []*debug.Module{&dependency}}, "v0.3.0"},
		{debug.BuildInfo{Main: user, Deps: []*debug.Module{&replaced}}, "devel"},
		{debug.BuildInfo{}, "devel"},
	} {
		if got := versionIn(&c.info); got != c.want {
			t.Errorf("%+v: version %s, want %s", c.info, got, c.want)
		}
	}
}
