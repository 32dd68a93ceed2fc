package modelc

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"modelc/backend/golang"
)

// runtimeSource holds package runtime and the packages below it, for packages
// that cannot import them from this module, and the licence.
//
//go:embed LICENSE runtime/*.go runtime/kernel/*.go runtime/kernel/plain/*.go runtime/internal/*/*.go runtime/internal/*/*.s runtime/vision/*.go
var runtimeSource embed.FS

// setRuntime decides the package's name, where its runtime comes from, and
// what of it must be written.
func (t *target) setRuntime(o PackageOptions) error {
	t.options.Package, t.options.Runtime = o.Package, o.Runtime
	if o.Package == "" {
		t.options.Package = golang.PackageName(filepath.Base(t.dir))
	}
	if o.Runtime != "" {
		return nil
	}
	at, err := locate(t.dir)
	if err != nil {
		return err
	}
	switch {
	case at.name == "main":
		return fmt.Errorf("%s holds a program, package main: a model needs a folder of its own", t.dir)
	case at.name != "" && o.Package == "":
		t.options.Package = at.name
	}
	switch {
	case o.SharedRuntime != "":
		if t.sharedDir, err = filepath.Abs(o.SharedRuntime); err != nil {
			return err
		}
		shared, err := locate(t.sharedDir)
		if err != nil {
			return err
		}
		if shared.module != at.module {
			return fmt.Errorf("the runtime in %s is to be shared by %s, which lies in another module, %s", t.sharedDir, t.dir, at.module)
		}
		if i := strings.LastIndex("/"+shared.path+"/", "/internal/"); i >= 0 && !strings.HasPrefix(at.path+"/", shared.path[:max(0, i-1)]+"/") {
			return fmt.Errorf("package %s cannot import %s, which is internal to %s: choose another folder for the runtime", at.path, shared.path, shared.path[:max(0, i-1)])
		}
		t.options.Runtime = shared.path
		t.shared, err = runtimeFiles()
		return err
	case at.imports && !o.Standalone:
		t.options.Runtime = runtimePath
		same, err := isRuntime(at.runtime)
		if err == nil && !same {
			t.notes = append(t.notes, "the modelc/runtime that the module imports is not of this version of modelc: call the one that the module names, go tool modelc or go run modelc/cmd/modelc")
		}
		return err
	case at.why != "" && !o.Standalone:
		t.notes = append(t.notes, "the module names modelc and cannot import it, so the runtime was copied: "+at.why)
	}
	t.options.Runtime = path.Join(at.path, golang.RuntimeDir)
	t.options.RuntimeSource, err = runtimeFiles()
	return err
}

// isRuntime reports whether dir holds the runtime that this version of the
// compiler writes plans for.
func isRuntime(dir string) (bool, error) {
	files, err := runtimeFiles()
	if err != nil {
		return false, err
	}
	for name, want := range files {
		if path.Ext(name) != ".go" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, path.Dir(name))); errors.Is(err, fs.ErrNotExist) {
			continue // go mod vendor leaves out packages that the module does not import
		}
		if got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil || !bytes.Equal(got, want) {
			return false, nil
		}
	}
	return true, nil
}

// runtimeFiles returns the sources of package runtime and of the packages below
// it, without tests, by their path below runtime/, and the licence.
func runtimeFiles() (golang.Files, error) {
	files := golang.Files{}
	err := fs.WalkDir(runtimeSource, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		files[strings.TrimPrefix(name, "runtime/")], err = runtimeSource.ReadFile(name)
		return err
	})
	return files, err
}

// WriteRuntime writes the sources of package runtime to dir, for a module
// named modelc that holds nothing else but generated packages.
func WriteRuntime(dir string) error {
	files, err := runtimeFiles()
	if err != nil {
		return err
	}
	for name, b := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
