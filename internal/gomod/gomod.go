// Package gomod asks the go command about a folder for Go code: its module, its import path
// and the packages that it can import.
package gomod

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/tools/go/packages"
)

// Place describes a folder.
type Place struct {
	Module string // root folder of the module that the folder lies in
	Path   string // import path of the folder's package
	Name   string // name of the package that the folder holds; empty if it holds none

	// The other fields describe the argument imported of Locate.

	Imports  bool   // whether the package of the folder can import it
	Why      string // the reason why not, if the module requires it; otherwise empty
	Imported string // folder of the imported package
}

// Locate describes dir, which need not exist. If the import path of a package is given, it
// also reports whether the package of dir can import it. It respects modules, workspaces,
// vendor folders and GOFLAGS like a build of the package in dir. It does not change go.mod
// files. Locate fails if dir lies in no module or the go command fails.
func Locate(dir string, imported ...string) (*Place, error) {
	exists := dir
	for !isDir(exists) && exists != filepath.Dir(exists) {
		exists = filepath.Dir(exists)
	}
	real, err := filepath.EvalSymlinks(exists)
	if err != nil {
		return nil, err
	}
	p := &Place{}
	m, env, err := moduleOf(real)
	if err != nil {
		return nil, err
	}
	if p.Path, err = m.importPath(filepath.Join(real, strings.TrimPrefix(dir, exists))); err != nil {
		return nil, err
	}
	p.Module = m.dir
	// packages.Load does not report the module of a folder without Go files; moduleOf
	// does.
	cfg := &packages.Config{Dir: exists, Env: env, Mode: packages.NeedName | packages.NeedFiles}
	if strings.Contains(os.Getenv("GOFLAGS"), "-mod=mod") {
		cfg.BuildFlags = []string{"-mod=readonly"} // -mod=mod would add the module of a package that go.mod does not require
	}
	list, err := packages.Load(cfg, append(imported, ".")...)
	if err != nil {
		return nil, fmt.Errorf("the go command fails in %s: %w", exists, err)
	}
	for _, l := range list {
		switch {
		case len(imported) > 0 && l.PkgPath == imported[0]:
			p.Imports = l.Name != "" && len(l.Errors) == 0
			if len(l.GoFiles) > 0 {
				p.Imported = filepath.Dir(l.GoFiles[0])
			}
			for _, e := range l.Errors {
				if !unknown(e.Msg) {
					p.Why = e.Msg
				}
			}
		case exists == dir:
			p.Name = l.Name
		}
	}
	return p, nil
}

// unknown reports whether msg, an error of the go command, means only that no required module
// has a package. The text depends on whether the path has a dot, and on the flag -mod.
func unknown(msg string) bool {
	for _, s := range []string{"is not in std", "no required module provides package", "cannot find module providing package"} {
		if strings.Contains(msg, s) {
			return true
		}
	}
	return false
}

// mainModule is a module in which the go command works.
type mainModule struct{ path, dir string }

// moduleOf returns the module that a folder lies in, and the environment in
// which the go command works there.
func moduleOf(dir string) (*mainModule, []string, error) {
	env := os.Environ()
	for range 2 {
		cmd := exec.Command("go", "list", "-m", "-f", "{{.Path}}\t{{.Dir}}")
		cmd.Dir, cmd.Env = dir, env
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return nil, nil, fmt.Errorf("the go command, which reports the module of %s, is missing: install Go", dir)
		case err != nil && strings.Contains(stderr.String(), "go.mod file not found"):
			return nil, nil, noModule(dir)
		case err != nil:
			return nil, nil, fmt.Errorf("go list -m in %s: %w: %s", dir, err, strings.TrimSpace(stderr.String()))
		}
		best := &mainModule{}
		for line := range strings.Lines(string(out)) { // a workspace has several
			path, root, _ := strings.Cut(strings.TrimSpace(line), "\t")
			root, err := filepath.EvalSymlinks(root)
			if err == nil && len(root) > len(best.dir) && below(root, dir) {
				best = &mainModule{path, root}
			}
		}
		if best.dir != "" {
			return best, env, nil
		}
		env = append(env, "GOWORK=off") // the workspace does not use the module
	}
	return nil, nil, noModule(dir)
}

func noModule(dir string) error {
	return fmt.Errorf("%s lies in no Go module: run `go mod init NAME` there first", dir)
}

// importPath returns the import path of the package in dir.
func (m *mainModule) importPath(dir string) (string, error) {
	rel, err := filepath.Rel(m.dir, dir)
	if err != nil {
		return "", err
	}
	p := path.Join(m.path, filepath.ToSlash(rel))
	if err := module.CheckImportPath(p); err != nil {
		return "", fmt.Errorf("no package can be imported from %s: %w: choose another folder", dir, err)
	}
	return p, nil
}

// below reports whether path is root or lies below it.
func below(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && filepath.IsLocal(rel)
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
