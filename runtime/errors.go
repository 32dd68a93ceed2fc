package runtime

// Error is a cause of errors, for errors.Is. Generated packages have the same causes
// under the same names.
type Error string

func (e Error) Error() string { return string(e) }

// The causes of errors that callers can handle.
const (
	// ErrInUse says that another goroutine uses the session.
	ErrInUse Error = "session is in use: every goroutine needs its own"
	// ErrClosed says that the session or its model is closed.
	ErrClosed Error = "session or model is closed"
	// ErrTensor says that a tensor is missing, or that it has another element type or
	// another number of elements than the model's.
	ErrTensor Error = "wrong tensor"
	// ErrWeights says that weights are damaged, or that they do not belong to the
	// package's graph.
	ErrWeights Error = "wrong weights"
	// ErrCPU says that the package does not run on this kind of CPU.
	ErrCPU Error = "unsupported CPU"
)
