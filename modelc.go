// Package modelc compiles trained convolutional networks ahead of time: it
// reads an ONNX or Keras model and writes a Go package that computes it,
// without cgo and without allocation.
//
//	c, err := modelc.Compile("resnet50.onnx", modelc.Options{})
//	if err != nil { … }
//	defer c.Close()
//	summary, err := c.WritePackage("resnet50", modelc.PackageOptions{})
//
// The command modelc (cmd/modelc) is this package with flags.
package modelc

import (
	"errors"
	"fmt"
	"path/filepath"

	"modelc/backend/golang"
	"modelc/backend/schedule"
	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
	"modelc/runtime/vision"
)

// Version of the compiler, written into generated code.
const Version = "v0.1.0"

// Options says how a model is compiled. The zero value is the default.
type Options struct {
	Source source.Options // open dimensions, bound inputs
	Passes passes.Config
	// Exact keeps every rounding of the model as written: no folding of batch
	// normalisation, no Winograd.
	Exact bool
	// Tuning replaces the cost model's choice of algorithms; nil for none.
	Tuning *Tuning
	// Flags are recorded in generated headers.
	Flags []string
}

// Compiled is a model on its way to a package.
type Compiled struct {
	Model   *source.Model
	Before  *ir.Graph // as the front end made it
	Graph   *ir.Graph // optimised
	Report  *passes.Report
	Program *schedule.Program
	Options Options
}

// Compile loads, optimises and schedules the model at path. Close releases
// the file, which the graph's constants may be slices of.
func Compile(path string, o Options) (*Compiled, error) {
	m, err := frontend.Load(path, o.Source)
	if err != nil {
		return nil, err
	}
	c, err := CompileModel(m, o)
	if err != nil {
		m.Release()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// CompileModel is Compile for a model that is loaded already.
func CompileModel(m *source.Model, o Options) (*Compiled, error) {
	c := &Compiled{Model: m, Before: m.Graph, Graph: m.Graph.Clone(), Options: o}
	cfg := o.Passes
	cfg.Exact = o.Exact
	var err error
	if c.Report, err = passes.Run(c.Graph, &cfg); err != nil {
		return nil, err
	}
	s := schedule.Config{Exact: o.Exact}
	if o.Tuning != nil {
		if s.Algorithms, err = o.Tuning.algorithms(m.SHA256); err != nil {
			return nil, err
		}
	}
	if c.Program, err = schedule.Build(c.Graph, s); err != nil {
		return nil, err
	}
	return c, nil
}

// Close releases the model file.
func (c *Compiled) Close() error { return c.Model.Release() }

// PackageOptions says how the generated package looks.
type PackageOptions struct {
	Package string // its name; default: from the folder's
	Sidecar bool   // keep the weights in a file instead of embedding them
	// Standalone copies the runtime beside the package, so that it needs no
	// other module. It is implied where the target module cannot import
	// modelc.
	Standalone bool
	// Preprocess, unless nil, makes the package take pictures: its sessions
	// have Predict(image.Image) ([]Class, error). See [Compiled.Preprocess].
	Preprocess *vision.Preprocess
	// Labels names the classes that Predict answers with; nil for none. See
	// [Compiled.Labels].
	Labels []string
}

// Summary is what a package costs and what the compiler did.
type Summary struct {
	golang.Summary
	Dir     string   `json:"dir"`
	Package string   `json:"package"`
	Runtime string   `json:"runtime"` // import path
	Model   string   `json:"model"`
	Format  string   `json:"format"`
	Predict string   `json:"predict,omitempty"` // what becomes of a picture, where the package takes some
	Notes   []string `json:"notes,omitempty"`
	// Of the model as it was written:
	ModelParameters int64 `json:"model_parameters"`
	ModelFLOPs      int64 `json:"model_flops"`
	ModelNodes      int   `json:"model_nodes"`

	Passes    []passes.Stat  `json:"passes"` // of those that changed something
	Fused     Fused          `json:"fused"`
	FileBytes map[string]int `json:"files"`
}

// tolerance is the accuracy that generated tests demand, relative to the
// largest output.
const (
	tolerance      = 1e-4
	exactTolerance = 2e-6
)

// WritePackage writes the package to dir, which is complete or untouched.
func (c *Compiled) WritePackage(dir string, o PackageOptions) (*Summary, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if o.Package == "" {
		o.Package = golang.PackageName(filepath.Base(dir))
	}
	g := golang.Options{
		Package: o.Package, Version: Version, Flags: c.Options.Flags, Model: c.Graph.Name, Format: c.Model.Format,
		SHA256: c.Model.SHA256, Sidecar: o.Sidecar, Tolerance: tolerance,
	}
	if c.Options.Exact {
		g.Tolerance = exactTolerance
	}
	var copied bool
	if g.Runtime, copied, err = runtimeFor(dir, o.Standalone); err != nil {
		return nil, err
	}
	if copied {
		if g.RuntimeSource, err = runtimeFiles(o.Preprocess != nil); err != nil {
			return nil, err
		}
	}
	if o.Preprocess != nil {
		if g.Pictures, err = c.pictures(o); err != nil {
			return nil, err
		}
	} else if o.Labels != nil {
		return nil, errors.New("PackageOptions.Labels without Preprocess: Predict names classes of pictures")
	}
	if err := c.golden(&g); err != nil {
		return nil, err
	}
	s := c.summary()
	s.Dir, s.Package, s.Runtime = dir, o.Package, g.Runtime
	if g.Pictures != nil {
		fit, levels := golang.Describe(g.Pictures.Preprocess)
		s.Predict = fit + "; " + levels
	}
	s.FileBytes, err = golang.Write(dir, c.Program, g)
	return s, err
}

// golden sets the self-test's expected outputs and what its input is.
func (c *Compiled) golden(g *golang.Options) error {
	if g.Pictures != nil {
		in, err := golang.GoldenPicture(c.Before, g.Pictures.Preprocess)
		if err != nil {
			return err
		}
		g.Golden, err = eval.Run(c.Before, in)
		return err
	}
	var err error
	for _, g.GoldenMask = range golang.GoldenMasks {
		if g.Golden, err = eval.Run(c.Before, golang.GoldenInputs(c.Before, g.GoldenMask)); err == nil {
			return nil
		}
	}
	return err
}

func (c *Compiled) summary() *Summary {
	s := &Summary{Summary: golang.Summarize(c.Program), Model: c.Graph.Name, Format: c.Model.Format, Notes: c.Model.Notes,
		ModelNodes: len(c.Before.Nodes), Fused: c.fused()}
	for _, n := range c.Before.Nodes {
		s.ModelFLOPs += ir.FLOPs(n)
	}
	for _, v := range c.Before.Constants {
		if v.Type.DType.IsFloat() {
			s.ModelParameters += int64(v.Type.Shape.Len())
		}
	}
	for _, p := range c.Report.Passes {
		if p.Changed > 0 && p.Name != "choose_padding" {
			s.Passes = append(s.Passes, p)
		}
	}
	return s
}
