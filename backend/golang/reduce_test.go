package golang

import (
	"go/ast"
	"go/build/constraint"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// runtimeSource reads package runtime and what lies below it, without tests.
func runtimeSource(t *testing.T) Files {
	t.Helper()
	files := Files{}
	for _, dir := range []string{"", "vision/"} {
		paths, err := filepath.Glob("../../runtime/" + dir + "*.[gs]*")
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
			files[dir+filepath.Base(p)] = b
		}
	}
	return files
}

// platform tells which files the toolchain takes there.
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

// What is left of the runtime for one kernel, whichever it is, is a package on
// every platform: all names declared, no import unused, a body for every
// function.
func TestReduceKernels(t *testing.T) {
	source := runtimeSource(t)
	all := 0
	runtimeFiles := Files{}
	for name, b := range source {
		if !strings.Contains(name, "/") {
			runtimeFiles[name] = b
			all += len(b)
		}
	}
	p, err := parsePackage(runtimeFiles)
	if err != nil {
		t.Fatal(err)
	}
	kernel := regexp.MustCompile(`(?m)^func \(k \*(\w+)(?:\[.*?\])?\) Run\(c \*Context\)`)
	std := importer.ForCompiler(token.NewFileSet(), "source", nil)
	n := 0
	for _, name := range slices.Sorted(maps.Keys(runtimeFiles)) {
		for _, m := range kernel.FindAllStringSubmatch(string(runtimeFiles[name]), -1) {
			n++
			roots := map[string]bool{m[1]: true}
			for _, r := range []string{"NewModel", "MapFile", "Payload", "BytesOf", "BytesOfString", "Options", "Act"} {
				roots[r] = true
			}
			out, err := p.reduce(roots, map[string]bool{})
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
				check(t, std, m[1], p, out)
			}
		}
	}
	if n < 30 {
		t.Errorf("%d kernels found", n)
	}
}

// check type-checks the files that p takes and looks for the bodies of
// functions without one.
func check(t *testing.T, std types.Importer, kernel string, p platform, files Files) {
	t.Helper()
	set := token.NewFileSet()
	var trees []*ast.File
	bodies := map[string]bool{}
	for name, src := range files {
		if !p.takes(name, src) {
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
		f, err := parser.ParseFile(set, name, src, 0)
		if err != nil {
			t.Errorf("%s on %v: %v", kernel, p, err)
			return
		}
		trees = append(trees, f)
	}
	c := types.Config{Importer: std, Error: func(err error) {
		if !strings.Contains(err.Error(), "undefined: syscall.") { // the importer's platform is this one
			t.Errorf("%s on %v: %v", kernel, p, err)
		}
	}}
	c.Check("runtime", set, trees, nil)
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
}

// A declaration stays when something that stays mentions it, whichever way.
func TestReduce(t *testing.T) {
	files := Files{
		"doc.go": []byte("// Package p.\npackage p\n"),
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

func (inner) part()       { asm(table[one]) }
func (inner) unused()     { fmt.Println() }
func (inner) Exported()   { str.ToUpper(gone) }

const (
	zero = iota
	one
)

var table = [...]int{zero: 1, one: 2} // here

const gone = "still: Exported mentions it"

func away() { lost() }
`),
		"b.go":       []byte("package p\n\nfunc asm(x int)\nfunc lost()\nfunc called(x int)\n"),
		"b_amd64.s":  []byte("// made\n\n#include \"textflag.h\"\n\n// asm does.\nTEXT ·asm(SB), NOSPLIT, $0-8\n\tMOVQ c<>(SB), AX\n\tCALL ·called(SB)\n\tRET\n\n// lost is.\nTEXT ·lost(SB), NOSPLIT, $0\n\tMOVQ d<>(SB), AX\n\tRET\n\nDATA c<>+0(SB)/8, $1\nGLOBL c<>(SB), RODATA, $8\nDATA d<>+0(SB)/8, $1\nGLOBL d<>(SB), RODATA, $8\n\n// called is.\nTEXT ·called(SB), NOSPLIT, $0-8\n\tRET\n"),
		"unused.go":  []byte("package p\n\nimport \"os\"\n\nfunc file() { os.Exit(1) }\n"),
		"unused.s":   []byte("TEXT ·file(SB), NOSPLIT, $0\n\tRET\n"),
		"init_it.go": []byte("package p\n\nfunc init() { started = true }\n\nvar started bool\n"),
	}
	p, err := parsePackage(files)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.reduce(map[string]bool{"Root": true}, map[string]bool{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(out)) {
		text.WriteString(name + "\n" + string(out[name]))
	}
	for _, want := range []string{"// Package p.", "// Root is wanted.", "// yes", "type iface", "type inner", "part()", "Exported()", "import str \"strings\"", "zero = iota", "// here", "const gone",
		"func asm(x int)", "// asm does.\nTEXT ·asm", "func called(x int)", "DATA c<>", "GLOBL c<>", "// called is.\nTEXT ·called", "#include", "func init()", "var started"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, lost := range []string{"unused", "fmt", "away", "lost", "d<>", "os"} {
		if strings.Contains(text.String(), lost) {
			t.Errorf("%q is left", lost)
		}
	}
	if t.Failed() {
		t.Log(text.String())
	}
}
