package launcher

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// common is a cause of errors that package runtime has too. The launcher cannot import
// that package, whose path is that of a copy in some packages. Therefore errors.Is
// compares texts.
type common string

func (c common) Error() string        { return string(c) }
func (c common) Is(target error) bool { return target.Error() == string(c) }

// The causes of errors that package runtime has too.
const (
	// ErrInUse says that another goroutine uses the session.
	ErrInUse common = "session is in use: every goroutine needs its own"
	// ErrClosed says that the session or its model is closed.
	ErrClosed common = "session or model is closed"
	// ErrTensor says that a tensor is missing or has another number of elements.
	ErrTensor common = "wrong tensor"
)

// Session owns the memory of one run at a time. Only one goroutine at a time may use it.
// Begin and End reserve it for the methods that copy tensors and compute.
type Session struct {
	*resources
	state atomic.Int32
}

// The states of a session.
const (
	idle    = iota
	running // between Begin and End
	closing // running, and closed by End
	closed
)

// resources is what a session holds on the device.
type resources struct {
	*loaded
	program *Program
	freed   atomic.Bool
	stream  uintptr
	graph   uintptr // instantiated graph of all kernels
	arena   uintptr
	// staging is pinned memory for all inputs and outputs. ports has the part of each,
	// inputs first. A copy between it and the device does not wait for the host.
	staging []byte
	ports   [][]byte
	args    arguments
}

// NewSession returns a session for a program of the model. It fails if the device has
// too little memory. The caller should call Close. The garbage collector closes a session
// that is no longer used.
func (m *Model) NewSession(p *Program) (*Session, error) {
	if m == nil {
		return nil, ErrClosed
	}
	if m.kernels[p] == nil {
		return nil, errors.New("new session: the program is not one of the model's")
	}
	if err := m.use(); err != nil {
		return nil, err
	}
	r := &resources{loaded: m.loaded, program: p}
	if err := r.do(r.create); err != nil {
		r.free()
		return nil, fmt.Errorf("new session: %w", err)
	}
	s := &Session{resources: r}
	runtime.AddCleanup(s, (*resources).free, r)
	return s, nil
}

// create allocates the session's memory and captures its graph.
func (r *resources) create() (err error) {
	const nonBlocking = 1 // CU_STREAM_NON_BLOCKING: independent of other streams
	if r.arena, err = r.alloc(r.program.Arena); err != nil {
		return err
	}
	total := 0
	list := append(append([]Port{}, r.program.Inputs...), r.program.Outputs...)
	for _, p := range list {
		total += (p.Bytes + 63) &^ 63
	}
	if r.staging, err = r.pinned(total); err != nil {
		return err
	}
	at := 0
	for _, p := range list {
		r.ports = append(r.ports, r.staging[at:at+p.Bytes])
		at += (p.Bytes + 63) &^ 63
	}
	if err := r.call(cuStreamCreate, uintptr(unsafe.Pointer(&r.stream)), nonBlocking); err != nil {
		return err
	}
	return r.capture()
}

// capture makes the graph of all kernels.
func (r *resources) capture() error {
	const threadLocal = 1 // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate
	if err := r.call(cuStreamBeginCapture, r.stream, threadLocal); err != nil {
		return err
	}
	graph := new(uintptr)
	launched := r.launchAll(nil)
	ended := r.call(cuStreamEndCapture, r.stream, uintptr(unsafe.Pointer(graph)))
	err := errors.Join(launched, ended)
	if err == nil {
		err = r.call(cuGraphInstantiate, uintptr(unsafe.Pointer(&r.graph)), *graph, 0)
	}
	if *graph != 0 {
		err = errors.Join(err, r.call(cuGraphDestroy, *graph))
	}
	return err
}

// launchAll launches every kernel on the stream. It calls after, unless nil, at the end
// of each.
func (r *resources) launchAll(after func(i int) error) error {
	for i, k := range r.program.Kernels {
		if err := r.launch(k); err != nil {
			return fmt.Errorf("kernel %s: %w", k.Name, err)
		}
		if after != nil {
			if err := after(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// launch launches k on the stream.
func (r *resources) launch(k Kernel) error {
	args := make([]uintptr, len(k.Args))
	params := make([]unsafe.Pointer, len(k.Args)+1) // never empty
	for i, a := range k.Args {
		if a >= 0 {
			args[i] = r.arena + uintptr(a)
		} else {
			args[i] = r.weights + uintptr(^a)
		}
		params[i] = unsafe.Pointer(&args[i])
	}
	err := r.call(cuLaunchKernel, r.kernels[r.program][k.Name],
		uintptr(k.Grid[0]), uintptr(k.Grid[1]), uintptr(k.Grid[2]),
		uintptr(k.Block[0]), uintptr(k.Block[1]), uintptr(k.Block[2]),
		uintptr(k.Shared), r.stream, uintptr(unsafe.Pointer(&params[0])), 0)
	runtime.KeepAlive(params)
	return err
}

// free frees what the session holds.
func (r *resources) free() {
	if !r.freed.CompareAndSwap(false, true) {
		return
	}
	_ = r.do(func() error { // errors of a lost device are known
		if r.stream != 0 {
			_ = r.call(cuStreamSynchronize, r.stream)
		}
		if r.graph != 0 {
			_ = r.call(cuGraphExecDestroy, r.graph)
		}
		if r.stream != 0 {
			_ = r.call(cuStreamDestroy, r.stream)
		}
		if r.staging != nil {
			_ = r.call(cuMemFreeHost, uintptr(unsafe.Pointer(&r.staging[0])))
		}
		if r.arena != 0 {
			_ = r.call(cuMemFree, r.arena)
		}
		return nil
	})
	r.done()
}

// Begin reserves the session for the caller until End. It fails with ErrInUse or
// ErrClosed.
func (s *Session) Begin() error {
	if err := s.reserve(); err != nil {
		return err
	}
	if err := s.enter(&s.args); err != nil {
		s.end()
		return err
	}
	return nil
}

// reserve is Begin without the context.
func (s *Session) reserve() error {
	switch {
	case s == nil:
		return ErrClosed
	case s.state.CompareAndSwap(idle, running):
		return nil
	case s.state.Load() == closed:
		return ErrClosed
	}
	return ErrInUse
}

// End ends the reservation of Begin, on the same goroutine. If Close was called since, it
// closes the session.
func (s *Session) End() {
	s.leave(&s.args)
	s.end()
}

func (s *Session) end() {
	if !s.state.CompareAndSwap(running, idle) {
		s.state.Store(closed)
		s.free()
	}
}

// Close frees the session's memory. During a run it returns at once, and the session
// closes at the end of the run.
func (s *Session) Close() {
	if s == nil {
		return
	}
	for {
		switch s.state.Load() {
		case idle:
			if s.state.CompareAndSwap(idle, closed) {
				s.free()
				return
			}
		case running:
			if s.state.CompareAndSwap(running, closing) {
				return
			}
		default:
			return
		}
	}
}
