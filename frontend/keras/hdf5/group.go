package hdf5

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"modelc/internal/plaintext"
)

// Group is a folder of groups and datasets.
type Group struct {
	object
	parents []uint64 // header addresses from the root down to this group
	entries map[string]entry
	groups  map[string]*Group // groups that are open
}

// entry is a link of a group.
type entry struct {
	header uint64
	soft   bool
}

// maxName is the maximum length of a link's name in bytes.
const maxName = 1 << 12

// group opens the group with the object header at address at.
func (f *File) group(path string, at uint64, parents []uint64) (*Group, error) {
	o, err := f.object(path, at)
	if err != nil {
		return nil, err
	}
	if slices.Contains(parents, at) {
		return nil, o.errorf("the group contains itself")
	}
	table, ok := o.msgs[msgSymbolTable]
	if !ok {
		return nil, o.errorf("not a group")
	}
	g := &Group{object: *o, parents: append(slices.Clip(parents), at), entries: map[string]entry{}, groups: map[string]*Group{}}
	c := cursor{b: table}
	tree, heap := c.u64(), c.u64()
	if err := c.err("symbol table message"); err != nil {
		return nil, g.errorf("%w", err)
	}
	names, err := f.localHeap(heap)
	if err != nil {
		return nil, g.errorf("%w", err)
	}
	err = f.walk(tree, treeGroup, 8, func(_ []byte, child uint64) error {
		return g.symbols(child, names)
	})
	if err != nil {
		return nil, g.errorf("%w", err)
	}
	return g, nil
}

// localHeap returns the heap with the names of a group (III.D). Its data is in a
// separate segment, which HDF5 moves when names are added.
func (f *File) localHeap(at uint64) (string, error) {
	b, err := f.read(at, 32)
	if err != nil {
		return "", fmt.Errorf("local heap: %w", err)
	}
	if string(b[:4]) != "HEAP" || b[4] != 0 {
		return "", fmt.Errorf("no local heap at address %d", at)
	}
	c := cursor{b: b[8:]}
	size := c.u64()
	c.skip(8) // the free list
	data, err := f.read(c.u64(), size)
	if err != nil {
		return "", fmt.Errorf("local heap: %w", err)
	}
	return string(data), nil
}

// symbols adds the entries of a symbol table node (III.B).
func (g *Group) symbols(at uint64, names string) error {
	b, err := g.f.read(at, 8)
	if err != nil {
		return fmt.Errorf("symbol table node: %w", err)
	}
	c := cursor{b: b}
	if string(c.bytes(4)) != "SNOD" || c.u8() != 1 {
		return fmt.Errorf("no symbol table node at address %d", at)
	}
	c.skip(1)
	const size = 40
	n := c.u16()
	if b, err = g.f.read(at+8, uint64(n)*size); err != nil {
		return fmt.Errorf("symbol table node: %w", err)
	}
	for i := range n {
		c := cursor{b: b[i*size : (i+1)*size]}
		at, header, kind := c.u64(), c.u64(), c.u32()
		if at >= uint64(len(names)) {
			return fmt.Errorf("the name of entry %d is outside the local heap", i)
		}
		end := strings.IndexByte(names[at:min(uint64(len(names)), at+maxName+1)], 0)
		if end <= 0 {
			return fmt.Errorf("the name of entry %d is empty or not terminated", i)
		}
		name := plaintext.Name(names[at : at+uint64(end)])
		if _, twice := g.entries[name]; twice {
			return fmt.Errorf("two entries are named %q", name)
		}
		const softLink = 2
		g.entries[name] = entry{header: header, soft: kind == softLink}
	}
	return nil
}

// Names returns the sorted names of the objects in the group.
func (g *Group) Names() []string { return slices.Sorted(maps.Keys(g.entries)) }

// Path returns the group's absolute path: "/model_weights/conv2d".
func (g *Group) Path() string { return g.path }

// Has reports whether the group contains an object with the given name.
func (g *Group) Has(name string) bool {
	_, ok := g.entries[name]
	return ok
}

// Group opens the group at a path, a list of names separated by slashes.
func (g *Group) Group(path string) (*Group, error) {
	name, rest, more := strings.Cut(path, "/")
	sub := g.groups[name]
	if sub == nil {
		at, err := g.find(name)
		if err != nil {
			return nil, err
		}
		if sub, err = g.f.group(g.join(name), at, g.parents); err != nil {
			return nil, err
		}
		g.groups[name] = sub
	}
	if !more {
		return sub, nil
	}
	return sub.Group(rest)
}

// Dataset opens the dataset at a path, a list of names separated by slashes.
func (g *Group) Dataset(path string) (*Dataset, error) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		sub, err := g.Group(path[:i])
		if err != nil {
			return nil, err
		}
		return sub.Dataset(path[i+1:])
	}
	at, err := g.find(path)
	if err != nil {
		return nil, err
	}
	return g.f.dataset(g.join(path), at)
}

func (g *Group) find(name string) (uint64, error) {
	e, ok := g.entries[name]
	switch {
	case !ok:
		return 0, g.errorf("it has no %q", name)
	case e.soft:
		return 0, &Unsupported{g.join(name), "a soft link"}
	}
	return e.header, nil
}

func (g *Group) join(name string) string { return strings.TrimSuffix(g.path, "/") + "/" + name }
