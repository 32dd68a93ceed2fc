package golang

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"modelc/backend/cpu"
	"modelc/internal/files"
	"modelc/runtime"
)

// FileSize is the size of a file of a package. Lines is 0 if the file is not text.
type FileSize struct{ Bytes, Lines int }

// Write writes the package of p to dir and returns the size of each file, by its
// slashed path below dir.
//
// Write first writes all files to a folder beside dir, so that an error leaves dir
// unchanged. If dir does not exist, Write renames that folder. Otherwise the folder
// and dir exchange their names, so that a process that dies leaves the old package or
// the new one. Write removes files that modelc wrote earlier and that are not part of
// the package. It never changes a file that modelc did not write. If such a file has
// the name of a new one, belongs to another package or declares the same names, Write
// fails before it changes anything.
//
// Where names cannot be exchanged, because the system cannot do it, dir has folders of
// others, or the process works in dir, Write replaces files one by one. Then a process
// that dies leaves a package without its main file, which does not build. The next
// Write completes the package and removes the folder beside dir.
func Write(dir string, p *cpu.Program, o Options) (map[string]FileSize, error) {
	return write(dir, packageLayout, func(tmp string) (map[string]FileSize, error) { return render(tmp, p, o) })
}

// WriteRuntime writes a copy of the runtime that several packages share to dir, in
// the same way as [Write]. The copy is complete, so that any package can use it.
// source has the files of the runtime by their path below the folder of package
// runtime. imports is the import path of the copy.
func WriteRuntime(dir string, source Files, imports, version string) (map[string]FileSize, error) {
	return write(dir, runtimeLayout, func(tmp string) (map[string]FileSize, error) {
		return writeFiles(tmp, sharedRuntime(source, imports, version))
	})
}

