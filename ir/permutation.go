package ir

import "slices"

// isPermutation reports whether p holds each of 0 … n−1 once.
func isPermutation(p []int, n int) bool {
	if len(p) != n {
		return false
	}
	s := slices.Sorted(slices.Values(p))
	for i, v := range s {
		if i != v {
			return false
		}
	}
	return true
}

// IsIdentity reports whether perm keeps the order of the axes.
func IsIdentity(perm []int) bool {
	for i, p := range perm {
		if i != p {
			return false
		}
	}
	return true
}

// Inverse returns the permutation that undoes perm.
func Inverse(perm []int) []int {
	inv := make([]int, len(perm))
	for i, p := range perm {
		inv[p] = i
	}
	return inv
}

// Permute returns the shape of a tensor of shape s transposed by perm.
func Permute(s Shape, perm []int) Shape {
	out := make(Shape, len(perm))
	for i, p := range perm {
		out[i] = s[p]
	}
	return out
}

// ChannelsFirst returns the permutation that transposes [N,D…,C] to [N,C,D…].
func ChannelsFirst(rank int) []int {
	p := []int{0, rank - 1}
	return append(p, axes(1, rank-1)...)
}

// ChannelsLast returns the permutation that transposes [N,C,D…] to [N,D…,C].
func ChannelsLast(rank int) []int {
	p := append([]int{0}, SpatialAxes(rank)...)
	return append(p, 1)
}

// SpatialAxes returns the axes D… of a tensor [N,C,D…].
func SpatialAxes(rank int) []int { return axes(2, rank) }

// axes returns the axes from first to end, exclusive.
func axes(first, end int) []int {
	var a []int
	for i := first; i < end; i++ {
		a = append(a, i)
	}
	return a
}
