package onnx

// families is the table of all operators.
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
	Since  int    // first opset whose form is supported; all later ones are, too
	IR     string // ops of the IR that it becomes
	Limits string // forms that are refused; empty if there are none
}

// Newest is the newest supported opset of the default domain.
const Newest = maxOpset

// Table lists the supported operators by family. The names of operators outside
// the default domain begin with their domain.
func Table() []Supported {
	var t []Supported
	for _, f := range families {
		for _, o := range f.ops {
			t = append(t, Supported{o.name, f.name, o.since, o.becomes, o.limits})
		}
	}
	return t
}
