package plan

import (
	"math/rand/v2"
	"testing"
)

const align = 64

func TestPlaceNeverOverlaps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n, steps := 1+r.IntN(40), 1+r.IntN(30)
		var bufs []*Buffer
		for range n {
			first := r.IntN(steps)
			bufs = append(bufs, &Buffer{Bytes: 1 + r.IntN(5000), First: first, Last: min(steps-1, first+r.IntN(6))})
		}
		arena, bound := Place(bufs, steps, align)
		if arena < bound {
			t.Fatalf("arena %d below the bound %d", arena, bound)
		}
		for i, a := range bufs {
			if a.Off%align != 0 || a.Off+a.Bytes > arena {
				t.Fatalf("buffer at %d+%d in an arena of %d", a.Off, a.Bytes, arena)
			}
			for _, b := range bufs[:i] {
				apart := a.Off+a.Bytes <= b.Off || b.Off+b.Bytes <= a.Off
				if !apart && a.First <= b.Last && b.First <= a.Last {
					t.Fatalf("buffers alive together overlap: %+v %+v", a, b)
				}
				if !apart && !(a.Shared && b.Shared) {
					t.Fatalf("overlap not marked: %+v %+v", a, b)
				}
			}
		}
	}
}

// A chain of equal buffers, each alive for two steps, needs memory for two.
func TestPlaceChain(t *testing.T) {
	var bufs []*Buffer
	for i := range 50 {
		bufs = append(bufs, &Buffer{Bytes: 640, First: i, Last: i + 1})
	}
	if arena, bound := Place(bufs, 51, align); arena != 1280 || bound != 1280 {
		t.Errorf("arena %d, bound %d, want 1280", arena, bound)
	}
}
