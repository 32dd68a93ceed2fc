package launcher

import (
	"fmt"
	"time"
	"unsafe"
)

// A Tensor is an output on a device. Reserve returns the index of the device, the address
// on it and the size. Until Release, the session that computed the tensor does not change
// it. Reserve fails as Begin does. The tensors of all packages have this method set, so
// sessions of one package take tensors of another.
type Tensor interface {
	Reserve() (device int, address uintptr, bytes int, err error)
	Release()
}

// output is an output of a session.
type output struct {
	s *Session
	p Port
}

func (o output) Reserve() (device int, address uintptr, bytes int, err error) {
	if err := o.s.reserve(); err != nil {
		return 0, 0, 0, err
	}
	return o.s.index, o.s.arena + uintptr(o.p.Offset), o.p.Bytes, nil
}

func (o output) Release() { o.s.end() }

// Bytes returns the memory of s as bytes, without a copy.
func Bytes[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// Output returns output i, which stays on the device.
func (s *Session) Output(i int) Tensor { return output{s, s.program.Outputs[i]} }

// Send copies input i to the device. It returns when it has read the memory.
func (s *Session) Send(i int, from []byte) error {
	p := &s.program.Inputs[i]
	if err := p.check(len(from)); err != nil || p.Bytes == 0 {
		return err
	}
	copy(s.ports[i], from)
	return s.repeat(cuMemcpyHtoDAsync, &s.args, arguments{s.arena + uintptr(p.Offset), uintptr(unsafe.Pointer(&s.ports[i][0])), uintptr(p.Bytes), s.stream})
}

// SendTensor copies a tensor to input i. It may lie on another device.
func (s *Session) SendTensor(i int, t Tensor) error {
	if t == nil {
		return ErrTensor
	}
	p := &s.program.Inputs[i]
	if o, ok := t.(output); ok && o.s == s { // already reserved
		return s.sendFrom(p, s.index, s.arena+uintptr(o.p.Offset), o.p.Bytes)
	}
	device, address, bytes, err := t.Reserve()
	if err != nil {
		return err
	}
	defer t.Release()
	return s.sendFrom(p, device, address, bytes)
}

// sendFrom copies memory of a device to the input p and waits for the end of the copy.
func (s *Session) sendFrom(p *Port, device int, address uintptr, bytes int) error {
	if err := p.check(bytes); err != nil || bytes == 0 {
		return err
	}
	to := s.arena + uintptr(p.Offset)
	if device == s.index {
		if err := s.call(cuMemcpyDtoDAsync, to, address, uintptr(bytes), s.stream); err != nil {
			return err
		}
		return s.wait()
	}
	other, err := s.retain(device)
	if err != nil {
		return err
	}
	defer other.release()
	if err := s.call(cuMemcpyPeerAsync, to, s.handle, address, other.handle, uintptr(bytes), s.stream); err != nil {
		return err
	}
	return s.wait()
}

// Start launches the kernels and does not wait for them. The outputs stay on the device.
// The kernels may overwrite the inputs, so each run needs new ones.
func (s *Session) Start() error {
	return s.repeat(cuGraphLaunch, &s.args, arguments{s.graph, s.stream})
}

// Compute is like Start, and waits for the kernels.
func (s *Session) Compute() error {
	if err := s.Start(); err != nil {
		return err
	}
	return s.wait()
}

// Receive waits for the kernels and copies output i to to. It allocates nothing.
func (s *Session) Receive(i int, to []byte) error {
	p := &s.program.Outputs[i]
	if err := p.check(len(to)); err != nil {
		return err
	}
	if p.Bytes == 0 {
		return s.wait()
	}
	from := s.ports[len(s.program.Inputs)+i]
	if err := s.repeat(cuMemcpyDtoHAsync, &s.args, arguments{uintptr(unsafe.Pointer(&from[0])), s.arena + uintptr(p.Offset), uintptr(p.Bytes), s.stream}); err != nil {
		return err
	}
	if err := s.wait(); err != nil {
		return err
	}
	copy(to, from)
	return nil
}

// wait returns at the end of the session's work on the device.
func (s *Session) wait() error {
	return s.repeat(cuStreamSynchronize, &s.args, arguments{s.stream})
}

// check returns an error if a tensor of the given size does not fit p.
func (p *Port) check(bytes int) error {
	if bytes == p.Bytes {
		return nil
	}
	elements := 1
	for _, d := range p.Shape {
		elements *= d
	}
	got := bytes
	if elements > 0 {
		got /= max(p.Bytes/elements, 1)
	}
	return fmt.Errorf("%w: %d elements, want %d: %s%v", ErrTensor, got, elements, p.Type, p.Shape)
}

// Profile runs the kernels on the last inputs the given number of times, outside the
// graph. It returns the shortest time of each kernel, measured by events of the device.
func (s *Session) Profile(runs int) ([]time.Duration, error) {
	events := make([]uintptr, len(s.program.Kernels)+1)
	defer func() {
		for _, e := range events {
			if e != 0 {
				_ = s.call(cuEventDestroy, e)
			}
		}
	}()
	for i := range events {
		if err := s.call(cuEventCreate, uintptr(unsafe.Pointer(&events[i])), 0); err != nil {
			return nil, err
		}
	}
	record := func(i int) error { return s.call(cuEventRecord, events[i], s.stream) }
	best := make([]time.Duration, len(s.program.Kernels))
	for run := range runs {
		if err := record(0); err != nil {
			return nil, err
		}
		if err := s.launchAll(func(i int) error { return record(i + 1) }); err != nil {
			return nil, err
		}
		if err := s.wait(); err != nil {
			return nil, err
		}
		ms := new(float32)
		for i := range best {
			if err := s.call(cuEventElapsedTime, uintptr(unsafe.Pointer(ms)), events[i], events[i+1]); err != nil {
				return nil, err
			}
			if d := time.Duration(float64(*ms) * 1e6); run == 0 || d < best[i] {
				best[i] = d
			}
		}
	}
	return best, nil
}
