//go:build amd64

package launcher

import (
	"os"
	"path/filepath"
	"syscall"
)

// driverNames are the names of the driver's library. The full path keeps the system from
// looking in other folders first.
var driverNames = []string{filepath.Join(os.Getenv("SystemRoot"), "System32", "nvcuda.dll")}

func openLibrary(name string) (uintptr, error) {
	h, err := syscall.LoadLibrary(name)
	return uintptr(h), err
}

func closeLibrary(handle uintptr) error { return syscall.FreeLibrary(syscall.Handle(handle)) }

func symbol(handle uintptr, name string) (uintptr, error) {
	return syscall.GetProcAddress(syscall.Handle(handle), name)
}
