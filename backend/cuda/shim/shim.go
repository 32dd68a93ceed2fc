// Package shim runs the kernels of kernels.cu without a GPU: it compiles the file as C++ and
// executes grids.
//
// The threads of a block are coroutines on stacks of their own. They run in a random order
// and change at barriers and warp shuffles, so that a kernel that misses a barrier computes
// something else. Blocks run one after another, in an order that depends on the seed too.
//
// With checks, the compiler calls the shim before each access to memory, as for a thread
// sanitizer. The shim keeps a record of each byte of shared memory and of the operands, and
// reports the first access that is one of these errors: a read of shared memory that the
// block has not written; two threads of a block that access the same byte of shared memory
// without a barrier between, one of them writing; two threads of a grid that do this in
// global memory; an access outside the operands. A barrier that not all threads reach is an
// error with and without checks.
//
// The C interface of the libraries is in cxx/abi.h.
package shim

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"modelc/backend/cuda/launcher"
)

//go:embed cxx/abi.h
var abi []byte

//go:embed cxx/shim.h
var header []byte

//go:embed cxx/shim.cc
var threads []byte

// Available returns an error if the emulator does not work on this system, or if the C++
// compiler that [Compile] needs is missing.
func Available() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return fmt.Errorf("the emulator needs linux/amd64 or linux/arm64; this is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	if _, err := exec.LookPath("g++"); err != nil {
		return errors.New("the emulator needs a C++ compiler: install g++")
	}
	return nil
}

// kernelPattern finds the kernels of a source, with their parameters.
var kernelPattern = regexp.MustCompile(`extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(([^)]*)\)`)

// Compile makes a library of the text of a kernels.cu, in the folder dir, and returns its
// path. With checks, launches check accesses to memory and are about 50 times slower.
func Compile(ctx context.Context, source, dir string, checks bool) (string, error) {
	if err := Available(); err != nil {
		return "", err
	}
	var table strings.Builder
	matches := kernelPattern.FindAllStringSubmatch(source, -1)
	for _, m := range matches {
		table.WriteString(m[0] + ";\n") // the kernel may be in a namespace
	}
	table.WriteString("struct shim_entry { const char *name; void *function; int args; };\nextern \"C\" const shim_entry shim_table[] = {\n")
	for _, m := range matches {
		fmt.Fprintf(&table, "    {%q, (void *)%s, %d},\n", m[1], m[1], strings.Count(m[2], ",")+1)
	}
	table.WriteString("    {nullptr, nullptr, 0},\n};\n")
	object, err := shimObject(ctx)
	if err != nil {
		return "", err
	}
	if err := write(dir, map[string][]byte{"shim.h": header, "shim.o": object, "kernels.cc": append([]byte(source), table.String()...)}); err != nil {
		return "", err
	}
	kernels := append([]string{"-O2"}, flags...)
	if checks {
		kernels = append([]string{"-O1", "-fsanitize=thread", "--param", "tsan-instrument-func-entry-exit=0"}, flags...)
	}
	if err := compiler(ctx, dir, append(kernels, "-include", "shim.h", "-c", "kernels.cc", "-o", "kernels.o")...); err != nil {
		return "", err
	}
	return filepath.Join(dir, "kernels.so"), compiler(ctx, dir, "-shared", "kernels.o", "shim.o", "-o", "kernels.so")
}

var flags = []string{"-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-ffp-contract=off", "-fno-exceptions", "-w"}

// object is the compiled shim, which all libraries of the process contain.
var object struct {
	sync.Mutex
	bytes []byte
}

// shimObject returns the compiled shim.
func shimObject(ctx context.Context) ([]byte, error) {
	object.Lock()
	defer object.Unlock()
	if object.bytes != nil {
		return object.bytes, nil
	}
	dir, err := os.MkdirTemp("", "shim")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := write(dir, map[string][]byte{"abi.h": abi, "shim.h": header, "shim.cc": threads}); err != nil {
		return nil, err
	}
	if err := compiler(ctx, dir, append([]string{"-O2", "-c", "shim.cc", "-o", "shim.o"}, flags...)...); err != nil {
		return nil, err
	}
	object.bytes, err = os.ReadFile(filepath.Join(dir, "shim.o"))
	return object.bytes, err
}

// write writes files to the folder dir.
func write(dir string, files map[string][]byte) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// compiler runs g++ in the folder dir.
func compiler(ctx context.Context, dir string, args ...string) error {
	c := exec.CommandContext(ctx, "g++", args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("g++ %s: %w\n%s", strings.Join(args, " "), err, firstLines(out, 20))
	}
	return nil
}

func firstLines(text []byte, n int) string {
	lines := strings.SplitAfterN(string(text), "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "")
}

// Library is a compiled kernels.cu. It is used by one goroutine at a time.
type Library struct {
	*launcher.Library
	launch func(name string, grid, block *[3]uint32, shared uint32, args, extents unsafe.Pointer, seed uint64) string
}

// Open loads a library that [Compile] made.
func Open(path string) (*Library, error) {
	lib, err := launcher.OpenLibrary(path)
	if err != nil {
		return nil, err
	}
	fn, err := lib.Symbol("shim_launch")
	if err != nil {
		return nil, errors.Join(err, lib.Close())
	}
	l := &Library{Library: lib}
	purego.RegisterFunc(&l.launch, fn)
	return l, nil
}

// Launch runs the grid of a kernel. Operands are its arguments in order; operands may
// overlap. If checks is set, it reports accesses outside them; the library must have been
// compiled with checks. Threads run in an order that depends on seed.
func (l *Library) Launch(name string, grid, block [3]int, operands [][]byte, checks bool, seed uint64) error {
	type extent struct {
		start unsafe.Pointer
		bytes uint64
	}
	extents := make([]extent, len(operands))
	args := make([]unsafe.Pointer, len(operands)+1)
	for i, o := range operands {
		extents[i] = extent{unsafe.Pointer(unsafe.SliceData(o)), uint64(len(o))}
		args[i] = unsafe.Pointer(&extents[i].start)
	}
	var memory unsafe.Pointer
	if checks && len(extents) > 0 {
		memory = unsafe.Pointer(&extents[0])
	}
	narrow := func(e [3]int) *[3]uint32 { return &[3]uint32{uint32(e[0]), uint32(e[1]), uint32(e[2])} }
	if text := l.launch(name, narrow(grid), narrow(block), 0, unsafe.Pointer(&args[0]), memory, seed); text != "" {
		return errors.New(text)
	}
	return nil
}
