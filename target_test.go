package modelc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelc/internal/modpath"
)

// A package imports the runtime that the go command finds, with modules, workspaces,
// replacements and vendor folders.
func TestRuntimeOf(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOWORK", "")
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const runtime = "package runtime\n"
	// A module with the same path and no requirements replaces this module, because
	// the toolchain would check the requirements.
	self, imported := modpath.Module, modpath.Package("runtime")
	put("self/go.mod", "module "+self+"\n\ngo 1.24\n")
	put("self/runtime/runtime.go", runtime)
	put("alone/go.mod", "module example.com/alone\n\ngo 1.24\n")
	put("alone/used/used.go", "package other\n")
	put("alone/used/other_test.go", "package other_test\n")
	put("alone/prog/main.go", "package main\n")
	put("alone/nested/go.mod", "module example.com/nested // has no requirements\n\ngo 1.24\n")
	put("old/go.mod", "module example.com/old\n\ngo 1.22\n")
	put("older/go.mod", "module example.com/older\n")
	put("replaced/go.mod", "module example.com/replaced\n\ngo 1.24\n\nrequire "+self+" v0.0.0\n\nreplace "+self+" => ../self\n")
	put("replaced/nested/go.mod", "module example.com/nested\n\ngo 1.24\n")
	put("required/go.mod", "module example.com/required\n\ngo 1.24\n\nrequire "+self+" v0.1.0\n")
	put("work/go.work", "go 1.24\n\nuse (\n\t./in\n\t../self\n)\n")
	put("work/in/go.mod", "module example.com/in\n\ngo 1.24\n")
	put("work/out/go.mod", "module example.com/out\n\ngo 1.24\n")
	for _, v := range []string{"vendored", "without"} {
		put(v+"/go.mod", "module example.com/"+v+"\n\ngo 1.24\n\nrequire "+self+" v0.1.0\n")
		modules := "# " + self + " v0.1.0\n## explicit; go 1.24\n"
		if v == "vendored" {
			modules += imported + "\n"
			put(v+"/vendor/"+imported+"/runtime.go", runtime)
		}
		put(v+"/vendor/modules.txt", modules)
	}
	put("broken/go.mod", "modul example.com/x\n")
	put("unnamed/go.mod", "go 1.24\n")
	put("nowhere/x.txt", "")

	for _, c := range []struct {
		dir    string
		o      PackageOptions
		name   string // of the package
		path   string // import path of the runtime
		copied bool
		flags  string // GOFLAGS
		err    string
	}{
		{dir: "alone/a/b-c", name: "bc", path: "example.com/alone/a/b-c/internal/runtime", copied: true},
		{dir: "alone", name: "alone", path: "example.com/alone/internal/runtime", copied: true},
		{dir: "alone/a", name: "a", path: "example.com/alone/a/internal/runtime", copied: true, flags: "-mod=mod"},
		{dir: "alone/used", name: "other", path: "example.com/alone/used/internal/runtime", copied: true},
		{dir: "alone/used", o: PackageOptions{Package: "mine"}, name: "mine", path: "example.com/alone/used/internal/runtime", copied: true},
		{dir: "alone/nested/a", name: "a", path: "example.com/nested/a/internal/runtime", copied: true},
		{dir: "replaced/x", name: "x", path: imported},
		{dir: "replaced/x", name: "x", path: imported, flags: "-mod=mod"},
		{dir: "replaced/x", o: PackageOptions{Standalone: true}, name: "x", path: "example.com/replaced/x/internal/runtime", copied: true},
		{dir: "replaced/nested/x", name: "x", path: "example.com/nested/x/internal/runtime", copied: true},
		{dir: "required/x", name: "x", path: "example.com/required/x/internal/runtime", copied: true}, // required, but not available
		{dir: "work/in/x", name: "x", path: imported},
		{dir: "work/out/x", name: "x", path: "example.com/out/x/internal/runtime", copied: true},
		{dir: "self/examples/x", name: "x", path: imported},
		{dir: "vendored/x", name: "x", path: imported},
		{dir: "vendored/x", name: "x", path: imported, flags: "-mod=vendor"},
		{dir: "without/x", name: "x", path: "example.com/without/x/internal/runtime", copied: true},
		{dir: "alone/x", o: PackageOptions{SharedRuntime: "alone/internal/rt"}, name: "x", path: "example.com/alone/internal/rt"},
		{dir: "replaced/x", o: PackageOptions{SharedRuntime: "replaced/rt"}, name: "x", path: "example.com/replaced/rt"},
		{dir: "alone/x", o: PackageOptions{SharedRuntime: "alone/y/internal/rt"}, err: "internal to example.com/alone/y: choose another"},
		{dir: "alone/x", o: PackageOptions{SharedRuntime: "replaced/rt"}, err: "another module"},
		{dir: "alone/x y", err: "choose another folder"},
		{dir: "alone/prog", err: "package main"},
		{dir: "broken/x", err: "go.mod"},
		{dir: "unnamed/x", err: "missing module declaration"},
		{dir: "nowhere/x", err: "lies in no Go module"},
		{dir: "old/x", err: "go.mod selects Go 1.22, but the package needs Go 1.24: run `go mod edit -go=1.24` there"},
		{dir: "older/x", err: "selects Go 1.16"},
	} {
		t.Setenv("GOFLAGS", c.flags)
		if c.o.SharedRuntime != "" {
			c.o.SharedRuntime = filepath.Join(root, filepath.FromSlash(c.o.SharedRuntime))
		}
		got := &target{dir: filepath.Join(root, filepath.FromSlash(c.dir))}
		err := got.setRuntime(c.o)
		switch o := got.options; {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.dir, err, c.err)
			}
		case err != nil || o.Package != c.name || o.Runtime != c.path || (o.RuntimeSource != nil) != c.copied || (got.shared != nil) != (c.o.SharedRuntime != ""):
			t.Errorf("%s %s: package %s, runtime %q, copied %v, shared %v, %v; want %s, %q, %v", c.dir, c.flags, o.Package, o.Runtime, o.RuntimeSource != nil, got.shared != nil, err, c.name, c.path, c.copied)
		}
		want := ""
		switch {
		case c.dir == "required/x":
			want = "cannot import it"
		case c.path == imported: // the replacement has another runtime
			want = "of another version"
		}
		if note := strings.Join(got.notes, ""); (note != "") != (want != "") || !strings.Contains(note, want) {
			t.Errorf("%s: note %q, want %q", c.dir, note, want)
		}
	}
}

