package schedule

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPlanNeverOverlaps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n, steps := 1+r.IntN(40), 1+r.IntN(30)
		var bufs []*buffer
		for range n {
			first := r.IntN(steps)
			bufs = append(bufs, &buffer{bytes: 1 + r.IntN(5000), first: first, last: min(steps-1, first+r.IntN(6))})
		}
		arena, bound := plan(bufs, steps)
		if arena < bound {
			t.Fatalf("arena %d below the bound %d", arena, bound)
		}
		for i, a := range bufs {
			if a.off%align != 0 || a.off+a.bytes > arena {
				t.Fatalf("buffer at %d+%d in an arena of %d", a.off, a.bytes, arena)
			}
			for _, b := range bufs[:i] {
				apart := a.off+a.bytes <= b.off || b.off+b.bytes <= a.off
				if !apart && a.first <= b.last && b.first <= a.last {
					t.Fatalf("buffers alive together overlap: %+v %+v", a, b)
				}
				if !apart && !(a.shared && b.shared) {
					t.Fatalf("overlap not marked: %+v %+v", a, b)
				}
			}
		}
	}
}

// A chain of equal buffers needs two of them however long it is.
func TestPlanChain(t *testing.T) {
	var bufs []*buffer
	for i := range 50 {
		bufs = append(bufs, &buffer{bytes: 640, first: i, last: i + 1})
	}
	if arena, bound := plan(bufs, 51); arena != 1280 || bound != 1280 {
		t.Errorf("arena %d, bound %d, want 1280", arena, bound)
	}
}

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
		got, st := collapse(c.shape, c.a, c.b)
		if !slices.Equal(got, c.wantShape) || !slices.Equal(st[0], c.wa) || !slices.Equal(st[1], c.wb) {
			t.Errorf("%v %v %v: got %v %v", c.shape, c.a, c.b, got, st)
		}
	}
}
