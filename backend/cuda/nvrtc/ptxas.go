package nvrtc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Usage is what a kernel uses of a multiprocessor, as ptxas -v reports it.
type Usage struct {
	Kernel    string
	Registers int // of a thread
	Shared    int // bytes of static shared memory of a block
	Spills    int // bytes that a thread stores to and loads from local memory for lack of registers
	Stack     int // bytes of local memory of a thread
}

// Assembler is the program ptxas.
type Assembler struct {
	Path    string
	Version string // "12.9"
}

// FindAssembler returns the ptxas of this machine. The error says where it was looked for.
func FindAssembler() (*Assembler, error) {
	path := ""
	for _, home := range homes() {
		path = first(path, ptxasNames.below(home))
	}
	if path == "" {
		path, _ = exec.LookPath("ptxas") // the folders below follow
	}
	if path == "" {
		for _, home := range usual() {
			path = first(path, ptxasNames.below(home))
		}
	}
	if path == "" {
		return nil, errors.New("ptxas is not found: set CUDA_HOME to a CUDA toolkit, or install the Python wheel nvidia-cuda-nvcc-cu12")
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", path, err)
	}
	v := regexp.MustCompile(`release (\d+\.\d+)`).FindSubmatch(out)
	if v == nil {
		return nil, fmt.Errorf("%s --version prints no version: %.200q", path, out)
	}
	return &Assembler{path, string(v[1])}, nil
}

func first(path string, found []string) string {
	if path == "" && len(found) > 0 {
		return found[0]
	}
	return path
}

// Assemble assembles PTX for a GPU of compute capability arch and returns the usage of
// each kernel, in the order of the report.
func (a *Assembler) Assemble(ptx string, arch int) ([]Usage, error) {
	dir, err := os.MkdirTemp("", "ptxas")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "kernels.ptx")
	if err := os.WriteFile(file, []byte(ptx), 0o600); err != nil {
		return nil, err
	}
	out, err := exec.Command(a.Path, "-v", "-arch", fmt.Sprintf("sm_%d", arch), file, "-o", filepath.Join(dir, "kernels.cubin")).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ptxas %s for sm_%d: %w\n%s", a.Version, arch, err, out)
	}
	return parseUsage(string(out))
}

var (
	entryLine     = regexp.MustCompile(`Compiling entry function '([^']+)'`)
	stackLine     = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	registersLine = regexp.MustCompile(`Used (\d+) registers`)
	sharedLine    = regexp.MustCompile(`(\d+) bytes smem`)
)

// parseUsage reads the report of ptxas -v.
func parseUsage(report string) ([]Usage, error) {
	var list []Usage
	number := func(s string) int { n, _ := strconv.Atoi(s); return n } // the patterns give digits
	for line := range strings.Lines(report) {
		if m := entryLine.FindStringSubmatch(line); m != nil {
			list = append(list, Usage{Kernel: m[1]})
			continue
		}
		if len(list) == 0 {
			continue
		}
		u := &list[len(list)-1]
		if m := stackLine.FindStringSubmatch(line); m != nil {
			u.Stack, u.Spills = number(m[1]), number(m[2])+number(m[3])
		}
		if m := registersLine.FindStringSubmatch(line); m != nil {
			u.Registers = number(m[1])
			if m := sharedLine.FindStringSubmatch(line); m != nil {
				u.Shared = number(m[1])
			}
		}
	}
	for _, u := range list {
		if u.Registers == 0 {
			return nil, fmt.Errorf("ptxas reports no registers of %s:\n%s", u.Kernel, report)
		}
	}
	return list, nil
}
