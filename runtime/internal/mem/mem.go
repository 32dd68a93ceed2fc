// Package mem allocates and maps large regions of memory.
package mem

import (
	"os"
	"unsafe"
)

// Functions that the files for some systems replace.
var (
	// hugePages asks the system for large pages for b, which is still untouched.
	hugePages = func(b []byte) {}
	// release tells the system that b will hardly be read again.
	release = func(b []byte) {}
	// mapFile returns the content of a file and a function that ends its use.
	mapFile = func(path string) (data []byte, unmap func(), err error) {
		data, err = os.ReadFile(path)
		return data, func() {}, err
	}
)

// Aligned returns n zero bytes that start on a cache line.
func Aligned(n int) []byte {
	b := make([]byte, n+64)
	hugePages(b)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & 63)
	return b[off : off+n : off+n]
}

// Release tells the system that b will hardly be read again. The caller must not
// write to b. If b is memory of a file, its pages no longer count as memory of the
// process, and a later read finds them unchanged. Otherwise Release does nothing.
func Release(b []byte) { release(b) }

// File is a file in memory.
type File struct {
	Data  []byte
	unmap func()
}

// Map maps a file read-only into memory. If the system has no mappings, Map reads
// the file.
func Map(path string) (File, error) {
	data, unmap, err := mapFile(path)
	return File{data, unmap}, err
}

// Unmap removes the mapping. Data must not be used after it.
func (f File) Unmap() { f.unmap() }
