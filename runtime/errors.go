package runtime

// Error is a cause of errors, for errors.Is.
type Error string

func (e Error) Error() string { return string(e) }

// The causes of errors that callers can handle. Generated packages have them too.
const (
	ErrInUse   Error = "session is in use: every goroutine needs its own"
	ErrClosed  Error = "session or model is closed"
	ErrTensor  Error = "wrong tensor"    // missing, or of another type or number of elements
	ErrWeights Error = "wrong weights"   // damaged, or not those of the package's graph
	ErrCPU     Error = "unsupported CPU" // big-endian
)
