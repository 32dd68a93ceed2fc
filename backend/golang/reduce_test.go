package golang

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"modelc/runtime"
	"modelc/runtime/kernel"
)

// runtimeSource reads package runtime and the packages below it, without tests.
func runtimeSource(t *testing.T) Files {
	t.Helper()
	files := Files{}
	for _, dir := range runtimeFolders {
		paths, err := filepath.Glob(filepath.Join("../../runtime", dir, "*.[gs]*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			if strings.HasSuffix(p, "_test.go") {
				continue
			}
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			files[path.Join(dir, filepath.Base(p))] = b
		}
	}
	return files
}

// platform is a platform of the Go toolchain, with an additional build tag.
type platform struct{ os, arch, tag string }

func (p platform) takes(name string, src []byte) bool {
	tags := []string{p.os, p.arch, p.tag}
	if p.os != "windows" && p.os != "js" {
		tags = append(tags, "unix")
	}
	base, _, _ := strings.Cut(filepath.Base(name), ".")
	for _, other := range []string{"amd64", "arm64", "linux", "windows", "darwin"} {
		if strings.HasSuffix(base, "_"+other) && !slices.Contains(tags, other) {
			return false
		}
	}
	for line := range strings.Lines(string(src)) {
		if x, err := constraint.Parse(strings.TrimSpace(line)); err == nil {
			return x.Eval(func(tag string) bool { return slices.Contains(tags, tag) })
		}
	}
	return true
}

