// Package modelc compiles trained convolutional networks ahead of time. It
// reads an ONNX or Keras model and writes a Go package that computes it, without
// cgo and without allocation.
//
//	c, err := modelc.Compile("resnet50.onnx", modelc.Options{})
//	if err != nil { … }
//	defer c.Close()
//	summary, err := c.WritePackage("resnet50", modelc.PackageOptions{})
//
// [Compile] loads, optimises and schedules the model. [Compiled.WritePackage]
// writes the package, [Compiled.DiffPackage] tells whether a package is up to
// date, and [Compiled.WriteWeights] writes the weights of a retrained model.
//
// The command modelc (cmd/modelc) is this package with flags.
package modelc

// Version is the version of the compiler. Generated code names it.
const Version = "v0.1.0"
