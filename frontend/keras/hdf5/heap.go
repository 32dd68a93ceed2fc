package hdf5

import "fmt"

// globalHeap maps indices to the variable-length objects of a collection (III.E).
type globalHeap map[uint32][]byte

// heapObject returns the n bytes of an object in the collection at address at.
func (f *File) heapObject(at uint64, index, n uint32) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	h := f.heaps[at]
	if h == nil {
		var err error
		if h, err = f.globalHeap(at); err != nil {
			return nil, err
		}
		f.heaps[at] = h
	}
	b, ok := (*h)[index]
	if !ok || uint64(n) > uint64(len(b)) {
		return nil, fmt.Errorf("object %d of the global heap at address %d has %d bytes, not %d", index, at, len(b), n)
	}
	return b[:n], nil
}

func (f *File) globalHeap(at uint64) (*globalHeap, error) {
	head, err := f.read(at, 16)
	if err != nil {
		return nil, fmt.Errorf("global heap: %w", err)
	}
	c := cursor{b: head}
	if string(c.bytes(4)) != "GCOL" || c.u8() != 1 {
		return nil, fmt.Errorf("no global heap at address %d", at)
	}
	c.skip(3)
	size := c.u64()
	if size < 16 {
		return nil, fmt.Errorf("a global heap of %d bytes", size)
	}
	data, err := f.read(at, size)
	if err != nil {
		return nil, fmt.Errorf("global heap: %w", err)
	}
	// Collections do not overlap, so their total size is at most the file's.
	if f.heapBytes += int64(size); f.heapBytes > f.size {
		return nil, fmt.Errorf("global heaps overlap at address %d", at)
	}
	h := globalHeap{}
	for c := (cursor{b: data[16:]}); len(c.b) >= 16; {
		index := uint32(c.u16())
		c.skip(6) // reference count
		n := c.u64()
		if index == 0 {
			break // the rest is free
		}
		if n > uint64(len(c.b)) {
			return nil, fmt.Errorf("object %d of the global heap at address %d is truncated", index, at)
		}
		h[index] = c.bytes(int(n))
		c.skip(min(int(-n&7), len(c.b)))
	}
	return &h, nil
}
