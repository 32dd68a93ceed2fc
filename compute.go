package modelc

import (
	"errors"
	"math"

	"modelc/backend/cpu"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime/kernel"
)

// LayerError is the error of a convolution on bfloat16.
type LayerError struct {
	Name string `json:"name"`
	// Error is the error of the layer alone, of rounding its operands and its result: the
	// root of the mean squared difference from its result in float32, divided by the root
	// of the mean square of that result.
	Error float64 `json:"error"`
	// Kept reports whether the layer computes in float32, because its error is too large.
	Kept bool `json:"kept,omitempty"`
}

// narrowLayers makes the convolutions of g compute on bfloat16, if the options say so. If they
// have a maximum error, it measures the error of each convolution on seeded inputs, and leaves
// those with a larger one in float32. If earlier, the errors for another batch size, is not
// nil, it decides in place of a measurement. It returns the errors.
func narrowLayers(g *ir.Graph, o *Options, earlier []LayerError) (list []LayerError, err error) {
	if o.Compute != kernel.BF16 {
		return nil, nil
	}
	if o.MaxError == 0 || earlier != nil {
		kept := map[string]bool{}
		for _, l := range earlier {
			kept[l.Name] = l.Kept
		}
		return earlier, cpu.NarrowLayers(g, func(n *ir.Node) bool { return kept[n.Out[0].Name] })
	}
	values := map[*ir.Value]*ir.Tensor{}
	in := eval.Inputs(g, 1)
	for i, v := range g.Inputs {
		values[v] = in[i]
	}
	progress := o.timed()
	if _, err := eval.Trace(g, in, func(v *ir.Value, t *ir.Tensor) error {
		values[v] = t
		return progress.Update("errors of layers", len(values)-len(in), len(g.Nodes))
	}); err != nil {
		return nil, err
	}
	var failed error
	err = cpu.NarrowLayers(g, func(n *ir.Node) bool {
		e, err := layerError(n, values)
		failed = errors.Join(failed, err)
		list = append(list, LayerError{n.Out[0].Name, e, e > o.MaxError})
		return e > o.MaxError
	})
	return list, errors.Join(err, failed)
}

// layerError returns the error of the convolution n on bfloat16. values holds its operands
// and its result in float32.
func layerError(n *ir.Node, values map[*ir.Value]*ir.Tensor) (float64, error) {
	g := ir.NewGraph(n.Name)
	var operands []*ir.Value
	var in []*ir.Tensor
	for _, v := range n.In {
		switch {
		case v == nil:
			operands = append(operands, nil)
		case v.Const != nil:
			operands = append(operands, g.AddConst(v.Name, v.Const))
		default:
			operands = append(operands, g.AddInput(v.Name, values[v].Type))
			in = append(in, values[v])
		}
	}
	y, err := g.Emit("y", n.Op, operands...)
	if err != nil {
		return 0, err
	}
	g.AddOutput("y", y)
	if err := cpu.NarrowLayers(g, func(*ir.Node) bool { return false }); err != nil {
		return 0, err
	}
	out, err := eval.Run(g, in)
	if err != nil {
		return 0, err
	}
	var wrong, all float64
	want := values[n.Out[0]].Float64s()
	for i, got := range out[0].Float64s() {
		wrong += (got - want[i]) * (got - want[i])
		all += want[i] * want[i]
	}
	return math.Sqrt(wrong / max(all, math.SmallestNonzeroFloat64)), nil
}
