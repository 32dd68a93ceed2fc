package modelc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/mod/modfile"

	"modelc/backend/golang"
)

// runtimeFor returns the import path of the runtime for a package in dir, and
// whether it must be copied there.
func runtimeFor(dir string, standalone bool) (importPath string, copied bool, err error) {
	for root := dir; ; root = filepath.Dir(root) {
		b, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if errors.Is(err, fs.ErrNotExist) || isFile(root) {
			if root == filepath.Dir(root) {
				return "", false, fmt.Errorf("%s lies in no Go module: run `go mod init` in its parent first", dir)
			}
			continue
		}
		if err != nil {
			return "", false, err
		}
		mod, err := modfile.ParseLax(filepath.Join(root, "go.mod"), b, nil)
		if err != nil {
			return "", false, err
		}
		if mod.Module == nil {
			return "", false, fmt.Errorf("%s names no module", filepath.Join(root, "go.mod"))
		}
		self := mod.Module.Mod.Path
		needs := self == "modelc"
		for _, r := range mod.Require {
			needs = needs || r.Mod.Path == "modelc"
		}
		if needs && !standalone {
			return "modelc/runtime", false, nil
		}
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			return "", false, err
		}
		return path.Join(self, filepath.ToSlash(rel), golang.RuntimeDir), true, nil
	}
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}
