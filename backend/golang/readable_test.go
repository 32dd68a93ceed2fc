package golang

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc/backend/cpu"
	"modelc/frontend/onnx"
	sources "modelc/frontend/source"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/passes"
)

// network compiles a network of the zoo for batch sizes.
func network(t *testing.T, name string, o zoo.Options, batches ...int) (*cpu.Program, Options) {
	t.Helper()
	var model bytes.Buffer
	if err := zoo.Write(&model, name, o); err != nil {
		t.Fatal(err)
	}
	var graphs []*ir.Graph
	for _, n := range batches {
		m, err := onnx.Parse(name, model.Bytes(), "", sources.Options{Batch: n})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := passes.Run(m.Graph, &passes.Config{}); err != nil {
			t.Fatal(err)
		}
		graphs = append(graphs, m.Graph)
	}
	return programs(t, graphs, batches)
}

// programs returns the first program of graphs, and the options of a package with
// all of them.
func programs(t *testing.T, graphs []*ir.Graph, batches []int) (*cpu.Program, Options) {
	t.Helper()
	list, err := cpu.BuildAll(graphs, cpu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Runtime: runtimePath, Header: Header{Version: "v0", SHA256: strings.Repeat("0", 64)}, Model: graphs[0].Name, Format: "text",
		Tolerance: 1e-4, Examples: batches[0]}
	for i, p := range list[1:] {
		o.More = append(o.More, Batch{batches[i+1], p})
	}
	for _, out := range graphs[0].Outputs {
		o.Golden = append(o.Golden, ir.NewTensor(out.Value.Type))
	}
	return list[0], o
}

