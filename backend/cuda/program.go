// Package cuda lowers graphs to CUDA C++ for fixed shapes: one kernel per fused step, every
// extent a constant. The same passes and the same planner of memory serve the CPU; layout,
// algorithms and kernels are this package's own.
//
// A [Program] is everything that a launcher needs. The printer of packages writes it to
// files, and the emulator executes it without a GPU.
package cuda

import (
	"modelc/backend/plan"
	"modelc/ir"
)

// A Program is a graph as kernels of a GPU.
type Program struct {
	// Name is the name of the graph.
	Name string
	// Steps describes the launches for people and tools. Steps.Layers and Kernels are
	// parallel.
	Steps plan.Program
	// Source is the text of kernels.cu. Every kernel is extern "C" and takes device
	// pointers only.
	Source string
	// Capability is the least compute capability of a GPU that executes the kernels, times 10.
	Capability int
	// Kernels are in the order of execution.
	Kernels []Kernel
	// Weights are copied to the device once, and all sessions of a model read them.
	Weights []byte
	// Arena is the size in bytes of a session's device memory: inputs, outputs and
	// everything between them. A run may overwrite the inputs.
	Arena int
	// Inputs and Outputs are dense, in the layout of the CPU package.
	Inputs, Outputs []Binding
}

// A Kernel is one launch of a kernel.
type Kernel struct {
	// Name is the function in the source. Layers of the same extents share a function.
	Name string
	// Layer is the layer of the model that the kernel computes.
	Layer string
	// Grid and Block are the extents of the launch.
	Grid, Block [3]int
	// Shared is the size in bytes of dynamic shared memory.
	Shared int
	// Args are the kernel's arguments.
	Args []Arg
	// FLOPs are the floating-point operations. Bytes are the bytes of operands.
	FLOPs, Bytes int64
}

// An Arg is a device pointer: an offset in bytes into the weights or into the arena.
type Arg struct {
	Weights bool
	Offset  int
	// Bytes is the size of the memory that the kernel may access, from Offset.
	Bytes int
}

// A Binding is an input or output of the graph.
type Binding struct {
	Name   string
	Type   ir.Type
	Offset int
}
