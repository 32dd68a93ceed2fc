package onnx

import "math"

// anyNumber is the maximum number of operands of an operator on a list.
const anyNumber = math.MaxInt

// most is the maximum number of operands of an operator since an opset.
type most struct{ since, operands int }

// mostOperands lists the operators with optional operands. An operand that the opset
// of a node does not have, such as the bounds of a Clip before opset 11, must not be
// ignored: the file's opset is then not the declared one.
var mostOperands = map[string][]most{
	"Clip":                                   {{11, 3}},
	"Concat":                                 {{1, anyNumber}},
	"Conv":                                   {{1, 3}},
	"ConvInteger":                            {{10, 4}},
	"ConvTranspose":                          {{1, 3}},
	"DequantizeLinear":                       {{10, 3}},
	"Dropout":                                {{12, 3}},
	"Gemm":                                   {{1, 3}},
	"LayerNormalization":                     {{1, 3}},
	"MatMulInteger":                          {{10, 4}},
	"Max":                                    {{1, anyNumber}},
	"MaxUnpool":                              {{9, 3}},
	"Mean":                                   {{1, anyNumber}},
	"Min":                                    {{1, anyNumber}},
	"NonMaxSuppression":                      {{10, 5}},
	"Pad":                                    {{11, 3}, {18, 4}},
	"QLinearConv":                            {{10, 9}},
	"QuantizeLinear":                         {{10, 3}},
	"ReduceL1":                               {{18, 2}},
	"ReduceL2":                               {{18, 2}},
	"ReduceLogSum":                           {{18, 2}},
	"ReduceLogSumExp":                        {{18, 2}},
	"ReduceMax":                              {{18, 2}},
	"ReduceMean":                             {{18, 2}},
	"ReduceMin":                              {{18, 2}},
	"ReduceProd":                             {{18, 2}},
	"ReduceSum":                              {{13, 2}},
	"ReduceSumSquare":                        {{18, 2}},
	"Reshape":                                {{5, 2}},
	"Resize":                                 {{10, 2}, {11, 4}},
	"SequenceConstruct":                      {{11, anyNumber}},
	"Slice":                                  {{10, 5}},
	"Split":                                  {{1, 2}, {2, 1}, {13, 2}},
	"SplitToSequence":                        {{11, 2}},
	"Squeeze":                                {{13, 2}},
	"Sum":                                    {{1, anyNumber}},
	"TopK":                                   {{10, 2}},
	"Unsqueeze":                              {{13, 2}},
	"Upsample":                               {{9, 2}},
	"com.microsoft.QGemm":                    {{1, 9}},
	"com.microsoft.QLinearAdd":               {{1, 8}},
	"com.microsoft.QLinearGlobalAveragePool": {{1, 5}},
	"com.microsoft.QLinearMul":               {{1, 8}},
}

// most returns the maximum number of operands of o in an opset.
func (o *operator) most(version int) int {
	n := o.operands
	for _, m := range mostOperands[o.name] {
		if version >= m.since {
			n = m.operands
		}
	}
	return n
}
