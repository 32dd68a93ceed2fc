// Package gomod asks the go command about a folder for Go code: its module, its import path
// and the packages that it can import. Without the go command it reads go.mod.
package gomod

import (
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/tools/go/packages"
)

// Place describes a folder.
type Place struct {
	Module string // root folder of the module that the folder lies in
	Path   string // import path of the folder's package
	Name   string // name of the package that the folder holds; empty if it holds none
	Go     string // version in the go line of the module, such as 1.24

	// The other fields describe the argument imported of Locate.

	Imports  bool   // whether the package of the folder can import it
	Why      string // the reason why not, if the module requires it; otherwise empty
	Imported string // folder of the imported package
}

// ErrNoGo says that the go command, which knows what a package can import, is missing.
var ErrNoGo = errors.New("the go command is missing")

// Locate describes dir, which need not exist. If the import path of a package is given, it
// also reports whether the package of dir can import it. It respects modules, workspaces,
// vendor folders and GOFLAGS like a build of the package in dir. It does not change go.mod
// files. Locate fails if dir lies in no module or the go command fails. Without the go
// command Locate returns what go.mod says, without the fields that describe imported, and
// [ErrNoGo].
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
	m, env, noGo := moduleOf(real)
	if errors.Is(noGo, exec.ErrNotFound) {
		noGo = ErrNoGo
		m, err = readModule(real)
	} else {
		err = noGo
	}
	if err != nil {
		return nil, err
	}
	if p.Path, err = m.importPath(filepath.Join(real, strings.TrimPrefix(dir, exists))); err != nil {
		return nil, err
	}
	p.Module, p.Go = m.dir, m.goVersion
	if noGo != nil {
		if exists == dir {
			p.Name = packageName(dir)
		}
		return p, noGo
	}
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
type mainModule struct{ path, dir, goVersion string }

// moduleOf returns the module that a folder lies in, and the environment in
// which the go command works there.
func moduleOf(dir string) (*mainModule, []string, error) {
	env := os.Environ()
	for range 2 {
		cmd := exec.Command("go", "list", "-m", "-f", "{{.Path}}\t{{.Dir}}\t{{.GoVersion}}")
		cmd.Dir, cmd.Env = dir, env
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return nil, nil, err
		case err != nil && strings.Contains(stderr.String(), "go.mod file not found"):
			return nil, nil, noModule(dir)
		case err != nil:
			return nil, nil, fmt.Errorf("go list -m in %s: %w: %s", dir, err, strings.TrimSpace(stderr.String()))
		}
		best := &mainModule{}
		for line := range strings.Lines(string(out)) { // a workspace has several
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			root, err := filepath.EvalSymlinks(f[1])
			if err == nil && len(root) > len(best.dir) && below(root, dir) {
				best = &mainModule{f[0], root, f[2]}
			}
		}
		if best.dir != "" {
			return best, env, nil
		}
		env = append(env, "GOWORK=off") // the workspace does not use the module
	}
	return nil, nil, noModule(dir)
}

// readModule returns the module that a folder lies in, without the go command.
func readModule(dir string) (*mainModule, error) {
	for root := dir; ; root = filepath.Dir(root) {
		path := filepath.Join(root, "go.mod")
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && root != filepath.Dir(root) {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, noModule(dir)
		}
		if err != nil {
			return nil, err
		}
		f, err := modfile.ParseLax(path, text, nil)
		if err != nil {
			return nil, err
		}
		if f.Module == nil {
			return nil, fmt.Errorf("%s: missing module declaration", path)
		}
		m := &mainModule{path: f.Module.Mod.Path, dir: root, goVersion: "1.16"} // of a module without a go line
		if f.Go != nil {
			m.goVersion = f.Go.Version
		}
		return m, nil
	}
}

// packageName returns the name of the package in dir, or "" if it holds none or several.
func packageName(dir string) string {
	p, err := build.ImportDir(dir, 0)
	if err != nil {
		return ""
	}
	return p.Name
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