// chain returns a graph of steps whose names try to break out, to collide with
// names of Go or of the package, or to give equal identifiers.
func chain(t *testing.T) *ir.Graph {
	t.Helper()
	names := slices.Concat(hostile, packageNames, []string{
		"+build ignore", "go:build ignore", "go:embed weights.bin", "nil", "len", "string", "range", "New", "plan8", "batch8Relu", "input", "output",
		"a.b", "a b", "a/b", "aB", "a.b2", "1", "2", "conv.1", "conv_1", "/layer1/layer1.0/conv1/Conv", strings.Repeat("block/", 30) + "conv", strings.Repeat("X", 150),
		"# heading", "- item", "[link]: http://x", "Deprecated: no", "Output: 1",
	})
	seen := map[string]bool{}
	var text strings.Builder
	fmt.Fprintf(&text, "graph %q\ninput %%%q : f32[1,16,4,4]\n", strings.Repeat("+build ignore ", 20), "input +build x")
	last := "input +build x"
	for i, n := range names {
		n = strings.ToValidUTF8(n, "?")
		if seen[n] || n == "" {
			continue
		}
		seen[n] = true
		if i%2 == 0 {
			fmt.Fprintf(&text, "%%%q = Unary(%%%q) fn=Exp\n", n, last)
		} else {
			fmt.Fprintf(&text, "%%%q = Pool(%%%q) kind=max kernel=[1,1] strides=[1,1] pads=[0,0,0,0] dilations=[1,1] countPad=false\n", n, last)
		}
		last = n
	}
	fmt.Fprintf(&text, "output %q %%%q\n", strings.Repeat("long name ", 40), last)
	g, err := ir.Parse(text.String())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Generated packages are readable: no line is longer than 120 columns, gofmt does
// not change the files, kernels refer to memory by name, and the names are those
// of the layers. Variables cost no time at start-up: the Go compiler initialises
// them.
func TestReadable(t *testing.T) {
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	module, _, _ := strings.Cut(runtimePath, "/")
	mod := fmt.Sprintf("module example.com/m\n\ngo 1.26\n\nrequire %s v0.0.0\n\nreplace %[1]s => %s\n", module, root)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o644); err != nil {
		t.Fatal(err)
	}
	steps := map[string]string{
		"lenet5": "conv1", "resnet18": "layer1_0Conv1", "densenet121": "denseblock1Denselayer1Conv1", "mobilenetv2": "features1Depthwise", "batches": "batch8Layer4_1Conv2",
	}
	networks := []string{"lenet5", "resnet18", "densenet121", "mobilenetv2", "batches", "hostile", "chain", "classifier"}
	for _, name := range networks {
		var p *cpu.Program
		var o Options
		switch name {
		case "batches":
			p, o = network(t, "resnet18", zoo.Options{Width: .25, Size: 96}, 1, 8)
			o.Flags = []string{"--batch", "1,8", "--labels", strings.Repeat("long-and \"quoted\" ", 20), strings.Repeat("x", 300)}
		case "hostile":
			p, o = program(t, "testdata/hostile.ir")
		case "classifier":
			p, o = program(t, "testdata/classifier.ir")
			takePictures(t, p, &o)
			o.Pictures.Labels[0] = strings.Repeat("long label ", 15)
		case "chain":
			p, o = programs(t, []*ir.Graph{chain(t)}, []int{1})
		case "lenet5":
			p, o = network(t, name, zoo.Options{}, 1)
		default:
			p, o = network(t, name, zoo.Options{Width: .25, Size: 64}, 1)
		}
		o.Package = name
		if _, err := Write(filepath.Join(dir, name), p, o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if h, err := ReadHeader(filepath.Join(dir, name)); err != nil || !slices.Equal(h.Flags, o.Flags) {
			t.Errorf("%s: the header has flags %q, %v", name, h.Flags, err)
		}
		declared := map[string]bool{}
		taken := reserved()
		for file, src := range tree(t, filepath.Join(dir, name)) {
			if !strings.HasSuffix(file, ".go") {
				continue
			}
			n := 0
			for line := range strings.Lines(src) {
				if n++; columns(strings.TrimRight(line, "\n")) > maxColumns {
					t.Errorf("%s/%s:%d has %d columns: %.60s…", name, file, n, columns(line), line)
				}
			}
			if formatted, err := format.Source([]byte(src)); err != nil || string(formatted) != src {
				t.Errorf("%s/%s differs from gofmt's output: %v", name, file, err)
			}
			if strings.Contains(src, "//go:build") || strings.Count(src, "//go:embed") > 1 {
				t.Errorf("%s/%s: a name became a directive", name, file)
			}
			checkNames(t, name+"/"+file, src, strings.HasPrefix(file, "layers"), declared, taken)
		}
		if want := steps[name]; want != "" && !declared[want] {
			t.Errorf("%s: no variable is called %s", name, want)
		}
	}
	// The linker removes the initialisation of a package if it does nothing.
	var main strings.Builder
	main.WriteString("package main\n\nimport (\n")
	for _, name := range networks {
		fmt.Fprintf(&main, "\t%s %q\n", name, "example.com/m/"+name)
	}
	main.WriteString(")\n\nfunc main() {\n")
	for _, name := range networks {
		fmt.Fprintf(&main, "\t%s.Open(\"\")\n", name)
	}
	main.WriteString(`	m, err := batches.New()
	if err != nil {
		panic(err)
	}
	if err := m.NewSession8().Run(batches.NewInput8(), batches.NewOutput8()); err != nil {
		panic(err)
	}
`)
	main.WriteString("}\n")
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(main.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"vet", "./..."}, {"build", "-o", "main.exe", "."}} {
		if out, err := goCommand(dir, args...); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	if !strings.Contains(tree(t, filepath.Join(dir, "batches"))["layers8.go"], "Loop: runtime.Loop{") {
		t.Error("no step of the network for batches runs for one example after another")
	}
	if out, err := exec.Command(filepath.Join(dir, "main.exe")).CombinedOutput(); err != nil {
		t.Errorf("a session for batches: %v\n%s", err, out)
	}
	symbols, err := goCommand(dir, "tool", "nm", "main.exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range networks {
		if !bytes.Contains(symbols, []byte(" example.com/m/"+name+".plan\n")) {
			t.Errorf("%s: there is no plan", name)
		}
		if bytes.Contains(symbols, []byte(" example.com/m/"+name+".init\n")) {
			t.Errorf("%s: variables are initialised at start-up", name)
		}
	}
}

// checkNames adds the variables that a generated file declares to declared.
// Variables of layers.go must not have names that the package uses elsewhere.
// Unexported names of the other files must be reserved.
func checkNames(t *testing.T, file, src string, layers bool, declared, taken map[string]bool) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, src, 0)
	if err != nil {
		t.Error(err)
		return
	}
	reserve := func(name string) {
		if !layers && !ast.IsExported(name) && !taken[name] {
			t.Errorf("%s: %s is not reserved", file, name)
		}
	}
	for _, i := range tree.Imports {
		if i.Name != nil { // the underscore
			continue
		}
		parts := strings.Split(strings.Trim(i.Path.Value, `"`), "/")
		reserve(parts[len(parts)-1])
	}
	for _, d := range tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
			reserve(f.Name.Name)
		}
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for _, n := range v.Names {
				reserve(n.Name)
				if layers && !strings.HasPrefix(n.Name, "plan") && (taken[n.Name] || declared[n.Name] || ast.IsExported(n.Name)) {
					t.Errorf("%s: variable %s", file, n.Name)
				}
				declared[n.Name] = true
			}
			if layers && len(v.Values) == 1 {
				checkKernel(t, file, v)
			}
		}
	}
}

// checkKernel reports places in memory that a kernel uses without a name.
func checkKernel(t *testing.T, file string, v *ast.ValueSpec) {
	typeOf := func(e ast.Expr) string {
		if c, ok := e.(*ast.CompositeLit); ok {
			if s, ok := c.Type.(*ast.SelectorExpr); ok {
				return s.Sel.Name
			}
		}
		return ""
	}
	if t := typeOf(v.Values[0]); t == "Ref" || t == "Image" {
		return
	}
	ast.Inspect(v.Values[0], func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && (typeOf(e) == "Ref" || typeOf(e) == "Image") {
			t.Errorf("%s: %s has a place without a name", file, v.Names[0].Name)
		}
		return true
	})
}

func goCommand(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off")
	return cmd.CombinedOutput()
}
