package launcher

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

// Device describes a device of the machine.
type Device struct {
	Name    string // "NVIDIA H100 80GB HBM3"
	Compute int    // compute capability, 10·major + minor
	Memory  uint64 // bytes
	// Multiprocessors is the number of streaming multiprocessors. Clock is their
	// highest rate in kHz. Bus is the width of the memory's bus in bits, and
	// MemoryClock its highest rate in kHz.
	Multiprocessors, Clock, Bus, MemoryClock int
}

// The attributes of devices (CUdevice_attribute in cuda.h).
const (
	clockRate           = 13
	multiprocessorCount = 16
	memoryClockRate     = 36
	memoryBusWidth      = 37
	computeMajor        = 75
	computeMinor        = 76
)

// Devices returns the devices of the driver in the library at path, and the CUDA version
// that the driver supports, as "12.4". An empty path stands for the system's driver.
func Devices(path string) (version string, list []Device, err error) {
	d, err := loadDriver(path)
	if err != nil {
		return "", nil, err
	}
	n := new(int32)
	if err := d.call(cuDeviceGetCount, uintptr(unsafe.Pointer(n))); err != nil {
		return "", nil, err
	}
	for i := range int(*n) {
		_, about, err := d.device(i)
		if err != nil {
			return "", nil, err
		}
		list = append(list, about)
	}
	return fmt.Sprintf("%d.%d", d.version/1000, d.version%1000/10), list, nil
}

// device returns the handle of device i and describes it.
func (d *driver) device(i int) (handle int32, about Device, err error) {
	v := new(struct {
		handle, value int32
		memory        uint64
		name          [256]byte
	})
	if err := d.call(cuDeviceGet, uintptr(unsafe.Pointer(&v.handle)), uintptr(i)); err != nil {
		return 0, about, err
	}
	if err := d.call(cuDeviceGetName, uintptr(unsafe.Pointer(&v.name)), uintptr(len(v.name)), uintptr(v.handle)); err != nil {
		return 0, about, err
	}
	if err := d.call(cuDeviceTotalMem, uintptr(unsafe.Pointer(&v.memory)), uintptr(v.handle)); err != nil {
		return 0, about, err
	}
	var major, minor int
	for _, a := range []struct {
		to   *int
		name uintptr
	}{{&major, computeMajor}, {&minor, computeMinor}, {&about.Multiprocessors, multiprocessorCount},
		{&about.Clock, clockRate}, {&about.Bus, memoryBusWidth}, {&about.MemoryClock, memoryClockRate}} {
		if err := d.call(cuDeviceGetAttribute, uintptr(unsafe.Pointer(&v.value)), a.name, uintptr(v.handle)); err != nil {
			return 0, about, err
		}
		*a.to = int(v.value)
	}
	name, _, _ := bytes.Cut(v.name[:], []byte{0})
	about.Name, about.Compute, about.Memory = strings.TrimSpace(string(name)), 10*major+minor, v.memory
	return v.handle, about, nil
}

// context is a reference to the primary context of a device.
type context struct {
	*driver
	index  int // of the device
	device int32
	about  Device
	handle uintptr
}

// retain returns a reference to the primary context of device i, which the caller must
// release.
func (d *driver) retain(i int) (*context, error) {
	n := new(int32)
	if err := d.call(cuDeviceGetCount, uintptr(unsafe.Pointer(n))); err != nil {
		return nil, err
	}
	if i < 0 || i >= int(*n) {
		return nil, fmt.Errorf("%w: no device %d, the driver finds %d", ErrNoDriver, i, *n)
	}
	c := &context{driver: d, index: i}
	var err error
	if c.device, c.about, err = d.device(i); err != nil {
		return nil, err
	}
	return c, d.call(cuDevicePrimaryCtxRetain, uintptr(unsafe.Pointer(&c.handle)), uintptr(c.device))
}

// release gives the reference back. The driver destroys the context after the last.
func (c *context) release() { _ = c.call(cuDevicePrimaryCtxRelease, uintptr(c.device)) }

// arguments is memory for the arguments of functions that runs call. A call with a list of
// arguments allocates it.
type arguments [4]uintptr

// repeat is call without allocations. No argument is an address of Go memory. C functions
// ignore arguments that they do not have.
func (d *driver) repeat(f function, memory *arguments, args arguments) error {
	*memory = args
	return d.call(f, memory[:]...)
}

// enter locks the goroutine to its thread and makes c the thread's context. Unless it
// returns an error, the caller must call leave.
func (c *context) enter(memory *arguments) error {
	runtime.LockOSThread()
	if err := c.repeat(cuCtxPushCurrent, memory, arguments{c.handle}); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	return nil
}

// leave restores the thread's context.
func (c *context) leave(memory *arguments) {
	popped := uintptr(unsafe.Pointer(&memory[1])) // the function writes the handle there
	_ = c.repeat(cuCtxPopCurrent, memory, arguments{popped})
	runtime.UnlockOSThread()
}

// do calls f with c as the thread's context.
func (c *context) do(f func() error) error {
	memory := new(arguments)
	if err := c.enter(memory); err != nil {
		return err
	}
	defer c.leave(memory)
	return f()
}

// slack is the size of the memory behind an allocation: kernels load vectors that may end
// behind the last element.
const slack = 256

// alloc allocates device memory. Its start is a multiple of 256 bytes.
func (c *context) alloc(bytes int) (address uintptr, err error) {
	p := new(uintptr)
	if err := c.call(cuMemAlloc, uintptr(unsafe.Pointer(p)), uintptr(bytes+slack)); err != nil {
		return 0, fmt.Errorf("%d bytes on device %d, %s: %w", bytes, c.index, c.about.Name, err)
	}
	return *p, nil
}

// pinned allocates host memory that the device reads and writes directly.
func (c *context) pinned(bytes int) ([]byte, error) {
	p := new(unsafe.Pointer)
	if err := c.call(cuMemHostAlloc, uintptr(unsafe.Pointer(p)), uintptr(max(bytes, 1)), 0); err != nil {
		return nil, fmt.Errorf("%d bytes of pinned memory: %w", bytes, err)
	}
	return unsafe.Slice((*byte)(*p), max(bytes, 1)), nil
}
