package launcher

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"
)

// DriverVariable is the environment variable that names another library than the
// driver's, for tests with a driver that needs no GPU.
const DriverVariable = "MODELC_CUDA_DRIVER"

// The causes of errors.
var (
	// ErrNoDriver says that there is no NVIDIA driver, that it is too old, or that it
	// finds no such device.
	ErrNoDriver = errors.New("no CUDA device")
	// ErrOutOfMemory says that the device or the host has too little memory.
	ErrOutOfMemory = errors.New("out of memory")
	// ErrDeviceLost says that the device or its context cannot be used any more. Close
	// all sessions and models of the device and open them again, or restart the program.
	ErrDeviceLost = errors.New("device lost")
)

// function is a function of the driver API.
type function int

const (
	cuInit function = iota
	cuDriverGetVersion
	cuGetErrorName
	cuGetErrorString
	cuDeviceGetCount
	cuDeviceGet
	cuDeviceGetName
	cuDeviceGetAttribute
	cuDeviceTotalMem
	cuDevicePrimaryCtxRetain
	cuDevicePrimaryCtxRelease
	cuCtxPushCurrent
	cuCtxPopCurrent
	cuModuleLoadDataEx
	cuModuleUnload
	cuModuleGetFunction
	cuFuncSetAttribute
	cuMemAlloc
	cuMemFree
	cuMemHostAlloc
	cuMemFreeHost
	cuMemcpyHtoD
	cuMemcpyHtoDAsync
	cuMemcpyDtoHAsync
	cuMemcpyDtoDAsync
	cuMemcpyPeerAsync
	cuStreamCreate
	cuStreamDestroy
	cuStreamSynchronize
	cuStreamBeginCapture
	cuStreamEndCapture
	cuGraphInstantiate
	cuGraphLaunch
	cuGraphDestroy
	cuGraphExecDestroy
	cuLaunchKernel
	cuEventCreate
	cuEventDestroy
	cuEventRecord
	cuEventElapsedTime
	functions
)

// symbols has the functions' names in the library. The suffixes are those of the
// signatures that this package uses, which drivers keep.
var symbols = [functions]string{
	cuInit: "cuInit", cuDriverGetVersion: "cuDriverGetVersion", cuGetErrorName: "cuGetErrorName", cuGetErrorString: "cuGetErrorString",
	cuDeviceGetCount: "cuDeviceGetCount", cuDeviceGet: "cuDeviceGet", cuDeviceGetName: "cuDeviceGetName",
	cuDeviceGetAttribute: "cuDeviceGetAttribute", cuDeviceTotalMem: "cuDeviceTotalMem_v2",
	cuDevicePrimaryCtxRetain: "cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRelease: "cuDevicePrimaryCtxRelease_v2",
	cuCtxPushCurrent: "cuCtxPushCurrent_v2", cuCtxPopCurrent: "cuCtxPopCurrent_v2",
	cuModuleLoadDataEx: "cuModuleLoadDataEx", cuModuleUnload: "cuModuleUnload", cuModuleGetFunction: "cuModuleGetFunction",
	cuFuncSetAttribute: "cuFuncSetAttribute", cuMemAlloc: "cuMemAlloc_v2", cuMemFree: "cuMemFree_v2",
	cuMemHostAlloc: "cuMemHostAlloc", cuMemFreeHost: "cuMemFreeHost", cuMemcpyHtoD: "cuMemcpyHtoD_v2",
	cuMemcpyHtoDAsync: "cuMemcpyHtoDAsync_v2", cuMemcpyDtoHAsync: "cuMemcpyDtoHAsync_v2",
	cuMemcpyDtoDAsync: "cuMemcpyDtoDAsync_v2", cuMemcpyPeerAsync: "cuMemcpyPeerAsync",
	cuStreamCreate: "cuStreamCreate", cuStreamDestroy: "cuStreamDestroy_v2", cuStreamSynchronize: "cuStreamSynchronize",
	cuStreamBeginCapture: "cuStreamBeginCapture_v2", cuStreamEndCapture: "cuStreamEndCapture",
	cuGraphInstantiate: "cuGraphInstantiateWithFlags", cuGraphLaunch: "cuGraphLaunch", cuGraphDestroy: "cuGraphDestroy",
	cuGraphExecDestroy: "cuGraphExecDestroy", cuLaunchKernel: "cuLaunchKernel",
	cuEventCreate: "cuEventCreate", cuEventDestroy: "cuEventDestroy_v2", cuEventRecord: "cuEventRecord", cuEventElapsedTime: "cuEventElapsedTime",
}

