//go:build (linux && !android && (amd64 || arm64)) || (windows && amd64)

package launcher

import "github.com/ebitengine/purego"

// Call calls the C function fn, whose arguments and result are integers or pointers. It
// returns the result's low 32 bits. Memory whose address is converted to uintptr in the
// argument list stays in place during the call.
//
//go:uintptrescapes
func Call(fn uintptr, args ...uintptr) uint32 {
	r, _, _ := purego.SyscallN(fn, args...)
	return uint32(r)
}
