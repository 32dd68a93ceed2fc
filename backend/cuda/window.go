package cuda

import (
	"fmt"
	"slices"

	"modelc/ir"
)

// window opens loops over the window of a convolution or pool. at are the coordinates of an
// element of the result. It returns the coordinates of an element of x, whose shape is
// [N,C,D…], inside x. counted, unless empty, is a statement for the elements that lie before
// the end of the padding, inside x or not.
func window(w *writer, x ir.Shape, at []string, kernel, strides, dilations, pads []int, counted string) []string {
	e := slices.Clone(at)
	r := len(kernel)
	inside, counts := "true", "true"
	for a := range r {
		w.line("for (int k%d = 0; k%d < %d; k%d++) {", a, a, kernel[a], a)
		e[2+a] = fmt.Sprint("p", a)
		w.line("const int p%d = %s;", a, sum([]string{at[2+a], fmt.Sprint("k", a)}, []int{strides[a], dilations[a]}, -pads[a]))
		inside += fmt.Sprintf(" && p%d >= 0 && p%d < %d", a, a, x[2+a])
		counts += fmt.Sprintf(" && p%d < %d", a, x[2+a]+pads[r+a])
	}
	if counted != "" {
		w.line("if (%s) %s", counts, counted)
	}
	w.line("if (!(%s)) continue;", inside)
	return e
}
