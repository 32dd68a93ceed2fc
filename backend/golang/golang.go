// Package golang prints a program as a Go package: the API (model.go), the plan
// with a variable for each step and buffer (layers.go), the packed weights and a
// self-test. docs/generated-package.md describes the package.
package golang

import (
	"modelc/backend/cpu"
	"modelc/ir"
)

// Options describes a package.
type Options struct {
	Package string // name of the package
	Runtime string // import path of the runtime package
	Header
	Model  string // name of the graph
	Format string // format of the model: "ONNX, IR version 8, opset 13"
	// Sidecar makes the package open weights.bin at run time. Otherwise the
	// weights are embedded.
	Sidecar   bool
	Tolerance float64 // of the self-test, relative to the largest output
	// Examples is the number of examples in a run. It is 0 if the model does not
	// define it.
	Examples int
	// More are the programs for larger batches, smallest first. They share the
	// weights of the first program: see [cpu.BuildAll].
	More []Batch
	// RuntimeSource, unless nil, has the files of the runtime by their path below
	// the folder of package runtime. The parts that the package uses are copied to
	// RuntimeDir.
	RuntimeSource Files
	// Pictures, unless nil, gives sessions the method Predict, which takes a
	// picture.
	Pictures *Pictures
	// CUDA, unless nil, adds the files for an NVIDIA GPU.
	CUDA *CUDA
	// Rounding, unless nil, describes the effect of weights in half precision.
	Rounding *Rounding
	// Golden are the outputs that the self-test expects, in the order of the
	// graph's outputs. Its inputs are those of [GoldenInputs] with GoldenMask or,
	// if Pictures is set, of [GoldenPicture]. If GoldenParts is above 1, the graph
	// computes the examples of a batch of this size independently, and Golden has the
	// outputs of the first one alone.
	Golden      []*ir.Tensor
	GoldenMask  uint64
	GoldenParts int
	// Progress, unless nil, is called with the number of bytes of the weights
	// written so far, and with their total. If it returns an error, the work stops
	// and returns the error.
	Progress func(done, total int) error
}

// Batch is a model compiled for a batch size.
type Batch struct {
	Examples int // number of examples in a run
	Program  *cpu.Program
}

// Files holds the contents of files by their slashed path in a package.
type Files map[string][]byte

// The files of a package.
const (
	modelFile  = "model.go"
	anyFile    = "any.go"    // for code that works with any package
	layersFile = "layers.go" // layersN.go for batches of N
	testFile   = "model_test.go"
	goldenFile = "testdata/golden.bin" // the self-test's expected outputs
	// WeightsFile holds the packed weights, embedded or not.
	WeightsFile = "weights.bin"
	// RuntimeDir holds the copy of the runtime in a standalone package.
	RuntimeDir = "internal/runtime"
)
