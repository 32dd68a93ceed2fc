package classes

import "math"

// Best returns the index of the largest score, the first of equal ones.
func Best(scores []float32) int {
	best := 0
	for i, s := range scores {
		if s > scores[best] || math.IsNaN(float64(scores[best])) {
			best = i
		}
	}
	return best
}

// rank returns the number of classes that a classifier prefers to class c.
func rank(scores []float32, c int) int {
	n := 0
	for i, s := range scores {
		if s > scores[c] || s == scores[c] && i < c {
			n++
		}
	}
	if math.IsNaN(float64(scores[c])) {
		return len(scores)
	}
	return n
}

// Tally counts the answers of a classifier to labelled pictures.
type Tally struct {
	Examples   int
	Top1, Top5 int // the numbers of answers whose best class, or one of the best five, is right
	// Confusion has the number of examples by the label and the answer.
	Confusion [][]int
}

// NewTally returns the tally of a classifier of n classes.
func NewTally(n int) *Tally {
	t := &Tally{Confusion: make([][]int, n)}
	for i := range t.Confusion {
		t.Confusion[i] = make([]int, n)
	}
	return t
}

// Add counts an answer. The label must be below the number of scores.
func (t *Tally) Add(scores []float32, label int) {
	t.Examples++
	switch r := rank(scores, label); {
	case r == 0:
		t.Top1++
		fallthrough
	case r < 5:
		t.Top5++
	}
	t.Confusion[label][Best(scores)]++
}

// Percent returns n as a percentage of the examples.
func (t *Tally) Percent(n int) float64 { return 100 * float64(n) / float64(max(t.Examples, 1)) }
