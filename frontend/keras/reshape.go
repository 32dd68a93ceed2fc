package keras

import (
	"slices"

	"modelc/ir"
)

var _ = register(nsLayer, "shape", map[string]func(*call) *ir.Value{
	"Flatten":       flatten,
	"Reshape":       reshape,
	"Permute":       permute,
	"RepeatVector":  repeatVector,
	"ZeroPadding1D": func(c *call) *ir.Value { return c.border("padding", 1, 1) },
	"ZeroPadding2D": func(c *call) *ir.Value { return c.border("padding", 2, 1) },
	"Cropping1D":    func(c *call) *ir.Value { return c.border("cropping", 1, -1) },
	"Cropping2D":    func(c *call) *ir.Value { return c.border("cropping", 2, -1) },
})

// flatten reads its input with channels last for every data format.
func flatten(c *call) *ir.Value {
	x := c.x()
	rank := x.Type.Rank()
	if rank == 0 {
		c.failf("its input is a scalar")
	}
	if c.firstFormat() && rank > 1 {
		x = c.transpose(x, ir.ChannelsLast(rank))
	}
	return c.reshape(x, ir.Shape{x.Type.Shape[0], elements(x.Type.Shape[1:])})
}

func reshape(c *call) *ir.Value {
	x := c.x()
	target, ok := integers(c.config.get("target_shape"))
	if !ok || x.Type.Rank() == 0 {
		c.failf("target_shape is %.60v", c.config.get("target_shape"))
	}
	return c.reshape(x, append(ir.Shape{x.Type.Shape[0]}, c.solve(target, x.Type.Shape[1:])...))
}

// solve replaces the −1 in a target shape by the extent that fits.
func (c *call) solve(target []int, from ir.Shape) ir.Shape {
	out := slices.Clone(target)
	open, rest := -1, int64(1)
	for i, d := range out {
		switch {
		case d == -1 && open < 0:
			open = i
		case d < 0 || d > maxElements || rest > maxElements:
			c.failf("shape %v", target)
		default:
			rest *= int64(d)
		}
	}
	if open >= 0 {
		n := int64(elements(from))
		if rest == 0 || n%rest != 0 {
			c.failf("shape %v does not fit %s", target, from)
		}
		out[open] = int(n / rest)
	}
	return out
}

func permute(c *call) *ir.Value {
	x := c.x()
	dims, ok := integers(c.config.get("dims"))
	if !ok {
		c.failf("dims is %.60v", c.config.get("dims"))
	}
	return c.emit(ir.Transpose{Perm: append([]int{0}, dims...)}, x)
}

func repeatVector(c *call) *ir.Value {
	x := c.x()
	n := c.legal("n", int64(c.int("n", 1)))
	if x.Type.Rank() != 2 || n < 1 {
		c.failf("it repeats %s %d times, want [N,C]", x.Type.Shape, n)
	}
	s := x.Type.Shape
	return c.emit(ir.Expand{Shape: ir.Shape{s[0], n, s[1]}}, c.reshape(x, ir.Shape{s[0], 1, s[1]}))
}

// border pads (sign 1) or crops (sign −1) the n spatial axes. The field is one
// number, one number per axis, or one pair per axis.
func (c *call) border(key string, n, sign int) *ir.Value {
	x := c.image(n)
	pads := make([]int, 2*x.Type.Rank())
	set := func(i, begin, end int) {
		c.legal(key, int64(begin))
		c.legal(key, int64(end))
		at := c.spatial() + i
		pads[at], pads[x.Type.Rank()+at] = sign*begin, sign*end
	}
	v := c.config.get(key)
	one, single := integer(v)
	list, _ := v.([]any)
	flat, isFlat := integers(v)
	switch {
	case v == nil:
		one, single = 1, true
		fallthrough
	case single:
		for i := range n {
			set(i, one, one)
		}
	case n == 1 && isFlat && len(flat) == 2:
		set(0, flat[0], flat[1])
	case isFlat && len(flat) == n:
		for i, p := range flat {
			set(i, p, p)
		}
	case len(list) == n:
		for i, e := range list {
			p, ok := integers(e)
			if !ok || len(p) != 2 {
				c.failf("%s is %.60v", key, v)
			}
			set(i, p[0], p[1])
		}
	default:
		c.failf("%s is %.60v", key, v)
	}
	if !slices.ContainsFunc(pads, func(p int) bool { return p != 0 }) {
		return x
	}
	if sign < 0 {
		r := x.Type.Rank()
		s := ir.Slice{Start: make([]int, r), Count: slices.Clone(x.Type.Shape), Step: slices.Repeat([]int{1}, r)}
		for i := range r {
			s.Start[i] = -pads[i]
			s.Count[i] += pads[i] + pads[r+i]
		}
		return c.emit(s, x)
	}
	return c.emit(ir.Pad{Pads: pads}, x)
}

// slice returns count elements from start along one axis.
func (c *call) slice(x *ir.Value, axis, start, count int) *ir.Value {
	r := x.Type.Rank()
	s := ir.Slice{Start: make([]int, r), Count: slices.Clone(x.Type.Shape), Step: slices.Repeat([]int{1}, r)}
	s.Start[axis], s.Count[axis] = start, count
	return c.emit(s, x)
}
