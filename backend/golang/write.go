package golang

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Install moves what was written to the folder tmp into dir, so that dir is
// never half-written: a new dir is tmp renamed; in an existing one files are
// replaced one by one, and files of an earlier generation that are no longer
// made are removed. A file that modelc did not write is never touched; one
// that stands in the way is an error before anything changed.
func Install(tmp, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(tmp, dir)
	}
	made, err := list(tmp)
	if err != nil {
		return err
	}
	old, err := list(dir)
	if err != nil {
		return err
	}
	for _, f := range made {
		if slices.Contains(old, f) && !generated(dir, f) {
			return &fs.PathError{Op: "replace", Path: filepath.Join(dir, f), Err: errors.New("modelc did not write this file; choose another folder, or remove it")}
		}
	}
	for _, f := range made {
		to := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(tmp, f), to); err != nil {
			return err
		}
	}
	for _, f := range old {
		if !slices.Contains(made, f) && generated(dir, f) {
			if err := os.Remove(filepath.Join(dir, f)); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(tmp)
}

// list returns the files below dir that a package may consist of.
func list(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			// Other packages below are not this one's business.
			if rel != "." && rel != "testdata" && rel != "internal" && !strings.HasPrefix(filepath.ToSlash(rel), "internal/runtime") {
				return fs.SkipDir
			}
			return nil
		}
		files = append(files, filepath.ToSlash(rel))
		return nil
	})
	return files, err
}
