package modelc

import (
	"errors"
	"fmt"
	"go/version"
	"path"
	"path/filepath"
	"strings"

	"modelc/backend/golang"
	"modelc/internal/gomod"
	"modelc/internal/modpath"
)

// target is a package to write.
type target struct {
	dir       string // absolute path of the package's folder
	options   golang.Options
	sharedDir string       // absolute path of the shared runtime's folder
	shared    golang.Files // the files of the shared runtime; nil if there is none
	notes     []string
}

// setRuntime sets the name of the package, the import path of its runtime, and the
// files of the runtime that must be copied.
func (t *target) setRuntime(o PackageOptions) (err error) {
	t.options.Package, t.options.Runtime = o.Package, o.Runtime
	if o.Package == "" {
		t.options.Package = golang.PackageName(filepath.Base(t.dir))
	}
	if o.SharedRuntime != "" {
		if t.sharedDir, err = filepath.Abs(o.SharedRuntime); err != nil {
			return err
		}
		if t.shared, err = runtimeFiles(); err != nil {
			return err
		}
	}
	if o.Runtime != "" {
		return nil
	}
	runtime := modpath.Package("runtime")
	at, err := gomod.Locate(t.dir, runtime)
	switch noGo := errors.Is(err, gomod.ErrNoGo); {
	case noGo && !o.Standalone && t.shared == nil:
		return fmt.Errorf("%w, which finds out whether the module of %s imports modelc: install Go %s or later, or give --standalone", err, t.dir, golang.MinimumGo)
	case err != nil && !noGo:
		return err
	}
	if version.Compare("go"+at.Go, "go"+golang.MinimumGo) < 0 {
		return fmt.Errorf("%s selects Go %s, but the package needs Go %s: run `go mod edit -go=%[3]s` there", filepath.Join(at.Module, "go.mod"), at.Go, golang.MinimumGo)
	}
	switch {
	case at.Name == "main":
		return fmt.Errorf("%s holds a program, package main: choose another folder for the model", t.dir)
	case at.Name != "" && o.Package == "":
		t.options.Package = at.Name
	}
	switch {
	case t.shared != nil:
		t.options.Runtime, err = t.sharedPath(at)
		return err
	case at.Imports && !o.Standalone:
		t.options.Runtime = runtime
		same, err := isRuntime(at.Imported)
		if err == nil && !same {
			t.notes = append(t.notes, fmt.Sprintf("the module imports %s of another version of modelc: use that version, with go tool modelc or go run %s", runtime, modpath.Package("cmd/modelc")))
		}
		return err
	case at.Why != "" && !o.Standalone:
		t.notes = append(t.notes, "the module requires modelc but cannot import it, so the runtime was copied: "+at.Why)
	}
	t.options.Runtime = path.Join(at.Path, golang.RuntimeDir)
	t.options.RuntimeSource, err = runtimeFiles()
	return err
}

// sharedPath returns the import path of the shared runtime. It returns an error if
// the package at the place at cannot import it.
func (t *target) sharedPath(at *gomod.Place) (string, error) {
	shared, err := gomod.Locate(t.sharedDir)
	if err != nil && !errors.Is(err, gomod.ErrNoGo) {
		return "", err
	}
	if shared.Module != at.Module {
		return "", fmt.Errorf("the runtime in %s cannot be shared by %s, which lies in another module, %s", t.sharedDir, t.dir, at.Module)
	}
	if i := strings.LastIndex("/"+shared.Path+"/", "/internal/"); i >= 0 {
		parent := shared.Path[:max(0, i-1)]
		if !strings.HasPrefix(at.Path+"/", parent+"/") {
			return "", fmt.Errorf("package %s cannot import %s, which is internal to %s: choose another folder for the runtime", at.Path, shared.Path, parent)
		}
	}
	return shared.Path, nil
}
