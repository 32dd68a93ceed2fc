// Package hdf5 reads the part of the HDF5 format that Keras writes: superblock
// version 0, version 1 object headers, groups as symbol tables, contiguous
// datasets of numbers, and attributes, strings of variable length included;
// also the chunked, deflated and shuffled datasets of re-saved files.
//
// The reader is strict. Whatever lies outside of that is refused by name, as
// an [Unsupported] error with the object's path, never passed over: a weight
// that silently goes missing is worse than an error. A file is hostile until
// proven otherwise: every length is checked against the file's, every address
// followed once, and no more memory is taken than a small multiple of the
// file's size.
//
// The format is "HDF5 File Format Specification Version 3.0"; section numbers
// in comments (IV.A.2.b, …) are its.
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
	limit := min(max(freeData, maxData*uint64(f.size)), math.MaxInt)
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

const signature = "\x89HDF\r\n\x1a\n"

// Open reads the superblock of a file of size bytes. r is read later too,
// whenever an object is asked for.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size, heaps: map[uint64]*globalHeap{}}
	const length = 96
	if size < length {
		return nil, fmt.Errorf("hdf5: %d bytes are too few for a file", size)
	}
	b, err := f.read(0, length)
	if err != nil {
		return nil, fmt.Errorf("hdf5: %w", err)
	}
	if string(b[:8]) != signature {
		return nil, fmt.Errorf("hdf5: not an HDF5 file: the signature is missing")
	}
	if v := b[8]; v != 0 {
		return nil, &Unsupported{"/", fmt.Sprintf("superblock version %d", v)}
	}
	if b[13] != 8 || b[14] != 8 {
		return nil, &Unsupported{"/", fmt.Sprintf("a file with addresses of %d and lengths of %d bytes", b[13], b[14])}
	}
	base := binary.LittleEndian.Uint64(b[24:])
	end := binary.LittleEndian.Uint64(b[40:])
	if base != 0 {
		return nil, &Unsupported{"/", "a base address other than 0 (a user block)"}
	}
	if end > uint64(size) {
		return nil, fmt.Errorf("hdf5: the file is truncated: it has %d of %d bytes", size, end)
	}
	f.root = binary.LittleEndian.Uint64(b[64:])
	return f, nil
}

// Root returns the root group.
func (f *File) Root() (*Group, error) {
	return f.group("/", f.root, nil)
}

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
