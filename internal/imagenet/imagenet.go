// Package imagenet contains the names of the 1000 classes of ImageNet's
// classification task (ILSVRC 2012). Most published networks classify into them.
package imagenet

import (
	_ "embed"
	"strings"
)

// classes has one line per class: the offset of its noun in WordNet 3.0, which is
// its id without the n, and its short name. The index of a class is its position
// in the order of the ids.
//
//go:embed classes.txt
var classes string

// Names returns the names of the classes by index, in the spelling of Keras'
// decode_predictions. Two names occur twice: crane (the bird and the machine) and
// maillot.
func Names() []string {
	names := make([]string, 0, 1000)
	for line := range strings.Lines(classes) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		names = append(names, name)
	}
	return names
}
