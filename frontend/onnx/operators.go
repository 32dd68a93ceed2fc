package onnx

import (
	"cmp"
	"slices"

	"modelc/ir"
)

// operator says how an op of the default domain becomes IR.
type operator struct {
	since  int // the first opset whose form is understood
	build  func(n *node) ([]*ir.Value, error)
	family string
}

var operators = map[string]operator{}

// register adds a family of operators. Each file of the package does so once.
func register(family string, ops map[string]operator) struct{} {
	for name, op := range ops {
		if _, twice := operators[name]; twice {
			panic("onnx: operator registered twice: " + name)
		}
		op.family = family
		op.since = max(op.since, 1)
		operators[name] = op
	}
	return struct{}{}
}

// Supported is a row of the table of operators.
type Supported struct {
	Name   string
	Family string
	Since  int // first opset
}

// Table lists the supported operators by family and name.
func Table() []Supported {
	var t []Supported
	for name, op := range operators {
		t = append(t, Supported{name, op.family, op.since})
	}
	slices.SortFunc(t, func(a, b Supported) int { return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Name, b.Name)) })
	return t
}
