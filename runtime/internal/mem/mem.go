// Package mem allocates and maps large regions of memory.
package mem

import (
	"os"
	"unsafe"
)

// What some systems do better, in files of their own.
var (
	// hugePages asks for large pages for b, which nothing has touched yet.
	hugePages = func(b []byte) {}
	// release tells the system that b will hardly be read again.
	release = func(b []byte) {}
	// mapFile returns the content of a file, and what ends the use of it.
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

// Release tells the system that b, which must not be written, will hardly be read
// again. Where b is memory of a file, its pages stop counting as the process's
// memory; a later read finds them unchanged. Elsewhere Release does nothing.
func Release(b []byte) { release(b) }

// File is a file in memory.
type File struct {
	Data  []byte
	unmap func()
}

// Map maps a file read-only into memory, or reads it where the system has no
// mappings.
func Map(path string) (File, error) {
	data, unmap, err := mapFile(path)
	return File{data, unmap}, err
}

// Unmap ends the use of Data.
func (f File) Unmap() { f.unmap() }
