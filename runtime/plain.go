package runtime

// The kernels named …Plain run on dense row-major tensors of any type: correct
// first, and out of the way of the fast road. T is the element type; Bool is
// held as uint8.

// walk is the position in a nest of loops over up to maxAxes axes, with the
// offset it stands for in each of up to four operands.
const maxAxes = 8

type walk struct {
	shape []int
	at    [maxAxes]int
	off   [4]int
}

// next moves to the next position in row-major order; strides gives the
// distance of each operand along each axis. It returns false behind the last.
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

// inner splits the last axis off a nest of loops: kernels run it tightly.
// A nest without axes is one of a single element.
func inner(shape []int) (outer []int, n int) {
	if len(shape) == 0 {
		return nil, 1
	}
	return shape[:len(shape)-1], shape[len(shape)-1]
}

// last returns the stride along the last axis, 0 when there is none.
func last(strides []int) int {
	if len(strides) == 0 {
		return 0
	}
	return strides[len(strides)-1]
}

// outer returns the strides without the last axis.
func outerOf(strides []int) []int {
	if len(strides) == 0 {
		return nil
	}
	return strides[:len(strides)-1]
}
