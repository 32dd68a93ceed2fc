// Package integer makes layers of quantised networks compute on integers. In a model, such
// a layer computes on floats: its operands are dequantised, and its result is quantised.
// [Form] replaces the three by one node on integers.
package integer

import (
	"fmt"
	"slices"

	"modelc/ir"
)

// Form makes nodes of g compute on integers. It returns the number of places that it
// changed. The report is nil if g has no quantised tensors.
//
// The rules below run one after the other over all nodes. Their comments state their
// patterns and conditions. All of them require the schemes of schemeOf. The node that writes
// the integers of a Quantize keeps their name.
func Form(g *ir.Graph) (changed int, r *Report, err error) {
	if !slices.ContainsFunc(g.Nodes, convertsIntegers) {
		return 0, nil, nil
	}
	f := &former{g: g, weights: map[weightsKey]*weights{}, moved: map[*ir.Node]bool{}, why: map[*ir.Node]string{}}
	for _, rule := range []func(n *ir.Node) error{f.moveDequantised, f.quantise, f.compose, f.clamp, f.layerToFloat, f.dynamic} {
		for _, n := range slices.Clone(g.Nodes) {
			if !isRead(n) {
				continue // removed
			}
			if err := rule(n); err != nil {
				return f.changed, nil, fmt.Errorf("%s: %w", n, err)
			}
		}
	}
	g.Prune()
	return f.changed, f.report(), nil
}

// convertsIntegers reports whether n converts between floats and quantised tensors.
func convertsIntegers(n *ir.Node) bool {
	switch n.Op.(type) {
	case ir.Quantize, ir.Dequantize, ir.DynamicQuantize:
		return true
	}
	return false
}

// former is the state of a run of [Form].
type former struct {
	g       *ir.Graph
	changed int
	weights map[weightsKey]*weights
	moved   map[*ir.Node]bool   // nodes that moveDequantised made move integers
	why     map[*ir.Node]string // the reason why a node computes on floats
}

// become makes n compute op on the given operands in place of the nodes that it replaces.
// The type of its result must stay.
func (f *former) become(n *ir.Node, op ir.Op, by []*ir.Node, in ...*ir.Value) error {
	old := n.Out[0].Type
	for _, d := range by {
		if !convertsIntegers(d) {
			n.Name = d.Name
		}
		for _, v := range d.In {
			if isDequantize(v) {
				n.Absorb(v.Def())
			}
		}
	}
	n.Absorb(by...)
	above := slices.Clone(n.In)
	n.Op = op
	f.g.SetInputs(n, in...)
	f.sweep(above)
	f.changed++
	if err := f.g.Retype(n); err != nil {
		return err
	}
	if t := n.Out[0].Type; !t.Equal(old) {
		return fmt.Errorf("the result became %s instead of %s", t, old)
	}
	return nil
}

// sweep removes the nodes that compute values without readers.
func (f *former) sweep(values []*ir.Value) {
	for _, v := range values {
		if v == nil || v.Def() == nil || !slices.Contains(f.g.Nodes, v.Def()) || isRead(v.Def()) {
			continue
		}
		d := v.Def()
		above := slices.Clone(d.In)
		f.g.Remove(d)
		f.sweep(above)
	}
}

// isRead reports whether a result of n has a reader.
func isRead(n *ir.Node) bool {
	return slices.ContainsFunc(n.Out, func(v *ir.Value) bool { return len(v.Uses()) > 0 })
}

// constant adds a constant for n.
func (f *former) constant(n *ir.Node, what string, t *ir.Tensor) *ir.Value {
	return f.g.AddConst(n.Out[0].Name+"."+what, t)
}
