package eval

import (
	"fmt"

	"modelc/ir"
)

func init() {
	define(reshape)
	define(transpose)
	define(concat)
	define(interleave)
	define(slice)
	define(expand)
	define(pad)
	define(gather)
}

// pick returns a tensor of type t. Its element at coordinates at is element from(at) of x,
// or zero if from(at) is negative.
func pick(t ir.Type, x *ir.Tensor, from func(at []int) int) *ir.Tensor {
	out := ir.NewTensor(t)
	size := t.DType.Size()
	to, b := out.Bytes(), x.Bytes()
	walk(t.Shape, func(i int, at []int) {
		if p := from(at); p >= 0 {
			copy(to[i*size:(i+1)*size], b[p*size:(p+1)*size])
		}
	})
	return out
}

func reshape(op ir.Reshape, c call) ([]*ir.Tensor, error) { return one(c.in[0].Reshaped(op.Shape)) }

func transpose(op ir.Transpose, c call) ([]*ir.Tensor, error) {
	st := c.in[0].Shape.Strides()
	return one(pick(c.out[0], c.in[0], func(at []int) int {
		p := 0
		for i, a := range at {
			p += a * st[op.Perm[i]]
		}
		return p
	}))
}

func concat(op ir.Concat, c call) ([]*ir.Tensor, error) {
	t := c.out[0]
	out := ir.NewTensor(t)
	size := t.DType.Size()
	outer := t.Shape[:op.Axis].Len()
	row := t.Shape[op.Axis:].Len() * size
	at := 0
	for _, x := range c.in {
		n := x.Shape[op.Axis:].Len() * size
		for o := range outer {
			copy(out.Bytes()[o*row+at:][:n], x.Bytes()[o*n:])
		}
		at += n
	}
	return one(out)
}

func interleave(v ir.Interleave, c call) ([]*ir.Tensor, error) {
	t, in := c.out[0], c.in
	out := ir.NewTensor(t)
	size := t.DType.Size()
	at := make([]int, len(t.Shape))
	for i := range t.Shape.Len() {
		coordinates(i, t.Shape, at)
		p := 0
		for a, s := range v.Strides {
			p = p*s + at[2+a]%s
		}
		from := 0
		for a, d := range in[p].Shape {
			x := at[a]
			if a >= 2 {
				x /= v.Strides[a-2]
			}
			from = from*d + x
		}
		copy(out.Bytes()[i*size:][:size], in[p].Bytes()[from*size:])
	}
	return one(out)
}

func slice(s ir.Slice, c call) ([]*ir.Tensor, error) {
	st := c.in[0].Shape.Strides()
	return one(pick(c.out[0], c.in[0], func(at []int) int {
		p := 0
		for i, a := range at {
			p += (s.Start[i] + a*s.Step[i]) * st[i]
		}
		return p
	}))
}

func expand(_ ir.Expand, c call) ([]*ir.Tensor, error) {
	x := c.in[0]
	return one(pick(c.out[0], x, func(at []int) int { return broadcastIndex(x.Shape, at) }))
}

func pad(p ir.Pad, c call) ([]*ir.Tensor, error) {
	x, t := c.in[0], c.out[0]
	r := len(x.Shape)
	st := x.Shape.Strides()
	source := func(at []int) int {
		pos := 0
		for i, a := range at {
			begin, end := p.Pads[i], p.Pads[r+i]
			first := max(0, -begin)
			n := x.Shape[i] - first - max(0, -end)
			k := a - max(0, begin)
			if k < 0 || k >= n {
				if k = outside(p.Mode, k, n); k < 0 {
					return -1
				}
			}
			pos += (first + k) * st[i]
		}
		return pos
	}
	out := pick(t, x, source)
	if p.Mode != ir.PadConstant || p.Value == 0 {
		return one(out)
	}
	size := t.DType.Size()
	fill := ir.FromFloat64s(ir.T(t.DType), []float64{p.Value}).Bytes()
	b := out.Bytes()
	walk(t.Shape, func(i int, at []int) {
		if source(at) < 0 {
			copy(b[i*size:(i+1)*size], fill)
		}
	})
	return one(out)
}

// outside returns the index of the element, of n elements, that the border repeats at
// position k, or −1 if the border is the constant.
func outside(m ir.PadMode, k, n int) int {
	switch m {
	case ir.PadEdge:
		return min(max(k, 0), n-1)
	case ir.PadReflect:
		if n == 1 {
			return 0
		}
		for k < 0 || k >= n {
			if k < 0 {
				k = -k
			} else {
				k = 2*(n-1) - k
			}
		}
		return k
	case ir.PadSymmetric:
		for k < 0 || k >= n {
			if k < 0 {
				k = -k - 1
			} else {
				k = 2*n - 1 - k
			}
		}
		return k
	case ir.PadWrap:
		for k < 0 {
			k += n
		}
		return k % n
	}
	return -1
}

func gather(g ir.Gather, c call) ([]*ir.Tensor, error) {
	x, t := c.in[0], c.out[0]
	n := x.Shape[g.Axis]
	idx := make([]int, c.in[ir.GatherIndices].Shape.Len())
	for i, k := range c.in[ir.GatherIndices].Int64s() {
		if k < int64(-n) || k >= int64(n) {
			return nil, fmt.Errorf("index %d is outside axis %d of %s", k, g.Axis, x.Type)
		}
		if k < 0 {
			k += int64(n)
		}
		idx[i] = int(k)
	}
	out := ir.NewTensor(t)
	inner := x.Shape[g.Axis+1:].Len() * t.DType.Size()
	for o := range x.Shape[:g.Axis].Len() {
		for j, k := range idx {
			copy(out.Bytes()[(o*len(idx)+j)*inner:][:inner], x.Bytes()[(o*n+k)*inner:])
		}
	}
	return one(out)
}
