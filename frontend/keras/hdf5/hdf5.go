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
)

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
