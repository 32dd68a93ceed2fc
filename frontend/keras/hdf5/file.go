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
	heapBytes int64  // of the collections in heaps
	produced  uint64 // bytes of data that were asked for
}

// Bounds on the data a file gives in all. Trained weights hardly compress; a
// file that yields more than both of these is a decompression bomb, or names
// the same bytes over and over.
const (
	freeData = 64 << 20 // bytes any file may give
	maxData  = 64       // times the file's size
)

// produce accounts for n bytes of data.
func (f *File) produce(n uint64) error {
	limit := max(freeData, maxData*uint64(f.size))
	if n > limit || f.produced+n > limit {
		return fmt.Errorf("more than %d bytes of data in a file of %d bytes: it looks like a decompression bomb", limit, f.size)
	}
	f.produced += n
	return nil
}

// Bytes is a file in memory, or mapped into it. Datasets of a file opened on
// it are slices of it, not copies.
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

// Unsupported is the error of a file that uses a part of HDF5 outside of the
// supported one.
type Unsupported struct {
	Path    string // of the object, "/" for the file's own structures
	Feature string // what it uses: "object header version 2"
}

func (u *Unsupported) Error() string {
	return fmt.Sprintf("hdf5: %s: %s is not supported; h5repack or h5py with libver=\"earliest\" writes files that are", u.Path, u.Feature)
}

// undefined is the address of what does not exist.
const undefined = math.MaxUint64

// check reports whether n bytes at address at lie inside the file.
func (f *File) check(at, n uint64) error {
	if at == undefined {
		return fmt.Errorf("an address is undefined")
	}
	if at > uint64(f.size) || n > uint64(f.size)-at {
		return fmt.Errorf("%d bytes at address %d lie outside of the file's %d bytes", n, at, f.size)
	}
	return nil
}

// read returns n bytes at address at: a slice of the file when it lies in
// memory, so they are not to be written.
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

// cursor reads little-endian fields from a message. Past the end it yields
// zeros and remembers so: the caller asks once, at the end.
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
		return fmt.Errorf("the %s is cut short", what)
	}
	return nil
}
