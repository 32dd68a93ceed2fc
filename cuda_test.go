package modelc

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"

	"modelc/backend/cuda"
	"modelc/backend/cuda/emulator"
	"modelc/backend/cuda/launcher"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/cuda/shim"
	"modelc/frontend/source"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/ir/eval"
)

// module makes dir a module that requires what the launcher imports.
func module(t *testing.T, dir string) {
	t.Helper()
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.Parse("go.mod", mod, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := "module example.org/user\n\ngo " + f.Go.Version + "\n"
	for _, r := range f.Require {
		if r.Mod.Path == purego {
			text += "\nrequire " + r.Mod.String() + "\n"
		}
	}
	text = strings.Replace(text, "@", " ", 1)
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"go.mod": []byte(text), "go.sum": sum} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// goCommand runs the go command in dir with further variables of the environment.
func goCommand(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", args...)
	c.Dir = dir
	c.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off"), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v go %v: %v\n%s", env, args, err, out)
	}
	return string(out)
}

// contents returns the files below dir, with headers that do not name the flags.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	flags := regexp.MustCompile(`(?m)^// Flags: .*\n`)
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = flags.ReplaceAllString(string(b), "")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// A package for a GPU is the package for the CPU and further files. It builds on every
// system, its self-test passes on an emulated device, and skips without a driver.
func TestCUDAPackage(t *testing.T) {
	dir := t.TempDir()
	module(t, dir)
	var made *Compiled
	for _, target := range []*cuda.Config{nil, {}} {
		o := Options{Batches: []int{1, 4}, CUDA: target}
		name := "cpu"
		if target != nil {
			o.Flags, name = []string{"--target", "cuda"}, "gpu"
		}
		c, err := Compile("testdata/digits/lenet5.onnx", o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.WritePackage(filepath.Join(dir, name, "digits"), PackageOptions{Standalone: true})
		if err != nil {
			t.Fatal(err)
		}
		_, missing := nvrtc.Load()
		if noted := strings.Contains(fmt.Sprint(s.Notes), "nvcc -ptx -arch=compute_70 kernels.cu"); target != nil && noted != (missing != nil) {
			t.Errorf("notes %q, NVRTC: %v", s.Notes, missing)
		}
		made = c
	}
	gpu := filepath.Join(dir, "gpu", "digits")
	without, with := contents(t, filepath.Join(dir, "cpu", "digits")), contents(t, gpu)
	added := regexp.MustCompile(`^(cuda|kernels|internal/launcher/)`)
	for name := range with {
		if added.MatchString(name) {
			delete(with, name)
		}
	}
	if d := diff.Diff(strings.NewReplacer("/gpu/", "/cpu/").Replace(fmt.Sprint(with)), fmt.Sprint(without)); d != "" {
		t.Errorf("the part for the CPU differs:\n%.2000s", d)
	}
	d, err := made.DiffPackage(gpu, PackageOptions{Standalone: true})
	if err != nil || len(d) != 0 {
		t.Errorf("diff of a new package: %v, %v", d, err)
	}
	targets := []string{"windows/amd64"}
	if *long {
		targets = []string{"linux/arm64", "windows/amd64", "darwin/arm64", "js/wasm"}
	}
	for _, target := range targets {
		system, arch, _ := strings.Cut(target, "/")
		goCommand(t, dir, []string{"GOOS=" + system, "GOARCH=" + arch}, "build", "./gpu/...")
	}
	goCommand(t, dir, nil, "vet", "./gpu/...")
	out := goCommand(t, dir, []string{launcher.DriverVariable + "=libmissing.so"}, "test", "-v", "./gpu/digits")
	if !strings.Contains(out, "libmissing.so") || !strings.Contains(out, "SKIP: TestCUDAGolden") || strings.Contains(out, "PASS: TestCUDA") {
		t.Errorf("without a driver:\n%s", out)
	}

	if err := shim.Available(); err != nil {
		t.Skip(err)
	}
	driver, err := emulator.BuildDriver(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"kernels.ptx", "kernels4.ptx"} {
		p := append([]*Compiled{made}, made.more...)[i].CUDA
		library, err := shim.Compile(t.Context(), p.Source, t.TempDir(), false)
		if err != nil {
			t.Fatal(err)
		}
		ptx, err := os.ReadFile(filepath.Join(gpu, name))
		if err != nil {
			t.Fatal(err)
		}
		text := emulator.PTX(p, library)
		if bytes.Contains(ptx, []byte(".entry ")) { // NVRTC made it; the emulator finds its entries
			first, _, _ := strings.Cut(text, "\n")
			text = first + "\n" + string(ptx)
		}
		if err := os.WriteFile(filepath.Join(gpu, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out = goCommand(t, dir, []string{launcher.DriverVariable + "=" + driver}, "test", "-v", "-count=1", "./gpu/digits")
	if strings.Count(out, "PASS: TestCUDA") != 4 {
		t.Errorf("on an emulated device:\n%s", out)
	}
	// Writing the package again replaces the PTX that it does not recognise.
	if _, err := made.WritePackage(gpu, PackageOptions{Standalone: true}); err != nil {
		t.Error(err)
	}
}

// emulation is a model on an emulated device.
type emulation struct {
	name string
	c    *Compiled // nil if the model was refused
	note string    // why the model is not emulated
	err  error
}

// emulate compares models on an emulated device with the reference interpreter. Their
// kernels are compiled together, because a compiler that starts for each takes longer.
func emulate(ctx context.Context, paths []string) []*emulation {
	list := make([]*emulation, len(paths))
	var left []*emulation
	var graphs []*ir.Graph
	for i, path := range paths {
		e := &emulation{name: path}
		list[i] = e
		if e.c, e.err = Compile(path, Options{Source: source.Options{InputShapes: storedShapes(filepath.Dir(path))}}); e.err != nil {
			continue
		}
		defer e.c.Close()
		work := int64(0)
		for _, n := range e.c.Graph.Nodes {
			work += ir.FLOPs(n) + ir.Traffic(n)/4
		}
		if work > emulated {
			e.note = fmt.Sprintf("%d million operations, more than a minute of emulation", work/1e6)
			continue
		}
		left, graphs = append(left, e), append(graphs, e.c.Graph)
	}
	programs, errs := cuda.BuildAll(graphs, cuda.Config{})
	var library *emulator.Library
	for i, e := range left {
		if e.err = errs[i]; e.err != nil {
			continue
		}
		if library == nil {
			if library, e.err = emulator.Compile(ctx, programs[i].Source, false); e.err != nil {
				return list
			}
			defer library.Remove()
		}
		e.err = e.compare(ctx, library, programs[i])
	}
	return list
}

// compare runs a program whose kernels are in the library.
func (m *emulation) compare(ctx context.Context, library *emulator.Library, p *cuda.Program) error {
	in := eval.Inputs(m.c.Before, 1)
	want, err := m.c.Reference(in)
	if err != nil {
		return err
	}
	e, err := library.New(ctx, p)
	if err != nil {
		return err
	}
	defer e.Close()
	got, err := e.Run(in)
	if err != nil {
		return err
	}
	for i, o := range m.c.Before.Outputs {
		d, err := eval.Compare(got[i], want[i])
		if err != nil {
			return err
		}
		if !d.Agrees(tolerance, eval.Step(o.Value)) {
			return fmt.Errorf("output %q: %v", o.Name, d)
		}
	}
	return nil
}

// emulated is the number of operations that the emulator does in about a minute.
const emulated = 4e9

// The networks of the zoo at small width give the values of the reference interpreter
// through the launcher.
func TestCUDAZoo(t *testing.T) {
	if err := shim.Available(); err != nil {
		t.Skip(err)
	}
	names := []string{"lenet5"}
	if *long {
		names = zoo.Names()
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name+".onnx")
			writeZoo(t, path, name, zoo.Options{Width: 0.125, Size: 64})
			if e := emulate(t.Context(), []string{path})[0]; e.err != nil || e.note != "" {
				t.Error(e.note, e.err)
			}
		})
	}
}

func writeZoo(t *testing.T, path, name string, o zoo.Options) {
	t.Helper()
	if strings.HasPrefix(name, "lenet") {
		o = zoo.Options{}
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(zoo.Write(f, name, o), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// Every model of the corpus that the emulator finishes within a minute gives the values of
// the reference interpreter. With -v the test lists the others.
func TestCUDACorpus(t *testing.T) {
	root := os.Getenv("MODELC_CORPUS")
	if root == "" || !*long {
		t.Skip("needs MODELC_CORPUS and -long: it takes an hour")
	}
	if err := shim.Available(); err != nil {
		t.Skip(err)
	}
	var files []string
	if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "hostile" {
			return fs.SkipDir
		}
		if slices.Contains([]string{".onnx", ".keras", ".h5"}, filepath.Ext(path)) {
			files = append(files, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	only := regexp.MustCompile(*cudaModels)
	files = slices.DeleteFunc(files, func(f string) bool { return !only.MatchString(f) })
	const together = 40
	passed := 0
	for part := range slices.Chunk(files, together) {
		for _, e := range emulate(t.Context(), part) {
			name, _ := filepath.Rel(root, e.name)
			var u *source.Unsupported
			switch {
			case errors.As(e.err, &u) || e.err != nil && mayRefuse(filepath.Dir(e.name)):
			case e.err != nil:
				t.Errorf("%s: %v", name, e.err)
			case e.note != "":
				t.Logf("%s: %s", name, e.note)
			default:
				passed++
			}
		}
		t.Logf("%d models pass", passed)
	}
}

var cudaModels = flag.String("cuda.models", "", "emulate the models of the corpus whose path matches `REGEXP`")

var update = flag.Bool("update", false, "write testdata/ptxas.txt anew")

// ptxasArchs are the compute capabilities that the table compares.
var ptxasArchs = []int{70, 80, 90, 100}

// usageTable returns the rows of the table for a network in a precision, which compute
// capabilities below 8.0 lack on tensor cores.
func usageTable(c *nvrtc.Compiler, a *nvrtc.Assembler, dir, network string, precision cuda.Precision) (string, error) {
	path := filepath.Join(dir, network+".onnx")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := errors.Join(zoo.Write(f, network, zoo.Options{}), f.Close()); err != nil {
		return "", err
	}
	m, err := Compile(path, Options{CUDA: &cuda.Config{Precision: precision}})
	if err != nil {
		return "", err
	}
	defer m.Close()
	name := network
	if precision != cuda.Float32 {
		name += " " + precision.String()
	}
	rows := map[string]string{}
	for i, arch := range ptxasArchs {
		if arch < m.CUDA.Capability {
			continue
		}
		ptx, err := c.Compile("kernels.cu", m.CUDA.Source, arch)
		if err != nil {
			return "", err
		}
		list, err := a.Assemble(ptx, arch)
		if err != nil {
			return "", err
		}
		for _, u := range list {
			if u.Spills > 0 {
				return "", fmt.Errorf("%s spills %d bytes on sm_%d", u.Kernel, u.Spills, arch)
			}
			if rows[u.Kernel] == "" { // the earlier capabilities lack the kernel
				rows[u.Kernel] = strings.Repeat("    -     -", i)
			}
			rows[u.Kernel] += fmt.Sprintf("  %3d %5d", u.Registers, u.Shared)
		}
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(&b, "%-13s %-40s%s\n", name, k, rows[k])
	}
	return b.String(), nil
}

// assembled are the programs of the table.
var assembled = []struct {
	network   string
	precision cuda.Precision
}{
	{"lenet5", cuda.Float32},
	{"resnet50", cuda.Float32},
	{"resnet50", cuda.TF32},
	{"resnet50", cuda.F16},
	{"vgg16", cuda.Float32},
	{"densenet121", cuda.Float32},
}

// NVRTC and ptxas accept the kernels of the large networks for every architecture, no
// kernel spills registers, and testdata/ptxas.txt has what each uses. The table depends on
// the versions of NVRTC and ptxas, which it names; with others, only spills are compared.
func TestPTXAS(t *testing.T) {
	if !*long {
		t.Skip("needs -long: it takes minutes")
	}
	c, err := nvrtc.Load()
	if err != nil {
		t.Skip(err)
	}
	a, err := nvrtc.FindAssembler()
	if err != nil {
		t.Skip(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Registers of a thread and bytes of shared memory of a block, for compute capability 7.0, 8.0, 9.0 and 10.0; with tensor cores (tf32, f16) from 8.0.\n# NVRTC %s, ptxas %s\n", c.Version, a.Version)
	tables := make([]string, len(assembled))
	var wg sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0)) // networks take gigabytes
	for i, p := range assembled {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			var err error
			if tables[i], err = usageTable(c, a, t.TempDir(), p.network, p.precision); err != nil {
				t.Errorf("%s, %v: %v", p.network, p.precision, err)
			}
		})
	}
	wg.Wait()
	b.WriteString(strings.Join(tables, ""))
	const file = "testdata/ptxas.txt"
	if *update && !t.Failed() {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	version := func(text string) string { return strings.SplitN(text, "\n", 3)[1] }
	if version(string(old)) != version(b.String()) {
		t.Logf("the table has %s, this machine %s: usage is not compared", version(string(old)), version(b.String()))
		return
	}
	if d := diff.Diff(strings.Split(string(old), "\n"), strings.Split(b.String(), "\n")); d != "" {
		t.Errorf("%s is not current (-update writes it):\n%s", file, d)
	}
}
