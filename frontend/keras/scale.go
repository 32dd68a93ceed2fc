package keras

import (
	"math"
	"slices"

	"modelc/ir"
)

var _ = register(nsLayer, "scaling", map[string]func(*call) *ir.Value{
	"Rescaling":     rescaling,
	"Normalization": normalization,
})

// rescaling computes x·scale+offset. scale and offset are one number or one
// number per channel.
func rescaling(c *call) *ir.Value {
	x := c.x()
	if v := c.numbers("scale"); v != nil {
		x = c.binary(ir.Mul, x, c.keep("scale", v))
	}
	if v := c.numbers("offset"); v != nil && !zero(v) {
		x = c.binary(ir.Add, x, c.keep("offset", v))
	}
	return x
}

func zero(t *ir.Tensor) bool {
	return !slices.ContainsFunc(t.Float64s(), func(x float64) bool { return x != 0 })
}

// numbers reads a number or a (nested) list of numbers as a tensor. It returns
// nil if the field is null.
func (c *call) numbers(key string) *ir.Tensor {
	v := c.config.get(key)
	if r := object(v); r != nil {
		v = array(r)
	}
	if v == nil {
		return nil
	}
	var shape ir.Shape
	var data []float64
	var read func(v any, depth int)
	read = func(v any, depth int) {
		list, ok := v.([]any)
		if !ok {
			if depth != len(shape) {
				c.failf("%s is a ragged list", key)
			}
			data = append(data, c.number(key, v))
			return
		}
		if depth == len(shape) && len(data) == 0 {
			shape = append(shape, len(list))
		}
		if depth >= len(shape) || shape[depth] != len(list) || len(list) == 0 {
			c.failf("%s is a ragged or empty list", key)
		}
		for _, e := range list {
			read(e, depth+1)
		}
	}
	read(v, 0)
	return ir.FromFloat64s(ir.Type{DType: c.dtype, Shape: shape}, data)
}

// normalization computes (x−mean)/max(√variance, 1e-7). The statistics along
// the kept axes come from the weights of an adapted layer or from the
// configuration.
func normalization(c *call) *ir.Value {
	const tiny = 1e-7 // keras.config.epsilon()
	x := c.x()
	rank := x.Type.Rank()
	axes := []int{rank - 1}
	switch v := c.config.get("axis").(type) {
	case nil:
		if _, given := c.config.values["axis"]; given {
			axes = nil // one mean for all elements
		}
	default:
		axes = c.axes(v, rank)
	}
	wide := slices.Repeat(ir.Shape{1}, rank)
	var own ir.Shape
	for _, a := range axes {
		wide[a] = x.Type.Shape[a]
		own = append(own, x.Type.Shape[a])
	}
	if elements(own) > ir.MaxStep {
		c.failf("statistics for axes %v of %s are too many", axes, x.Type.Shape)
	}
	mean, variance := c.numbers("mean"), c.numbers("variance")
	if mean == nil || variance == nil {
		mean, variance = c.weight("mean", own), c.weight("variance", own)
		if c.taken < len(c.vars) {
			c.variable("count") // of samples, which is not used
		}
	}
	shift, factor := mean.Float64s(), variance.Float64s()
	for _, v := range []*[]float64{&shift, &factor} {
		if len(*v) == 1 {
			c.afford(elements(own))
			*v = slices.Repeat(*v, elements(own))
		}
		if len(*v) != elements(own) {
			c.failf("%d statistics for axes %v of %s", len(*v), axes, x.Type.Shape)
		}
	}
	for i, v := range factor {
		factor[i] = max(math.Sqrt(v), tiny)
	}
	m := c.keep("mean", ir.FromFloat64s(ir.Type{DType: c.dtype, Shape: wide}, shift))
	s := c.keep("deviation", ir.FromFloat64s(ir.Type{DType: c.dtype, Shape: wide}, factor))
	if c.flag("invert", false) {
		return c.binary(ir.Add, c.binary(ir.Mul, x, s), m)
	}
	return c.binary(ir.Div, c.binary(ir.Sub, x, m), s)
}
