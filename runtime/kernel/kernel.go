// Package kernel holds the kernels on images, and the types that all kernels share:
// places in memory, images, activations, and the context of a run.
//
// A kernel is a struct of constants: its operands, extents and options. Generated
// packages and programs of backend/inproc hold one kernel for each step of a network.
// Kernels on images of bytes are in package integer, and kernels on dense tensors of any
// type in package plain.
//
// # Memory safety
//
// Kernels compute addresses from their fields, and assembly does not check them. A
// plan may come from a compiler with a bug, or from a package that was edited. So a
// [Verifier] checks every kernel before it runs: in the compiler, and again when a
// program loads a model or opens a session for another batch size.
//
// The method Check of a kernel stands beside its code. It tells the verifier, for
// each operand, the space and the elements that Run may touch. It computes them from
// the fields that Run computes addresses from: extents, strides, offsets, borders,
// groups, and the sizes of packed weights. It also requires what Run relies on: counts
// are positive, extents of operands agree, groups divide the channels, windows stay
// inside borders, indices in tables stay inside axes. The verifier then requires that
//
//   - the elements lie in their operand, and the operand lies in its space;
//   - steps write to the arena and to outputs only, and steps that prepare weights
//     read Weights and write Prepared only;
//   - ScratchBytes is at least what Run uses.
//
// A step that passes stays inside its operands and does not panic, for any values in
// its tensors. It may still compute nonsense: the verifier does not know the model.
//
// Fields may have any values, and int may have 32 bits. [Product] does not overflow.
// Check uses other arithmetic only on fields that it has bounded before.
//
// Tests change fields of kernels at random. They run what the verifier accepts between
// protected pages.
package kernel

import "fmt"

// Kernel is one step of a plan. Implementations are structs of constants: the
// operands as [Ref] or [Image], and every extent.
type Kernel interface {
	// Run computes the step. It allocates nothing and may use every worker of the
	// session. Results are bit-identical for any number of workers.
	Run(c *Context)
	// ScratchBytes returns the size of the memory that each worker needs while the
	// step runs.
	ScratchBytes() int
	// Check tells v the memory that Run reads and writes, for any values of the
	// fields: see the package comment.
	Check(v *Verifier)
}

// Preparer is a kernel that transforms weights when a model is loaded.
type Preparer interface {
	Kernel
	Source() (Ref, Format) // the weights that it reads, in Weights, and their format
	Prepares() Ref         // the weights that it writes, in Prepared
}

// Space names a region of memory that a [Ref] points into.
type Space uint8

// The spaces. Inputs and outputs of the model follow as IO, IO+1, …: inputs
// first, then outputs.
const (
	Arena    Space = iota // activations of one session
	Weights               // the weights file, shared and read-only
	Prepared              // weights transformed at load, then shared and read-only
	IO                    // the first input of the model
)

// Ref is a place in a space. The zero Ref stands for an absent operand.
type Ref struct {
	Space Space
	Off   int // bytes from the start of the space, a multiple of the element size
	Len   int // elements
}

// Present reports whether r has elements.
func (r Ref) Present() bool { return r.Len > 0 }

// String returns r in the form space:offset+length.
func (r Ref) String() string { return fmt.Sprintf("%d:%d+%d", r.Space, r.Off, r.Len) }
