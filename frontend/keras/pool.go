package keras

import (
	"slices"

	"modelc/ir"
)

var _ = register(nsLayer, "pooling", map[string]func(*call) *ir.Value{
	"MaxPooling1D":           func(c *call) *ir.Value { return c.pool(ir.MaxPool, 1) },
	"MaxPooling2D":           func(c *call) *ir.Value { return c.pool(ir.MaxPool, 2) },
	"MaxPool1D":              func(c *call) *ir.Value { return c.pool(ir.MaxPool, 1) },
	"MaxPool2D":              func(c *call) *ir.Value { return c.pool(ir.MaxPool, 2) },
	"AveragePooling1D":       func(c *call) *ir.Value { return c.pool(ir.AvgPool, 1) },
	"AveragePooling2D":       func(c *call) *ir.Value { return c.pool(ir.AvgPool, 2) },
	"AvgPool1D":              func(c *call) *ir.Value { return c.pool(ir.AvgPool, 1) },
	"AvgPool2D":              func(c *call) *ir.Value { return c.pool(ir.AvgPool, 2) },
	"GlobalMaxPooling1D":     func(c *call) *ir.Value { return c.globalPool(ir.ReduceMax, 1) },
	"GlobalMaxPooling2D":     func(c *call) *ir.Value { return c.globalPool(ir.ReduceMax, 2) },
	"GlobalMaxPool1D":        func(c *call) *ir.Value { return c.globalPool(ir.ReduceMax, 1) },
	"GlobalMaxPool2D":        func(c *call) *ir.Value { return c.globalPool(ir.ReduceMax, 2) },
	"GlobalAveragePooling1D": func(c *call) *ir.Value { return c.globalPool(ir.ReduceMean, 1) },
	"GlobalAveragePooling2D": func(c *call) *ir.Value { return c.globalPool(ir.ReduceMean, 2) },
	"GlobalAvgPool1D":        func(c *call) *ir.Value { return c.globalPool(ir.ReduceMean, 1) },
	"GlobalAvgPool2D":        func(c *call) *ir.Value { return c.globalPool(ir.ReduceMean, 2) },
})

// pool builds average and maximum pools. The padding of "same" is not part of
// the average or the maximum.
func (c *call) pool(kind ir.PoolKind, n int) *ir.Value {
	x := c.image(n)
	w := window{kernel: c.tuple("pool_size", n, 2), dilations: slices.Repeat([]int{1}, n), padding: c.str("padding", "valid")}
	w.strides = slices.Clone(w.kernel)
	if c.config.get("strides") != nil {
		w.strides = c.tuple("strides", n, 1)
	}
	if w.padding == "causal" {
		c.failf("padding %q", w.padding)
	}
	for i, n := range x.Type.Shape[c.spatial():][:n] {
		// A window twice as wide as the padded image always covers all of it.
		if w.padding == "same" {
			w.kernel[i] = min(w.kernel[i], max(2*min(n, ir.MaxStep/2), 1))
		}
	}
	return c.planar(x, func(x *ir.Value) *ir.Value {
		return c.emit(ir.Pool{Kind: kind, Kernel: w.kernel, Strides: w.strides, Pads: w.pads(c, x.Type.Shape[2:]), Dilations: w.dilations}, x)
	})
}

func (c *call) globalPool(fn ir.ReduceFn, n int) *ir.Value {
	x := c.image(n)
	var axes []int
	for i := range n {
		axes = append(axes, c.spatial()+i)
	}
	return c.emit(ir.Reduce{Fn: fn, Axes: axes, KeepDims: c.flag("keepdims", false)}, x)
}
