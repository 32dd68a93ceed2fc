package hdf5

import (
	"bytes"
	"fmt"
	"slices"
)

// Dataset is an array of elements of one type, in row-major order.
type Dataset struct {
	object
	Type  Type
	Shape []int // empty for a scalar
	count uint64
	big   bool // the numbers in the file are big-endian
}

func (f *File) dataset(path string, at uint64) (*Dataset, error) {
	o, err := f.object(path, at)
	if err != nil {
		return nil, err
	}
	for _, m := range []messageType{msgDatatype, msgDataspace, msgLayout} {
		if o.msgs[m] == nil {
			return nil, o.errorf("not a dataset: message %#x is missing", int(m))
		}
	}
	d := &Dataset{object: *o}
	if d.Type, d.big, err = o.parseType(o.msgs[msgDatatype]); err != nil {
		return nil, err
	}
	if d.Shape, d.count, err = o.parseSpace(o.msgs[msgDataspace]); err != nil {
		return nil, err
	}
	return d, nil
}

// Path returns the dataset's absolute path.
func (d *Dataset) Path() string { return d.path }

// Bytes returns the elements. Numbers are little-endian. For a contiguous dataset of a
// file opened on [Bytes] the result is a slice of the file, which the caller must not
// modify, unless the numbers in the file are big-endian.
func (d *Dataset) Bytes() ([]byte, error) {
	b, err := d.stored()
	if err != nil || !d.big || d.Type.Size == 1 {
		return b, err
	}
	if err := d.f.produce(uint64(len(b))); err != nil {
		return nil, d.errorf("%w", err)
	}
	b = bytes.Clone(b)
	for e := range slices.Chunk(b, d.Type.Size) {
		slices.Reverse(e)
	}
	return b, nil
}

// stored returns the elements in the byte order of the file.
func (d *Dataset) stored() ([]byte, error) {
	c := cursor{b: d.msgs[msgLayout]}
	version, class := c.u8(), c.u8()
	if version != 3 {
		return nil, d.unsupported(fmt.Sprintf("data layout version %d", version))
	}
	n := d.count * uint64(d.Type.Size)
	const compact, contiguous, chunked = 0, 1, 2
	switch class {
	case compact:
		b := c.bytes(c.u16())
		if err := c.err("data layout"); err != nil {
			return nil, d.errorf("%w", err)
		}
		if uint64(len(b)) < n {
			return nil, d.errorf("%d bytes of data are stored, %d are needed", len(b), n)
		}
		return b[:n:n], nil
	case contiguous:
		if d.msgs[msgFilters] != nil {
			return nil, d.errorf("contiguous data cannot have filters")
		}
		at, size := c.u64(), c.u64()
		if err := c.err("data layout"); err != nil {
			return nil, d.errorf("%w", err)
		}
		if n == 0 {
			return nil, nil
		}
		if at == undefined {
			return nil, d.unsupported("a dataset that was never written (fill value)")
		}
		if size < n {
			return nil, d.errorf("%d bytes of data are stored, %d are needed", size, n)
		}
		if err := d.f.produce(n); err != nil {
			return nil, d.errorf("%w", err)
		}
		b, err := d.f.read(at, n)
		if err != nil {
			return nil, d.errorf("data: %w", err)
		}
		return b, nil
	case chunked:
		return d.chunks(c)
	}
	return nil, d.unsupported(fmt.Sprintf("data layout class %d", class))
}
