package plain

import (
	"math"
	"slices"

	"modelc/runtime/kernel"
)

// ReduceFn names a reduction. The values are those of ir.ReduceFn.
type ReduceFn uint8

// The reductions.
const (
	RedMean ReduceFn = iota
	RedSum
	RedMax
	RedMin
	RedProd
	RedL1
	RedL2
	RedSumSquare
	RedLogSum
	RedLogSumExp
)

// Reduce reduces axes. Dst has the extents Shape, whose strides in Src are SrcStride.
// Each element of Dst is the reduction of the elements of Src with extents RedShape and
// strides RedStride. Floats are summed in float64.
type Reduce[T kernel.Number] struct {
	Fn                  ReduceFn
	Src, Dst            kernel.Ref
	Shape, SrcStride    []int
	RedShape, RedStride []int
}

// ArgReduce finds the index of the largest or smallest element of Src
// [Outer,Axis,Inner] along Axis. Dst is int64 [Outer,Inner].
type ArgReduce[T kernel.Number] struct {
	Src, Dst           kernel.Ref
	Outer, Axis, Inner int
	Min, Last          bool
}

// Softmax is the softmax of Src [Outer,Axis,Inner] along Axis, or its logarithm if Log
// is set. T is float32 or float64.
type Softmax[T kernel.Number] struct {
	Src, Dst           kernel.Ref
	Outer, Axis, Inner int
	Log                bool
}

// Normalize computes (x−mean)/√(variance+ε)·scale+bias, with mean and variance over the
// elements of a group. The groups have extents Shape and strides SrcStride, the elements
// of a group extents RedShape and strides RedStride. Scale and Bias may be absent. Their
// strides are those along Shape, then those along RedShape.
type Normalize[T kernel.Number] struct {
	Src, Dst, Scale, Bias   kernel.Ref
	Shape, SrcStride        []int
	RedShape, RedStride     []int
	ScaleStride, BiasStride []int // len(Shape)+len(RedShape)
	Epsilon                 float64
}

// Check declares the memory of the step.
func (k *Reduce[T]) Check(v *kernel.Verifier) {
	axes(v, k.Shape)
	axes(v, k.RedShape)
	// The elements of a reduction are indexed from its first one.
	first, _ := span(v, 0, k.RedShape, k.RedStride)
	v.Require(first >= 0, "a stride of the reduced axes is negative")
	strided(v, "Src", k.Src, size[T](), 0, slices.Concat(k.Shape, k.RedShape), slices.Concat(k.SrcStride, k.RedStride), false)
	v.Write("Dst", k.Dst, size[T](), int64(k.Dst.Len))
}

// ScratchBytes is zero.
func (k *Reduce[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Reduce[T]) Run(c *kernel.Context) {
	src, dst := kernel.View[T](c, k.Src), kernel.View[T](c, k.Dst)
	w := walk{shape: k.Shape}
	strides := [4][]int{k.SrcStride}
	red := [4][]int{k.RedStride}
	n := 1
	for _, d := range k.RedShape {
		n *= d
	}
	for d := range dst {
		dst[d] = reduce(k.Fn, src[w.off[0]:], k.RedShape, &red, n)
		w.next(&strides)
	}
}

// reduce reduces n elements of src.
func reduce[T kernel.Number](fn ReduceFn, src []T, shape []int, strides *[4][]int, n int) T {
	w := walk{shape: shape}
	top := src[0]
	sum := 0.0
	whole := T(0)    // integers sum exactly
	wide := int64(0) // the sum of integers for their mean, which T may not hold
	prod := T(1)
	for range n {
		v := src[w.off[0]]
		switch fn {
		case RedMax:
			if v > top || v != v {
				top = v
			}
		case RedMin:
			if v < top || v != v {
				top = v
			}
		case RedProd:
			prod *= v
		}
		w.next(strides)
	}
	switch fn {
	case RedMax, RedMin:
		return top
	case RedProd:
		return prod
	}
	shift := 0.0
	if fn == RedLogSumExp {
		m := math.Inf(-1)
		w = walk{shape: shape}
		for range n {
			m = max(m, float64(src[w.off[0]]))
			w.next(strides)
		}
		if !math.IsInf(m, 0) {
			shift = m
		}
	}
	w = walk{shape: shape}
	for range n {
		v := float64(src[w.off[0]])
		switch fn {
		case RedL1:
			sum += math.Abs(v)
			if src[w.off[0]] < 0 {
				whole -= src[w.off[0]]
			} else {
				whole += src[w.off[0]]
			}
		case RedL2, RedSumSquare:
			sum += v * v
			whole += src[w.off[0]] * src[w.off[0]]
		case RedLogSumExp:
			sum += math.Exp(v - shift)
		default:
			sum += v
			whole += src[w.off[0]]
			wide += int64(src[w.off[0]])
		}
		w.next(strides)
	}
	switch fn {
	case RedMean:
		switch {
		case kernel.IsFloat[T]():
			return T(sum / float64(n))
		case size[T]() < 8:
			return T(wide / int64(n))
		}
		return whole / T(n)
	case RedL2:
		return T(math.Sqrt(sum))
	case RedLogSum:
		return T(math.Log(sum))
	case RedLogSumExp:
		return T(shift + math.Log(sum))
	}
	if !kernel.IsFloat[T]() {
		return whole
	}
	return T(sum)
}

// Check declares the memory of the step.
func (k *ArgReduce[T]) Check(v *kernel.Verifier) {
	v.Positive("extents", k.Outer, k.Axis, k.Inner)
	v.Read("Src", k.Src, size[T](), kernel.Product(k.Outer, k.Axis, k.Inner))
	v.Write("Dst", k.Dst, 8, kernel.Product(k.Outer, k.Inner))
}

// ScratchBytes is zero.
func (k *ArgReduce[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *ArgReduce[T]) Run(c *kernel.Context) {
	src, dst := kernel.View[T](c, k.Src), kernel.View[int64](c, k.Dst)
	for o := range k.Outer {
		for i := range k.Inner {
			best := 0
			at := o*k.Axis*k.Inner + i
			for x := 1; x < k.Axis; x++ {
				v, b := src[at+x*k.Inner], src[at+best*k.Inner]
				if v == b && k.Last || k.Min && v < b || !k.Min && v > b || v != v && b == b {
					best = x
				}
			}
			dst[o*k.Inner+i] = int64(best)
		}
	}
}

// Check declares the memory of the step.
func (k *Softmax[T]) Check(v *kernel.Verifier) {
	v.Positive("extents", k.Outer, k.Axis, k.Inner)
	v.Read("Src", k.Src, size[T](), kernel.Product(k.Outer, k.Axis, k.Inner))
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.Outer, k.Axis, k.Inner))
}

