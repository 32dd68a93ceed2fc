package onnx

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
	{"recurrent", recurrentOps},
	{"element-wise", elementwiseOps},
	{"reduction", reductionOps},
	{"shape", shapeOps},
	{"indexing", indexingOps},
	{"resampling", resamplingOps},
	{"selection", selectionOps},
	{"quantisation", quantisedOps},
	{"layers on integers", integerOps},
	{"quantised tensors of ONNX Runtime", runtimeOps},
	{"constants and control", constantOps},
	{"sequences", sequenceOps},
}

// operators finds an operator by name. An importer carries it, because
// builders of control flow import nodes themselves.
var operators = map[string]*operator{}

func init() {
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
	Since  int    // the first supported opset; later ones are supported up to Newest
	IR     string // the ops of the IR that it becomes
	Limits string // the forms that are refused, empty for none
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
