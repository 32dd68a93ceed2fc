package golang

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"

	"modelc/backend/cuda"
	"modelc/backend/cuda/engine"
	"modelc/backend/cuda/launcher"
	"modelc/internal/modpath"
	"modelc/internal/units"
)

// CUDA is the part of a package that runs on an NVIDIA GPU.
type CUDA struct {
	// Programs has the program of each batch size, smallest first.
	Programs []CUDAProgram
	// Launcher has the files of package launcher. They are copied to LauncherDir.
	Launcher Files
	// Imports is the import path of the copy.
	Imports string
	// Command makes kernels.ptx, for programs without PTX.
	Command string
	// Rounding, unless nil, describes the effect of the precision of products.
	Rounding *Rounding
}

// CUDAProgram is a program with the PTX of its kernels. The PTX is empty if there was no
// compiler for it.
type CUDAProgram struct {
	*cuda.Program
	PTX string
}

// The files of a package for a GPU.
const (
	cudaFile     = "cuda.go"
	cudaTestFile = "cuda_test.go"
	// CUDAWeightsFile holds the weights for a GPU, without a header.
	CUDAWeightsFile = "cuda.bin"
	// LauncherDir holds the copy of the launcher.
	LauncherDir = "internal/launcher"
)

// cudaLayersFile and the others return the name of a file for a batch.
func cudaLayersFile(suffix string) string { return "cudalayers" + suffix + ".go" }
func sourceFile(suffix string) string     { return "kernels" + suffix + ".cu" }
func ptxFile(suffix string) string        { return "kernels" + suffix + ".ptx" }

// cudaView is the data of the templates of the files for a GPU.
type cudaView struct {
	*view
	Launcher  string // import path
	Batches   []*cudaBatch
	SumCUDA   string // digest of CUDAWeightsFile as a Go literal
	SizeCUDA  int    // bytes of CUDAWeightsFile
	MoreCUDA  []*cudaBatch
	MemoryGPU string
	Tolerance float64 // of the self-test, relative to the largest output
	Products  string  // sentence about the precision of products

	weights []byte
}

// cudaBatch is the program of a batch size.
type cudaBatch struct {
	*batch
	View    *cudaView
	Program CUDAProgram
	Source  string // file of the kernels' source
	PTX     string // file of the PTX
	Kernels []cudaKernel
	In, Out []string // literals of launcher.Port
	base    int      // offset of the program's weights in CUDAWeightsFile
}

// cudaKernel is a launch as text.
type cudaKernel struct{ Comment, Literal string }

// newCUDAView returns the data of the files for a GPU. Programs with equal weights share
// them in the file.
func newCUDAView(v *view) (*cudaView, error) {
	o := v.CUDA
	if len(o.Programs) != len(v.Batches) {
		return nil, fmt.Errorf("%d programs of a GPU for %d batch sizes", len(o.Programs), len(v.Batches))
	}
	c := &cudaView{view: v, Launcher: o.Imports}
	for i, p := range o.Programs {
		b := &cudaBatch{batch: v.Batches[i], View: c, Program: p, Source: sourceFile(v.Batches[i].Suffix), PTX: ptxFile(v.Batches[i].Suffix)}
		same := slices.IndexFunc(c.Batches, func(other *cudaBatch) bool { return bytes.Equal(other.Program.Weights, p.Weights) })
		switch {
		case same >= 0:
			b.base = c.Batches[same].base
		case i == 0:
			c.weights = p.Weights
		default:
			const align = 256 // of allocations on the device
			padding := (align - len(c.weights)%align) % align
			b.base = len(c.weights) + padding
			c.weights = slices.Concat(c.weights, make([]byte, padding), p.Weights)
		}
		b.print()
		c.Batches = append(c.Batches, b)
	}
	c.MoreCUDA = c.Batches[1:]
	c.SizeCUDA, c.SumCUDA = len(c.weights), bytesLiteral(sha256.Sum256(c.weights))
	c.Tolerance = v.Tolerance
	if r := o.Rounding; r != nil {
		const margin = 4 // for other orders of sums
		c.Tolerance, c.Products = max(v.Tolerance, margin*r.Error), " "+r.Products()
	}
	c.MemoryGPU = units.Bytes(c.SizeCUDA + o.Programs[0].Arena)
	return c, nil
}

// print makes the literals of the batch.
func (b *cudaBatch) print() {
	l := engine.Launched(b.Program.Program)
	for i, k := range l.Kernels {
		args := make([]string, len(k.Args))
		for j, a := range k.Args {
			if args[j] = fmt.Sprint(a); a < 0 {
				args[j] = fmt.Sprintf("^%d", ^a+b.base)
			}
		}
		lit := fmt.Sprintf("Name: %q, Grid: [3]int{%s}, Block: [3]int{%s}, ", k.Name, list(k.Grid), list(k.Block))
		if k.Shared > 0 {
			lit += fmt.Sprintf("Shared: %d, ", k.Shared)
		}
		lit = strings.TrimSuffix(lit, ", ")
		words := "Args: []int{" + strings.Join(args, ", ") + "}"
		if columns(lit)+columns(words)+4 > maxColumns-2*tabColumns {
			lit = "\n" + lit + ",\n" + words + ",\n"
			if columns(words) > maxColumns-3*tabColumns {
				lit = strings.Replace(lit, words, "Args: []int{\n"+strings.Join(args, ",\n")+",\n}", 1)
			}
		} else {
			lit += ", " + words
		}
		b.Kernels = append(b.Kernels, cudaKernel{comment(b.Program.Kernels[i].Layer), "{" + lit + "}"})
	}
	for i, p := range b.Inputs {
		b.In = append(b.In, portLiteral(p, l.Inputs[i]))
	}
	for i, p := range b.Outputs {
		b.Out = append(b.Out, portLiteral(p, l.Outputs[i]))
	}
}

// list returns numbers as elements of a Go literal.
func list(n [3]int) string { return fmt.Sprintf("%d, %d, %d", n[0], n[1], n[2]) }

// portLiteral returns a port of a GPU's program as an element of a slice.
func portLiteral(p port, at launcher.Port) string {
	lit := strings.TrimSuffix(p.Literal(), "}")
	return strings.TrimSuffix(lit, ",\n") + fmt.Sprintf(", Offset: %d}", at.Offset)
}

// cudaFiles returns the files for a GPU.
func cudaFiles(v *view) (Files, error) {
	c, err := newCUDAView(v)
	if err != nil {
		return nil, err
	}
	files := Files{CUDAWeightsFile: c.weights}
	if files[cudaFile], err = execute(cudaFile, cudaTemplate, c); err != nil {
		return nil, err
	}
	if files[cudaTestFile], err = execute(cudaTestFile, cudaTestTemplate, c); err != nil {
		return nil, err
	}
	for _, b := range c.Batches {
		name := cudaLayersFile(b.Suffix)
		if files[name], err = execute(name, cudaLayersTemplate, b); err != nil {
			return nil, err
		}
		files[b.Source] = []byte(v.Head + "\n\n" + b.Program.Source)
		text := b.Program.PTX
		if text == "" {
			text = "// There was no compiler for PTX. This command makes this file:\n//\n//\t" + strings.ReplaceAll(v.CUDA.Command, "kernels", "kernels"+b.Suffix) + "\n"
		}
		files[b.PTX] = []byte(v.Head + "\n\n" + text)
	}
	for name, b := range v.CUDA.Launcher {
		files[path.Join(LauncherDir, name)] = append(headOf(modpath.Package("backend/cuda/launcher"), v.Version, "this header"), b...)
	}
	return files, nil
}
