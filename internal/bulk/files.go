// Package bulk lists the files of a run over many files, and stores a record for each of
// them. A run that was interrupted continues where its records end.
package bulk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Extensions are those of the files that [Files] takes from folders: pictures and tensors.
var Extensions = []string{".png", ".jpg", ".jpeg", ".npy", ".pb"}

// A File is a file of a run.
type File struct {
	Path string
	// Name is the path below the folder that names the file, or its last element. It
	// has forward slashes.
	Name string
}

// Files returns the files that args name, in this order and without repetitions. An argument
// is a file, a folder, whose files with [Extensions] and those of its folders are taken in
// sorted order, a pattern of [filepath.Match], or "-" for the lines of stdin, which are
// arguments too. Hidden files and folders are left out. A file that an argument names
// directly need not exist.
func Files(stdin io.Reader, args ...string) ([]File, error) {
	var list []File
	seen := map[string]bool{}
	add := func(path, name string) {
		if clean := filepath.Clean(path); !seen[clean] {
			seen[clean] = true
			list = append(list, File{path, filepath.ToSlash(name)})
		}
	}
	var problems []error
	for _, arg := range args {
		if arg == "-" {
			lines := bufio.NewScanner(stdin)
			lines.Buffer(nil, 1<<16)
			for lines.Scan() {
				if line := strings.TrimRight(lines.Text(), "\r"); line != "" {
					problems = append(problems, expand(line, add))
				}
			}
			if err := lines.Err(); err != nil {
				return nil, fmt.Errorf("standard input: %w", err)
			}
			continue
		}
		problems = append(problems, expand(arg, add))
	}
	return list, errors.Join(problems...)
}

// expand calls add for the files of one argument.
func expand(arg string, add func(path, name string)) error {
	st, err := os.Stat(arg)
	switch {
	case err == nil && st.IsDir():
		return folder(arg, add)
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(arg, "*?["):
		matches, err := filepath.Glob(arg)
		if err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
		if len(matches) == 0 {
			return fmt.Errorf("%s: no file has such a name", arg)
		}
		for _, m := range matches {
			if strings.HasPrefix(filepath.Base(m), ".") {
				continue
			}
			if err := expand(m, add); err != nil {
				return err
			}
		}
		return nil
	}
	add(arg, filepath.Base(arg))
	return nil
}

// folder calls add for the files of a folder.
func folder(dir string, add func(path, name string)) error {
	found, others := false, 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != dir && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case d.IsDir():
		case slices.Contains(Extensions, strings.ToLower(filepath.Ext(path))):
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			add(path, name)
			found = true
		default:
			others++
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("%s: no file has the extension %s (%d others)", dir, strings.Join(Extensions, ", "), others)
	}
	return err
}
