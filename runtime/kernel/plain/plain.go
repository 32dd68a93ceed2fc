// Package plain holds the kernels on dense row-major tensors of any type and rank. They
// are simple loops and slow. Type parameters named T are element types. Elements of
// type Bool are stored as uint8.
package plain

import (
	"math"
	"slices"
	"unsafe"

	"modelc/runtime/kernel"
)

const maxAxes = 8

// walk is a position in nested loops over at most maxAxes axes, with its offset in each
// of at most four operands.
type walk struct {
	shape []int
	at    [maxAxes]int
	off   [4]int
}

// next moves to the next position in row-major order. strides holds the strides of each
// operand. next returns false at the end.
func (w *walk) next(strides *[4][]int) bool {
	for i := len(w.shape) - 1; i >= 0; i-- {
		w.at[i]++
		for k, s := range strides {
			if s != nil {
				w.off[k] += s[i]
			}
		}
		if w.at[i] < w.shape[i] {
			return true
		}
		for k, s := range strides {
			if s != nil {
				w.off[k] -= s[i] * w.shape[i]
			}
		}
		w.at[i] = 0
	}
	return false
}

// inner separates the last axis, which kernels loop over, from the others. A shape
// without axes has one element.
func inner(shape []int) (outer []int, n int) {
	if len(shape) == 0 {
		return nil, 1
	}
	return shape[:len(shape)-1], shape[len(shape)-1]
}

// last returns the stride along the last axis, 0 if there is none.
func last(strides []int) int {
	if len(strides) == 0 {
		return 0
	}
	return strides[len(strides)-1]
}

// outerOf returns the strides without the last axis.
func outerOf(strides []int) []int {
	if len(strides) == 0 {
		return nil
	}
	return strides[:len(strides)-1]
}

// size returns the size of an element of type T in bytes.
func size[T kernel.Number]() int { return int(unsafe.Sizeof(T(0))) }

// extents requires that the fields are extents of an operand, which may have no elements.
func extents(v *kernel.Verifier, fields ...int) {
	v.Require(len(fields) <= maxAxes, "there are too many axes")
	for _, d := range fields {
		v.Require(d >= 0 && d <= kernel.MaxExtent, "an extent is negative or too large")
	}
}

// axes requires positive extents of at most maxAxes axes.
func axes(v *kernel.Verifier, shape []int) {
	v.Require(len(shape) <= maxAxes, "there are too many axes")
	v.Positive("extents", shape...)
}

// optional declares that a step reads n elements of an operand that may be absent.
func optional(v *kernel.Verifier, operand string, r kernel.Ref, elem int, n int64) {
	if r.Len != 0 {
		v.Read(operand, r, elem, n)
	}
}

// strided declares that a step reads or writes elements start + Σ i·stride,
// 0 ≤ i < extent, of every axis.
func strided(v *kernel.Verifier, operand string, r kernel.Ref, elem, start int, shape, strides []int, write bool) {
	first, last := span(v, start, shape, strides)
	v.Span(operand, r, elem, first, last+1, write)
}

// span returns the least and the largest of the indices that strided describes, 0 and
// −1 if there is none.
func span(v *kernel.Verifier, start int, shape, strides []int) (first, last int64) {
	const far = math.MaxInt64 / 4
	v.Require(len(shape) == len(strides), "the extents and the strides have different numbers of axes")
	if v.Failed() || slices.Contains(shape, 0) {
		return 0, -1
	}
	first = min(max(int64(start), -far), far)
	last = first
	for i, d := range shape {
		switch s := strides[i]; {
		case d < 0 || s == math.MinInt:
			return -far, far
		case s >= 0:
			last = min(last+kernel.Product(d-1, s), far)
		default:
			first = max(first-kernel.Product(d-1, -s), -far)
		}
	}
	return first, last
}