// driver is a loaded driver library.
type driver struct {
	path    string
	version int // 1000·major + 10·minor of the CUDA version that the driver supports
	fn      [functions]uintptr
}

// drivers has the loaded drivers by their path. Libraries stay loaded.
var drivers struct {
	sync.Mutex
	byPath map[string]*driver
}

// loadDriver loads and initialises the driver in the library at path. The default is the
// value of DriverVariable, or else the system's driver.
func loadDriver(path string) (*driver, error) {
	path = cmp.Or(path, os.Getenv(DriverVariable))
	drivers.Lock()
	defer drivers.Unlock()
	if d := drivers.byPath[path]; d != nil {
		return d, nil
	}
	names := driverNames
	if path != "" {
		names = []string{path}
	}
	lib, err := OpenLibrary(names...)
	if err != nil {
		return nil, fmt.Errorf("%w: the NVIDIA driver cannot be loaded (%w): install the driver for the GPU, or compute on the CPU", ErrNoDriver, err)
	}
	d := &driver{path: lib.Path}
	for f, name := range symbols {
		if d.fn[f], err = lib.Symbol(name); err != nil {
			return nil, fmt.Errorf("%w: the NVIDIA driver is too old (%w): version 470 or later is necessary", ErrNoDriver, err)
		}
	}
	if err := d.call(cuInit, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDriver, err)
	}
	version := new(int32)
	if err := d.call(cuDriverGetVersion, uintptr(unsafe.Pointer(version))); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDriver, err)
	}
	d.version = int(*version)
	if drivers.byPath == nil {
		drivers.byPath = map[string]*driver{}
	}
	drivers.byPath[path] = d
	return d, nil
}

// call calls a function of the driver.
//
//go:uintptrescapes
func (d *driver) call(f function, args ...uintptr) error {
	if r := Call(d.fn[f], args...); r != 0 {
		return d.failure(f, r)
	}
	return nil
}

// failure returns the error of a function with the result code r.
func (d *driver) failure(f function, r uint32) error {
	name, text := d.text(cuGetErrorName, r), d.text(cuGetErrorString, r)
	err := fmt.Errorf("%s: %s (%s)", symbols[f], text, name)
	if cause := cause(r); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// cause returns the error that the result code r stands for (CUresult in cuda.h), or nil.
func cause(r uint32) error {
	switch r {
	case 2: // CUDA_ERROR_OUT_OF_MEMORY
		return ErrOutOfMemory
	case 3, 100, 101, 802, 803, 804: // not initialised, no device, invalid device, system not ready, driver mismatch, no forward compatibility
		return ErrNoDriver
	case 4, // CUDA_ERROR_DEINITIALIZED
		46,  // CUDA_ERROR_DEVICE_UNAVAILABLE
		214, // CUDA_ERROR_ECC_UNCORRECTABLE
		220, // CUDA_ERROR_NVLINK_UNCORRECTABLE
		700, // CUDA_ERROR_ILLEGAL_ADDRESS
		702, // CUDA_ERROR_LAUNCH_TIMEOUT
		709, // CUDA_ERROR_CONTEXT_IS_DESTROYED
		710, // CUDA_ERROR_ASSERT
		714, // CUDA_ERROR_HARDWARE_STACK_ERROR
		715, // CUDA_ERROR_ILLEGAL_INSTRUCTION
		716, // CUDA_ERROR_MISALIGNED_ADDRESS
		717, // CUDA_ERROR_INVALID_ADDRESS_SPACE
		718, // CUDA_ERROR_INVALID_PC
		719, // CUDA_ERROR_LAUNCH_FAILED
		999: // CUDA_ERROR_UNKNOWN
		return ErrDeviceLost
	}
	return nil
}

// text returns the driver's text for the result code r.
func (d *driver) text(f function, r uint32) string {
	p := new(unsafe.Pointer)
	if Call(d.fn[f], uintptr(r), uintptr(unsafe.Pointer(p))) != 0 || *p == nil {
		return fmt.Sprintf("error %d", r)
	}
	return cString(*p)
}

// cString returns the string that ends with a zero byte at p.
func cString(p unsafe.Pointer) string {
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

// CString returns s with a zero byte at its end.
func CString(s string) *byte { return unsafe.SliceData(append([]byte(s), 0)) }
