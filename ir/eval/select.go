package eval

import (
	"cmp"
	"fmt"
	"slices"

	"modelc/ir"
)

func init() {
	define(topK)
	define(nonMaxSuppression)
	define(maxUnpool)
	define(scatter)
}

func topK(op ir.TopK, c call) ([]*ir.Tensor, error) {
	x, types := c.in[0], c.out
	var compare func(a, b int) int
	switch {
	case x.DType.IsFloat():
		v := x.Float64s()
		compare = func(a, b int) int { return cmp.Compare(v[a], v[b]) }
	case x.DType == ir.Uint64:
		v := ir.Elements[uint64](x)
		compare = func(a, b int) int { return cmp.Compare(v[a], v[b]) }
	default:
		v := x.Int64s()
		compare = func(a, b int) int { return cmp.Compare(v[a], v[b]) }
	}
	out := ir.NewTensor(types[0])
	idx := make([]int64, types[1].Shape.Len())
	size := x.DType.Size()
	to := groups(types[0].Shape, []int{op.Axis})
	for g, list := range groups(x.Shape, []int{op.Axis}) {
		order := upTo(len(list))
		slices.SortStableFunc(order, func(a, b int) int {
			if op.Smallest {
				return compare(list[a], list[b])
			}
			return compare(list[b], list[a])
		})
		for k, i := range order[:op.K] {
			p := to[g][k]
			idx[p] = int64(i)
			copy(out.Bytes()[p*size:(p+1)*size], x.Bytes()[list[i]*size:])
		}
	}
	return []*ir.Tensor{out, ir.TensorOf(types[1].Shape, idx...)}, nil
}

func upTo(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// box holds two corners of a box, the lesser coordinates first.
type box struct{ x0, y0, x1, y1 float32 }

func boxOf(v []float32, center bool) box {
	if center {
		w, h := v[2]/2, v[3]/2
		return box{v[0] - w, v[1] - h, v[0] + w, v[1] + h}
	}
	return box{min(v[1], v[3]), min(v[0], v[2]), max(v[1], v[3]), max(v[0], v[2])}
}

func (b box) area() float32 { return (b.x1 - b.x0) * (b.y1 - b.y0) }

// overlap returns the intersection over the union of two boxes, or 0 if one has no area.
func (b box) overlap(o box) float32 {
	w := min(b.x1, o.x1) - max(b.x0, o.x0)
	h := min(b.y1, o.y1) - max(b.y0, o.y0)
	if !(w > 0 && h > 0 && b.area() > 0 && o.area() > 0) {
		return 0
	}
	common := w * h
	return common / (b.area() + o.area() - common)
}

func nonMaxSuppression(op ir.NonMaxSuppression, a call) ([]*ir.Tensor, error) {
	boxes, scores := a.in[0], a.in[ir.NonMaxSuppressionScores]
	b, s := boxes.Float32s(), scores.Float32s()
	n, classes, num := scores.Shape[0], scores.Shape[1], scores.Shape[2]
	var rows []int64
	for i := range n {
		for c := range classes {
			sc := s[(i*classes+c)*num:][:num]
			order := upTo(num)
			order = slices.DeleteFunc(order, func(k int) bool { return !(sc[k] > float32(op.Score)) })
			slices.SortStableFunc(order, func(p, q int) int { return cmp.Compare(sc[q], sc[p]) })
			var picked []box
			for _, k := range order {
				if len(picked) == op.PerClass {
					break
				}
				v := boxOf(b[(i*num+k)*4:], op.Center)
				if slices.ContainsFunc(picked, func(o box) bool { return v.overlap(o) > float32(op.Overlap) }) {
					continue
				}
				picked = append(picked, v)
				rows = append(rows, int64(i), int64(c), int64(k))
			}
		}
	}
	count := int64(len(rows) / 3)
	rows = append(rows, slices.Repeat([]int64{-1}, a.out[0].Shape.Len()-len(rows))...)
	return []*ir.Tensor{ir.TensorOf(a.out[0].Shape, rows...), ir.TensorOf(ir.Shape{1}, count)}, nil
}

func maxUnpool(_ ir.MaxUnpool, c call) ([]*ir.Tensor, error) {
	x, t := c.in[0], c.out[0]
	out := ir.NewTensor(t)
	size := t.DType.Size()
	for i, p := range c.in[ir.MaxUnpoolIndices].Int64s() {
		if p < 0 || p >= int64(t.Shape.Len()) {
			return nil, fmt.Errorf("index %d lies outside %s", p, t)
		}
		copy(out.Bytes()[int(p)*size:][:size], x.Bytes()[i*size:])
	}
	return one(out)
}

func scatter(op ir.Scatter, c call) ([]*ir.Tensor, error) {
	x, u := c.in[0], c.in[ir.ScatterUpdates]
	n, inner := x.Shape[0], x.Shape[1:].Len()
	fn, combines := op.Reduction.Fn()
	out := ir.NewTensor(x.Type)
	copy(out.Bytes(), x.Bytes())
	// update combines slice p of x with update q. result returns x.
	size := inner * x.DType.Size()
	update := func(p, q int) { copy(out.Bytes()[p*size:][:size], u.Bytes()[q*size:]) }
	result := func() *ir.Tensor { return out }
	switch {
	case combines && x.DType.IsFloat():
		v, by := x.Float64s(), u.Float64s()
		update = func(p, q int) {
			for i := range inner {
				v[p*inner+i] = floatFn(fn, v[p*inner+i], by[q*inner+i])
			}
		}
		result = func() *ir.Tensor { return ir.FromFloat64s(x.Type, v) }
	case combines:
		v, by := x.Int64s(), u.Int64s()
		update = func(p, q int) {
			for i := range inner {
				v[p*inner+i] = intFn(fn, v[p*inner+i], by[q*inner+i], x.DType == ir.Uint64)
			}
		}
		result = func() *ir.Tensor { return fromInts(x.Type, v) }
	}
	for q, p := range c.in[ir.ScatterIndices].Int64s() {
		if p < int64(-n) || p >= int64(n) {
			return nil, fmt.Errorf("index %d is outside axis 0 of %s", p, x.Type)
		}
		if p < 0 {
			p += int64(n)
		}
		update(int(p), q)
	}
	return one(result())
}
