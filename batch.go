package modelc

import (
	"fmt"
	"slices"

	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/ir"
)

// loadBatches loads the model at path for each batch size, smallest first, and
// makes sure that its batches are examples side by side.
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
	defer base.Release()
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

func release(models []*source.Model) error {
	var err error
	for _, m := range models {
		if e := m.Release(); err == nil {
			err = e
		}
	}
	return err
}

// checkBatch fails unless g computes n examples side by side: every value that
// depends on the inputs must have as many times more rows than the same value
// of base as the inputs have, and be the same otherwise. A model that was
// exported with a batch written into a shape is found this way.
func checkBatch(base, g *ir.Graph, n int) error {
	from := 0 // examples of base
	scaled := map[*ir.Value]bool{}
	for i, v := range g.Inputs {
		s, b := v.Type.Shape, base.Inputs[i].Type.Shape
		if len(s) == 0 || s[0] != n {
			return fmt.Errorf("input %q is %s: its first extent is given otherwise, or is no batch", v.Name, v.Type)
		}
		if b[0] == 0 || from > 0 && b[0] != from {
			return fmt.Errorf("the inputs have batches of %d and %d in the file", from, b[0])
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
				return fmt.Errorf("%s: the model for %d examples computes something else", node, from)
			}
			s, one := v.Type.Shape, b.Type.Shape
			if len(s) == 0 || len(s) != len(one) || s[0]*from != one[0]*n || !slices.Equal(s[1:], one[1:]) {
				return fmt.Errorf("%s: its result is %s, and %s for %d: the model does not keep examples apart along the first axis", node, v.Type, b.Type, from)
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
