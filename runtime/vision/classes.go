package vision

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// Class is a class of a classifier with its score.
type Class struct {
	Index int     // index of the score in the network's output
	Name  string  // empty if the name is unknown
	Score float32 // a probability if the network ends in a softmax
}

// String returns the name and the score. Without a name it returns the index
// and the score.
func (c Class) String() string {
	name := c.Name
	if name == "" {
		name = "class " + strconv.Itoa(c.Index)
	}
	return fmt.Sprintf("%s %.4f", name, c.Score)
}

// Top returns the k classes with the highest scores in descending order. Classes
// with equal scores are ordered by index. NaN is the lowest score. names may be
// nil, or shorter than scores.
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
