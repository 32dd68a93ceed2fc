// Package cpu turns an optimised graph into a program for CPUs: a sequence of the
// runtime's kernels on buffers with fixed offsets, and the weights packed in the
// order in which the kernels read them. A program leaves no choices open.
//
// Images are stored in NC16, [N][C/16][rows][columns][16], with a border of zeros
// if a reader needs one. Other tensors are dense. layout.go decides which values
// are images. build.go collects the table of ops. conv.go has the table of
// convolution algorithms.
//
// A program for a batch may have two parts: see package loop. The kernels of the body are
// those of a batch of one. They read and write windows of the batch's input and of the
// value between the parts.
package cpu

import (
	"fmt"
	"io"
	"runtime/debug"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

// Program is a network in the form that package golang prints and package inproc
// runs.
type Program struct {
	// Program describes the steps; Layers describe Plan.Steps, Loads Plan.Load.
	plan.Program
	// Plan is the program as the runtime executes it. Programs that share
	// weights have the same weights and the same load steps.
	Plan *runtime.Plan

	places   []*place // by step, the place of Layer.Value; nil for helper steps
	held     map[*plan.Buffer][]Held
	sections []section
	extra    int // bytes by which prepared weights exceed the stored ones that they replace
}

// Location is the place of a value in a session's memory. The value lies at
// Image, or dense and row-major at Dense if Image.N is 0.
type Location struct {
	Image kernel.Image
	Dense kernel.Ref
	// Rank is the number of axes of the value. An image can hold a value of shape
	// [N,C], [N,C,W] or [N,C,H,W].
	Rank int
}

// Where returns the location, after step i, of the value that the step completes.
// It panics if step i completes no value.
func (p *Program) Where(i int) Location {
	return p.places[i].location()
}

// Holds returns the values that lie in a buffer of the arena, in the order of the
// graph. Values at the same place are alive at different times. A buffer that
// only one step uses holds no values.
func (p *Program) Holds(b *plan.Buffer) []Held { return p.held[b] }

// Held is a value in a buffer of the arena.
type Held struct {
	// Layer is the name of the step that completes the value. If no step does, as
	// for a concatenation in place, it is the name of the value's node or input.
	Layer string
	Value *ir.Value
	Where Location
}

// largeSection is the size of a section, in bytes, before and after which memory is freed. By
// default, garbage may take as much memory as the section.
const largeSection = 1 << 26

// WriteWeights writes the packed weights, Plan.WeightsBytes bytes. Each section
// starts at a multiple of 64 bytes.
func (p *Program) WriteWeights(w io.Writer) error {
	var zero [align]byte
	off := 0
	for _, s := range p.sections {
		if _, err := w.Write(zero[:s.off-off]); err != nil {
			return err
		}
		if s.bytes > largeSection {
			debug.FreeOSMemory()
		}
		n := 0
		for b := range s.parts {
			if _, err := w.Write(b); err != nil {
				return err
			}
			n += len(b)
		}
		if n != s.bytes {
			return fmt.Errorf("weights of %s: packed %d bytes, planned %d", s.form, n, s.bytes)
		}
		off = s.off + s.bytes
		if s.bytes > largeSection {
			debug.FreeOSMemory()
		}
	}
	_, err := w.Write(zero[:p.Plan.WeightsBytes-off])
	return err
}

// Config configures [Build].
type Config struct {
	// Exact selects sums in float64, which are rounded once, and excludes
	// Winograd's and Strassen's algorithms, which round differently.
	Exact bool
	// Algorithms overrides the cost model: it has the algorithm of a convolution by
	// the name of its node. The names of algorithms are those of [Algorithms]. An
	// algorithm that cannot compute the convolution is ignored.
	Algorithms map[string]string
	// Weights is the format in which the weights of layers are stored. In half
	// precision the format must represent all weights exactly: see [RoundWeights].
	Weights kernel.Format
	// Compute is the format of the products of convolutions. With BF16, g must be the
	// result of [NarrowLayers]. Fully connected layers then have weights in BF16, unless
	// Weights is another format of half precision.
	Compute kernel.Format
	shared  bool // whether programs for several batch sizes share the weights
}
