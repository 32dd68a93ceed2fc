package modelc

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"modelc/backend/golang"
)

// runtimeSource holds package runtime, the packages below it, and the licence. They
// are copied for packages that cannot import the runtime of this module.
//
//go:embed LICENSE runtime/*.go runtime/kernel/*.go runtime/kernel/bfloat/*.go runtime/kernel/integer/*.go runtime/kernel/plain/*.go runtime/kernel/recurrent/*.go runtime/internal/*/*.go runtime/internal/*/*.s runtime/vision/*.go
var runtimeSource embed.FS

// isRuntime reports whether dir holds the runtime of this version of the compiler.
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
			continue // go mod vendor omits packages that the module does not import
		}
		if got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil || !bytes.Equal(got, want) {
			return false, nil
		}
	}
	return true, nil
}

// runtimeFiles returns the files of package runtime and of the packages below it,
// without tests, and the licence, by their path below runtime/.
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
