package modelc

import (
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
	// not folded, and Winograd's and Strassen's algorithms are not used.
	Exact bool
	// Tuning, unless nil, replaces the cost model's choice of algorithms.
	Tuning *Tuning
	// Weights is the format in which packages store the weights of layers. In
	// half precision the weights are rounded, and the compiled graph has the
	// rounded values.
	Weights kernel.Format
	// Batches are the batch sizes to compile for. If it is empty, the model
	// keeps its batch size, and an open one becomes 1.
	Batches []int
	// Flags are recorded in the headers of generated files.
	Flags []string
	// Progress, unless nil, is told how far compiling, writing and computing
	// with these options are.
	Progress Progress
}

// Progress is a function that long work calls. It gets the name of a stage, for
// people, and how much of the stage's total is done. It is never called by two
// goroutines at once. If it returns an error, the work ends and returns that
// error.
type Progress func(stage string, done, total int) error

// Update calls p, unless p is nil.
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
	// that the folder holds, or one made from the folder's name.
	Package string
	// Sidecar keeps the weights in a file beside the binary. By default they are
	// embedded.
	Sidecar bool
	// Standalone copies the part of the runtime that the package uses into the
	// package's folder, so that the package needs no other module. This is also
	// done if the package cannot import the runtime of this module.
	Standalone bool
	// SharedRuntime, unless empty, is a folder of the package's module. The whole
	// runtime is copied to it, for several packages to share.
	SharedRuntime string
	// Runtime, unless empty, is the import path of the runtime. By default the go
	// command is asked what the package can import.
	Runtime string
	// Preprocess, unless nil, makes the package take images: its sessions have a
	// method Predict(image.Image) ([]Class, error). [Compiled.Preprocess] returns
	// a value that fits the model.
	Preprocess *vision.Preprocess
	// Labels are the names of the classes that Predict returns, by index.
	// [Compiled.Labels] reads them.
	Labels []string
}
