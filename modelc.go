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

import (
	"runtime/debug"

	"modelc/internal/modpath"
)

// Version is the version of the compiler, such as v0.1.0, or v0.1.1-0.20260102150405-abcdef012345
// for a commit between versions. It is "devel" if the build does not know it, as in go
// run and in tests. Generated code names it.
var Version = buildVersion()

func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return versionIn(info)
}

// versionIn returns the version of this module in a build, which may be that of a module that
// requires it.
func versionIn(info *debug.BuildInfo) string {
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == modpath.Module && m.Replace == nil && m.Version != "" && m.Version != "(devel)" {
			return m.Version
		}
	}
	return "devel"
}
