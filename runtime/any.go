package runtime

import "fmt"

// AnyModel is the Model of any generated package that shares this runtime. A CUDAModel
// implements it too.
type AnyModel interface {
	Info() Info
	// NewAnySession returns a new session for the smallest batch size of the package.
	NewAnySession(options ...Option) (AnySession, error)
	Close()
}

// AnySession is the Session of any generated package.
type AnySession interface {
	Info() Info
	// RunAny is Run with slices such as []float32 in the order of Info. [Port.Make]
	// makes them.
	RunAny(in, out []any) error
	Close()
}

// Take sets *dst to element i of list. It fails with [ErrTensor] if list does not have n
// elements, or if the element has another type.
func Take[T any](dst *[]T, list []any, i, n int) error {
	if len(list) != n {
		return fmt.Errorf("%w: %d tensors, want %d", ErrTensor, len(list), n)
	}
	x, ok := list[i].([]T)
	if !ok {
		return fmt.Errorf("%w: its type is %T, want %T", ErrTensor, list[i], x)
	}
	*dst = x
	return nil
}
