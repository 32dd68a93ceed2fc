package keras

import "modelc/ir"

var _ = register(nsLayer, "dense", map[string]func(*call) *ir.Value{
	"Dense": func(c *call) *ir.Value { return c.activation(c.dense(c.x())) },
})

// dense multiplies the last axis of x by a kernel [K, M].
func (c *call) dense(x *ir.Value) *ir.Value {
	rank := x.Type.Rank()
	if rank < 2 {
		c.failf("its input has %d axes, want at least 2", rank)
	}
	units := c.int("units", 0)
	k := x.Type.Shape[rank-1]
	if units < 1 || k < 1 {
		c.failf("%d units over %d features", units, k)
	}
	kernel := c.param("kernel", ir.Shape{k, units}, nil)
	bias := c.bias(units)
	rows := x.Type.Shape[:rank-1]
	y := c.emit(ir.Dense{}, c.reshape(x, ir.Shape{elements(rows), k}), kernel, bias)
	return c.reshape(y, append(rows[:rank-1:rank-1], units))
}
