// Package hdf5 reads the subset of the HDF5 format that Keras writes: superblock
// version 0, version 1 object headers, groups as symbol tables, contiguous
// datasets of numbers, and attributes, including strings of variable length. It
// also reads the chunked, deflated and shuffled datasets of re-saved files, and
// big-endian numbers.
//
// The reader is strict. Every other feature is an [Unsupported] error with the
// feature and the object's path, because a weight that is silently missing is
// worse than an error. Files may be hostile: the reader checks every length
// against the size of the file, follows every address once, and uses at most a
// small multiple of the file's size as memory.
//
// Section numbers in comments (IV.A.2.b, …) refer to "HDF5 File Format
// Specification Version 3.0".
package hdf5

import (
	"encoding/binary"
	"fmt"
	"io"
)

const signature = "\x89HDF\r\n\x1a\n"

// Open opens a file of size bytes and reads its superblock. Other methods read
// objects from r when they need them.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size, heaps: map[uint64]*globalHeap{}}
	const length = 96
	if size < length {
		return nil, fmt.Errorf("hdf5: the file of %d bytes is too short", size)
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
