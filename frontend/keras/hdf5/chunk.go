package hdf5

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
)

// filter is a step of the filter pipeline (IV.A.2.l).
type filter struct {
	id     int
	client []uint32
}

const (
	filterDeflate = 1
	filterShuffle = 2
)

var filterNames = map[int]string{3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf", 32001: "blosc", 32015: "zstd"}

// filters decodes the filter pipeline. The filters are in the order in which
// they were applied for writing.
func (d *Dataset) filters() ([]filter, error) {
	b := d.msgs[msgFilters]
	if b == nil {
		return nil, nil
	}
	c := cursor{b: b}
	version, n := c.u8(), c.u8()
	if version != 1 {
		return nil, d.unsupported(fmt.Sprintf("filter pipeline version %d", version))
	}
	c.skip(6)
	var list []filter
	for range n {
		f := filter{id: c.u16()}
		name := c.u16()
		c.skip(2)
		values := c.u16()
		c.skip((name + 7) &^ 7)
		for range min(values, len(c.b)/4+1) {
			f.client = append(f.client, c.u32())
		}
		if values%2 == 1 {
			c.skip(4)
		}
		if err := c.err("filter pipeline"); err != nil {
			return nil, d.errorf("%w", err)
		}
		if f.id != filterDeflate && f.id != filterShuffle {
			name := filterNames[f.id]
			if name == "" {
				name = fmt.Sprint(f.id)
			}
			return nil, d.unsupported("filter " + name)
		}
		list = append(list, f)
	}
	return list, nil
}

// chunks reads a chunked dataset. c is positioned after the layout's class.
func (d *Dataset) chunks(c cursor) ([]byte, error) {
	rank := c.u8() - 1 // the file counts the element as an axis
	tree := c.u64()
	if rank < 0 || rank != len(d.Shape) {
		return nil, d.errorf("chunks of %d axes for shape %v", rank, d.Shape)
	}
	chunk := make([]int, rank)
	bytesPerChunk := uint64(d.Type.Size)
	for i := range chunk {
		chunk[i] = int(c.u32())
		if chunk[i] == 0 || bytesPerChunk > 1<<31/uint64(chunk[i]) {
			return nil, d.errorf("the chunk's extents %v are out of bounds", chunk[:i+1])
		}
		bytesPerChunk *= uint64(chunk[i])
	}
	c.u32() // the element's size again
	if err := c.err("data layout"); err != nil {
		return nil, d.errorf("%w", err)
	}
	list, err := d.filters()
	if err != nil {
		return nil, err
	}
	total := d.count * uint64(d.Type.Size)
	if total == 0 {
		return nil, nil
	}
	if tree == undefined {
		return nil, d.unsupported("a dataset that was never written (fill value)")
	}
	wanted := uint64(1)
	for i, n := range d.Shape {
		wanted *= uint64((n-1)/chunk[i] + 1)
	}
	// Chunks may extend beyond the edges of the dataset, and each is decompressed
	// completely.
	if wanted*bytesPerChunk/bytesPerChunk != wanted {
		return nil, d.errorf("%d chunks of %d bytes are out of bounds", wanted, bytesPerChunk)
	}
	if err := d.f.produce(wanted * bytesPerChunk); err != nil {
		return nil, d.errorf("%w", err)
	}
	out := make([]byte, total)
	buf := make([]byte, bytesPerChunk)
	placed := map[int]bool{}
	err = d.f.walk(tree, treeChunks, 8+8*(rank+1), func(key []byte, at uint64) error {
		k := cursor{b: key}
		size, mask := k.u32(), k.u32()
		origin := make([]int, rank)
		index := 0 // index of the chunk in the grid of chunks
		for i := range origin {
			o := k.u64()
			if o >= uint64(d.Shape[i]) || o%uint64(chunk[i]) != 0 {
				return fmt.Errorf("a chunk lies at %d along axis %d of %v", o, i, d.Shape)
			}
			origin[i] = int(o)
			index = index*((d.Shape[i]-1)/chunk[i]+1) + int(o)/chunk[i]
		}
		if placed[index] {
			return fmt.Errorf("the chunk at %v occurs twice", origin)
		}
		placed[index] = true
		stored, err := d.f.read(at, uint64(size))
		if err != nil {
			return fmt.Errorf("chunk: %w", err)
		}
		data, err := undo(list, mask, stored, buf, d.Type.Size)
		if err != nil {
			return fmt.Errorf("chunk at %v: %w", origin, err)
		}
		place(out, d.Shape, data, chunk, origin, d.Type.Size)
		return nil
	})
	if err != nil {
		return nil, d.errorf("%w", err)
	}
	if uint64(len(placed)) != wanted {
		return nil, d.unsupported(fmt.Sprintf("a dataset of which %d of %d chunks were written (fill value)", len(placed), wanted))
	}
	return out, nil
}

// undo reverses the filters except those in mask. The result has the length of
// buf and may be stored in buf.
func undo(list []filter, mask uint32, data, buf []byte, elem int) ([]byte, error) {
	for i := len(list) - 1; i >= 0; i-- {
		if mask>>i&1 != 0 {
			continue
		}
		switch f := list[i]; f.id {
		case filterDeflate:
			z, err := zlib.NewReader(bytes.NewReader(data))
			if err != nil {
				return nil, err
			}
			if _, err := io.ReadFull(z, buf); err != nil {
				return nil, fmt.Errorf("deflate: %w", err)
			}
			data = buf
		case filterShuffle:
			if len(f.client) > 0 {
				elem = int(f.client[0])
			}
			data = unshuffle(data, elem)
		}
	}
	if len(data) != len(buf) {
		return nil, fmt.Errorf("%d bytes instead of %d", len(data), len(buf))
	}
	return data, nil
}

// unshuffle reverses the shuffle filter, which stores the first bytes of all
// elements, then their second bytes, and so on.
func unshuffle(b []byte, elem int) []byte {
	if elem <= 1 || elem > len(b) {
		return b
	}
	out := make([]byte, len(b))
	n := len(b) / elem
	for k := range elem {
		for i := range n {
			out[i*elem+k] = b[k*n+i]
		}
	}
	copy(out[n*elem:], b[n*elem:]) // the rest is less than one element
	return out
}

// place copies the part of a chunk that lies inside the dataset.
func place(out []byte, shape []int, data []byte, chunk, origin []int, elem int) {
	if len(shape) == 0 {
		copy(out, data)
		return
	}
	last := len(shape) - 1
	row := min(chunk[last], shape[last]-origin[last]) * elem
	at := make([]int, last) // position in the chunk
	for {
		src, dst := 0, 0
		inside := true
		for i, p := range at {
			src = src*chunk[i] + p
			dst = dst*shape[i] + origin[i] + p
			inside = inside && origin[i]+p < shape[i]
		}
		if inside {
			copy(out[(dst*shape[last]+origin[last])*elem:][:row], data[src*chunk[last]*elem:])
		}
		i := last - 1
		for ; i >= 0; i-- {
			if at[i]++; at[i] < chunk[i] {
				break
			}
			at[i] = 0
		}
		if i < 0 {
			return
		}
	}
}
