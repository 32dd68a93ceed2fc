// Package mem allocates and maps large regions of memory.
package mem

import (
	"errors"
	"io"
	"os"
	"unsafe"
)

// Functions that the files for some systems replace.
var (
	// large returns n zero bytes in large pages, or nil if the system has none free.
	large = func(n int) []byte { return nil }
	// release tells the system that b will hardly be read again.
	release = func(b []byte) {}
	// discard gives the memory of b, whose content is lost, back to the system.
	discard = func(b []byte) {}
	// mapFile returns the content of a file and a function that ends its use.
	mapFile = readFile
)

// readFile reads a file into memory that starts on a cache line.
func readFile(path string) (data []byte, unmap func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	data = Aligned(int(st.Size()))
	_, err = io.ReadFull(f, data)
	return data, func() {}, err
}

// Aligned returns n zero bytes that start on a cache line.
func Aligned(n int) []byte {
	if b := large(n); b != nil {
		return b
	}
	return aligned(n, 64)
}

// aligned returns n zero bytes at a multiple of align, a power of two.
func aligned(n, align int) []byte {
	b := make([]byte, n+align)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & uintptr(align-1))
	return b[off : off+n : off+n]
}

// Release tells the system that b will hardly be read again. The caller must not
// write to b. If b is memory of a file, its pages no longer count as memory of the
// process, and a later read finds them unchanged. Otherwise Release does nothing.
func Release(b []byte) { release(b) }

// Discard gives the memory of b back to the system if b is large: the garbage collector
// would do it later. b must come from [Aligned]. Its content is lost.
func Discard(b []byte) { discard(b) }

// ErrFile says that a file is empty or not a regular file.
var ErrFile = errors.New("empty or not a regular file")

// File is a file in memory.
type File struct {
	Data  []byte
	unmap func()
}

// Map maps a file read-only into memory. It reads a small file, and every file if
// the system has no mappings. No program may write to a mapped file or truncate it
// while it is in use.
func Map(path string) (File, error) {
	data, unmap, err := mapFile(path)
	return File{data, unmap}, err
}

// Unmap removes the mapping. Data must not be used after it.
func (f File) Unmap() { f.unmap() }