// Without the go command, a standalone package is placed by go.mod.
func TestTargetWithoutGo(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("m/go.mod", "module example.com/m\n\ngo 1.24\n")
	write("m/used/used.go", "package other\n")
	write("m/prog/main.go", "package main\n")
	write("old/go.mod", "module example.com/old\n\ngo 1.21\n")
	write("broken/go.mod", "modul x\n")
	t.Setenv("PATH", "")
	for _, c := range []struct {
		dir             string
		standalone      bool
		name, path, err string
	}{
		{dir: "m/a/b", standalone: true, name: "b", path: "example.com/m/a/b/internal/runtime"},
		{dir: "m/used", standalone: true, name: "other", path: "example.com/m/used/internal/runtime"},
		{dir: "m/prog", standalone: true, err: "package main"},
		{dir: "m/a", err: "install Go 1.24 or later, or give --standalone"},
		{dir: "old/a", standalone: true, err: "go mod edit"},
		{dir: "broken/a", standalone: true, err: "go.mod"},
		{dir: "a", standalone: true, err: "lies in no Go module"},
	} {
		got := &target{dir: filepath.Join(root, filepath.FromSlash(c.dir))}
		err := got.setRuntime(PackageOptions{Standalone: c.standalone})
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.dir, err, c.err)
			}
		case err != nil || got.options.Package != c.name || got.options.Runtime != c.path || got.options.RuntimeSource == nil:
			t.Errorf("%s: package %s, runtime %s, %v; want %s, %s", c.dir, got.options.Package, got.options.Runtime, err, c.name, c.path)
		}
	}
}

func TestIsRuntime(t *testing.T) {
	if same, err := isRuntime("runtime"); err != nil || !same {
		t.Error(same, err)
	}
	if same, err := isRuntime("ir"); err != nil || same {
		t.Error(same, err)
	}
}
