package eval

import (
	"fmt"

	"modelc/ir"
)

// pick builds a tensor of type t whose element i is element from(coordinates
// of i) of x; a negative position leaves zero.
func pick(t ir.Type, x *ir.Tensor, from func(at []int) int) *ir.Tensor {
	out := ir.NewTensor(t)
	size := t.DType.Size()
	at := make([]int, len(t.Shape))
	for i := range t.Shape.Len() {
		coordinates(i, t.Shape, at)
		if p := from(at); p >= 0 {
			copy(out.Bytes()[i*size:(i+1)*size], x.Bytes()[p*size:(p+1)*size])
		}
	}
	return out
}

func transpose(perm []int, t ir.Type, x *ir.Tensor) *ir.Tensor {
	st := x.Shape.Strides()
	return pick(t, x, func(at []int) int {
		p := 0
		for i, a := range at {
			p += a * st[perm[i]]
		}
		return p
	})
}

func concat(c ir.Concat, t ir.Type, in []*ir.Tensor) *ir.Tensor {
	out := ir.NewTensor(t)
	size := t.DType.Size()
	outer := t.Shape[:c.Axis].Len()
	row := t.Shape[c.Axis:].Len() * size
	at := 0
	for _, x := range in {
		n := x.Shape[c.Axis:].Len() * size
		for o := range outer {
			copy(out.Bytes()[o*row+at:][:n], x.Bytes()[o*n:])
		}
		at += n
	}
	return out
}

func interleave(v ir.Interleave, t ir.Type, in []*ir.Tensor) *ir.Tensor {
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
	return out
}

func slice(s ir.Slice, t ir.Type, x *ir.Tensor) *ir.Tensor {
	st := x.Shape.Strides()
	return pick(t, x, func(at []int) int {
		p := 0
		for i, a := range at {
			p += (s.Start[i] + a*s.Step[i]) * st[i]
		}
		return p
	})
}

func expand(t ir.Type, x *ir.Tensor) *ir.Tensor {
	return pick(t, x, func(at []int) int { return broadcastIndex(x.Shape, at) })
}

func pad(p ir.Pad, t ir.Type, x *ir.Tensor) *ir.Tensor {
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
		return out
	}
	size := t.DType.Size()
	fill := ir.FromFloat64s(ir.T(t.DType), []float64{p.Value}).Bytes()
	at := make([]int, r)
	for i := range t.Shape.Len() {
		coordinates(i, t.Shape, at)
		if source(at) < 0 {
			copy(out.Bytes()[i*size:(i+1)*size], fill)
		}
	}
	return out
}

// outside returns which of n elements stands at position k beyond them, −1
// for the constant: it walks the border outwards as the mode describes it.
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

func gather(g ir.Gather, t ir.Type, x, indices *ir.Tensor) (*ir.Tensor, error) {
	idx := indices.Ints()
	n := x.Shape[g.Axis]
	for i, k := range idx {
		if k < -n || k >= n {
			return nil, fmt.Errorf("index %d is outside axis %d of %s", k, g.Axis, x.Type)
		}
		if k < 0 {
			idx[i] = k + n
		}
	}
	out := ir.NewTensor(t)
	inner := x.Shape[g.Axis+1:].Len() * t.DType.Size()
	for o := range x.Shape[:g.Axis].Len() {
		for j, k := range idx {
			copy(out.Bytes()[(o*len(idx)+j)*inner:][:inner], x.Bytes()[(o*n+k)*inner:])
		}
	}
	return out, nil
}
