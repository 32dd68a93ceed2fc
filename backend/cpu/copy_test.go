package cpu

import (
	"modelc/backend/plan"

	"fmt"
	"testing"
)

// longestLast swaps a short last axis with the longest axis.
func TestLongestLast(t *testing.T) {
	for _, test := range []struct {
		shape, src, dst []int
		want            string
	}{
		// Channels become pixels: 3×3 channels of 64×64.
		{[]int{64, 3, 64, 3}, []int{64, 12288, 1, 4096}, []int{576, 192, 3, 1}, "[64 3 3 64] [64 12288 4096 1] [576 192 1 3]"},
		{[]int{3, 90, 2}, []int{180, 1, 90}, []int{1, 3, 270}, "[3 2 90] [180 90 1] [1 270 3]"},
		// The last axis is long enough, contiguous, or the only one.
		{[]int{90, 8}, []int{1, 90}, []int{8, 1}, "[90 8] [1 90] [8 1]"},
		{[]int{90, 4}, []int{10, 1}, []int{4, 1}, "[90 4] [10 1] [4 1]"},
		{[]int{4}, []int{2}, []int{1}, "[4] [2] [1]"},
		{[]int{2, 2}, []int{1, 2}, []int{2, 1}, "[2 2] [1 2] [2 1]"},
	} {
		dims, st := plan.Collapse(test.shape, test.src, test.dst)
		longestLast(dims, st)
		if got := fmt.Sprint(dims, st[0], st[1]); got != test.want {
			t.Errorf("%v: %s, want %s", test.shape, got, test.want)
		}
	}
}
