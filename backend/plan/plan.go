// Package plan holds what every machine needs to turn a graph into a straight
// list of steps: lifetimes and offsets of buffers ([Place]), concatenations
// whose operands are written in place and results that overwrite an operand
// ([Share]), the description of steps ([Recorder], [Program]) and the index
// arithmetic of ops that move elements.
//
// The package knows no machine: no layout, no kernel and no cost. A machine
// says how large its tensors are and where a slice of one may start.
package plan

import (
	"modelc/ir"
)

// Program describes a scheduled network to people and tools, whatever machine
// runs it.
type Program struct {
	// Graph is the graph that was scheduled.
	Graph *ir.Graph
	// Layers describe the steps that compute the outputs, in order. Loads
	// describe the steps that prepare the weights once, at load.
	Layers, Loads []Layer
	// Buffers are the pieces of the arena, by offset.
	Buffers []*Buffer
	// Arena is the size of the arena in bytes.
	Arena int
	// LowerBound is the largest sum of bytes alive at one step. No plan of the
	// same steps has a smaller arena.
	LowerBound int
}

// Layer describes a step.
type Layer struct {
	// Name is the name of Node. A step without a node has the name of the layer
	// whose operand it prepares, or of the output that it writes.
	Name string
	// Node is the layer that the step computes. If the step computes several, it
	// is the last convolution: a convolution with the pool behind it has the name
	// of the convolution, and a pointwise with a depthwise convolution that of the
	// depthwise one. Node is nil for changes of layout and copies to the outputs.
	Node *ir.Node
	// Nodes are all nodes of the graph that the step computes, in order.
	Nodes []*ir.Node
	// Doc says what the step computes and how:
	// "Conv 3×3 64→128 at 56×56, bias, Relu, halo: direct".
	Doc string
	// Kernel is the name of the machine's kernel.
	Kernel string
	// Generic is set for loops over dense tensors of any type and rank, which
	// are correct and slow.
	Generic bool
	// MovesLayout is set for steps that only bring a tensor into another layout.
	MovesLayout bool
	// Choice is the algorithm of a convolution; the zero Choice for other steps.
	Choice Choice
	// Padding says how a convolution or pool gets the elements around its
	// operand; the zero Padding for other steps.
	Padding Padding
	// Work is the amount of work of the algorithm in use.
	Work Work
	// FLOPs is the number of floating-point operations of Nodes as the graph
	// defines them, a multiply-add as two.
	FLOPs int64
	// Bytes is the size of the activations that are read and written and of the
	// weights that are read.
	Bytes int64
	// Value is the graph value that is complete after the step, nil for a
	// helper step.
	Value *ir.Value
	// Out is the shape of Value, or of what a helper step writes.
	Out ir.Shape
}

// Choice is the algorithm of a convolution and what it was chosen from.
type Choice struct {
	// Algorithm is the name of the algorithm.
	Algorithm string
	// Why is the reason in words.
	Why string
	// Estimates are the costs by the machine's model, in nanoseconds, of every
	// algorithm that is possible; nil where there is only one.
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

// Work is what the algorithm of a step does.
type Work struct {
	// Ops is the number of floating-point operations, a multiply-add as two.
	// Fast algorithms need fewer than the layer's FLOPs.
	Ops float64
	// WeightBytes is the size of the weights as the kernel reads them.
	WeightBytes float64
}

// WorkOf returns the work of a step that computes its nodes as they are
// defined, with the constants of the node n as its weights.
func WorkOf(n *ir.Node, flops int64) Work {
	w := Work{Ops: float64(flops)}
	if n == nil {
		return w
	}
	for _, v := range n.In {
		if v != nil && v.Const != nil {
			w.WeightBytes += float64(v.Type.Bytes())
		}
	}
	return w
}

// OutputOf returns the index of the graph output that v becomes, itself or
// through reshapes that nothing else reads; −1 if it becomes none.
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
