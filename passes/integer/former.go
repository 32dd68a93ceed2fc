package integer

import (
	"fmt"
	"slices"

	"modelc/ir"
)

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

// explain records why n, which may be nil, computes on floats. The first reason counts.
func (f *former) explain(n *ir.Node, why string) {
	if n != nil && f.why[n] == "" {
		f.why[n] = why
	}
}

// kindOf reports whether n is a convolution or dense layer, and whether it computes on
// integers.
func kindOf(n *ir.Node) (layer, integer bool) {
	switch op := n.Op.(type) {
	case ir.Conv:
		return true, !op.Integer.IsZero()
	case ir.Dense:
		return true, !op.Integer.IsZero()
	case ir.ConvTranspose, ir.MatMul:
		return true, false
	}
	return false, false
}
