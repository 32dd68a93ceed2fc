package modelc

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

// runtimePath is the import path of package runtime in this module.
const runtimePath = "modelc/runtime"

// place is what the go command knows of a folder.
type place struct {
	module  string // folder of the module that it lies in
	path    string // import path of the package in it
	name    string // of the package that is there already, "" for none
	imports bool   // that package can import runtimePath
	why     string // it cannot though its module asks for it, "" otherwise
	runtime string // folder of the package that runtimePath is there
}

// locate asks the go command about dir, which need not exist: modules,
// workspaces, vendor folders and GOFLAGS count as they do when the package is
// built.
func locate(dir string) (*place, error) {
	exists := dir
	for !isDir(exists) && exists != filepath.Dir(exists) {
		exists = filepath.Dir(exists)
	}
	real, err := filepath.EvalSymlinks(exists)
	if err != nil {
		return nil, err
	}
	p := &place{}
	m, env, err := mainModuleOf(real)
	if err != nil {
		return nil, err
	}
	if p.path, err = m.importPath(filepath.Join(real, strings.TrimPrefix(dir, exists))); err != nil {
		return nil, err
	}
	p.module = m.dir
	// Of a folder without Go files go/packages knows nothing, hence mainModule.
	list, err := packages.Load(&packages.Config{Dir: exists, Env: env, Mode: packages.NeedName | packages.NeedFiles}, ".", runtimePath)
	if err != nil {
		return nil, fmt.Errorf("where %s lies the go command fails: %w", dir, err)
	}
	for _, l := range list {
		switch {
		case l.PkgPath == runtimePath:
			p.imports = l.Name != "" && len(l.Errors) == 0
			if len(l.GoFiles) > 0 {
				p.runtime = filepath.Dir(l.GoFiles[0])
			}
			for _, e := range l.Errors {
				if !strings.Contains(e.Msg, "is not in std") { // what is said of an unknown module without a dot
					p.why = e.Msg
				}
			}
		case exists == dir:
			p.name = l.Name
		}
	}
	return p, nil
}

// mainModule is a module that the go command works in.
type mainModule struct{ path, dir string }

// mainModuleOf returns the module that a folder lies in, and the environment
// in which the go command works there.
func mainModuleOf(dir string) (*mainModule, []string, error) {
	env := os.Environ()
	for range 2 {
		cmd := exec.Command("go", "list", "-m", "-f", "{{.Path}}\t{{.Dir}}")
		cmd.Dir, cmd.Env = dir, env
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return nil, nil, fmt.Errorf("the go command, which knows the module of %s, is not there: install Go", dir)
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
		env = append(env, "GOWORK=off") // the workspace does without the module
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
