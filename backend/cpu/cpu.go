// Package cpu turns an optimised graph into a program for CPUs: a straight list
// of the runtime's kernels over buffers with fixed offsets, and the weights
// packed the way those kernels read them. After it there are no choices left.
//
// Images lie in NC16, [N][C/16][rows][columns][16], with a border of zeros
// where a reader needs one; other tensors are dense. layout.go decides which
// values are images. lower.go has a row for each op, conv.go a row for each
// convolution algorithm.
package cpu

import (
	"fmt"
	"io"

	"modelc/backend/plan"
	"modelc/ir"
	"modelc/runtime"
	"modelc/runtime/kernel"
)

// Program is a scheduled network: what printers print and engines run.
type Program struct {
	// Program describes the steps; Layers describe Plan.Steps, Loads Plan.Load.
	plan.Program
	// Plan is the program as the runtime executes it. Programs that share
	// weights have the same weights and the same load steps.
	Plan *runtime.Plan

	places   []*place // by step: where Layer.Value lies, nil for helper steps
	held     map[*plan.Buffer][]Held
	sections []section
	extra    int // bytes by which prepared weights exceed the stored ones that they replace
}

// Location is where a value lies in a session's memory: as an image, or dense
// and row-major when Image.N is 0.
type Location struct {
	Image kernel.Image
	Dense kernel.Ref
	// Rank is the number of axes of the value, [N,C], [N,C,W] or [N,C,H,W],
	// when it lies as an image.
	Rank int
}

// Where returns where the value that step i completes lies after the step. The
// step must complete one.
func (p *Program) Where(i int) Location {
	return p.places[i].location()
}

// Holds returns the values that lie in a buffer of the arena, in the order of
// the graph. Values at the same place follow one another in time. A buffer that
// only one step uses holds none.
func (p *Program) Holds(b *plan.Buffer) []Held { return p.held[b] }

// Held is a value in a buffer of the arena.
type Held struct {
	// Layer is the name of the step that completes the value. If no step does,
	// as for a concatenation in place, it is the name of the value's node, or of
	// the input.
	Layer string
	Value *ir.Value
	Where Location
}

// WriteWeights writes the packed weights, Plan.WeightsBytes in all. Sections
// start on multiples of 64 bytes.
func (p *Program) WriteWeights(w io.Writer) error {
	var zero [align]byte
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
	// Exact asks for sums in float64, rounded once, and forbids algorithms that
	// round differently (Winograd, Strassen).
	Exact bool
	// Algorithms overrides the cost model for convolutions, by the name of the
	// node, where the algorithm is possible. Its values are names of
	// [Algorithms].
	Algorithms map[string]string
	// Weights is the format in which the weights of layers are stored. In half
	// precision the weights must have values of the format: see [RoundWeights].
	Weights kernel.Format
}
