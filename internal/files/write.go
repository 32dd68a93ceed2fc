package files

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Write calls write with a new file beside path, and renames the file to path. If Write
// returns an error, the file at path is unchanged. The name of the new file cannot be
// guessed, so that nobody can place a link there. The file has the mode of the one that it
// replaces.
func Write(path string, write func(f *os.File) error) (err error) {
	mode := fs.FileMode(0o666)
	switch st, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return check(path, st.Mode())
	default:
		mode = st.Mode().Perm()
	}
	f, err := create(path, mode)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			p.Path = path // the user does not know the new file
		}
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// create creates a file with a random name beside path. Unlike that of [os.CreateTemp], its
// mode is subject to the user's mask.
func create(path string, mode fs.FileMode) (*os.File, error) {
	for tries := 0; ; tries++ {
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.tmp%d", filepath.Base(path), rand.Uint64()))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) || tries > 100 {
			return f, err
		}
	}
}
