package plan

import (
	"slices"

	"modelc/ir"
)

// BroadcastStrides returns the distances at which an operand of shape s is read
// at each position of out: 0 along the axes on which it is repeated.
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

// Collapse merges neighbouring axes that every operand walks as one, so that
// kernels loop over few axes. It works on copies.
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

// SplitAxes separates the axes of shape into those that are kept and those that
// are reduced, each with the strides of the operand.
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

// Around returns the extents of s before, at and behind axis.
func Around(s ir.Shape, axis int) (outer, n, inner int) {
	return s[:axis].Len(), s[axis], s[axis+1:].Len()
}
