package plan

import (
	"slices"

	"modelc/ir"
)

// BroadcastStrides returns, for each axis of out, the stride in elements of an
// operand of shape s that is broadcast to out. It is 0 for an axis on which the
// operand is repeated.
func BroadcastStrides(s, out ir.Shape) []int {
	st := make([]int, len(out))
	own := s.Strides()
	for i := range s {
		if k := len(out) - len(s) + i; s[i] != 1 {
			st[k] = own[i]
		}
	}
	return st
}

// Collapse merges neighbouring axes that are one axis in the memory of every
// operand, so that kernels loop over few axes. It returns the new shape and the
// new strides of each operand. The arguments do not change.
func Collapse(shape []int, strides ...[]int) ([]int, [][]int) {
	var out []int
	st := make([][]int, len(strides))
	for i, d := range shape {
		if d == 1 && !(len(out) == 0 && i == len(shape)-1) {
			continue
		}
		merge := len(out) > 0
		for k, s := range strides {
			if merge && st[k][len(st[k])-1] != s[i]*d {
				merge = false
			}
		}
		if merge {
			out[len(out)-1] *= d
			for k, s := range strides {
				st[k][len(st[k])-1] = s[i]
			}
			continue
		}
		out = append(out, d)
		for k, s := range strides {
			st[k] = append(st[k], s[i])
		}
	}
	return out, st
}

// SplitAxes returns the extents and strides of the axes of shape that a reduction
// over axes keeps, and of those that it reduces.
func SplitAxes(shape ir.Shape, axes []int) (keep, keepStride, red, redStride []int) {
	st := shape.Strides()
	for i, d := range shape {
		if slices.Contains(axes, i) {
			red, redStride = append(red, d), append(redStride, st[i])
		} else {
			keep, keepStride = append(keep, d), append(keepStride, st[i])
		}
	}
	return
}

// Around returns the number of elements of the axes of s before axis, the extent
// of axis, and the number of elements of the axes after it.
func Around(s ir.Shape, axis int) (outer, n, inner int) {
	return s[:axis].Len(), s[axis], s[axis+1:].Len()
}
