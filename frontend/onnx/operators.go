package onnx

import (
	"slices"
	"strings"
)

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
	{"constants", constantOps},
	{"control", controlOps},
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

// instead maps unsupported operators to the nearest supported alternative.
var instead = map[string]string{
	"NonZero": dataShape, "Unique": dataShape, "Compress": dataShape,
	"TensorScatter": "ScatterND",
	"Attention":     "write it as MatMul, Softmax and Transpose", "MultiHeadAttention": "write it as MatMul, Softmax and Transpose",
	"Einsum":   "write it as MatMul, Transpose and ReduceSum",
	"RoiAlign": "GridSample at computed coordinates, or Slice and Resize at fixed ones", "MaxRoiPool": "GridSample and MaxPool",
	"DeformConv": "GridSample and Conv", "Col2Im": "ConvTranspose", "AffineGrid": "compute the grid outside, or as MatMul with a constant",
	"Trilu": "Mul by a constant triangle", "CumProd": "Exp of CumSum of Log", "Det": "write it as Mul and Sub",
	"ReverseSequence": "Slice with a negative step",
	"RandomNormal":    random, "RandomUniform": random, "RandomNormalLike": random, "RandomUniformLike": random, "Bernoulli": random, "Multinomial": random,
}

const (
	dataShape = "the shape of its result depends on the data; TopK and NonMaxSuppression have a fixed maximum"
	random    = "make it an input"
)

// nearest returns the remedy for an operator that is not supported: the form to
// write instead, or supported operators with a similar name.
func (im *importer) nearest(name string) string {
	const list = "`modelc ops` lists the supported operators"
	if s := instead[name]; s != "" {
		return list + "; nearest: " + s
	}
	var near []string
	for o := range im.operators {
		if len(o) > 3 && (strings.Contains(name, o) || strings.Contains(o, name)) {
			near = append(near, o)
		}
	}
	if len(near) == 0 {
		return list
	}
	slices.Sort(near)
	return list + "; similar names: " + strings.Join(near, ", ")
}
