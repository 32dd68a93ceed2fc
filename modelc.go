// Package modelc compiles trained convolutional networks ahead of time. It reads
// an ONNX or Keras model and writes a Go package that computes the model. The
// package does not use cgo, and a run does not allocate memory.
//
//	c, err := modelc.Compile("resnet50.onnx", modelc.Options{})
//	if err != nil { … }
//	defer c.Close()
//	summary, err := c.WritePackage("resnet50", modelc.PackageOptions{})
//
// [Compile] loads a model, optimises it and makes a program of steps from it.
// [Compiled.WritePackage] writes the package. [Compiled.DiffPackage] compares an
// existing package with the model. [Compiled.WriteWeights] writes the weights of a
// retrained model.
//
// The command modelc (cmd/modelc) calls this package.
package modelc

// Version is the version of the compiler. Generated code names it.
const Version = "v0.1.0"
