package onnx

import "modelc/ir"

// operator says how an op of the default domain becomes IR.
type operator struct {
	name      string
	since     int    // the first opset whose form is understood
	operands  int    // how many are required
	becomes   string // what it is spelled as in the IR
	limits    string // what of it is refused, if anything
	build     func(n *node) []*ir.Value
	sequences bool // operands may be sequences
}

// family is the operators of one file.
type family struct {
	name string
	ops  []operator
}

var families = []family{
	{"convolution", convolutionOps},
	{"pooling", poolingOps},
	{"normalisation", normalisationOps},
	{"activation", activationOps},
	{"linear algebra", linearOps},
	{"element-wise", elementwiseOps},
	{"reduction", reductionOps},
	{"shape", shapeOps},
	{"indexing", indexingOps},
	{"resampling", resamplingOps},
	{"selection", selectionOps},
	{"constants and control", constantOps},
	{"sequences", sequenceOps},
}

// operators finds an operator by name. It is filled here because builders of
// control flow reach it through the importer.
var operators map[string]*operator

func init() {
	operators = map[string]*operator{}
	for _, f := range families {
		for i := range f.ops {
			o := &f.ops[i]
			if operators[o.name] != nil {
				panic("onnx: operator listed twice: " + o.name)
			}
			o.since = max(o.since, 1)
			operators[o.name] = o
		}
	}
}

// Supported is a row of the table of operators.
type Supported struct {
	Name   string
	Family string
	Since  int    // the first opset whose form is understood; up to the newest from there
	IR     string // the ops of the IR that it becomes
	Limits string // what of it is refused, empty for nothing
}

// Newest is the newest opset of the default domain that is understood.
const Newest = maxOpset

// Table lists the supported operators of the default domain by family.
func Table() []Supported {
	var t []Supported
	for _, f := range families {
		for _, o := range f.ops {
			t = append(t, Supported{o.name, f.name, o.since, o.becomes, o.limits})
		}
	}
	return t
}
