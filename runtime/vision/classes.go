package vision

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// Class is one answer of a classifier.
type Class struct {
	Index int     // of the score in the network's output
	Name  string  // empty where no name is known
	Score float32 // a probability, where the network ends in a softmax
}

// String is the name, or the index where there is none, and the score.
func (c Class) String() string {
	name := c.Name
	if name == "" {
		name = "class " + strconv.Itoa(c.Index)
	}
	return fmt.Sprintf("%s %.4f", name, c.Score)
}

// Top returns the k classes with the highest scores, best first; of equals
// the one with the lower index. NaN counts as lowest. names may be nil, or
// shorter than scores.
func Top(scores []float32, k int, names []string) []Class {
	k = min(max(k, 0), len(scores))
	best := make([]Class, 0, k+1)
	for i, s := range scores {
		c := Class{Index: i, Score: s}
		at, _ := slices.BinarySearchFunc(best, c, func(a, b Class) int {
			return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Index, b.Index))
		})
		if at == k {
			continue
		}
		best = slices.Insert(best, at, c)
		best = best[:min(len(best), k)]
	}
	for i, c := range best {
		if c.Index < len(names) {
			best[i].Name = names[c.Index]
		}
	}
	return best
}
