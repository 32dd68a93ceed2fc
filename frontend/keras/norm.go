package keras

import (
	"slices"

	"modelc/ir"
)

var _ = register(nsLayer, "normalization", map[string]func(*call) *ir.Value{
	"BatchNormalization":     batchNormalization,
	"BatchNormalizationV1":   batchNormalization,
	"BatchNormalizationV2":   batchNormalization,
	"SyncBatchNormalization": batchNormalization,
	"LayerNormalization":     layerNormalization,
	"GroupNormalization":     groupNormalization,
	"UnitNormalization":      func(c *call) *ir.Value { return c.unit(c.x(), c.config.get("axis")) },
	"LayerScale":             layerScale,
})

// batchNormalization normalises by the moving averages.
func batchNormalization(c *call) *ir.Value {
	if c.training() {
		c.refuse("it is called with training=True, which normalises by the batch", "call it without training=True")
	}
	x := c.x()
	rank := x.Type.Rank()
	axis := -1
	if v := c.config.get("axis"); v != nil {
		list := c.axes(v, rank)
		if len(list) != 1 {
			c.failf("it normalises along axes %v together", list)
		}
		axis = list[0]
	}
	axis = c.axis(axis, rank)
	if axis == 0 {
		c.failf("it normalises along the batch")
	}
	n := x.Type.Shape[axis]
	var gamma, beta *ir.Value
	if c.flag("scale", true) {
		gamma = c.param("gamma", ir.Shape{n}, nil)
	}
	if c.flag("center", true) {
		beta = c.param("beta", ir.Shape{n}, nil)
	}
	mean := c.param("moving_mean", ir.Shape{n}, nil)
	variance := c.param("moving_variance", ir.Shape{n}, nil)
	if gamma == nil {
		gamma = c.keep("gamma", c.filled(n, 1))
	}
	if beta == nil {
		beta = c.keep("beta", c.filled(n, 0))
	}
	if c.flag("renorm", false) {
		c.taken = len(c.vars) // the statistics of the renormalisation count only in training
	}
	to, from := channelAxisFirst(axis, rank)
	y := c.emit(ir.BatchNorm{Epsilon: c.float("epsilon", 1e-3)}, c.transpose(x, to), gamma, beta, mean, variance)
	return c.transpose(y, from)
}

// channelAxisFirst returns a permutation that moves axis behind the batch, and
// its inverse.
func channelAxisFirst(axis, rank int) (to, from []int) {
	to = []int{0, axis}
	for i := 1; i < rank; i++ {
		if i != axis {
			to = append(to, i)
		}
	}
	from = make([]int, rank)
	for i, p := range to {
		from[p] = i
	}
	return to, from
}

func layerNormalization(c *call) *ir.Value {
	if c.flag("rms_scaling", false) {
		c.refuse("rms_scaling is not supported", "use RMSNormalization's formula in keras.ops")
	}
	x := c.x()
	axes := []int{x.Type.Rank() - 1}
	if v := c.config.get("axis"); v != nil {
		axes = c.axes(v, x.Type.Rank())
	}
	// The parameters have the extents of the axes. For broadcasting they get
	// extent 1 along all other axes.
	var own ir.Shape
	wide := slices.Repeat(ir.Shape{1}, x.Type.Rank())
	for _, a := range axes {
		own = append(own, x.Type.Shape[a])
		wide[a] = x.Type.Shape[a]
	}
	layout := func(t *ir.Tensor) *ir.Tensor { return t.Reshaped(wide) }
	var gamma, beta *ir.Value
	if c.flag("scale", true) {
		gamma = c.param("gamma", own, layout)
	}
	if c.flag("center", true) {
		beta = c.param("beta", own, layout)
	}
	return c.emit(ir.Normalize{Axes: axes, Epsilon: c.float("epsilon", 1e-3)}, x, gamma, beta)
}

// groupNormalization normalises over all axes except the batch and the group.
func groupNormalization(c *call) *ir.Value {
	x := c.x()
	rank := x.Type.Rank()
	axis := c.axis(c.int("axis", -1), rank)
	n := x.Type.Shape[axis]
	groups := c.int("groups", 32)
	if groups == -1 {
		groups = n
	}
	if axis == 0 || groups < 1 || n%groups != 0 {
		c.failf("%d groups along axis %d of extent %d", groups, axis, n)
	}
	split := slices.Insert(slices.Clone(x.Type.Shape), axis, groups)
	split[axis+1] = n / groups
	wide := slices.Repeat(ir.Shape{1}, rank+1)
	wide[axis], wide[axis+1] = groups, n/groups
	var axes []int
	for i := 1; i <= rank; i++ {
		if i != axis {
			axes = append(axes, i)
		}
	}
	layout := func(t *ir.Tensor) *ir.Tensor { return t.Reshaped(wide) }
	var gamma, beta *ir.Value
	if c.flag("scale", true) {
		gamma = c.param("gamma", ir.Shape{n}, layout)
	}
	if c.flag("center", true) {
		beta = c.param("beta", ir.Shape{n}, layout)
	}
	y := c.emit(ir.Normalize{Axes: axes, Epsilon: c.float("epsilon", 1e-3)}, c.reshape(x, split), gamma, beta)
	return c.reshape(y, x.Type.Shape)
}

// unit divides x by its Euclidean norm along axes.
func (c *call) unit(x *ir.Value, axis any) *ir.Value {
	axes := []int{x.Type.Rank() - 1}
	if axis != nil {
		axes = c.axes(axis, x.Type.Rank())
	}
	const tiny = 1e-12
	norm := c.emit(ir.Reduce{Fn: ir.ReduceL2, Axes: axes, KeepDims: true}, x)
	return c.binary(ir.Div, x, c.binary(ir.Max, norm, c.scalar(tiny, x.Type.DType)))
}

// layerScale multiplies by a learnt vector, as in ConvNeXt.
func layerScale(c *call) *ir.Value {
	x := c.x()
	gamma := c.param("gamma", ir.Shape{x.Type.Shape[x.Type.Rank()-1]}, nil)
	return c.binary(ir.Mul, x, gamma)
}