// write calls render with an empty folder beside dir and moves the files that
// render writes into dir.
func write(dir string, l layout, render func(tmp string) (map[string]FileSize, error)) (map[string]FileSize, error) {
	if st, err := os.Stat(dir); err == nil && !st.IsDir() {
		return nil, &fs.PathError{Op: "write package", Path: dir, Err: errors.New("it is a file, not a folder")}
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	pattern := "." + filepath.Base(dir) + ".tmp"
	// This process holds the lock, so temporary folders are remains of processes
	// that died.
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if number, ok := strings.CutPrefix(e.Name(), pattern); ok && e.IsDir() && number != "" && strings.Trim(number, "0123456789") == "" {
			if err := os.RemoveAll(filepath.Join(parent, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	tmp, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp's 0700 is for secrets
		return nil, err
	}
	sizes, err := render(tmp)
	if err != nil {
		return nil, err
	}
	return sizes, install(tmp, dir, l)
}

// lock prevents other processes of this user from writing to dir. The system
// releases the lock when the process dies.
func lock(dir string) (unlock func() error, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	own, err := files.Private()
	if err != nil {
		return nil, err
	}
	locks := filepath.Join(own, "locks")
	if err := os.MkdirAll(locks, 0o700); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(locks, fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:32]))
	return l.Unlock, l.Lock()
}

// render writes the package of p to the empty folder dir.
func render(dir string, p *cpu.Program, o Options) (map[string]FileSize, error) {
	if err := checkPackageName(o.Package); err != nil {
		return nil, err
	}
	sum, err := createWeights(filepath.Join(dir, WeightsFile), p, o.Progress)
	if err != nil {
		return nil, err
	}
	files, err := source(p, sum, o)
	if err != nil {
		return nil, err
	}
	sizes, err := writeFiles(dir, files)
	if err != nil {
		return nil, err
	}
	sizes[WeightsFile] = FileSize{Bytes: runtime.WeightsHeader + p.Plan.WeightsBytes}
	return sizes, nil
}

// writeFiles writes files below dir.
func writeFiles(dir string, files Files) (map[string]FileSize, error) {
	sizes := map[string]FileSize{}
	for name, b := range files {
		sizes[name] = FileSize{Bytes: len(b)}
		if path.Ext(name) != ".bin" {
			sizes[name] = FileSize{len(b), bytes.Count(b, []byte("\n"))}
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			return nil, err
		}
	}
	return sizes, nil
}

// createWeights writes the weights file of p and returns the digest of the weights.
// It writes the header, which holds the digest, last.
func createWeights(path string, p *cpu.Program, progress func(done, total int) error) (sum [32]byte, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return writeWeights(f, p, progress)
}

// writeWeights writes the weights of p to the empty file f.
func writeWeights(f *os.File, p *cpu.Program, progress func(done, total int) error) (sum [32]byte, err error) {
	if _, err := f.Seek(runtime.WeightsHeader, io.SeekStart); err != nil {
		return sum, err
	}
	h := sha256.New()
	if err := p.WriteWeights(io.MultiWriter(f, h, &counter{0, p.Plan.WeightsBytes, progress})); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	head := weightsHeader(p.Plan.WeightsBytes, sum, p.Plan.Graph)
	_, err = f.WriteAt(head[:], 0)
	return sum, err
}

// weightsHeader returns the header of a weights file for a payload of the given
// size and digest, packed for the plan with the digest graph (Plan.Graph).
func weightsHeader(size int, sum, graph [32]byte) [runtime.WeightsHeader]byte {
	var h [runtime.WeightsHeader]byte
	copy(h[:], runtime.WeightsMagic)
	h[len(runtime.WeightsMagic)] = runtime.WeightsVersion
	binary.LittleEndian.PutUint64(h[runtime.WeightsSize:], uint64(size))
	copy(h[runtime.WeightsSum:], sum[:])
	copy(h[runtime.WeightsGraph:], graph[:])
	return h
}

// WriteWeights writes the weights of p, and of the programs that share them, to
// the file at path, for the package in dir. It returns an error if the package
// computes another graph. It replaces a file at path by renaming a complete one,
// because programs may have the old file mapped.
func WriteWeights(path, dir string, p *cpu.Program, progress func(done, total int) error) error {
	h, err := ReadHeader(dir)
	if err != nil {
		return err
	}
	if h.Graph != fmt.Sprintf("%x", p.Plan.Graph) {
		return fmt.Errorf("the weights do not fit the package in %s: the model differs in more than weights, or the package was made by another version of modelc; compile the model to a package", dir)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return files.Write(path, func(f *os.File) error {
		_, err := writeWeights(f, p, progress)
		return err
	})
}

// counter is a writer that reports the number of bytes written so far.
type counter struct {
	done, total int
	tell        func(done, total int) error // may be nil
}

func (c *counter) Write(b []byte) (int, error) {
	c.done += len(b)
	if c.tell == nil {
		return len(b), nil
	}
	return len(b), c.tell(c.done, c.total)
}

// layout describes a folder that modelc writes.
type layout struct {
	folders []string // folders that may hold its files, including "."
	// entry is a file without which the package does not build. It is absent while
	// other files are replaced.
	entry string
	// owners has, for each file without a header, a file with a header. modelc
	// wrote both or none of them. The key may be an extension.
	owners map[string]string
}

// owner returns the file with a header that belongs to a file without one.
func (l layout) owner(name string) (string, bool) {
	if o, ok := l.owners[name]; ok {
		return o, true
	}
	o, ok := l.owners[filepath.Ext(name)]
	return o, ok
}

var (
	packageLayout = layout{
		folders: append([]string{".", "testdata", "internal", LauncherDir}, below(RuntimeDir, runtimeFolders)...),
		entry:   modelFile,
		owners:  map[string]string{goldenFile: testFile, RuntimeDir + "/" + licenseFile: RuntimeDir + "/" + runtimeMerged, CUDAWeightsFile: cudaFile, ".ptx": cudaFile},
	}
	runtimeLayout = layout{
		folders: runtimeFolders,
		entry:   runtimeEntry,
		owners:  map[string]string{licenseFile: runtimeDoc},
	}
)

// below returns the paths of folders, which are relative to dir.
func below(dir string, folders []string) (list []string) {
	for _, f := range folders {
		list = append(list, path.Join(dir, f))
	}
	return list
}

// install moves the files in tmp into dir.
func install(tmp, dir string, l layout) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(tmp, dir)
	}
	for _, folder := range l.folders {
		path := filepath.Join(dir, folder)
		if st, err := os.Lstat(path); err == nil && st.Mode()&fs.ModeSymlink != 0 && folder != "." {
			return &fs.PathError{Op: "write", Path: path, Err: errors.New("it is a link, which could lead anywhere: remove it, or choose another folder")}
		}
	}
	made, err := l.list(tmp)
	if err != nil {
		return err
	}
	old, err := l.list(dir)
	if err != nil {
		return err
	}
	l.ownersFirst(made)
	l.ownersFirst(old)
	ours := map[string]bool{}
	for _, f := range old {
		ours[f] = l.generated(dir, f)
	}
	for _, f := range made {
		mine, exists := ours[f]
		if !exists || mine {
			continue
		}
		if same, err := equalFiles(filepath.Join(tmp, f), filepath.Join(dir, f)); err != nil {
			return err
		} else if !same {
			return &fs.PathError{Op: "replace", Path: filepath.Join(dir, f), Err: errors.New("modelc did not write this file: remove it, or choose another folder")}
		}
	}
	others := slices.DeleteFunc(slices.Clone(old), func(f string) bool { return ours[f] })
	if err := checkNeighbours(tmp, dir, others); err != nil {
		return err
	}
	if exchange(tmp, dir, l, made, old) {
		return nil
	}
	if ours[l.entry] {
		if err := os.Remove(filepath.Join(dir, l.entry)); err != nil {
			return err
		}
	}
	for _, f := range slices.Backward(old) {
		if !ours[f] || slices.Contains(made, f) || f == l.entry {
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
	for _, f := range append(slices.DeleteFunc(made, func(f string) bool { return f == l.entry }), l.entry) {
		to := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(tmp, f), to); err != nil {
			return err
		}
	}
	return nil
}

// exchange makes the folder tmp, which has the new files, the folder dir, and the other way
// round. Both have the files of others. It reports false, with dir unchanged, if it must not
// or cannot do that: a process that works in dir would lose it, folders of others have only
// one place, and not every system can exchange names.
func exchange(tmp, dir string, l layout, made, old []string) bool {
	if work, err := os.Getwd(); err != nil || within(work, dir) {
		return false
	}
	st, err := os.Lstat(dir)
	if err != nil || !st.IsDir() || l.hasOthers(dir) {
		return false
	}
	for _, f := range old {
		if slices.Contains(made, f) || l.generated(dir, f) {
			continue
		}
		to := filepath.Join(tmp, f)
		if os.MkdirAll(filepath.Dir(to), 0o755) != nil || os.Link(filepath.Join(dir, f), to) != nil {
			return false
		}
	}
	return os.Chmod(tmp, st.Mode().Perm()) == nil && files.Exchange(tmp, dir) == nil
}

// within reports whether the folder path is dir or lies below it.
func within(path, dir string) bool {
	a, err := filepath.EvalSymlinks(path)
	if err != nil {
		return true // the folder is unknown
	}
	b, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return true
	}
	rel, err := filepath.Rel(b, a)
	return err != nil || filepath.IsLocal(rel)
}

