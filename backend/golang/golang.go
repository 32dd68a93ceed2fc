// Package golang prints a scheduled program as a Go package: the API
// (model.go), the plan with a variable per step (layers.go), the packed
// weights and a self-test. docs/generated-package.md describes the result.
package golang

import (
	"bytes"
	"fmt"
	"go/format"
	"reflect"
	"strings"
	"text/template"

	"modelc/backend/cpu"
	"modelc/backend/plan"
	"modelc/internal/units"
	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/vision"
)

// Options says how the package is to look.
type Options struct {
	Package string // its name
	Runtime string // import path of the runtime package
	Header
	Model     string  // what was compiled, for people: the graph's name
	Format    string  // "ONNX, IR version 8, opset 13"
	Sidecar   bool    // weights.bin is opened at run time instead of embedded
	Tolerance float64 // of the self-test, relative to the largest output
	// Examples is how many a run computes, 0 where that is the model's affair.
	// More is the model compiled for larger batches, on the same weights (see
	// cpu.BuildAll).
	Examples int
	More     []Batch
	// RuntimeSource are the files of package runtime, by their path below its
	// folder, where the package gets a copy of its own in RuntimeDir: of what it
	// uses.
	RuntimeSource Files
	// Pictures, unless nil, makes the package take pictures.
	Pictures *Pictures
	// Rounding, unless nil, tells of weights in half precision.
	Rounding *Rounding
	// Golden are the self-test's expected outputs for the inputs of
	// GoldenInputs with GoldenMask, or of GoldenPicture with Pictures, in the
	// order of the graph's outputs.
	Golden     []*ir.Tensor
	GoldenMask uint64
	// Progress, unless nil, is told how many bytes of the weights are written.
	// An error ends the work.
	Progress func(done, total int) error
}

// Batch is a model compiled for a batch size.
type Batch struct {
	Examples int // a run computes
	Program  *cpu.Program
}

// Rounding is what storing weights in half precision does to a network.
type Rounding struct {
	Name string `json:"format"`
	// Error is the largest change of an output on the self-test's input,
	// relative to the largest magnitude of that output.
	Error float64 `json:"error"`
	// Rows is how many rows of scores there are, Changed in how many of them
	// another class is the best.
	Rows    int `json:"rows"`
	Changed int `json:"best_changed"`
}

func (r *Rounding) String() string {
	s := fmt.Sprintf("Weights are stored as %s and widened to float32 at load. Rounding them moves outputs by up to %.1e of the largest (on the input of the self-test)", r.Name, r.Error)
	switch {
	case r.Rows == 0:
		return s + "."
	case r.Changed == 0:
		return s + ", and leaves the best class the same."
	}
	return s + fmt.Sprintf(", and changes the best class of %d rows of %d.", r.Changed, r.Rows)
}

// Files are the contents of files by their slashed path in a package.
type Files map[string][]byte

// The files of a package.
const (
	modelFile  = "model.go"
	layersFile = "layers.go"
	testFile   = "model_test.go"
	goldenFile = "testdata/golden.bin" // the self-test's expected outputs
	// WeightsFile holds the packed weights, embedded or not.
	WeightsFile = "weights.bin"
	// RuntimeDir is where a standalone package has its copy of the runtime.
	RuntimeDir = "internal/runtime"
)

// source returns the files of the package but the weights, whose digest is
// sum.
func source(p *cpu.Program, sum [32]byte, o Options) (Files, error) {
	v, err := newView(p, sum, o)
	if err != nil {
		return nil, err
	}
	files := Files{goldenFile: v.golden}
	print := func(name string, t *template.Template, v any) error {
		var b bytes.Buffer
		if err := t.Execute(&b, v); err != nil {
			return err
		}
		src, err := format.Source(b.Bytes())
		if err != nil {
			return fmt.Errorf("the generated %s is not Go: %w\n%s", name, err, b.Bytes())
		}
		files[name] = src
		return nil
	}
	templates := map[string]*template.Template{modelFile: modelTemplate, testFile: testTemplate}
	if v.Predict != nil {
		templates[predictFile], templates[predictTestFile] = predictTemplate, predictTestTemplate
		if len(v.Predict.Labels) > 0 {
			templates[classesFile] = classesTemplate
		}
	}
	for name, t := range templates {
		if err := print(name, t, v); err != nil {
			return nil, err
		}
	}
	for _, b := range v.Batches {
		if err := print("layers"+b.Suffix+".go", layersTemplate, b); err != nil {
			return nil, err
		}
	}
	if o.RuntimeSource != nil {
		copied, err := copyRuntime(o.RuntimeSource, files, o.Version)
		if err != nil {
			return nil, err
		}
		for name, b := range copied {
			files[RuntimeDir+"/"+name] = b
		}
	}
	return files, nil
}

