package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// TestRename renames a copy of this module and renames it back.
func TestRename(t *testing.T) {
	const to = "example.org/x/renamed"
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	from := modfile.ModulePath(mod)
	dir := t.TempDir()
	before := read(t, "../..")
	for name, text := range before {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n, err := rename(dir, to)
	if err != nil {
		t.Fatal(err)
	}
	if n < 100 {
		t.Errorf("%d files changed", n)
	}
	renamed := read(t, dir)
	for name, text := range renamed {
		if filepath.Ext(name) == ".go" {
			f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				if path, _ := strconv.Unquote(i.Path.Value); path == from || strings.HasPrefix(path, from+"/") {
					t.Errorf("%s imports %s", name, path)
				}
			}
		}
		if filepath.Base(name) == "go.mod" {
			f, err := modfile.Parse(name, []byte(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range f.Require {
				if r.Mod.Path == from {
					t.Errorf("%s requires %s", name, from)
				}
			}
			for _, r := range f.Replace {
				if r.Old.Path == from {
					t.Errorf("%s replaces %s", name, from)
				}
			}
		}
	}
	cmd := exec.Command("go", "list", "-deps", "./cmd/...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), to+"/cmd/modelc\n") {
		t.Errorf("go list: %v\n%s", err, &stderr)
	}
	if _, err := rename(dir, from); err != nil {
		t.Fatal(err)
	}
	for name, text := range read(t, dir) {
		if text != before[name] {
			t.Errorf("%s differs after it was renamed back", name)
		}
	}
}

// read returns the text files below a folder, except those that neither the go command nor
// readers use.
func read(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d.Name() == ".git" {
				return filepath.SkipDir
			}
			return err
		}
		switch ext := filepath.Ext(name); {
		case ext == ".go", ext == ".mod", ext == ".sum", ext == ".s", ext == ".md", ext == ".html", ext == ".txt", ext == ".txtar", ext == ".css", ext == ".js", ext == ".tmpl", ext == ".cuh", ext == ".h", ext == ".cc",
			strings.Contains(filepath.ToSlash(name), "/.ci/"), d.Name() == "LICENSE":
		default:
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		files[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestText(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"ir", "cmd"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"go.mod":     "module old\n\ngo 1.24\n\ntool old/cmd/old\n",
		"ir/ir.go":   "package ir\n\n//go:generate go run old/cmd/gen -pkg old\n\nimport \"old\"\n\nvar _ = \"old\" + old.X\n",
		"ir/more.go": "package ir\n\nimport (\n\t\"github.com/a/b\"\n\t\"old/cmd/x\"\n)\n",
		"doc.md":     "old reads `old/ir` in ../old/ir, old/other and x.org/old/ir, see (old/ir/eval):\n\tgo mod edit -require=old@v0.0.0 -replace=old=../old\n\tgo get -tool old/cmd/old@latest old/... golden older/ir\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rename(dir, "a.org/new"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"go.mod":     "module a.org/new\n\ngo 1.24\n\ntool a.org/new/cmd/old\n",
		"ir/ir.go":   "package ir\n\n//go:generate go run a.org/new/cmd/gen -pkg old\n\nimport \"a.org/new\"\n\nvar _ = \"old\" + old.X\n",
		"ir/more.go": "package ir\n\nimport (\n\t\"a.org/new/cmd/x\"\n\t\"github.com/a/b\"\n)\n",
		"doc.md":     "old reads `a.org/new/ir` in ../old/ir, old/other and x.org/old/ir, see (a.org/new/ir/eval):\n\tgo mod edit -require=a.org/new@v0.0.0 -replace=a.org/new=../old\n\tgo get -tool a.org/new/cmd/old@latest a.org/new/... golden older/ir\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil || string(got) != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, want)
		}
	}
}

func TestBadPath(t *testing.T) {
	if _, err := rename("../..", "not a path"); err == nil {
		t.Error("the path is accepted")
	}
}
