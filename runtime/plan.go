package runtime

import (
	"math"

	"modelc/runtime/kernel"
)

// Step is a kernel with the name of the layer that it computes.
type Step struct {
	Name   string
	Kernel kernel.Kernel
}

// Port is an input or output of a model.
type Port struct {
	Name  string
	Type  string // element type; in generated packages that of Go: "float32", "int64", …
	Shape []int
	Bytes int
}

// MaxPorts is the maximum number of inputs, outputs and views of a plan together: each is
// a [kernel.Space].
const MaxPorts = math.MaxUint8 - int(kernel.IO) + 1

// Plan is a compiled network without its weights.
type Plan struct {
	// The origin of the plan, as in [Info]. Plans in memory lack it.
	Model, ModelSHA256, Version string
	Examples                    int // in a run
	// Graph is the SHA-256 of everything but the values of the weights. A weights
	// file carries the digest of the plan that it was packed for.
	Graph [32]byte
	// The sizes in bytes of a session's arena, of the weights in their file, and of
	// the weights that are transformed at load.
	ArenaBytes    int
	WeightsBytes  int
	PreparedBytes int
	// Double makes convolutions and dense layers accumulate in float64 and round
	// each sum once. They are several times slower.
	Double  bool
	Inputs  []Port
	Outputs []Port
	// Load runs once per model: it fills Prepared from Weights. Its kernels are
	// of type [kernel.Preparer].
	Load []Step
	// Steps compute the outputs from the inputs.
	Steps []Step
	// Loop repeats the first steps.
	Loop Loop
}

// Loop makes the first steps of a plan run once for each example of a batch, so that the
// images of an example stay in the caches between steps. The other steps run once.
type Loop struct {
	Steps, Times int // the number of steps, and of their runs; 0 runs for no loop
	// Views are spaces behind those of the ports.
	Views []View
}

// View is a space that moves over the memory of another space. In run i of a loop it is
// the memory of Bytes bytes that starts at Off+i·Bytes.
type View struct {
	Space      kernel.Space // the arena, an input or an output
	Off, Bytes int
}
