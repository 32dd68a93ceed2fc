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
	"slices"
	"strings"

	"modelc/backend/cpu"
	"modelc/backend/golang"
	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
	"modelc/runtime"
	"modelc/runtime/vision"
)

// Version of the compiler, written into generated code.
const Version = "v0.1.0"

// Options says how a model is compiled. The zero value is the default.
type Options struct {
	Source source.Options // open dimensions, bound inputs
	Passes passes.Config
	// Exact keeps every rounding of the model as written: no folding of batch
	// normalisation, no Winograd or Strassen.
	Exact bool
	// Tuning replaces the cost model's choice of algorithms; nil for none.
	Tuning *Tuning
	// Weights is how the weights of layers are stored. In half precision they
	// are rounded, and the graph that is compiled has the rounded ones.
	Weights runtime.Format
	// Batches are the batch sizes to compile for; none leaves the model as it
	// is, with open batches of 1.
	Batches []int
	// Flags are recorded in generated headers.
	Flags []string
	// Progress, unless nil, is told how far long work is: a stage, for people,
	// and how much of its total is done. Calls come one after the other, from
	// whatever computes with these options. An error ends the work, which
	// returns it.
	Progress func(stage string, done, total int) error
}

// Report calls Progress, if there is one.
func (o *Options) Report(stage string, done, total int) error {
	if o.Progress == nil {
		return nil
	}
	return o.Progress(stage, done, total)
}

// Compiled is a model on its way to a package.
type Compiled struct {
	Model   *source.Model
	Before  *ir.Graph // as the front end made it
	Graph   *ir.Graph // optimised
	Report  *passes.Report
	Program *cpu.Program
	Options Options
	// Batch is how many examples a run computes, where Options.Batches says
	// so, else 0. More is the model compiled for the larger sizes of
	// Options.Batches; all programs share one file of weights.
	Batch int
	More  []*Compiled
}