// The runtime, reduced to any one kernel, compiles on every platform: all names
// are declared, no import is unused, and every function has a body. This holds
// with all micro-kernels, and without those that the printer leaves out.
func TestReduceKernels(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector, which has nothing to find here, and is the same on all tiers")
	}
	source := runtimeSource(t)
	all := 0
	for name, b := range source {
		if path.Dir(name) != "vision" {
			all += len(b)
		}
	}
	run := regexp.MustCompile(`(?m)^func \(k \*(\w+)(?:\[.*?\])?\) Run\(c \*(?:kernel\.)?Context\)`)
	std := importer.ForCompiler(token.NewFileSet(), "source", nil)
	var variants []map[string]*parsed
	for _, plan := range []*runtime.Plan{{}, {Double: true, Steps: everything}} {
		p, err := parseRuntime(source, cutsOf([]*runtime.Plan{plan}), !plan.Double)
		if err != nil {
			t.Fatal(err)
		}
		variants = append(variants, p)
	}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(source)) {
		dir := path.Dir(name)
		for _, m := range run.FindAllStringSubmatch(string(source[name]), -1) {
			n++
			user := fmt.Sprintf(`package p

import (
	"example.org/p/internal/runtime"
	"example.org/p/internal/runtime/%s"
)

var plan = runtime.Plan{Steps: []runtime.Step{{Kernel: &%s.%s}}}

func open(path string) (*runtime.Model, error) { return runtime.OpenModel(&plan, path, nil) }
func with(t int) { _ = runtime.Options{Threads: t}; _ = runtime.BytesOf[float32] }
`, dir, path.Base(dir), m[1])
			out, err := reduce(variants[n%2], Files{"p.go": []byte(user)}, "example.org/p/internal/runtime")
			if err != nil {
				t.Fatal(err)
			}
			size := 0
			for _, b := range out {
				size += len(b)
			}
			if size >= all*95/100 {
				t.Errorf("%s keeps %d of %d bytes", m[1], size, all)
			}
			for _, p := range []platform{{"linux", "amd64", ""}, {"windows", "amd64", "purego"}, {"darwin", "arm64", ""}, {"js", "wasm", ""}} {
				c := checker{t: t, std: std, kernel: m[1], on: p, files: out, done: map[string]*types.Package{}}
				for _, dir := range runtimeFolders {
					c.check(dir)
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("%d kernels found", n)
	}
}

// everything has steps that use every micro-kernel.
var everything = func() (steps []runtime.Step) {
	conv := kernel.ConvFirst{C: 3, Dst: kernel.Image{N: 1, C: 40, H: 9, W: 9}}
	pool := kernel.Pool{Src: conv.Dst, Dst: kernel.Image{N: 1, C: 40, H: 3, W: 3}, KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1}
	for _, k := range []kernel.Kernel{&kernel.Conv{}, &conv, &pool, &kernel.GlobalPool{}, &kernel.Affine{Act: kernel.Act{Fn: kernel.ActGelu}}} {
		steps = append(steps, runtime.Step{Kernel: k})
	}
	return steps
}()

// checker type-checks the packages of a copied runtime for a platform.
type checker struct {
	t      *testing.T
	std    types.Importer
	kernel string
	on     platform
	files  Files
	done   map[string]*types.Package
}

// Import implements types.Importer.
func (c *checker) Import(full string) (*types.Package, error) {
	if below, ok := strings.CutPrefix(full, "example.org/p/internal/runtime"); ok {
		return c.check(strings.TrimPrefix(below, "/")), nil
	}
	return c.std.Import(full)
}

// check type-checks a package, and checks that functions without a body have one
// in assembly.
func (c *checker) check(dir string) *types.Package {
	if dir == "" {
		dir = "."
	}
	if p := c.done[dir]; p != nil {
		return p
	}
	t, kernel, p := c.t, c.kernel, c.on
	set := token.NewFileSet()
	var trees []*ast.File
	bodies := map[string]bool{}
	for name, src := range c.files {
		if path.Dir(name) != dir || !p.takes(name, src) {
			continue
		}
		if strings.HasSuffix(name, ".s") {
			for line := range strings.Lines(string(src)) {
				if strings.HasPrefix(line, "TEXT ") {
					bodies[symbolOf(line)] = true
				}
			}
			continue
		}
		if path.Ext(name) != ".go" {
			continue
		}
		f, err := parser.ParseFile(set, name, src, 0)
		if err != nil {
			t.Fatalf("%s on %v: %v", kernel, p, err)
		}
		trees = append(trees, f)
	}
	config := types.Config{Importer: c, Error: func(err error) {
		if !strings.Contains(err.Error(), "undefined: syscall.") { // the importer reads syscall for this machine's platform
			t.Errorf("%s on %v: %v", kernel, p, err)
		}
	}}
	pkg, _ := config.Check(path.Join("example.org/p/internal/runtime", dir), set, trees, nil)
	c.done[dir] = pkg
	for _, f := range trees {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body == nil {
				if !bodies[fn.Name.Name] {
					t.Errorf("%s on %v: %s has no body", kernel, p, fn.Name.Name)
				}
				delete(bodies, fn.Name.Name)
			}
		}
	}
	for name := range bodies {
		t.Errorf("%s on %v: assembly %s without a declaration", kernel, p, name)
	}
	return pkg
}

// A declaration is kept if a kept declaration mentions it in any way.
func TestReduce(t *testing.T) {
	files := Files{
		"doc.go": []byte("// Package p.\n//\n// More of the whole package.\npackage p\n"),
		"a.go": []byte(`package p

import (
	"fmt"
	str "strings"
)

// Root is wanted.
func Root() iface { return box{} } // yes

// iface is reached through its result.
type iface interface{ part() }

type box struct{ inner }

type inner struct{}

func (inner) part()          { asm(table[one]) }
func (inner) unused()        { fmt.Println() }
func (inner) Unused()        { fmt.Println() }
func (inner) String() string { return str.ToUpper(gone) }

const (
	zero = iota
	one
)

var table = [...]int{zero: 1, one: 2} // here

const gone = "still: String, which package fmt calls, mentions it"

func away() { lost() }
`),
		"b.go":       []byte("package p\n\nfunc asm(x int)\nfunc lost()\nfunc called(x int)\n"),
		"b_amd64.s":  []byte("// made\n\n#include \"textflag.h\"\n\n// asm does.\nTEXT ·asm(SB), NOSPLIT, $0-8\n\tMOVQ c<>(SB), AX\n\tCALL ·called(SB)\n\tRET\n\n// lost is.\nTEXT ·lost(SB), NOSPLIT, $0\n\tMOVQ d<>(SB), AX\n\tRET\n\nDATA c<>+0(SB)/8, $1\nGLOBL c<>(SB), RODATA, $8\nDATA d<>+0(SB)/8, $1\nGLOBL d<>(SB), RODATA, $8\n\n// called is.\nTEXT ·called(SB), NOSPLIT, $0-8\n\tRET\n"),
		"unused.go":  []byte("package p\n\nimport \"os\"\n\nfunc file() { os.Exit(1) }\n"),
		"unused.s":   []byte("TEXT ·file(SB), NOSPLIT, $0\n\tRET\n"),
		"init_it.go": []byte("package p\n\nfunc init() { started = true }\n\nvar started bool\n"),
	}
	p, err := parsePackage(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.reached["Root"] = true
	reach(map[string]*parsed{"": p}, map[string]bool{})
	out, err := p.print("", runtimeModule)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(out)) {
		text.WriteString(name + "\n" + string(out[name]))
	}
	for _, want := range []string{"// Package p.", "// Root is wanted.", "// yes", "type iface", "type inner", "part()", "String()", "str \"strings\"", "zero = iota", "// here", "const gone",
		"func asm(x int)", "// asm does.\nTEXT ·asm", "func called(x int)", "DATA c<>", "GLOBL c<>", "// called is.\nTEXT ·called", "#include", "func init()", "var started"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, lost := range []string{"unused", "Unused", "\"fmt\"", "of the whole package", "away", "lost", "d<>", "os"} {
		if strings.Contains(text.String(), lost) {
			t.Errorf("%q is left", lost)
		}
	}
	if t.Failed() {
		t.Log(text.String())
	}
}
