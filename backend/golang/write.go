package golang

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"modelc/backend/schedule"
	"modelc/runtime"
)

// Write writes the package to dir and returns the size of each file. programs
// are those of the model for one or more batch sizes, smallest first, on the
// same weights (see schedule.BuildAll).
//
// Everything is made in a folder beside dir first, so an error leaves dir as
// it was. A new dir is that folder renamed; in an existing one files are
// replaced one by one, and files of an earlier generation that are no longer
// made are removed. A file that modelc did not write is never touched; one
// that stands in the way is an error before anything has changed.
func Write(dir string, programs []*schedule.Program, o Options) (map[string]int, error) {
	if err := checkPackageName(o.Package); err != nil {
		return nil, err
	}
	if st, err := os.Stat(dir); err == nil && !st.IsDir() {
		return nil, &fs.PathError{Op: "write package", Path: dir, Err: errors.New("it is a file, not a folder")}
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".tmp")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp's 0700 is for secrets
		return nil, err
	}
	p := programs[0]
	sum, err := createWeights(filepath.Join(tmp, WeightsFile), p)
	if err != nil {
		return nil, err
	}
	files, err := source(programs, sum, o)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int{WeightsFile: runtime.WeightsHeader + p.Plan.WeightsBytes}
	for name, b := range files {
		sizes[name] = len(b)
		path := filepath.Join(tmp, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return nil, err
		}
	}
	return sizes, install(tmp, dir)
}

// createWeights writes the weights file of p and returns the digest of its
// payload. The header, which holds the digest, is written last.
func createWeights(path string, p *schedule.Program) (sum [32]byte, err error) {
	f, err := os.Create(path)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Seek(runtime.WeightsHeader, io.SeekStart); err != nil {
		return sum, err
	}
	h := sha256.New()
	if err := p.WriteWeights(io.MultiWriter(f, h)); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	head := runtime.HeaderOf(p.Plan.WeightsBytes, sum, p.Plan.Graph)
	_, err = f.WriteAt(head[:], 0)
	return sum, err
}

// WriteWeights writes the weights of p, or of all programs that share them, to
// a file for the package in dir, whose graph must be theirs. The file is complete or not there; one at
// path is replaced, not written into, since a program may have it mapped.
func WriteWeights(path, dir string, p *schedule.Program) error {
	want, flags, err := identity(dir)
	if err != nil {
		return err
	}
	if want != fmt.Sprintf("%x", p.Plan.Graph) {
		with := "none"
		if flags != "" {
			with = flags
		}
		return fmt.Errorf("the weights do not fit the package in %s: the model differs in more than weights, or was compiled with other flags than the package's (%s); compile it to a package of its own", dir, with)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := path + ".tmp"
	defer os.Remove(tmp)
	if _, err := createWeights(tmp, p); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// identity returns the digest of the graph that the package in dir computes,
// in hexadecimal, and the flags that it was made with.
func identity(dir string) (graph, flags string, err error) {
	path := filepath.Join(dir, modelFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "//") {
			break
		}
		if g, ok := strings.CutPrefix(line, graphLine); ok {
			graph = g
		}
		if f, ok := strings.CutPrefix(line, flagsLine); ok {
			flags = f
		}
	}
	if graph == "" {
		return "", "", &fs.PathError{Op: "read", Path: path, Err: errors.New("it is not of a package that this version of modelc wrote")}
	}
	return graph, flags, nil
}

// install moves what was written to the folder tmp into dir.
func install(tmp, dir string) error {
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
	ours := map[string]bool{}
	for _, f := range old {
		ours[f] = generated(dir, f)
	}
	for _, f := range made {
		if mine, exists := ours[f]; exists && !mine {
			return &fs.PathError{Op: "replace", Path: filepath.Join(dir, f), Err: errors.New("modelc did not write this file: remove it, or choose another folder")}
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
		if !ours[f] || slices.Contains(made, f) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, f)); err != nil {
			return err
		}
		for d := filepath.Dir(f); d != "."; d = filepath.Dir(d) {
			if os.Remove(filepath.Join(dir, d)) != nil {
				break // not empty
			}
		}
	}
	return nil
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
		rel = filepath.ToSlash(rel)
		if !d.IsDir() {
			files = append(files, rel)
			return nil
		}
		switch rel {
		case ".", "testdata", "internal", RuntimeDir, RuntimeDir + "/vision":
			return nil
		}
		return fs.SkipDir // other packages below are not this one's business
	})
	return files, err
}

// generated reports whether modelc wrote the file and may replace or remove
// it.
func generated(dir, name string) bool {
	switch name {
	case WeightsFile:
		return startsWith(filepath.Join(dir, name), runtime.WeightsMagic)
	case goldenFile:
		return generated(dir, testFile) // it has no header of its own
	}
	return startsWith(filepath.Join(dir, name), marker)
}

func startsWith(path, prefix string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(prefix))
	n, _ := io.ReadFull(f, head)
	return strings.HasPrefix(string(head[:n]), prefix)
}
