// Package schedule turns an optimised graph into a program: a straight list
// of runtime kernels over buffers with fixed offsets, and the weights packed
// the way those kernels read them. After it there are no choices left.
//
// The steps, one file each:
//
//	layout.go     which values live as NC16 images, which dense; their borders
//	algorithm.go  which kernel computes a convolution, and why
//	cost.go       the cost model behind that choice
//	budget.go     what transformed weights may take, and who gives way
//	lower*.go     one function per op: node in, kernels out
//	pack.go       constants to weight sections
//	memory.go     lifetimes to offsets in one arena
package schedule

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"modelc/ir"
	"modelc/runtime"
)

// Program is a scheduled network: what the back ends print or run.
type Program struct {
	// Graph is the graph that was scheduled.
	Graph *ir.Graph
	// Plan is the program as the runtime executes it. Of programs that share
	// weights each has the whole of them, and all load steps.
	Plan *runtime.Plan
	// Layers describe Plan.Steps, one each, Loads Plan.Load.
	Layers, Loads []Layer
	// Buffers is the memory plan, by offset.
	Buffers []Buffer
	// LowerBound is the largest sum of simultaneously live bytes: no plan can
	// need a smaller arena.
	LowerBound int

	sections []section
}

// Layer tells people what a step is.
type Layer struct {
	// Name is the name that the model gives Node. A step without a Node has the
	// name of the layer that it prepares an operand for, or of the output that it
	// writes.
	Name string
	// Node is the layer that the step computes. Of several that share a step it
	// is the last convolution if there is one: a convolution with the pool
	// behind it has the name of the convolution, a pointwise and a depthwise
	// convolution have that of the depthwise one, and Nodes has all of them. It is
	// nil for a step that changes the layout or copies to an output.
	Node  *ir.Node
	Nodes []*ir.Node // every node of the graph it computes
	Doc   string     // "Conv 3×3 64→128 at 56×56, bias, Relu: direct, halo"
	// Kernel is the runtime type that computes it, without type parameters.
	Kernel string
	// Choice is the algorithm of a convolution on images.
	Choice Choice
	FLOPs  int64
	Bytes  int64 // activations read and written, and weights read
	// Value is the graph value that the step completes, nil for a helper
	// step; Where tells where it lies once the step has run.
	Value *ir.Value
	Where Location
	Out   ir.Shape // of Value, or of what the helper writes
}

// Generic reports whether the step is a loop over dense tensors of any type
// and rank: correct, and slow.
func (l *Layer) Generic() bool {
	return strings.HasSuffix(l.Kernel, "Plain") || l.Kernel == "StridedCopy"
}

func kernelName(k runtime.Kernel) string {
	name, _, _ := strings.Cut(reflect.TypeOf(k).Elem().Name(), "[")
	return name
}

// Location is where a value lies in a session's memory: as an image, or
// dense row-major when Image.N is 0.
type Location struct {
	Image runtime.Image
	Dense runtime.Ref
	// Rank tells how an image folds back: [N,C], [N,C,W] or [N,C,H,W].
	Rank int
}

// Buffer is a piece of the arena and the steps during which it is alive.
type Buffer struct {
	// Name is the name of the layer whose result fills the buffer first.
	Name        string
	Off, Bytes  int
	First, Last int // steps, inclusive
	// Holds lists the values in the buffer, in the order of the graph. Values at
	// the same place follow one another in time. Memory that belongs to one step
	// holds none.
	Holds []Held
}

// Held is a value in a buffer.
type Held struct {
	// Layer is the name of the step that completes the value. Where none does,
	// as for a concatenation in place, it is the name of the node whose result the
	// value is, or of the input.
	Layer string
	Value *ir.Value
	Where Location
}

// WriteWeights writes the packed weights, Plan.WeightsBytes in all. Sections
// start on multiples of 64 bytes.
func (p *Program) WriteWeights(w io.Writer) error {
	var zero [64]byte
	off := 0
	for _, s := range p.sections {
		if _, err := w.Write(zero[:s.off-off]); err != nil {
			return err
		}
		b := s.pack()
		if len(b) != s.bytes {
			return fmt.Errorf("weights of %s: packed %d bytes, planned %d", s.form, len(b), s.bytes)
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		off = s.off + s.bytes
	}
	_, err := w.Write(zero[:p.Plan.WeightsBytes-off])
	return err
}

// Config chooses among correct programs.
type Config struct {
	// Exact asks for sums in float64, rounded once, and forbids Winograd and Strassen.
	Exact bool
	// Algorithms overrides the cost model for convolutions of these names,
	// where the algorithm is possible.
	Algorithms map[string]ir.Algorithm
	// Weights is how the weights of layers are stored. In half precision they
	// must have values of that precision: see [RoundWeights].
	Weights runtime.Format
}
