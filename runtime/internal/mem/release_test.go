//go:build linux

package mem

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

// resident counts the pages of b that the process has in memory.
func resident(t *testing.T, b []byte) (n int) {
	t.Helper()
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	page := os.Getpagesize()
	first := uintptr(unsafe.Pointer(&b[0])) / uintptr(page)
	entries := make([]byte, (len(b)+page-1)/page*8)
	if _, err := f.ReadAt(entries, int64(first)*8); err != nil {
		t.Fatal(err)
	}
	for i := 7; i < len(entries); i += 8 {
		n += int(entries[i] >> 7)
	}
	return n
}

// Released pages of a file leave memory and can be read again.
func TestReleaseOfFile(t *testing.T) {
	defer func(n int64) { mappedBytes = n }(mappedBytes)
	mappedBytes = 0
	page := os.Getpagesize()
	content := bytes.Repeat([]byte("weights!"), 64*page/8)
	path := filepath.Join(t.TempDir(), "weights.bin")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := Map(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Unmap()
	b := m.Data
	if !bytes.Equal(b, content) || resident(t, b) != 64 {
		t.Fatalf("%d pages of 64 in memory", resident(t, b))
	}
	Release(b[1 : 20*page+1]) // 19 whole pages
	if n := resident(t, b); n != 45 {
		t.Errorf("%d pages left, want 45", n)
	}
	if !bytes.Equal(b, content) {
		t.Error("the content changed")
	}
}

// Release does not change memory that belongs to no file, or that differs from the
// file.
func TestReleaseOfMemory(t *testing.T) {
	page := os.Getpagesize()
	heap := bytes.Repeat([]byte("weights!"), 64*page/8)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Truncate(int64(len(heap)))
	private, err := syscall.Mmap(int(f.Fd()), 0, len(heap), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(private)
	copy(private[32*page:], heap)
	syscall.Mprotect(private, syscall.PROT_READ) // as a program that unpacks itself does
	for _, b := range [][]byte{heap, private} {
		want := bytes.Clone(b)
		Release(b)
		if !bytes.Equal(b, want) {
			t.Error("the content changed")
		}
	}
}
