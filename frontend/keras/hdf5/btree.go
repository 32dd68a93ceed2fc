package hdf5

import "fmt"

// The kinds of version 1 B-trees.
const (
	treeGroup  = 0
	treeChunks = 1
)

// walk calls leaf for every child of the leaf level of the version 1 B-tree at
// address at (III.A.1), with the key that precedes the child. keySize is in
// bytes. A child must have a lower level than its node, and no node may occur
// twice, so walk terminates for every file.
func (f *File) walk(at uint64, kind, keySize int, leaf func(key []byte, child uint64) error) error {
	seen := map[uint64]bool{}
	var visit func(at uint64, level int) error
	visit = func(at uint64, level int) error {
		if seen[at] {
			return fmt.Errorf("the B-tree node at address %d is reached twice", at)
		}
		seen[at] = true
		head, err := f.read(at, 24)
		if err != nil {
			return fmt.Errorf("in a B-tree: %w", err)
		}
		c := cursor{b: head}
		if string(c.bytes(4)) != "TREE" || c.u8() != kind {
			return fmt.Errorf("no B-tree of kind %d at address %d", kind, at)
		}
		l := c.u8()
		if level >= 0 && l != level {
			return fmt.Errorf("the B-tree node at address %d has level %d, not %d", at, l, level)
		}
		n := c.u16()
		body, err := f.read(at+24, uint64(n*(keySize+8)))
		if err != nil {
			return fmt.Errorf("in a B-tree: %w", err)
		}
		for b := (cursor{b: body}); len(b.b) > 0; {
			key, child := b.bytes(keySize), b.u64()
			switch {
			case l > 0:
				err = visit(child, l-1)
			case seen[child]:
				err = fmt.Errorf("the B-tree refers twice to address %d", child)
			default:
				seen[child] = true
				err = leaf(key, child)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return visit(at, -1)
}