// ScratchBytes is zero.
func (k *Softmax[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Softmax[T]) Run(c *kernel.Context) {
	c.Do(k.Outer, k.Src.Len*16, k)
}

// Part computes all of Axis and Inner at one position of Outer.
func (k *Softmax[T]) Part(c *kernel.Context, o, worker int) {
	src, dst := kernel.View[T](c, k.Src), kernel.View[T](c, k.Dst)
	for i := range k.Inner {
		at := o*k.Axis*k.Inner + i
		top := math.Inf(-1)
		for x := range k.Axis {
			top = max(top, float64(src[at+x*k.Inner]))
		}
		sum := 0.0
		for x := range k.Axis {
			e := math.Exp(float64(src[at+x*k.Inner]) - top)
			sum += e
			if !k.Log {
				dst[at+x*k.Inner] = T(e)
			}
		}
		if k.Log {
			l := top + math.Log(sum)
			for x := range k.Axis {
				dst[at+x*k.Inner] = T(float64(src[at+x*k.Inner]) - l)
			}
			continue
		}
		for x := range k.Axis {
			dst[at+x*k.Inner] = T(float64(dst[at+x*k.Inner]) / sum)
		}
	}
}

// Check declares the memory of the step.
func (k *Normalize[T]) Check(v *kernel.Verifier) {
	axes(v, k.Shape)
	axes(v, k.RedShape)
	all := slices.Concat(k.Shape, k.RedShape)
	v.Require(len(k.Shape) == len(k.SrcStride), "the extents and the strides have different numbers of axes")
	strides := slices.Concat(k.SrcStride, k.RedStride)
	strided(v, "Src", k.Src, size[T](), 0, all, strides, false)
	strided(v, "Dst", k.Dst, size[T](), 0, all, strides, true)
	if k.Scale.Len != 0 {
		strided(v, "Scale", k.Scale, size[T](), 0, all, k.ScaleStride, false)
	}
	if k.Bias.Len != 0 {
		strided(v, "Bias", k.Bias, size[T](), 0, all, k.BiasStride, false)
	}
}

// ScratchBytes is zero.
func (k *Normalize[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Normalize[T]) Run(c *kernel.Context) {
	src, dst := kernel.View[T](c, k.Src), kernel.View[T](c, k.Dst)
	scale, bias := kernel.View[T](c, k.Scale), kernel.View[T](c, k.Bias)
	kept := len(k.Shape)
	groups, n := 1, 1
	for _, d := range k.Shape {
		groups *= d
	}
	for _, d := range k.RedShape {
		n *= d
	}
	outer := [4][]int{k.SrcStride}
	in := [4][]int{k.RedStride}
	if scale != nil {
		outer[1], in[1] = k.ScaleStride[:kept], k.ScaleStride[kept:]
	}
	if bias != nil {
		outer[2], in[2] = k.BiasStride[:kept], k.BiasStride[kept:]
	}
	g := walk{shape: k.Shape}
	for range groups {
		mean := 0.0
		w := walk{shape: k.RedShape, off: g.off}
		for range n {
			mean += float64(src[w.off[0]])
			w.next(&in)
		}
		mean /= float64(n)
		variance := 0.0
		w = walk{shape: k.RedShape, off: g.off}
		for range n {
			d := float64(src[w.off[0]]) - mean
			variance += d * d
			w.next(&in)
		}
		inv := 1 / math.Sqrt(variance/float64(n)+k.Epsilon)
		w = walk{shape: k.RedShape, off: g.off}
		for range n {
			v := (float64(src[w.off[0]]) - mean) * inv
			if scale != nil {
				v *= float64(scale[w.off[1]])
			}
			if bias != nil {
				v += float64(bias[w.off[2]])
			}
			dst[w.off[0]] = T(v)
			w.next(&in)
		}
		g.next(&outer)
	}
}
