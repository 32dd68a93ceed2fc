// Package h5test writes small HDF5 files for tests. They have the structure of
// files that Keras writes with h5py: superblock 0, symbol-table groups,
// contiguous datasets.
package h5test

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"
)

// Node is a group or, if Shape is not nil, a dataset of float32.
type Node struct {
	Attrs    map[string][]string // at most 60 kB each; a single string is a scalar
	Children map[string]*Node
	Shape    []int // empty for a scalar
	Data     []float32
}

// Group returns a group.
func Group(children map[string]*Node) *Node { return &Node{Children: children} }

// Dataset returns a dataset.
func Dataset(data []float32, shape ...int) *Node {
	if shape == nil {
		shape = []int{}
	}
	return &Node{Shape: shape, Data: data}
}

// With adds an attribute to n and returns n.
func (n *Node) With(name string, values ...string) *Node {
	if n.Attrs == nil {
		n.Attrs = map[string][]string{}
	}
	n.Attrs[name] = values
	return n
}

// At returns the group at a path below n. It creates missing groups.
func (n *Node) At(path string) *Node {
	for name := range strings.SplitSeq(path, "/") {
		if n.Children == nil {
			n.Children = map[string]*Node{}
		}
		if n.Children[name] == nil {
			n.Children[name] = &Node{}
		}
		n = n.Children[name]
	}
	return n
}

// Write returns the bytes of a file with the given root group.
func Write(root *Node) []byte {
	w := &writer{b: make([]byte, 96)}
	at := w.object(root)
	copy(w.b, "\x89HDF\r\n\x1a\n")
	w.b[13], w.b[14] = 8, 8 // sizes of an address and of a length, in bytes
	le.PutUint16(w.b[16:], 4)
	le.PutUint16(w.b[18:], 16)
	le.PutUint64(w.b[32:], math.MaxUint64) // no free space information
	le.PutUint64(w.b[40:], uint64(len(w.b)))
	le.PutUint64(w.b[48:], math.MaxUint64) // no driver information
	le.PutUint64(w.b[64:], at)
	return w.b
}

type writer struct{ b []byte }

// place appends b at a multiple of 8 and returns its address.
func (w *writer) place(b []byte) uint64 {
	w.b = append(w.b, make([]byte, -len(w.b)&7)...)
	at := len(w.b)
	w.b = append(w.b, b...)
	return uint64(at)
}

var le = binary.LittleEndian

func pad8(b []byte) []byte { return append(b, make([]byte, -len(b)&7)...) }

// full pads a node to the size that libhdf5 reads.
func full(b []byte, size int) []byte { return append(b, make([]byte, max(0, size-len(b)))...) }

// message appends a message of an object header.
func message(h []byte, typ int, body []byte) []byte {
	body = pad8(body)
	h = le.AppendUint16(h, uint16(typ))
	h = le.AppendUint16(h, uint16(len(body)))
	h = append(h, 0, 0, 0, 0)
	return append(h, body...)
}

var float32Type = []byte{0x11, 0x20, 0x1f, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}

func space(shape []int) []byte {
	b := []byte{1, byte(len(shape)), 0, 0, 0, 0, 0, 0}
	for _, n := range shape {
		b = le.AppendUint64(b, uint64(n))
	}
	return b
}

// object writes a group or dataset after its contents and returns the address of
// its header.
func (w *writer) object(n *Node) uint64 {
	var h []byte
	count := 0
	add := func(typ int, body []byte) {
		h = message(h, typ, body)
		count++
	}
	if n.Shape != nil {
		var data []byte
		for _, x := range n.Data {
			data = le.AppendUint32(data, math.Float32bits(x))
		}
		layout := []byte{3, 1}
		layout = le.AppendUint64(layout, w.place(data))
		layout = le.AppendUint64(layout, uint64(len(data)))
		add(1, space(n.Shape))
		add(3, float32Type)
		add(8, layout)
	} else {
		tree, heap := w.group(n)
		add(0x11, le.AppendUint64(le.AppendUint64(nil, tree), heap))
	}
	for _, name := range slices.Sorted(maps.Keys(n.Attrs)) {
		add(0xc, attribute(name, n.Attrs[name]))
	}
	header := []byte{1, 0}
	header = le.AppendUint16(header, uint16(count))
	header = le.AppendUint32(header, 1) // references
	header = le.AppendUint32(header, uint32(len(h)))
	return w.place(append(append(header, 0, 0, 0, 0), h...))
}

// attribute returns the message of an attribute of fixed-length strings.
func attribute(name string, values []string) []byte {
	size := 1
	for _, v := range values {
		size = max(size, len(v))
	}
	kind := le.AppendUint32([]byte{0x13, 1, 0, 0}, uint32(size))
	extents := space([]int{len(values)})
	if len(values) == 1 {
		extents = space(nil)
	}
	b := []byte{1, 0}
	for _, n := range []int{len(name) + 1, len(kind), len(extents)} {
		b = le.AppendUint16(b, uint16(n))
	}
	b = append(b, pad8([]byte(name+"\x00"))...)
	b = append(b, pad8(kind)...)
	b = append(b, pad8(extents)...)
	for _, v := range values {
		b = append(b, v...)
		b = append(b, make([]byte, size-len(v))...)
	}
	return b
}

// group writes the B-tree and the local heap of a group.
func (w *writer) group(n *Node) (tree, heap uint64) {
	names := make([]byte, 8)
	var nodes []byte // the symbol table nodes' keys and addresses
	var entries []byte
	count, children := 0, 0
	flush := func(key int) {
		node := append([]byte("SNOD\x01\x00"), byte(count), 0)
		nodes = le.AppendUint64(nodes, w.place(full(append(node, entries...), 8+8*40)))
		nodes = le.AppendUint64(nodes, uint64(key))
		entries, count = nil, 0
		children++
	}
	last := 0
	for _, name := range slices.Sorted(maps.Keys(n.Children)) {
		child := w.object(n.Children[name])
		last = len(names)
		entries = le.AppendUint64(entries, uint64(last))
		entries = le.AppendUint64(entries, child)
		entries = append(entries, make([]byte, 24)...)
		names = pad8(append(names, name+"\x00"...))
		if count++; count == 8 {
			flush(last)
		}
	}
	if count > 0 {
		flush(last)
	}
	segment := w.place(names)
	h := append([]byte("HEAP"), 0, 0, 0, 0)
	h = le.AppendUint64(h, uint64(len(names)))
	h = le.AppendUint64(h, 1) // no free block
	heap = w.place(le.AppendUint64(h, segment))
	t := append([]byte("TREE"), 0, 0)
	t = le.AppendUint16(t, uint16(children))
	t = le.AppendUint64(le.AppendUint64(t, math.MaxUint64), math.MaxUint64) // no siblings
	t = le.AppendUint64(t, 0)
	tree = w.place(full(append(t, nodes...), 24+32*8+33*8))
	return tree, heap
}
