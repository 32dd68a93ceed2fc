package onnx

import "modelc/ir"

// operator is an operator that can be imported.
type operator struct {
	name      string // with its domain, unless that is the default one
	since     int    // first opset whose form is supported
	operands  int    // number of required operands
	becomes   string // ops of the IR, for the table
	limits    string // forms that are refused, for the table
	build     func(n *node) []*ir.Value
	sequences bool // whether operands may be sequences
}

// family holds the operators of one file.
type family struct {
	name string
	ops  []operator
}

// operators has the operators by name. An init function fills it, because builders
// of control flow use it through the importer.
var operators map[string]*operator
