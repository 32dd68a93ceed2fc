// Package plan turns a graph into a sequence of steps, as far as that does not
// depend on the machine.
//
// [Place] gives buffers their offsets in the arena. [Share] finds operands that
// can be written into the result of a concatenation, and results that can
// overwrite an operand. [Recorder] and [Program] describe the steps. The other
// functions do the index arithmetic of ops that move elements.
//
// The package has no layouts, no kernels and no costs. A machine supplies the
// sizes of its tensors and the channels at which a slice of a tensor may start.
package plan

import (
	"slices"

	"modelc/ir"
)

// Program describes the steps of a network to people and tools. It does not
// depend on the machine.
type Program struct {
	// Graph is the graph that the steps compute.
	Graph *ir.Graph
	// Layers describe the steps that compute the outputs, in order. Loads
	// describe the steps that prepare the weights once, at load.
	Layers, Loads []Layer
	// Buffers are the buffers in the arena, sorted by offset.
	Buffers []*Buffer
	// Arena is the size of the arena in bytes.
	Arena int
	// LowerBound is the largest sum of bytes alive at one step. No plan of the
	// same steps has a smaller arena.
	LowerBound int
}

// Layer describes a step.
type Layer struct {
	// Name is the name of Node. If Node is nil, it is the name of the layer whose
	// operand the step prepares, or of the output that it writes.
	Name string
	// Node is the layer that the step computes. If the step computes several
	// layers, Node is the last convolution among them: the convolution of a
	// convolution with a pool after it, and the depthwise convolution of a
	// pointwise and a depthwise convolution. Node is nil for changes of layout
	// and for copies to the outputs.
	Node *ir.Node
	// Nodes are all nodes of the graph that the step computes, in order.
	Nodes []*ir.Node
	// Doc describes what the step computes and how:
	// "Conv 3×3 64→128 at 56×56, bias, Relu, halo: direct".
	Doc string
	// Kernel is the name of the machine's kernel.
	Kernel string
	// Generic is set for loops over dense tensors of any type and rank. They are
	// slow.
	Generic bool
	// MovesLayout is set for steps that only change the layout of a tensor.
	MovesLayout bool
	// Choice is the algorithm of a convolution. It is zero for other steps.
	Choice Choice
	// Padding is how a convolution or pool gets the elements around its operand.
	// It is zero for other steps.
	Padding Padding
	// Work is the amount of work of the algorithm in use.
	Work Work
	// FLOPs is the number of floating-point operations of Nodes as the graph
	// defines them. A multiply-add counts as two.
	FLOPs int64
	// Products is the part of FLOPs in products of matrices: convolutions, dense layers,
	// products and recurrent layers.
	Products int64
	// Activations is the size in bytes of the activations that the step reads and
	// writes, each counted once.
	Activations int64
	// Value is the value of the graph that is complete after the step. It is nil
	// for a helper step.
	Value *ir.Value
	// Out is the shape of Value, or of the result of a helper step.
	Out ir.Shape
}

// Choice is the algorithm of a convolution, and the costs of the alternatives.
type Choice struct {
	// Algorithm is the name of the algorithm.
	Algorithm string
	// Why is the reason in words.
	Why string
	// Estimates are the costs in nanoseconds, by the machine's cost model, of
	// every possible algorithm. It is nil if there is only one.
	Estimates map[string]float64
}

// Padding is how a step gets the elements outside its operand.
type Padding struct {
	// How is the strategy: one of NoPadding, Halo, Peel and PaddedCopy.
	How string
	// Why is the reason in words.
	Why string
}

// The padding strategies.
const (
	NoPadding  = "none" // no window leaves the operand
	Halo       = "halo" // the operand's buffer carries a border, which the kernel reads
	Peel       = "peel" // the kernel clips its windows, or supplies the elements outside itself
	PaddedCopy = "copy" // the kernel reads a copy of the operand that has a border
)

func (p Padding) String() string { return p.How + ": " + p.Why }

// Bytes is the size of the activations that the step reads and writes, and of the
// weights that it reads, each counted once.
func (l *Layer) Bytes() int64 { return l.Activations + int64(l.Work.WeightBytes) }

// Work is the amount of work of a step's algorithm.
type Work struct {
	// Ops is the number of operations that the algorithm executes for the layer's
	// Products. A multiply-add counts as two. Fast algorithms execute fewer operations
	// than the graph defines.
	Ops float64
	// Integers reports whether they are operations on 8-bit integers. An operation on 16
	// bits counts as two on a tier with dot products of bytes.
	Integers bool
	// WeightBytes is the size of the weights as the kernel reads them.
	WeightBytes float64
}

// products returns the operations of nodes in products of matrices, and whether they are on
// integers.
func products(nodes []*ir.Node) (flops int64, integers bool) {
	for _, n := range nodes {
		switch op := n.Op.(type) {
		case ir.Conv:
			integers = integers || !op.Integer.IsZero()
		case ir.Dense:
			integers = integers || !op.Integer.IsZero()
		case ir.ConvTranspose, ir.MatMul, ir.Recurrent:
		default:
			continue
		}
		flops += ir.FLOPs(n)
	}
	return flops, integers
}

// ConstantBytes returns the size of the constant operands of nodes.
func ConstantBytes(nodes []*ir.Node) float64 {
	bytes := 0
	for _, n := range nodes {
		for i, v := range n.In {
			if v != nil && v.Const != nil && !slices.Contains(n.In[:i], v) {
				bytes += v.Type.Bytes()
			}
		}
	}
	return float64(bytes)
}

// OutputOf returns the index of the graph output whose elements are those of v:
// v is the output, or becomes the output by reshapes that nothing else reads. It
// returns −1 if there is no such output.
func OutputOf(v *ir.Value) int {
	for {
		for _, u := range v.Uses() {
			if u.Node == nil {
				return u.Index
			}
		}
		n := v.OnlyUse()
		if n == nil {
			return -1
		}
		if _, ok := n.Op.(ir.Reshape); !ok {
			return -1
		}
		v = n.Out[0]
	}
}
