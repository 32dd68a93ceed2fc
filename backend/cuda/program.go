// Package cuda lowers graphs to CUDA C++ for fixed shapes: one kernel per fused step, every
// extent a constant. The same passes and the same planner of memory serve the CPU; layout,
// algorithms and kernels are this package's own.
//
// A [Program] is everything that a launcher needs. The printer of packages writes it to
// files, and the emulator executes it without a GPU.
//
// # Layout
//
// A value is a place: an offset in the arena or in the weights, and a stride for each axis.
// Kernels read and write any strides. Transpositions, expansions, slices and most reshapes
// are therefore places in the memory of their operand, and need no kernel.
//
// Values of f32 [N,C,H,W] and [N,C,W] that layers of images compute are stored with their
// channels last, and pixels start at multiples of 4 channels. Kernels then load and store 4
// neighbouring channels as a vector, whatever the window. The channels behind the last one
// are undefined; kernels that load them clear them. The operands of a concatenation along the
// channels are slices of its pixels, for every batch. All other values, and the inputs and
// outputs of the graph, are dense and row-major. An operand of a convolution that is not
// stored so is copied, unless it has at most 4 channels, like a picture.
//
// # Kernels
//
// Convolutions are implicit GEMMs, or depthwise; gemm.cuh explains them. Dense layers of few
// rows are sums that warps share, others are GEMMs. Pools, global averages, softmax and
// normalisation have kernels of their own. Layers on 8-bit integers are implicit GEMMs and sums of
// warps too, of four products at a time (dp4a.cuh), and exact. Every other op, and every other element type and
// rank, has a generic kernel: a thread for each element of the result, whose body is the
// definition of the op. [chooseTile] has the rule
// for tiles.
//
// Device code is in device/, files of templates that kernels.cu starts with. A kernel names
// its constants in a struct and calls a template, or its body is printed here. Kernels are
// named k001_LAYER in the order of first use; a comment names all layers that share it.
//
// # Precision
//
// With [TF32] and [F16], GEMMs run on tensor cores. See [Precision].
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
	// FLOPs are the operations of the layer. Bytes are the bytes of operands and results,
	// each counted once.
	FLOPs, Bytes int64
	// Rate is the peak rate of the instructions for products, divided by that of float32
	// multiply-adds outside tensor cores.
	Rate float64
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
