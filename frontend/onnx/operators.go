package onnx

import "modelc/ir"

// operator says how an op becomes IR.
type operator struct {
	name      string // with the domain in front unless it is the default
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
	{"quantisation", quantisedOps},
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

// Table lists the supported operators by family. Those outside the default
// domain have its name in front.
func Table() []Supported {
	var t []Supported
	for _, f := range families {
		for _, o := range f.ops {
			t = append(t, Supported{o.name, f.name, o.since, o.becomes, o.limits})
		}
	}
	return t
}
