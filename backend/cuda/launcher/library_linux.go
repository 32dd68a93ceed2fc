//go:build !android && (amd64 || arm64)

package launcher

import "github.com/ebitengine/purego"

// driverNames are the names of the driver's library.
var driverNames = []string{"libcuda.so.1"}

func openLibrary(name string) (uintptr, error) {
	return purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func closeLibrary(handle uintptr) error { return purego.Dlclose(handle) }

func symbol(handle uintptr, name string) (uintptr, error) { return purego.Dlsym(handle, name) }
