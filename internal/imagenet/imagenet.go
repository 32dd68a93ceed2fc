// Package imagenet names the 1000 classes of the ImageNet challenge of 2012,
// in the order that networks trained on it give their scores in: facts about
// the data set, one class a line.
package imagenet

import (
	_ "embed"
	"strings"
)

//go:embed classes.txt
var classes string

// Names returns the names of the classes, by index.
func Names() []string { return strings.Split(strings.TrimSuffix(classes, "\n"), "\n") }
