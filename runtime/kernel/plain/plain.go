// Package plain holds the kernels on dense row-major tensors of any type and rank. They
// are simple loops and slow. Type parameters named T are element types. Elements of
// type Bool are stored as uint8.
package plain

const maxAxes = 8

// walk is a position in nested loops over at most maxAxes axes, with its offset in each
// of at most four operands.
type walk struct {
	shape []int
	at    [maxAxes]int
	off   [4]int
}

// next moves to the next position in row-major order. strides holds the strides of each
// operand. next returns false at the end.
func (w *walk) next(strides *[4][]int) bool {
	for i := len(w.shape) - 1; i >= 0; i-- {
		w.at[i]++
		for k, s := range strides {
			if s != nil {
				w.off[k] += s[i]
			}
		}
		if w.at[i] < w.shape[i] {
			return true
		}
		for k, s := range strides {
			if s != nil {
				w.off[k] -= s[i] * w.shape[i]
			}
		}
		w.at[i] = 0
	}
	return false
}

// inner separates the last axis, which kernels loop over, from the others. A shape
// without axes has one element.
func inner(shape []int) (outer []int, n int) {
	if len(shape) == 0 {
		return nil, 1
	}
	return shape[:len(shape)-1], shape[len(shape)-1]
}

// last returns the stride along the last axis, 0 if there is none.
func last(strides []int) int {
	if len(strides) == 0 {
		return 0
	}
	return strides[len(strides)-1]
}

// outerOf returns the strides without the last axis.
func outerOf(strides []int) []int {
	if len(strides) == 0 {
		return nil
	}
	return strides[:len(strides)-1]
}
