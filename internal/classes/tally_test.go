package classes

import (
	"math"
	"testing"
)

func TestTally(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		scores     []float32
		label      int
		best, rank int
	}{
		{[]float32{1, 3, 2}, 1, 1, 0},
		{[]float32{1, 3, 2}, 0, 1, 2},
		{[]float32{2, 2, 2}, 1, 0, 1}, // the first of equal scores wins
		{[]float32{nan, 1, 2}, 2, 2, 0},
		{[]float32{1, nan, 2}, 1, 2, 3},
		{[]float32{nan, nan}, 0, 1, 2},
	} {
		if got := Best(c.scores); got != c.best {
			t.Errorf("%v: best %d, want %d", c.scores, got, c.best)
		}
		if got := rank(c.scores, c.label); got != c.rank {
			t.Errorf("%v: rank %d of class %d, want %d", c.scores, got, c.label, c.rank)
		}
	}
	y := NewTally(7)
	y.Add([]float32{0, 1, 2, 3, 4, 5, 6}, 6)
	y.Add([]float32{0, 1, 2, 3, 4, 5, 6}, 2)
	y.Add([]float32{0, 1, 2, 3, 4, 5, 6}, 1)
	y.Add([]float32{9, 1, 2, 3, 4, 5, 6}, 0)
	if y.Examples != 4 || y.Top1 != 2 || y.Top5 != 3 || y.Confusion[2][6] != 1 || y.Confusion[0][0] != 1 || y.Percent(y.Top1) != 50 {
		t.Errorf("%+v", y)
	}
}