// Compile loads, optimises and schedules the model at path. Close releases
// the file, which the graph's constants may be slices of.
func Compile(path string, o Options) (*Compiled, error) {
	if err := o.Report("model file", 0, 1); err != nil {
		return nil, err
	}
	var models []*source.Model
	o.Batches = slices.Compact(slices.Sorted(slices.Values(o.Batches)))
	if len(o.Batches) > 0 {
		var err error
		if models, err = loadBatches(path, o.Source, o.Batches); err != nil {
			return nil, err
		}
	} else {
		m, err := frontend.Load(path, o.Source)
		if err != nil {
			return nil, err
		}
		models = []*source.Model{m}
	}
	c, err := compile(models, o)
	if err != nil {
		_ = release(models) // what went wrong before matters
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// CompileModel is Compile for a model that is loaded already, whose batch is
// what it is.
func CompileModel(m *source.Model, o Options) (*Compiled, error) {
	o.Batches = nil
	return compile([]*source.Model{m}, o)
}

// compile optimises the same model for several batch sizes, and schedules all
// of them on the same weights.
func compile(models []*source.Model, o Options) (*Compiled, error) {
	s := cpu.Config{Exact: o.Exact, Weights: o.Weights}
	var err error
	if o.Tuning != nil {
		if s.Algorithms, err = o.Tuning.algorithms(models[0].SHA256); err != nil {
			return nil, err
		}
	}
	list := make([]*Compiled, len(models))
	graphs := make([]*ir.Graph, len(models))
	for i, m := range models {
		c := &Compiled{Model: m, Before: m.Graph, Graph: m.Graph.Clone(), Options: o}
		if len(o.Batches) > 0 {
			c.Batch = o.Batches[i]
		}
		cfg := o.Passes
		cfg.Exact = o.Exact
		cfg.Progress = func(done, total int) error { return o.Report("passes", done, total) }
		if c.Report, err = passes.Run(c.Graph, &cfg); err != nil {
			return nil, err
		}
		if err := cpu.RoundWeights(c.Graph, o.Weights); err != nil {
			return nil, err
		}
		list[i], graphs[i] = c, c.Graph
	}
	if err := o.Report("schedule", 0, 1); err != nil {
		return nil, err
	}
	programs, err := cpu.BuildAll(graphs, s)
	if err != nil {
		return nil, err
	}
	for i, p := range programs {
		list[i].Program = p
	}
	list[0].More = list[1:]
	return list[0], nil
}

// Reference computes the model as it was written with the reference
// interpreter. It may take seconds per GFLOP.
func (c *Compiled) Reference(in []*ir.Tensor) ([]*ir.Tensor, error) {
	return c.trace(c.Before, in, func(*ir.Value, *ir.Tensor) {})
}

// trace runs the reference interpreter on g, shows what it computes to visit
// and tells how far it is.
func (c *Compiled) trace(g *ir.Graph, in []*ir.Tensor, visit func(v *ir.Value, t *ir.Tensor)) ([]*ir.Tensor, error) {
	done, total := 0, 0
	for _, n := range g.Nodes {
		total += len(n.Out)
	}
	return eval.Trace(g, in, func(v *ir.Value, t *ir.Tensor) error {
		visit(v, t)
		done++
		return c.Options.Report("reference outputs", done, total)
	})
}

// Close releases the model file.
func (c *Compiled) Close() error {
	err := c.Model.Release()
	for _, m := range c.More {
		err = errors.Join(err, m.Close())
	}
	return err
}

// PackageOptions says how the generated package looks.
type PackageOptions struct {
	Package string // its name; default: from the folder's
	Sidecar bool   // keep the weights in a file instead of embedding them
	// Standalone copies what the package uses of the runtime beside it, so that
	// it needs no other module. It is implied where the package cannot import
	// modelc/runtime.
	Standalone bool
	// SharedRuntime, unless empty, is a folder of the package's module for a
	// whole copy of the runtime, which several packages share.
	SharedRuntime string
	// Runtime is the import path of the runtime where the caller knows it. By
	// default the go command is asked what the package can import.
	Runtime string
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
	Dir     string  `json:"dir"`
	Package string  `json:"package"`
	Runtime string  `json:"runtime"`          // import path
	Copied  *Copied `json:"copied,omitempty"` // of the runtime, where it was copied
	Model   string  `json:"model"`
	Format  string  `json:"format"`
	Predict string  `json:"predict,omitempty"` // what becomes of a picture, where the package takes some
	// Rounding tells what weights in half precision do to the outputs.
	Rounding *golang.Rounding `json:"rounding,omitempty"`
	Notes    []string         `json:"notes,omitempty"`
	// Sessions are those for larger batches.
	Sessions []Session `json:"sessions,omitempty"`
	// Of the model as it was written:
	ModelParameters int64 `json:"model_parameters"`
	ModelFLOPs      int64 `json:"model_flops"`
	ModelNodes      int   `json:"model_nodes"`

	Passes    []passes.Stat  `json:"passes"` // of those that changed something
	Fused     Fused          `json:"fused"`
	FileBytes map[string]int `json:"files"`
}

// Session is what a session for a batch size costs.
type Session struct {
	Batch int `json:"batch"`
	Arena int `json:"arena_bytes"`
}

// Copied is how much of the runtime was copied.
type Copied struct {
	Files int `json:"files"`
	Lines int `json:"lines"`
	Bytes int `json:"bytes"`
	// Shared is set where it is a whole copy, in a folder of its own.
	Shared bool `json:"shared,omitempty"`
}

// tolerance is the accuracy that generated tests demand, relative to the
// largest output.
const (
	tolerance      = 1e-4
	exactTolerance = 2e-6
)

// WritePackage writes the package to dir, which is complete or untouched.
func (c *Compiled) WritePackage(dir string, o PackageOptions) (*Summary, error) {
	t, err := c.target(dir, o)
	if err != nil {
		return nil, err
	}
	s := c.summary()
	s.Dir, s.Package, s.Runtime, s.FileBytes = t.dir, t.options.Package, t.options.Runtime, map[string]int{}
	s.Notes, s.Rounding = append(s.Notes, t.notes...), t.options.Rounding
	for _, m := range c.More {
		s.Sessions = append(s.Sessions, Session{m.Batch, m.Program.Plan.ArenaBytes})
	}
	if p := t.options.Pictures; p != nil {
		fit, levels := golang.Describe(p.Preprocess)
		s.Predict = fit + "; " + levels
	}
	shared := map[string]golang.FileSize{}
	if t.shared != nil {
		if shared, err = golang.WriteRuntime(t.sharedDir, t.shared, Version); err != nil {
			return nil, err
		}
	}
	files, err := golang.Write(t.dir, c.Program, t.options)
	if err != nil {
		return nil, err
	}
	copied := Copied{Shared: t.shared != nil}
	for name, size := range files {
		s.FileBytes[name] = size.Bytes
		if strings.HasPrefix(name, golang.RuntimeDir+"/") {
			shared[name] = size
		}
	}
	for _, size := range shared {
		copied.Files++
		copied.Lines += size.Lines
		copied.Bytes += size.Bytes
	}
	if copied.Files > 0 {
		s.Copied = &copied
	}
	return s, nil
}

// DiffPackage returns how the package in dir, and the runtime that it shares
// with others, differ from what WritePackage would make of them; nil for not
// at all. It writes nothing there.
func (c *Compiled) DiffPackage(dir string, o PackageOptions) (Differences, error) {
	t, err := c.target(dir, o)
	if err != nil {
		return nil, err
	}
	d, err := golang.Compare(t.dir, c.Program, t.options)
	if err != nil {
		return nil, err
	}
	var out Differences
	add := func(dir string, list []golang.Difference) {
		for _, d := range list {
			d.File = filepath.Join(dir, filepath.FromSlash(d.File))
			out = append(out, d)
		}
	}
	add(dir, d)
	if t.shared != nil {
		if d, err = golang.CompareRuntime(t.sharedDir, t.shared, Version); err != nil {
			return nil, err
		}
		add(o.SharedRuntime, d)
	}
	return out, nil
}

// target is what is to be printed, and where.
type target struct {
	dir       string // absolute
	options   golang.Options
	sharedDir string       // of the shared runtime
	shared    golang.Files // its source, nil for none
	notes     []string
}

// target decides how the package in dir looks.
func (c *Compiled) target(dir string, o PackageOptions) (*target, error) {
	t := &target{options: golang.Options{
		Header: golang.Header{Version: Version, SHA256: c.Model.SHA256, Flags: c.Options.Flags},
		Model:  c.Graph.Name, Format: c.Model.Format, Sidecar: o.Sidecar, Tolerance: tolerance, Examples: c.Batch,
		Progress: c.weightsProgress,
	}}
	for _, m := range c.More {
		t.options.More = append(t.options.More, golang.Batch{Examples: m.Batch, Program: m.Program})
	}
	if c.Options.Exact {
		t.options.Tolerance = exactTolerance
	}
	var err error
	if t.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := t.setRuntime(o); err != nil {
		return nil, err
	}
	if o.Preprocess != nil {
		if t.options.Pictures, err = c.pictures(o); err != nil {
			return nil, err
		}
	} else if o.Labels != nil {
		return nil, errors.New("PackageOptions.Labels without Preprocess: Predict names classes of pictures")
	}
	return t, c.golden(&t.options)
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
