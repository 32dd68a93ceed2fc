package runtime

import "fmt"

// AnyModel is the Model of any generated package, for code that works with several
// packages. All packages that share this runtime implement it: those that import it
// from its module, and those that share a copy. The CUDAModel of a package implements
// it too.
type AnyModel interface {
	// Info describes the model.
	Info() Info
	// NewAnySession returns a new session for the smallest batch size of the package.
	NewAnySession(options ...Option) (AnySession, error)
	// Close releases the memory of the model when its last session is closed.
	Close()
}

// AnySession is the Session of any generated package.
type AnySession interface {
	// Info describes the session and its model.
	Info() Info
	// RunAny computes the outputs from the inputs. The elements of in and out are
	// slices such as []float32, in the order, with the types and of the lengths of Info;
	// [Tensor.Make] makes them. RunAny fails as Run of the package does.
	RunAny(in, out []any) error
	// Close releases the memory and the workers of the session.
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
