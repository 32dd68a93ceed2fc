package onnx

import "modelc/ir"

// operator describes the import of an operator.
type operator struct {
	name      string // name, with the domain as prefix unless it is the default
	since     int    // the first supported opset
	operands  int    // number of required operands
	becomes   string // its ops in the IR
	limits    string // its unsupported forms, or ""
	build     func(n *node) []*ir.Value
	sequences bool // operands may be sequences
}

// family holds the operators of one file.
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
	{"quantisation", quantisedOps},
	{"constants and control", constantOps},
	{"sequences", sequenceOps},
}

// operators maps names to operators. init fills it because builders of control flow
// refer to it through the importer.
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
	Since  int    // the first supported opset; all newer opsets are supported
	IR     string // its ops in the IR
	Limits string // its unsupported forms, or ""
}

// Newest is the newest supported opset of the default domain.
const Newest = maxOpset

// Table lists the supported operators by family. The names of operators outside the
// default domain have the domain as prefix.
func Table() []Supported {
	var t []Supported
	for _, f := range families {
		for _, o := range f.ops {
			t = append(t, Supported{o.name, f.name, o.since, o.becomes, o.limits})
		}
	}
	return t
}
