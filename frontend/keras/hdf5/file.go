package hdf5

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// File is an open HDF5 file.
type File struct {
	r    io.ReaderAt
	size int64
	root uint64 // address of the root group's object header

	heaps     map[uint64]*globalHeap
	heapBytes int64  // bytes of the collections in heaps
	produced  uint64 // bytes of data that were read
}

// Limits of the total amount of data of a file. Trained weights hardly compress.
// A file that exceeds both limits is a decompression bomb, or refers to the same
// bytes many times.
const (
	freeData = 64 << 20 // bytes that any file may have
	maxData  = 64       // maximum ratio to the file's size
)

// produce adds n bytes to the amount of data and checks the limits.
func (f *File) produce(n uint64) error {
	limit := min(max(freeData, maxData*uint64(f.size)), math.MaxInt)
	if n > limit || f.produced+n > limit {
		return fmt.Errorf("more than %d bytes of data in a file of %d bytes: it looks like a decompression bomb", limit, f.size)
	}
	f.produced += n
	return nil
}

// Bytes is a file in memory or mapped into memory. Contiguous datasets of a file
// opened on it are slices of it, not copies.
type Bytes []byte

// ReadAt implements [io.ReaderAt].
func (b Bytes) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Unsupported is the error for a file that uses an unsupported feature of HDF5.
type Unsupported struct {
	Path    string // path of the object, "/" for structures of the file
	Feature string // the unsupported feature: "object header version 2"
}

func (u *Unsupported) Error() string {
	return fmt.Sprintf("hdf5: %s: %s is not supported; h5repack or h5py with libver=\"earliest\" writes files that are", u.Path, u.Feature)
}

// undefined is the address of an object that does not exist.
const undefined = math.MaxUint64

// check returns an error unless the n bytes at address at are inside the file.
func (f *File) check(at, n uint64) error {
	if at == undefined {
		return fmt.Errorf("an address is undefined")
	}
	if at > uint64(f.size) || n > uint64(f.size)-at {
		return fmt.Errorf("%d bytes at address %d are outside the file, which has %d bytes", n, at, f.size)
	}
	return nil
}

// read returns the n bytes at address at. The result may be a slice of the file
// and must not be modified.
func (f *File) read(at, n uint64) ([]byte, error) {
	if err := f.check(at, n); err != nil {
		return nil, err
	}
	if m, ok := f.r.(Bytes); ok {
		if at+n > uint64(len(m)) {
			return nil, io.ErrUnexpectedEOF
		}
		return m[at : at+n : at+n], nil
	}
	b := make([]byte, n)
	if k, err := f.r.ReadAt(b, int64(at)); err != nil && k < len(b) {
		return nil, err
	}
	return b, nil
}

// cursor reads little-endian fields from a message. After the end it returns
// zeros and records this, so that the caller needs to check only once.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.short = true
		c.b = nil
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) skip(n int) { c.bytes(n) }

func (c *cursor) u8() int {
	if p := c.bytes(1); p != nil {
		return int(p[0])
	}
	return 0
}

func (c *cursor) u16() int {
	if p := c.bytes(2); p != nil {
		return int(binary.LittleEndian.Uint16(p))
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if p := c.bytes(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if p := c.bytes(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (c *cursor) err(what string) error {
	if c.short {
		return fmt.Errorf("the %s is truncated", what)
	}
	return nil
}
