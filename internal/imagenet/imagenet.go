// Package imagenet names the 1000 classes of ImageNet's classification task
// (ILSVRC 2012), which most published networks score.
package imagenet

import (
	_ "embed"
	"strings"
)

// classes has a line per class: the offset of its noun in WordNet 3.0, which
// is its id without the n, and its short name. Classes are numbered in the
// order of their ids.
//
//go:embed classes.txt
var classes string

// Names returns the names by the index of a class, as decode_predictions of
// Keras spells them. Two pairs of classes share a name: crane (the bird and
// the machine) and maillot.
func Names() []string {
	names := make([]string, 0, 1000)
	for line := range strings.Lines(classes) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		names = append(names, name)
	}
	return names
}
