package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Private returns the folder of this user for files of modelc that must outlive the
// process, and creates it. Only this user can read and write it. It lies in the user's cache
// or, for a user without one, in the folder for temporary files.
func Private() (string, error) {
	if dir, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(dir, "modelc")
		return dir, private(dir)
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("modelc-%d", os.Geteuid()))
	return dir, private(dir)
}

// private creates the folder dir, or checks that nobody else can write to it.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the folder of modelc's cache and locks cannot be made: %w: set XDG_CACHE_HOME to a folder in which you can write", err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() || !owned(st) {
		return &fs.PathError{Op: "use", Path: dir, Err: errors.New("it is not a folder of this user: remove it, or set HOME")}
	}
	if st.Mode().Perm()&0o077 != 0 && owners {
		return os.Chmod(dir, 0o700)
	}
	return nil
}
