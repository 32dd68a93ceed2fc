//go:build !(linux && !android && (amd64 || arm64)) && !(windows && amd64)

package launcher

import (
	"fmt"
	"runtime"
)

var driverNames = []string{"the NVIDIA driver"}

func openLibrary(string) (uintptr, error) {
	return 0, fmt.Errorf("CUDA needs linux/amd64, linux/arm64 or windows/amd64; this is %s/%s", runtime.GOOS, runtime.GOARCH)
}

func closeLibrary(uintptr) error { return nil }

func symbol(uintptr, string) (uintptr, error) { return openLibrary("") }

// Call is never called: no library can be loaded.
func Call(uintptr, ...uintptr) uint32 { return 0 }
