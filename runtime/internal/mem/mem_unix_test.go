//go:build unix

package mem

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A small file that is truncated while it is in use does no harm.
func TestTruncatedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.bin")
	content := bytes.Repeat([]byte("weights!"), 4096)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Map(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Unmap()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(f.Data, content) {
		t.Error("the data changed")
	}
}

// A pipe is an error. Opening it would wait for a writer.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Skip(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Map(path)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("Map of a pipe did not fail")
		}
	case <-time.After(10 * time.Second):
		t.Error("Map of a pipe waits")
	}
}
