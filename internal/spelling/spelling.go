// Package spelling finds the name that a user meant.
package spelling

import "strings"

// Nearest returns the name in list that a user most likely meant by name, or "" if none
// resembles it.
func Nearest(name string, list []string) string {
	best, at := 1+len(name)/3, ""
	for _, other := range list {
		if strings.EqualFold(name, other) {
			return other
		}
		d := edits(name, other)
		if len(name) > 3 && strings.HasPrefix(other, name) {
			d = min(d, 1) // the beginning of a name
		}
		if d < best {
			best, at = d, other
		}
	}
	return at
}

// edits returns the number of insertions, deletions, replacements and exchanges of
// neighbours that turn a into b (the optimal string alignment distance).
func edits(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			d := last[j]
			if a[i] != b[j] {
				d++
			}
			row[j+1] = min(d, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