// view is what the templates print.
type view struct {
	Options
	*batch  // the first
	Head    string
	Title   string
	Digest  string   // of the weights, as a Go array literal
	Batches []*batch // smallest first
	More    []*batch // all but the first

	Predict *predictView // nil where the package takes no pictures

	Parameters string
	FLOPs      string
	Memory     string
	Weights    string
	Prepared   string // empty where nothing is made at load
	Rounding   string // sentence about weights in half precision
	// What the self-test needs.
	FloatInput, FloatOutput, ExactOutput, TakesData, GivesData bool
	// What the Example prints, empty where rounding may decide it.
	Class string

	golden []byte
}

// Fills reports whether the self-test makes inputs of noise.
func (v *view) Fills() bool { return v.Predict == nil || len(v.More) > 0 }

// batch is the network compiled for a batch size.
type batch struct {
	view    *view
	N       int
	Suffix  string // of its names: empty for the first, else the size
	Inputs  []port
	Outputs []port
	Layers  []layer
	Loads   []layer // of the first
	Graph   string  // digest of the graph, of the first
	Plan    *runtime.Plan
}

// View returns what the package is, for the templates of parts of it.
func (b *batch) View() *view { return b.view }

// port is an input or output as the API shows it.
type port struct {
	Name   string // Go name, empty for a single port
	Field  string // of the struct: Data for a single port
	Quoted string
	Text   string
	Go     string // element type
	Type   string // as in the IR
	Shape  string
	Axes   string // what the axes of an image are
	Dims   string // Go literal
	Index  int    // among the plan's inputs and outputs
	Len    int
	Bytes  int
	Stride int // of the golden samples
	Float  bool
	Top1   int // classes in a row of scores, 0 where rows are no scores
}

type layer struct {
	Var     string
	Name    string // quoted
	Comment string
	Literal string
}

func newView(p *cpu.Program, sum [32]byte, o Options) (*view, error) {
	v := &view{Options: o, Title: comment(o.Model), Digest: bytesLiteral(sum)}
	o.Header.Graph = fmt.Sprintf("%x", p.Plan.Graph)
	v.Head = o.Header.text()
	for i, b := range append([]Batch{{max(1, o.Examples), p}}, o.More...) {
		b, err := newBatch(b, i > 0)
		if err != nil {
			return nil, err
		}
		b.view = v
		v.Batches = append(v.Batches, b)
	}
	v.batch, v.More = v.Batches[0], v.Batches[1:]
	v.Graph, v.Loads = bytesLiteral(p.Plan.Graph), layers("load", p.Loads, p.Plan.Load)
	if len(o.Golden) != len(v.Outputs) {
		return nil, fmt.Errorf("%d golden outputs for %d outputs", len(o.Golden), len(v.Outputs))
	}
	for _, p := range v.Inputs {
		v.FloatInput = v.FloatInput || p.Float
		v.TakesData = v.TakesData || p.Len > 0
	}
	for i, p := range v.Outputs {
		v.golden = append(v.golden, sample(o.Golden[i], p.Stride)...)
		v.FloatOutput = v.FloatOutput || p.Float
		v.ExactOutput = v.ExactOutput || !p.Float
		v.GivesData = v.GivesData || p.Len > 0
	}
	if n := v.Outputs[0].Top1; n > 0 && v.Outputs[0].Type == "f32" {
		if best, clear := vision.Top(o.Golden[0].Float32s()[:n], 1, nil), clearBest(o.Golden[0].Float32s()[:n], o.Tolerance); clear {
			v.Class = fmt.Sprint(best[0].Index)
		}
	}
	if o.Pictures != nil {
		v.Predict = newPredictView(o.Pictures, o.Golden[0].Float32s(), o.Tolerance)
	}
	s := Summarize(p)
	v.Parameters, v.FLOPs = units.Count(s.Parameters), units.Count(s.FLOPs)
	v.Memory, v.Weights = units.Bytes(s.Arena), units.Bytes(s.Weights)
	if s.Prepared > 0 {
		v.Prepared = units.Bytes(s.Prepared)
	}
	if r := o.Rounding; r != nil {
		v.Rounding = r.String()
	}
	return v, nil
}

// clearBest reports whether no error within the tolerance makes another score
// the largest.
func clearBest(scores []float32, tolerance float64) bool {
	top := float32(0)
	for _, s := range scores {
		top = max(top, s, -s)
	}
	best := vision.Top(scores, 2, nil)
	return len(best) < 2 || float64(best[0].Score-best[1].Score) > 4*tolerance*float64(top)
}

