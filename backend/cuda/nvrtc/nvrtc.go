// Package nvrtc compiles CUDA C++ to PTX with NVIDIA's run-time compiler, and assembles
// PTX with ptxas to learn what kernels use. Neither needs a GPU. Both are part of the
// CUDA toolkit, and of the Python wheels nvidia-cuda-nvrtc-cu12 and nvidia-cuda-nvcc-cu12.
//
// The package looks for them in this order:
//
//   - below the folder that CUDA_HOME or CUDA_PATH names: a toolkit, or a folder
//     site-packages with the wheels;
//   - on the library path, or PATH;
//   - in the toolkit's usual folder;
//   - in the wheels of the Python that PATH names.
//
// Source: docs.nvidia.com/cuda/nvrtc.
package nvrtc

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"modelc/backend/cuda/launcher"
)

// Command returns the shell command that makes kernels.ptx from kernels.cu in its folder.
// It is for machines without NVRTC.
func Command(arch int) string {
	return fmt.Sprintf("nvcc -ptx -arch=compute_%d kernels.cu -o kernels.ptx", arch)
}

// Compiler is a loaded NVRTC library.
type Compiler struct {
	Path    string // of the library
	Version string // "12.9"

	version, archs, numArchs, create, compile, ptxSize, ptx, logSize, log, destroy uintptr
}

var loaded = sync.OnceValues(load)

// Load returns the compiler of this machine. The error says where it was looked for.
func Load() (*Compiler, error) { return loaded() }

func load() (*Compiler, error) {
	lib, err := launcher.OpenLibrary(libraries()...)
	if err != nil {
		return nil, errors.New("NVRTC is not found: set CUDA_HOME to a CUDA toolkit, or install the Python wheel nvidia-cuda-nvrtc-cu12")
	}
	c := &Compiler{Path: lib.Path}
	for _, f := range []struct {
		to   *uintptr
		name string
	}{
		{&c.version, "nvrtcVersion"}, {&c.numArchs, "nvrtcGetNumSupportedArchs"}, {&c.archs, "nvrtcGetSupportedArchs"},
		{&c.create, "nvrtcCreateProgram"}, {&c.compile, "nvrtcCompileProgram"}, {&c.destroy, "nvrtcDestroyProgram"},
		{&c.ptxSize, "nvrtcGetPTXSize"}, {&c.ptx, "nvrtcGetPTX"}, {&c.logSize, "nvrtcGetProgramLogSize"}, {&c.log, "nvrtcGetProgramLog"},
	} {
		if *f.to, err = lib.Symbol(f.name); err != nil {
			return nil, fmt.Errorf("NVRTC is too old: %w", err)
		}
	}
	v := new([2]int32)
	if r := launcher.Call(c.version, uintptr(unsafe.Pointer(&v[0])), uintptr(unsafe.Pointer(&v[1]))); r != 0 {
		return nil, fmt.Errorf("nvrtcVersion: error %d", r)
	}
	c.Version = fmt.Sprintf("%d.%d", v[0], v[1])
	return c, nil
}

// Archs returns the compute capabilities for which c compiles, as 10·major + minor, in
// ascending order.
func (c *Compiler) Archs() []int {
	n := new(int32)
	if launcher.Call(c.numArchs, uintptr(unsafe.Pointer(n))) != 0 || *n <= 0 {
		return nil
	}
	list := make([]int32, *n)
	if launcher.Call(c.archs, uintptr(unsafe.Pointer(&list[0]))) != 0 {
		return nil
	}
	archs := make([]int, *n)
	for i, a := range list {
		archs[i] = int(a)
	}
	return archs
}

// PTX compiles the text of a kernels.cu to the PTX of packages: for the compute capability
// arch, or for the lowest later one that the compiler of this machine supports.
func PTX(source string, arch int) (string, error) {
	c, err := Load()
	if err != nil {
		return "", err
	}
	if archs := c.Archs(); len(archs) > 0 {
		arch = max(arch, archs[0])
	}
	return c.Compile("kernels.cu", source, arch)
}

// Compile compiles source to PTX for the compute capability arch and later ones. name is
// the name of the file in messages. The error has the compiler's log.
func (c *Compiler) Compile(name, source string, arch int) (ptx string, err error) {
	program := new(uintptr)
	if r := launcher.Call(c.create, uintptr(unsafe.Pointer(program)), uintptr(unsafe.Pointer(launcher.CString(source))), uintptr(unsafe.Pointer(launcher.CString(name))), 0, 0, 0); r != 0 {
		return "", fmt.Errorf("nvrtcCreateProgram: error %d", r)
	}
	defer launcher.Call(c.destroy, uintptr(unsafe.Pointer(program)))
	options := []unsafe.Pointer{
		unsafe.Pointer(launcher.CString(fmt.Sprintf("--gpu-architecture=compute_%d", arch))),
		unsafe.Pointer(launcher.CString("--std=c++17")),
	}
	if r := launcher.Call(c.compile, *program, uintptr(len(options)), uintptr(unsafe.Pointer(&options[0]))); r != 0 {
		log, _ := c.text(c.logSize, c.log, *program)
		return "", fmt.Errorf("NVRTC %s does not compile %s for compute_%d: %s\n%s", c.Version, name, arch, c.reason(r), strings.TrimSpace(log))
	}
	return c.text(c.ptxSize, c.ptx, *program)
}

// reason returns NVRTC's text for a result code.
func (c *Compiler) reason(r uint32) string {
	switch r {
	case 5:
		return "invalid option" // an unknown architecture
	case 6:
		return "errors"
	}
	return fmt.Sprintf("error %d", r)
}

// text returns a text of a program, given the functions for its size and its bytes.
func (c *Compiler) text(size, get, program uintptr) (string, error) {
	n := new(uintptr)
	if r := launcher.Call(size, program, uintptr(unsafe.Pointer(n))); r != 0 || *n == 0 {
		return "", fmt.Errorf("NVRTC: error %d", r)
	}
	b := make([]byte, *n)
	if r := launcher.Call(get, program, uintptr(unsafe.Pointer(&b[0]))); r != 0 {
		return "", fmt.Errorf("NVRTC: error %d", r)
	}
	return string(bytes.TrimRight(b, "\x00")), nil
}

// Entries returns the names of the kernels in PTX text.
func Entries(ptx string) []string {
	var names []string
	for line := range strings.Lines(ptx) {
		if _, rest, ok := strings.Cut(line, ".entry "); ok {
			name, _, _ := strings.Cut(strings.TrimSpace(rest), "(")
			names = append(names, name)
		}
	}
	return names
}
