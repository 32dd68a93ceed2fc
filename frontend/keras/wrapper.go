package keras

import (
	"slices"

	"modelc/ir"
)

var _ = register(nsLayer, "wrapper", map[string]func(*call) *ir.Value{"TimeDistributed": timeDistributed})

// timeDistributed applies a layer to each step along axis 1. It makes this axis
// part of the batch.
func timeDistributed(c *call) *ir.Value {
	inner := c.l.wrapped
	if inner == nil {
		c.failf("it wraps no layer")
	}
	x := c.x()
	if x.Type.Rank() < 2 {
		c.failf("its input has %d axes", x.Type.Rank())
	}
	s := x.Type.Shape
	rows := elements(s[:2])
	flat := c.reshape(x, slices.Concat(ir.Shape{rows}, s[2:]))
	st, err := c.store.part("layer", inner)
	if err != nil {
		c.failf("%v", err)
	}
	in := inbound{args: []any{flat}, kwargs: newRecord()}
	name := c.name + "/" + inner.name
	var out []*ir.Value
	if inner.network != nil {
		out = c.im.submodel(inner, st, name, in)
	} else {
		out = c.im.build(inner, st, name, in)
	}
	if len(out) != 1 || out[0] == nil {
		c.failf("its inner layer, %s %q, cannot be compiled", inner.class, inner.name)
	}
	y := out[0]
	if y.Type.Rank() == 0 || y.Type.Shape[0] != rows {
		c.failf("its inner layer, %s %q, changes the batch", inner.class, inner.name)
	}
	return c.reshape(y, slices.Concat(s[:2], y.Type.Shape[1:]))
}
