package modelc

import (
	"modelc/backend/inproc"
	"modelc/backend/plan"
	"modelc/ir"
	"modelc/ir/eval"
)

// CompareLayers runs the program on in, and the reference interpreter on the
// optimised graph, and calls visit for each layer that completes a value: with
// how far the two are apart, or why they cannot be compared.
func (c *Compiled) CompareLayers(in []*ir.Tensor, visit func(l plan.Layer, d eval.Diff, err error)) error {
	want := map[*ir.Value]*ir.Tensor{}
	if _, err := c.trace(c.Graph, in, func(x *ir.Value, t *ir.Tensor) { want[x] = t }); err != nil {
		return err
	}
	e, err := inproc.New(c.Program, 0)
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = e.Trace(in, func(l plan.Layer, got *ir.Tensor) {
		d, err := eval.Compare(got, want[l.Value])
		visit(l, d, err)
	})
	return err
}
