package modelc

import (
	"bytes"
	"embed"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"modelc/backend/golang"
)

// runtimeSource holds the packages runtime and runtime/vision, for packages that
// cannot import them from this module, and the licence.
//
//go:embed LICENSE runtime/*.go runtime/*.s runtime/vision/*.go
var runtimeSource embed.FS

// isRuntime reports whether the package in dir is the runtime for which this
// version of the compiler writes plans.
func isRuntime(dir string) (bool, error) {
	files, err := runtimeFiles()
	if err != nil {
		return false, err
	}
	for name, want := range files {
		if path.Ext(name) != ".go" || strings.Contains(name, "/") {
			continue
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			return false, nil
		}
	}
	return true, nil
}

// runtimeFiles returns the files of the packages runtime and runtime/vision by
// their paths below runtime/, without tests, and the licence.
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
