// Package classes knows what the output of a classifier looks like, and names
// the 1000 classes of ImageNet's classification task (ILSVRC 2012), which most
// published networks score.
package classes

import (
	_ "embed"
	"slices"
	"strings"

	"modelc/ir"
)

// AreScores reports whether a tensor of type t can hold one score per class of
// one image: float32 with more than one element, all along one axis.
func AreScores(t ir.Type) bool {
	return t.DType == ir.Float32 && len(t.Shape) > 0 && t.Shape.Len() > 1 && slices.Max(t.Shape) == t.Shape.Len()
}

// imagenet has a line per class: the offset of its noun in WordNet 3.0, which
// is its id without the n, and its short name. Classes are numbered in the
// order of their ids.
//
//go:embed imagenet.txt
var imagenet string

// ImageNet returns the names by the index of a class, as decode_predictions of
// Keras spells them. Two pairs of classes share a name: crane (the bird and
// the machine) and maillot.
func ImageNet() []string {
	names := make([]string, 0, 1000)
	for line := range strings.Lines(imagenet) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		names = append(names, name)
	}
	return names
}
