// Package emulator runs programs of a GPU without one. It compiles a CUDA driver for the
// host (cxx/driver.cc) and, with the shim, the kernels as C++. The launcher loads this driver
// like the one of NVIDIA, so that everything but the PTX is tested.
package emulator

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"modelc/backend/cuda"
	"modelc/backend/cuda/engine"
	"modelc/backend/cuda/launcher"
	"modelc/backend/cuda/shim"
)

//go:embed cxx/driver.cc
var driverSource []byte

// BuildDriver compiles the driver and returns the path of its library, in the folder dir.
func BuildDriver(ctx context.Context, dir string) (string, error) {
	if err := shim.Available(); err != nil {
		return "", err
	}
	for name, text := range map[string][]byte{"driver.cc": driverSource, "abi.h": shim.ABI()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "driver.so")
	if out, err := exec.CommandContext(ctx, "g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-I", dir, filepath.Join(dir, "driver.cc"), "-o", path, "-ldl").CombinedOutput(); err != nil {
		return "", fmt.Errorf("g++ driver.cc: %w\n%.2000s", err, out)
	}
	return path, nil
}

// driver has the driver of this process, which stays loaded.
var driver struct {
	sync.Mutex
	*launcher.Library
}

// Driver returns the path under which the launcher has loaded the driver of this process.
// The file does not exist any more.
func Driver(ctx context.Context) (string, error) {
	driver.Lock()
	defer driver.Unlock()
	if driver.Library != nil {
		return driver.Path, nil
	}
	dir, err := os.MkdirTemp("", "modelc-cuda")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	path, err := BuildDriver(ctx, dir)
	if err != nil {
		return "", err
	}
	lib, err := launcher.OpenLibrary(path)
	if err != nil {
		return "", err
	}
	if _, _, err := launcher.Devices(path); err != nil {
		return "", err
	}
	driver.Library = lib
	return path, nil
}

// Set changes a setting of the driver of this process; see cxx/driver.cc.
func Set(ctx context.Context, name string, value int) error {
	_, err := call(ctx, "emulator_set", uintptr(unsafe.Pointer(launcher.CString(name))), uintptr(value))
	return err
}

// Objects returns the number of allocations, contexts, modules, streams, graphs and events
// that exist in the driver of this process.
func Objects(ctx context.Context) (int, error) { return call(ctx, "emulator_objects") }

// call calls a function of the driver that is not part of the driver API.
//
//go:uintptrescapes
func call(ctx context.Context, name string, args ...uintptr) (int, error) {
	if _, err := Driver(ctx); err != nil {
		return 0, err
	}
	fn, err := driver.Symbol(name)
	if err != nil {
		return 0, err
	}
	return int(launcher.Call(fn, args...)), nil
}

// PTX returns a text that the driver accepts as PTX with the kernels of p, which the
// library at path has.
func PTX(p *cuda.Program, path string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "// emulated by %s\n.version 7.0\n.target sm_70\n", path)
	seen := map[string]bool{}
	for _, k := range p.Kernels {
		if !seen[k.Name] {
			seen[k.Name] = true
			fmt.Fprintf(&b, ".visible .entry %s()\n", k.Name)
		}
	}
	return b.String()
}

// New returns an engine that emulates p. With checks, errors of kernels that may give right
// results by chance are errors too, and runs are about 50 times slower. The caller must
// call Close.
func New(ctx context.Context, p *cuda.Program, checks bool) (*engine.Engine, error) {
	library, err := Compile(ctx, p.Source, checks)
	if err != nil {
		return nil, err
	}
	defer library.Remove()
	return library.New(ctx, p)
}

// Library holds compiled kernels.
type Library struct{ dir, path string }

// Compile compiles the text of a kernels.cu. The caller must call Remove.
func Compile(ctx context.Context, source string, checks bool) (*Library, error) {
	dir, err := os.MkdirTemp("", "modelc-cuda")
	if err != nil {
		return nil, err
	}
	path, err := shim.Compile(ctx, source, dir, checks)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return &Library{dir, path}, nil
}

// Remove deletes the files of the library. Engines keep it loaded.
func (l *Library) Remove() { os.RemoveAll(l.dir) }

// New returns an engine for a program whose kernels l holds. The caller must call Close.
func (l *Library) New(ctx context.Context, p *cuda.Program) (*engine.Engine, error) {
	driver, err := Driver(ctx)
	if err != nil {
		return nil, err
	}
	return engine.New(p, PTX(p, l.path), launcher.Options{Driver: driver})
}
