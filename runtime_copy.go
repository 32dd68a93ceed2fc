package modelc

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"modelc/backend/golang"
)

// runtimeSource is package runtime and its package vision, for packages that
// cannot import them from this module.
//
//go:embed runtime/*.go runtime/*.s runtime/vision/*.go
var runtimeSource embed.FS

// notCopied are files of runtimeSource that no generated package needs: of
// vision what reads files and flags, since formats are for programs to choose.
var notCopied = map[string]bool{"runtime/generate.go": true, "runtime/vision/decode.go": true, "runtime/vision/names.go": true, "runtime/vision/preset.go": true}

// WriteRuntime writes the sources of package runtime to dir, for a module
// named modelc that holds nothing else but generated packages.
func WriteRuntime(dir string) error {
	files, err := runtimeFiles(false)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// runtimeFiles returns the sources of package runtime, without its tests, and
// for packages that take pictures those of its package vision.
func runtimeFiles(pictures bool) (golang.Files, error) {
	files := golang.Files{}
	err := fs.WalkDir(runtimeSource, "runtime", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name == "runtime/vision" && !pictures:
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(name, "_test.go") || notCopied[name]:
			return nil
		}
		files[strings.TrimPrefix(name, "runtime/")], err = runtimeSource.ReadFile(name)
		return err
	})
	return files, err
}
