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