// newBatch returns what is printed of the first program, or of one more.
func newBatch(of Batch, more bool) (*batch, error) {
	p := of.Program
	seen := map[string]bool{}
	in := make([]namedType, len(p.Graph.Inputs))
	for i, x := range p.Graph.Inputs {
		in[i] = namedType{x.Name, x.Type, inputAxes(x)}
	}
	out := make([]namedType, len(p.Graph.Outputs))
	for i, x := range p.Graph.Outputs {
		out[i] = namedType{x.Name, x.Value.Type, outputAxes(x.Value)}
	}
	b := &batch{N: of.Examples, Plan: p.Plan}
	prefix := "layer"
	if more {
		b.Suffix = fmt.Sprint(b.N)
		prefix = fmt.Sprintf("batch%dLayer", b.N)
	}
	var err error
	if b.Inputs, err = ports(in, "Input", seen); err != nil {
		return nil, err
	}
	if b.Outputs, err = ports(out, "Output", seen); err != nil {
		return nil, err
	}
	for i := range b.Outputs {
		b.Outputs[i].Index = len(in) + i
	}
	b.Layers = layers(prefix, p.Layers, p.Plan.Steps)
	return b, nil
}

func bytesLiteral(sum [32]byte) string {
	var d []string
	for _, b := range sum {
		d = append(d, fmt.Sprintf("%#02x", b))
	}
	return "[32]byte{" + strings.Join(d, ", ") + "}"
}

// Fields returns the names of the fields of Input and Output in a package
// printed from g.
func Fields(g *ir.Graph) (in, out []string) {
	names := func(n int, name func(i int) string, kind string) []string {
		if n == 1 {
			return []string{"Data"}
		}
		var list []string
		seen := map[string]bool{}
		for i := range n {
			list = append(list, unique(identifier(name(i), kind), seen))
		}
		return list
	}
	return names(len(g.Inputs), func(i int) string { return g.Inputs[i].Name }, "Input"),
		names(len(g.Outputs), func(i int) string { return g.Outputs[i].Name }, "Output")
}

type namedType struct {
	name string
	t    ir.Type
	axes string
}

func ports(list []namedType, kind string, seen map[string]bool) ([]port, error) {
	var out []port
	fields := map[string]bool{}
	for i, x := range list {
		g, ok := goTypes[x.t.DType]
		if !ok {
			return nil, fmt.Errorf("%s %q has elements of type %s, which the generated API does not have", strings.ToLower(kind), x.name, x.t.DType)
		}
		p := port{Quoted: quote(x.name), Text: comment(x.name), Go: g, Index: i, Axes: x.axes, Type: x.t.DType.String(), Shape: x.t.Shape.String(),
			Dims: strings.NewReplacer("[", "{", "]", "}", ",", ", ").Replace(x.t.Shape.String()),
			Len:  x.t.Shape.Len(), Bytes: x.t.Bytes(), Stride: stride(x.t.Shape.Len()), Float: x.t.DType.IsFloat(), Field: "Data"}
		if len(list) > 1 {
			p.Field = unique(identifier(x.name, kind), fields)
			p.Name = p.Field
		}
		if len(x.t.Shape) == 2 && p.Stride == 1 && x.t.Shape.Len() > 0 {
			p.Top1 = x.t.Shape[1]
		}
		p.Name = unique(kind+p.Name, seen)
		out = append(out, p)
	}
	return out, nil
}

var goTypes = map[ir.DType]string{ir.Float32: "float32", ir.Float64: "float64", ir.Int8: "int8", ir.Int16: "int16", ir.Int32: "int32",
	ir.Int64: "int64", ir.Uint8: "uint8", ir.Uint16: "uint16", ir.Uint32: "uint32", ir.Uint64: "uint64", ir.Bool: "bool"}

func layers(prefix string, info []plan.Layer, steps []runtime.Step) []layer {
	var out []layer
	for i, s := range steps {
		k := reflect.ValueOf(s.Kernel).Elem()
		out = append(out, layer{
			Var: fmt.Sprintf("%s%0*d", prefix, len(fmt.Sprint(len(steps)-1)), i), Name: quote(s.Name),
			Comment: comment(info[i].Name + ": " + info[i].Doc), Literal: declaration(k),
		})
	}
	return out
}

// Summary is what a compiled package costs.
type Summary struct {
	Layers     int   `json:"layers"`
	Parameters int64 `json:"parameters"` // elements of the packed constants' originals
	FLOPs      int64 `json:"flops"`      // per run, as the model is written once optimised
	Arena      int   `json:"arena_bytes"`
	LowerBound int   `json:"arena_lower_bound"`
	Weights    int   `json:"weights_bytes"`
	Prepared   int   `json:"prepared_bytes"`
}

// Summarize counts what p costs.
func Summarize(p *cpu.Program) Summary {
	s := Summary{Layers: len(p.Layers), Arena: p.Plan.ArenaBytes, LowerBound: p.LowerBound, Weights: p.Plan.WeightsBytes, Prepared: p.Plan.PreparedBytes}
	for _, c := range p.Graph.Constants {
		s.Parameters += int64(c.Type.Shape.Len())
	}
	for _, n := range p.Graph.Nodes {
		s.FLOPs += ir.FLOPs(n)
	}
	return s
}
