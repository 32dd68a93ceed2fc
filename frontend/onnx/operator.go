package onnx

import (
	"math"

	"modelc/ir"
)

// operator says how an ONNX operator becomes IR. Each file of operators has a
// list of them.
type operator struct {
	name     string // with the domain in front unless it is the default
	since    int    // the first supported opset
	operands int    // the number of required operands
	// most is the maximum number of operands by opset, in ascending order; empty
	// where all are required.
	most      []most
	becomes   string // the ops of the IR that it becomes
	limits    string // the forms that are refused
	build     func(n *node) []*ir.Value
	sequences bool // operands may be sequences
}

// most is the maximum number of operands from an opset on.
type most struct{ since, operands int }

// anyNumber is the maximum number of operands of operators that take a list.
const anyNumber = math.MaxInt

// mostOperands returns the maximum number of operands in an opset. An operand
// beyond it, such as the bounds of a Clip before opset 11, must be refused: the
// file is then written in another opset than it says.
func (o *operator) mostOperands(version int) int {
	n := o.operands
	for _, m := range o.most {
		if version >= m.since {
			n = m.operands
		}
	}
	return n
}
