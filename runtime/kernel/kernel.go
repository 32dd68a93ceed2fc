// Package kernel holds the kernels on images, and what every kernel works with:
// places in memory, images, activations, the context of a run.
//
// A kernel is a struct of constants: its operands, extents and choices. The
// generated package holds one for each step of a network, and so does
// backend/inproc. Kernels on dense tensors of any type are in package plain.
package kernel

import "fmt"

// Kernel is one step of a plan. Implementations are structs of constants: the
// operands as [Ref] or [Image], and every extent.
type Kernel interface {
	// Run computes the step. It allocates nothing and may use every worker of
	// the session. The result does not depend on the number of workers, bit for
	// bit.
	Run(c *Context)
	// ScratchBytes is the memory that each worker needs while the step runs.
	ScratchBytes() int
}

// Preparer is a kernel that transforms weights when a model is loaded.
type Preparer interface {
	Kernel
	Source() (Ref, Format) // what it reads, in Weights
	Prepares() Ref         // what it writes, in Prepared
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

// Ref is a place in a space. The zero Ref means "absent".
type Ref struct {
	Space Space
	Off   int // bytes from the start of the space, a multiple of the element size
	Len   int // elements
}

// Present reports whether r points to anything.
func (r Ref) Present() bool { return r.Len > 0 }

func (r Ref) String() string { return fmt.Sprintf("%d:%d+%d", r.Space, r.Off, r.Len) }
