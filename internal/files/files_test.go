//go:build unix

package files

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// names returns the names in a folder.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// special makes a pipe, a socket's place, a folder and links to them and to a file.
func special(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, err := range []error{
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.Mkdir(filepath.Join(dir, "folder"), 0o700),
		os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o640),
		os.Symlink("pipe", filepath.Join(dir, "pipelink")),
		os.Symlink("file", filepath.Join(dir, "filelink")),
		os.Symlink("missing", filepath.Join(dir, "lost")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRead(t *testing.T) {
	dir := special(t)
	for _, c := range []struct {
		path  string
		limit int64
		want  string // part of the error; "" where the file is read
	}{
		{"file", 4, ""}, {"filelink", 4, ""}, {"file", 3, "the file has more than 3 bytes"},
		{"pipe", 9, "it is a pipe, not a file"}, {"pipelink", 9, "it is a pipe, not a file"}, {"folder", 9, "it is a folder, not a file"},
		{"/dev/zero", 9, "it is a device, not a file"}, {"missing", 9, "no such file"}, {"lost", 9, "no such file"},
		{"/proc/self/maps", 9, "the file has more than 9 bytes"}, // its size is said to be 0
	} {
		path := c.path
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		} else if _, err := os.Stat(path); err != nil {
			continue
		}
		b, err := Read(path, c.limit)
		switch {
		case c.want == "" && (err != nil || string(b) != "text"):
			t.Errorf("%s: %q, %v", c.path, b, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path)):
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
	}
}

func TestWrite(t *testing.T) {
	put := func(f *os.File) error { _, err := f.WriteString("new"); return err }
	fails := func(f *os.File) error { put(f); return errors.New("oops") }
	for _, c := range []struct {
		path  string
		write func(f *os.File) error
		want  string
		after string // content of file afterwards
	}{
		{"file", put, "", "new"}, {"file", fails, "oops", "text"}, {"fresh", put, "", "text"},
		{"filelink", put, "", "text"}, // the link is replaced
		{"lost", put, "", "text"},
		{"pipe", put, "it is a pipe, not a file", "text"}, {"pipelink", put, "it is a pipe, not a file", "text"},
		{"folder", put, "it is a folder, not a file", "text"}, {"folder/none/x", put, "no such file", "text"},
	} {
		dir := special(t)
		victim := filepath.Join(t.TempDir(), "victim")
		if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		// A link at the name that could be guessed.
		if err := os.Symlink(victim, filepath.Join(dir, "file.tmp")); err != nil {
			t.Fatal(err)
		}
		before := len(names(t, dir))
		path := filepath.Join(dir, c.path)
		_, exists := os.Lstat(path)
		err := Write(path, c.write)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
		if b, _ := os.ReadFile(filepath.Join(dir, "file")); string(b) != c.after {
			t.Errorf("%s: file has %q", c.path, b)
		}
		if b, _ := os.ReadFile(victim); string(b) != "mine" {
			t.Errorf("%s: the victim has %q", c.path, b)
		}
		if err == nil {
			if exists != nil {
				before++
			}
			if b, _ := os.ReadFile(path); string(b) != "new" {
				t.Errorf("%s has %q", c.path, b)
			}
			if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() || c.path == "file" && st.Mode().Perm() != 0o640 {
				t.Errorf("%s: %v, %v", c.path, st.Mode(), err)
			}
		}
		if list := names(t, dir); len(list) != before {
			t.Errorf("%s: left behind: %v", c.path, list)
		}
	}
}

// The private folder belongs to this user alone, also without HOME.
func TestPrivate(t *testing.T) {
	tmp := t.TempDir()
	for _, v := range []string{"HOME", "XDG_CACHE_HOME"} {
		t.Setenv(v, "")
	}
	t.Setenv("TMPDIR", tmp)
	dir, err := Private()
	if err != nil || filepath.Dir(dir) != tmp {
		t.Fatal(dir, err)
	}
	for _, mode := range []os.FileMode{0o700, 0o755, 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Private(); err != nil {
			t.Error(err)
		}
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%v becomes %v, %v", mode, st.Mode(), err)
		}
	}
	os.Remove(dir)
	if err := os.Symlink(t.TempDir(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Private(); err == nil || !strings.Contains(err.Error(), "it is not a folder of this user") {
		t.Error(err)
	}
	if os.Geteuid() == 0 {
		os.Remove(dir)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 12345, 12345)); err != nil {
			t.Fatal(err)
		}
		if _, err := Private(); err == nil || !strings.Contains(err.Error(), "it is not a folder of this user") {
			t.Error(err)
		}
	}
}

// OpenBelow follows links only inside the folder.
func TestOpenBelow(t *testing.T) {
	dir := special(t)
	outside := t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600),
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "out")),
		os.Symlink(outside, filepath.Join(dir, "outfolder")),
		os.Symlink("../file", filepath.Join(dir, "folder", "in")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, ok := range map[string]bool{"file": true, "filelink": true, "folder/in": true, "out": false, "outfolder/secret": false, "pipe": false, "folder": false, "../x": false} {
		f, err := OpenBelow(dir, path)
		if (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
		if err == nil {
			f.Close()
		}
	}
}
