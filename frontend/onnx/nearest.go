package onnx

import (
	"slices"
	"strings"
)

// instead maps unsupported operators to the nearest supported alternative.
var instead = map[string]string{
	"Loop": "export the model with its loops unrolled", "Scan": "export the model with its loops unrolled",
	"NonZero": dataShape, "Unique": dataShape, "Compress": dataShape,
	"TensorScatter": "ScatterND",
	"Attention":     "write it as MatMul, Softmax and Transpose", "MultiHeadAttention": "write it as MatMul, Softmax and Transpose",
	"Einsum":   "write it as MatMul, Transpose and ReduceSum",
	"RoiAlign": "GridSample at computed coordinates, or Slice and Resize at fixed ones", "MaxRoiPool": "GridSample and MaxPool",
	"DeformConv": "GridSample and Conv", "Col2Im": "ConvTranspose", "AffineGrid": "compute the grid outside, or as MatMul with a constant",
	"Trilu": "Mul by a constant triangle", "CumProd": "Exp of CumSum of Log", "Det": "write it as Mul and Sub",
	"ReverseSequence": "Slice with a negative step",
	"RandomNormal":    random, "RandomUniform": random, "RandomNormalLike": random, "RandomUniformLike": random, "Bernoulli": random, "Multinomial": random,
	"FusedConv": "export before ONNX Runtime's optimisation", "FusedMatMul": "export before ONNX Runtime's optimisation",
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
