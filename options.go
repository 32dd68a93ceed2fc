package modelc

import (
	"modelc/backend/cuda"
	"modelc/frontend/source"
	"modelc/passes"
	"modelc/runtime/kernel"
	"modelc/runtime/vision"
)

// Options configures [Compile]. The zero value is the default.
type Options struct {
	// Source binds the open dimensions and the inputs of the model.
	Source source.Options
	// Passes selects the passes that run, and what they check and print.
	Passes passes.Config
	// Exact keeps every rounding step of the model: batch normalisations are
	// not folded, sums are computed in float64, and Winograd's and Strassen's
	// algorithms are not used.
	Exact bool
	// Softmax makes probabilities of the scores of a model whose only output has
	// logits.
	Softmax bool
	// Tuning, unless nil, replaces the cost model's choice of algorithms. It must
	// have been measured on the same model.
	Tuning *Tuning
	// Weights is the format in which packages store the weights of layers. In
	// half precision the weights are rounded, and the compiled graph has the
	// rounded values.
	Weights kernel.Format
	// Compute is the format in which convolutions multiply: F32 or BF16. With BF16, they
	// also round their results to it. Layers without such a kernel compute in float32.
	Compute kernel.Format
	// MaxError, unless 0, is the maximum error of a convolution on BF16: see
	// [LayerError]. Convolutions with a larger error compute in float32. The compiler
	// measures the errors with the reference interpreter, which takes seconds per GFLOP.
	MaxError float64
	// Batches are the batch sizes to compile for, each at least 1. If it is empty,
	// the model keeps its batch size, and an open batch size becomes 1.
	Batches []int
	// CUDA, unless nil, also compiles the model for an NVIDIA GPU.
	CUDA *cuda.Config
	// Flags are recorded in the headers of generated files.
	Flags []string
	// Progress, unless nil, is called during work on the model: when it is
	// compiled, written or computed.
	Progress Progress
}

// Progress is a function that reports the progress of long work: done of total
// units of a stage are done. The name of the stage is text for people. Only one
// goroutine calls the function at a time. If it returns an error, the work stops
// and returns the error.
type Progress func(stage string, done, total int) error

// Update calls p, unless p is nil. It returns the error of p.
func (p Progress) Update(stage string, done, total int) error {
	if p == nil {
		return nil
	}
	return p(stage, done, total)
}

// PackageOptions configures [Compiled.WritePackage]. The zero value is the
// default.
type PackageOptions struct {
	// Package is the name of the package. The default is the name of the package
	// that the folder holds. If it holds none, the name is made from the folder's
	// name.
	Package string
	// Sidecar keeps the weights in the file weights.bin, which the package opens at
	// run time. By default they are embedded.
	Sidecar bool
	// Standalone copies the part of the runtime that the package uses into the
	// package's folder, so that the package needs no other module. WritePackage
	// also does this if the package cannot import the runtime of this module.
	Standalone bool
	// SharedRuntime, unless empty, is a folder of the package's module. The whole
	// runtime is copied to it. Several packages can share it.
	SharedRuntime string
	// Runtime, unless empty, is the import path of the runtime. By default,
	// WritePackage runs the go command to find out which runtime the package can
	// import.
	Runtime string
	// Preprocess, unless nil, gives sessions of the package the method
	// Predict(image.Image) ([]Class, error). [Compiled.Preprocess] returns a value
	// that fits the model.
	Preprocess *vision.Preprocess
	// Labels are the names of the classes that Predict returns, by index. It
	// requires Preprocess. [Compiled.Labels] reads labels.
	Labels []string
}
