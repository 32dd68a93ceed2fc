package modelc

import (
	"fmt"
	"slices"

	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/ir"
)

// loadBatches loads the model at path for each batch size, in the order of sizes.
// It checks that the model computes the examples of a batch independently.
func loadBatches(path string, o source.Options, sizes []int) (models []*source.Model, err error) {
	defer func() {
		if err != nil {
			release(models)
			models = nil
		}
	}()
	base, err := frontend.Load(path, o)
	if err != nil {
		return nil, err
	}
	// Only the types in its graph are read. Otherwise the file would be mapped twice.
	if err := base.Release(); err != nil {
		return nil, err
	}
	for _, n := range sizes {
		if n < 1 {
			return models, fmt.Errorf("a batch of %d examples: want 1 or more", n)
		}
		o.Batch = n
		m, err := frontend.Load(path, o)
		if err != nil {
			return models, fmt.Errorf("for batches of %d: %w", n, err)
		}
		models = append(models, m)
		if err := checkBatch(base.Graph, m.Graph, n); err != nil {
			return models, fmt.Errorf("%s: for batches of %d: %w; --dim binds an open dimension without this check", path, n, err)
		}
	}
	return models, nil
}

// release releases models and returns the first error.
func release(models []*source.Model) error {
	var err error
	for _, m := range models {
		if e := m.Release(); err == nil {
			err = e
		}
	}
	return err
}

// checkBatch returns an error unless g computes n examples independently. base is
// the model with the batch size of the file. From base to g, the first extent of
// every value that depends on the inputs must grow by the same factor as that of
// the inputs, and the other extents must not change. This refuses models in which
// a shape contains the batch size.
func checkBatch(base, g *ir.Graph, n int) error {
	from := 0 // batch size of base
	scaled := map[*ir.Value]bool{}
	for i, v := range g.Inputs {
		s, b := v.Type.Shape, base.Inputs[i].Type.Shape
		if len(s) == 0 || s[0] != n {
			return fmt.Errorf("input %q is %s: its first dimension is fixed, or is not the batch", v.Name, v.Type)
		}
		if b[0] == 0 || from > 0 && b[0] != from {
			return fmt.Errorf("the inputs have batch sizes of %d and %d in the file", from, b[0])
		}
		from = b[0]
		scaled[v] = true
	}
	if n == from {
		return nil
	}
	for _, node := range g.Nodes {
		if !slices.ContainsFunc(node.In, func(v *ir.Value) bool { return scaled[v] }) {
			continue
		}
		for _, v := range node.Out {
			scaled[v] = true
			b := base.Lookup(v.Name)
			if b == nil {
				return fmt.Errorf("%s: the model for a batch of %d has no such value", node, from)
			}
			s, one := v.Type.Shape, b.Type.Shape
			if len(s) == 0 || len(s) != len(one) || s[0]*from != one[0]*n || !slices.Equal(s[1:], one[1:]) {
				return fmt.Errorf("%s: its result is %s, but %s for a batch of %d: the model mixes the examples of a batch", node, v.Type, b.Type, from)
			}
		}
	}
	for _, o := range g.Outputs {
		if !scaled[o.Value] {
			return fmt.Errorf("output %q does not depend on the inputs", o.Name)
		}
	}
	return nil
}
