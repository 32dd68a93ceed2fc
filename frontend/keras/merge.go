package keras

import (
	"slices"

	"modelc/ir"
)

var _ = register(nsLayer, "merging", map[string]func(*call) *ir.Value{
	"Add":         func(c *call) *ir.Value { return c.fold(ir.Add, c.operandsOf(1)) },
	"Multiply":    func(c *call) *ir.Value { return c.fold(ir.Mul, c.operandsOf(1)) },
	"Maximum":     func(c *call) *ir.Value { return c.fold(ir.Max, c.operandsOf(1)) },
	"Minimum":     func(c *call) *ir.Value { return c.fold(ir.Min, c.operandsOf(1)) },
	"Subtract":    subtract,
	"Average":     average,
	"Concatenate": concatenate,
	"Dot":         dot,
	// Keras uses this class only in InceptionResNetV2.
	"CustomScaleLayer": addScaled,
})

// operandsOf returns the tensors of a merging layer, which has at least n. If
// their ranks differ, it inserts axes of extent 1 after the batch.
func (c *call) operandsOf(n int) []*ir.Value {
	list := c.xs()
	if len(list) < n {
		c.failf("it merges %d tensors, want at least %d", len(list), n)
	}
	rank := 0
	for _, v := range list {
		rank = max(rank, v.Type.Rank())
	}
	for i, v := range list {
		if missing := rank - v.Type.Rank(); missing > 0 {
			if v.Type.Rank() == 0 {
				c.failf("it merges a scalar")
			}
			list[i] = c.reshape(v, slices.Insert(slices.Clone(v.Type.Shape), 1, slices.Repeat([]int{1}, missing)...))
		}
	}
	return list
}

func (c *call) fold(f ir.BinaryFn, list []*ir.Value) *ir.Value {
	y := list[0]
	for _, v := range list[1:] {
		y = c.binary(f, y, v)
	}
	return y
}

// addScaled computes x0 + x1·scale.
func addScaled(c *call) *ir.Value {
	list := c.xs()
	if len(list) != 2 {
		c.failf("it adds %d tensors, want two", len(list))
	}
	scale := c.numbers("scale")
	if scale == nil {
		c.failf("it has no scale")
	}
	return c.binary(ir.Add, list[0], c.binary(ir.Mul, list[1], c.keep("scale", scale)))
}

func subtract(c *call) *ir.Value {
	list := c.operandsOf(2)
	if len(list) != 2 {
		c.failf("it subtracts %d tensors", len(list))
	}
	return c.binary(ir.Sub, list[0], list[1])
}

func average(c *call) *ir.Value {
	list := c.operandsOf(1)
	return c.binary(ir.Mul, c.fold(ir.Add, list), c.scalar(1/float64(len(list)), c.dtype))
}

func concatenate(c *call) *ir.Value {
	list := c.xs()
	if len(list) == 0 {
		c.failf("it concatenates nothing")
	}
	return c.concat(list, c.int("axis", -1))
}

func (c *call) concat(list []*ir.Value, axis int) *ir.Value {
	if len(list) == 1 {
		return list[0]
	}
	return c.emit(ir.Concat{Axis: c.axis(axis, list[0].Type.Rank())}, list...)
}

// dot contracts one axis of each of two tensors for each element of the batch.
func dot(c *call) *ir.Value {
	list := c.xs()
	if len(list) != 2 {
		c.failf("it is called with %d tensors, want two", len(list))
	}
	axes, ok := integers(c.config.get("axes"))
	if a, single := integer(c.config.get("axes")); single {
		axes, ok = []int{a, a}, true
	}
	if !ok || len(axes) != 2 {
		c.failf("axes is %.60v", c.config.get("axes"))
	}
	var free [2]ir.Shape // extents of the axes that are not contracted
	for i, v := range list {
		a := c.axis(axes[i], v.Type.Rank())
		if a == 0 {
			c.failf("it contracts the batch")
		}
		if c.flag("normalize", false) {
			v = c.unit(v, float64(a))
		}
		perm := []int{0}
		for k, d := range v.Type.Shape {
			if k > 0 && k != a {
				perm = append(perm, k)
				free[i] = append(free[i], d)
			}
		}
		// x becomes [N, X, K] and y [N, K, Y].
		s := v.Type.Shape
		if i == 0 {
			perm = append(perm, a)
			list[i] = c.reshape(c.transpose(v, perm), ir.Shape{s[0], elements(free[i]), s[a]})
		} else {
			perm = slices.Insert(perm, 1, a)
			list[i] = c.reshape(c.transpose(v, perm), ir.Shape{s[0], s[a], elements(free[i])})
		}
	}
	y := c.emit(ir.MatMul{}, list[0], list[1])
	shape := slices.Concat(y.Type.Shape[:1], free[0], free[1])
	if len(shape) == 1 {
		shape = append(shape, 1)
	}
	return c.reshape(y, shape)
}