// hasOthers reports whether dir has folders of others.
func (l layout) hasOthers(dir string) bool {
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err == nil && !slices.Contains(l.folders, filepath.ToSlash(rel)) {
			found = true
			return fs.SkipAll
		}
		return err
	})
	return found || err != nil
}

// list returns the files in the folders of l below dir.
func (l layout) list(dir string) ([]string, error) {
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
		switch {
		case !d.IsDir():
			files = append(files, rel)
		case !slices.Contains(l.folders, rel):
			return fs.SkipDir // a folder of another package
		}
		return nil
	})
	return files, err
}

// ownersFirst moves files that have an owner to the end. Files are written in this
// order and removed in reverse, so that no file exists without its owner. If the
// process dies, modelc recognises all files that remain.
func (l layout) ownersFirst(files []string) {
	owned := func(f string) int {
		if _, ok := l.owner(f); ok {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(files, func(a, b string) int { return owned(a) - owned(b) })
}

// generated reports whether modelc wrote the file and may replace or remove
// it.
func (l layout) generated(dir, name string) bool {
	if owner, ok := l.owner(name); ok {
		return l.generated(dir, owner)
	}
	if name == WeightsFile {
		return startsWith(filepath.Join(dir, name), runtime.WeightsMagic)
	}
	return startsWith(filepath.Join(dir, name), marker)
}

func startsWith(path, prefix string) bool {
	f, err := files.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(prefix))
	n, _ := io.ReadFull(f, head)
	return strings.HasPrefix(string(head[:n]), prefix)
}
