// Package files reads and writes the files of the command: it reads regular files of
// limited size only, and it replaces files in one step.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// check returns an error unless a file is regular. A pipe can block forever, and a device
// can be endless.
func check(path string, mode fs.FileMode) error {
	what := ""
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		what = "a folder"
	case mode&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	default:
		what = "a device"
	}
	return &fs.PathError{Op: "open", Path: path, Err: errors.New("it is " + what + ", not a file")}
}

// Check returns an error unless path names a regular file.
func Check(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return notOpened(path, err)
	}
	return check(path, st.Mode())
}

// notOpened names path in an error, however it was looked up.
func notOpened(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &fs.PathError{Op: "open", Path: path, Err: err}
}

// Open opens the regular file at path for reading.
func Open(path string) (*os.File, error) {
	return open(path, path, os.Stat, os.Open)
}

// OpenBelow is like [Open], for a path below the folder dir. It follows symbolic links only
// inside that folder.
func OpenBelow(dir, path string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return open(filepath.Join(dir, path), path, root.Stat, root.Open)
}

// open opens path, which errors call name.
func open(name, path string, stat func(string) (fs.FileInfo, error), open func(string) (*os.File, error)) (*os.File, error) {
	st, err := stat(path) // opening a pipe can block
	if err != nil {
		return nil, notOpened(name, err)
	}
	if err := check(name, st.Mode()); err != nil {
		return nil, err
	}
	f, err := open(path)
	if err != nil {
		return nil, notOpened(name, err)
	}
	if st, err = f.Stat(); err == nil {
		err = check(name, st.Mode()) // another file may have taken its place
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read returns the contents of the regular file at path. It fails if the file has more than
// limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tooLarge := func(n int64) error {
		if n > limit {
			return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("the file has more than %d bytes", limit)}
		}
		return nil
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := tooLarge(st.Size()); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1)) // the file may grow
	if err != nil {
		return nil, err
	}
	return b, tooLarge(int64(len(b)))
}
