package plan

import (
	"slices"
	"testing"
)

func TestCollapse(t *testing.T) {
	for _, c := range []struct {
		shape, a, b       []int
		wantShape, wa, wb []int
	}{
		{[]int{2, 3, 4}, []int{12, 4, 1}, []int{12, 4, 1}, []int{24}, []int{1}, []int{1}},
		{[]int{2, 3, 4}, []int{12, 4, 1}, []int{0, 4, 1}, []int{2, 12}, []int{12, 1}, []int{0, 1}},
		{[]int{2, 1, 4}, []int{4, 4, 1}, []int{0, 0, 0}, []int{8}, []int{1}, []int{0}},
		{[]int{1, 1}, []int{1, 1}, []int{1, 1}, []int{1}, []int{1}, []int{1}},
		{[]int{3, 5}, []int{1, 3}, []int{5, 1}, []int{3, 5}, []int{1, 3}, []int{5, 1}},
		{nil, nil, nil, nil, nil, nil},
	} {
		got, st := Collapse(c.shape, c.a, c.b)
		if !slices.Equal(got, c.wantShape) || !slices.Equal(st[0], c.wa) || !slices.Equal(st[1], c.wb) {
			t.Errorf("%v %v %v: got %v %v", c.shape, c.a, c.b, got, st)
		}
	}
}
