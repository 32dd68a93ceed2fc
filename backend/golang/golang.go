// Package golang prints a scheduled program as a Go package: the API
// (model.go), the plan with a variable for each step and buffer (layers.go), the
// packed weights and a self-test. docs/generated-package.md describes the result.
package golang

import (
	"modelc/backend/cpu"
	"modelc/ir"
)

// Options describes a package.
type Options struct {
	Package string // its name
	Runtime string // import path of the runtime package
	Header
	Model  string // name of the graph, for people
	Format string // of the model, for people: "ONNX, IR version 8, opset 13"
	// Sidecar makes the package open weights.bin at run time. Without it the
	// weights are embedded.
	Sidecar   bool
	Tolerance float64 // of the self-test, relative to the largest output
	// Examples is the number of examples in a run, 0 where the model does not
	// tell. More are programs for larger batches that share the weights (see
	// cpu.BuildAll).
	Examples int
	More     []Batch
	// RuntimeSource, unless nil, makes the package carry a copy of the parts of
	// the runtime that it uses, in RuntimeDir. It has the files of package runtime
	// by their path below its folder.
	RuntimeSource Files
	// Pictures, unless nil, makes the package take pictures.
	Pictures *Pictures
	// Rounding, unless nil, describes weights in half precision.
	Rounding *Rounding
	// Golden are the outputs that the self-test expects, in the order of the
	// graph's outputs. Its inputs are those of GoldenInputs with GoldenMask or,
	// with Pictures, of GoldenPicture.
	Golden     []*ir.Tensor
	GoldenMask uint64
	// Progress, unless nil, is called with the number of bytes of the weights
	// that are written. An error stops the work.
	Progress func(done, total int) error
}

// Batch is a model compiled for a batch size.
type Batch struct {
	Examples int // in a run
	Program  *cpu.Program
}

// Files holds the contents of files by their slashed path in a package.
type Files map[string][]byte

// The files of a package.
const (
	modelFile  = "model.go"
	layersFile = "layers.go" // and layersN.go for batches of N
	testFile   = "model_test.go"
	goldenFile = "testdata/golden.bin" // the self-test's expected outputs
	// WeightsFile holds the packed weights, embedded or not.
	WeightsFile = "weights.bin"
	// RuntimeDir holds the copy of the runtime in a standalone package.
	RuntimeDir = "internal/runtime"
)
