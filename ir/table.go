package ir

import (
	"reflect"
	"slices"
)

// table lists every op, in the order of docs/ops.md. If code other than that of the op
// refers to an operand, the position of the operand has a name, declared beside the
// struct of the op.
var table = []Info{
	{Op: Conv{}, FLOPs: convFLOPs,
		Args: []string{"x", Weights: "w", Bias: "bias?", ConvResidual: "residual?", ConvScale: "scale?", ConvShift: "shift?", ConvMultiplier: "multiplier?", ConvXZero: "xzero?"},
		Doc:  "Correlation of x [N,C,D…] with w [M,C/groups,K…], plus bias [M], plus residual, then the epilogue. With scale and shift [C], or a prologue, x is replaced by prologue(x·scale+shift) before zero padding. On integers, multiplier, a scalar or [M], requantises the sums, and xzero is a computed zero point of x."},
	{Op: ConvTranspose{}, Args: []string{"x", Weights: "w", Bias: "bias?"}, FLOPs: convTransposeFLOPs,
		Doc: "Gradient of a convolution: x [N,C,D…] with w [C,M/groups,K…], plus bias [M], then the epilogue."},
	{Op: Dense{}, Args: []string{"x", Weights: "w", Bias: "bias?", DenseMultiplier: "multiplier?", DenseXZero: "xzero?"}, FLOPs: denseFLOPs,
		Doc: "x [N,K] times constant w [K,M] ([M,K] when transposed), plus bias [M], then the epilogue. On integers, multiplier, a scalar or [M], requantises the sums, and xzero is a computed zero point of x."},
	{Op: MatMul{}, Args: []string{"a", "b"}, FLOPs: matMulFLOPs,
		Doc: "Matrix product over the last two axes, leading axes broadcast (numpy.matmul)."},
	{Op: Recurrent{}, FLOPs: recurrentFLOPs,
		Args: []string{"x", RecurrentW: "w", RecurrentR: "r", RecurrentBias: "bias?", RecurrentH: "h?", RecurrentC: "c?", RecurrentPeepholes: "peepholes?"},
		Doc:  "A recurrent layer (RNN, GRU or LSTM) over the steps of x [T,N,I], in one or both directions, with weights w [D,G·H,I] and r [D,G·H,H]; results: h of all steps [T,N,D,H], the last states h and, of an LSTM, c [D,N,H]."},
	{Op: Pool{}, Args: []string{"x", PoolScale: "scale?", PoolShift: "shift?"}, FLOPs: poolFLOPs,
		Doc: "Maximum or average over windows of x [N,C,D…]. With scale and shift [C], or a prologue, x is replaced by prologue(x·scale+shift) first."},
	{Op: MaxUnpool{}, Args: []string{"x", MaxUnpoolIndices: "indices"}, Moves: Copies,
		Doc: "Zeros with the elements of x [N,C,D…] at the flat positions that a max pool recorded in indices."},
	{Op: BatchNorm{}, FLOPs: perOutput(2),
		Args: []string{"x", BatchNormScale: "scale", BatchNormBias: "bias", BatchNormMean: "mean", BatchNormVar: "var"},
		Doc:  "Batch normalisation at test time: scale·(x−mean)/√(var+ε)+bias per channel (axis 1)."},
	{Op: Affine{}, Args: []string{"x", AffineScale: "scale", AffineShift: "shift"}, FLOPs: perOutput(2),
		Doc: "x·scale+shift per channel (axis 1), then the epilogue."},
	{Op: LRN{}, Args: []string{"x"}, FLOPs: func(op Op, in, out []Type) int64 { return int64(op.(LRN).Size+4) * outLen(out) },
		Doc: "Local response normalisation across channels."},
	{Op: Normalize{}, Args: []string{"x", NormalizeScale: "scale?", NormalizeBias: "bias?"}, FLOPs: perOutput(8),
		Doc: "(x−mean)/√(variance+ε) with moments over the given axes (layer, instance and group normalisation), then ·scale+bias, broadcast."},
	{Op: Unary{}, Args: []string{"x"}, Elementwise: true, FLOPs: perOutput(1),
		Doc: "A function of one variable applied to each element."},
	{Op: Binary{}, Args: []string{"a", "b"}, Elementwise: true, FLOPs: perOutput(1),
		Doc: "A function of two variables applied to each pair of elements, operands broadcast; then the epilogue. Integers divided by zero, and their remainder, are zero."},
	{Op: PRelu{}, Args: []string{"x", PReluSlope: "slope"}, Elementwise: true, FLOPs: perOutput(1),
		Doc: "x where x ≥ 0, slope·x elsewhere; slope broadcast."},
	{Op: Where{}, Args: []string{"cond", WhereA: "a", WhereB: "b"}, Elementwise: true, Moves: Copies,
		Doc: "a where cond holds, b elsewhere; operands broadcast."},
	{Op: Cast{}, Args: []string{"x"}, Elementwise: true, FLOPs: noFLOPs,
		Doc: "Conversion to another element type."},
	{Op: Quantize{}, Args: []string{"x", QuantizeScale: "scale", QuantizeZero: "zero?"}, Elementwise: true, FLOPs: perOutput(3),
		Doc: "saturate(round(x/scale)+zero) as an integer; scale and zero broadcast to x."},
	{Op: Dequantize{}, Args: []string{"x", QuantizeScale: "scale", QuantizeZero: "zero?"}, Elementwise: true, FLOPs: perOutput(2),
		Doc: "scale·(x−zero) as a float; scale and zero broadcast to x."},
	{Op: DynamicQuantize{}, Args: []string{"x"}, FLOPs: perOutput(5),
		Doc: "x as u8 with the smallest scale that holds its range and zero; results: the integers, their scale, their zero point."},
	{Op: Lookup{}, Args: []string{"x", LookupTable: "table"}, FLOPs: noFLOPs,
		Doc: "table[x−lowest] for each element of x, of type u8 or i8, with a table of 256 elements."},
	{Op: QBinary{}, Args: []string{"a", "b"}, Elementwise: true, FLOPs: perOutput(5),
		Doc: "Sum or product of quantised tensors, requantised; operands broadcast."},
	{Op: QAveragePool{}, Args: []string{"x"}, FLOPs: func(op Op, in, out []Type) int64 { return poolFLOPs(op.(QAveragePool).Pool(), in, out) },
		Doc: "Average over windows of a quantised x [N,C,D…], requantised."},
	{Op: Softmax{}, Args: []string{"x"}, FLOPs: perOutput(5),
		Doc: "exp(x−max)/Σ exp(x−max) along the axes taken together; its logarithm when Log is set."},
	{Op: Reduce{}, Args: []string{"x"}, FLOPs: func(_ Op, in, _ []Type) int64 { return int64(in[0].Shape.Len()) },
		Doc: "Reduction over axes. Global pooling is Reduce over the spatial axes with kept axes."},
	{Op: ArgReduce{}, Args: []string{"x"}, FLOPs: noFLOPs,
		Doc: "Index of the largest or smallest element along one axis, as i64."},
	{Op: TopK{}, Args: []string{"x"}, FLOPs: noFLOPs,
		Doc: "The k largest or smallest elements along one axis, in order, and their positions as i64."},
	{Op: NonMaxSuppression{}, Args: []string{"boxes", NonMaxSuppressionScores: "scores"}, FLOPs: suppressionFLOPs,
		Doc: "Best boxes that do not overlap: rows of image, class, box as i64, padded with −1, and their number."},
	{Op: Reshape{}, Args: []string{"x"}, Moves: Reorders,
		Doc: "The same elements in row-major order under another shape."},
	{Op: Transpose{}, Args: []string{"x"}, Moves: Reorders,
		Doc: "Axes permuted: axis i of the result is axis perm[i] of x."},
	{Op: Concat{}, Args: []string{"x…"}, Moves: Copies,
		Doc: "Operands joined along one axis."},
	{Op: Interleave{}, Args: []string{"x…"}, Moves: Copies,
		Doc: "Images woven together: the result at spatial coordinates q·strides+p is operand p at q."},
	{Op: Slice{}, Args: []string{"x"}, Moves: Copies,
		Doc: "The elements start, start+step, … along each axis; count is their number."},
	{Op: Pad{}, Args: []string{"x"}, Moves: Copies,
		Doc: "x with a border: a constant, or its edge, reflected, mirrored or wrapped elements. Negative pads crop."},
	{Op: Expand{}, Args: []string{"x"}, Moves: Repeats,
		Doc: "x broadcast to a larger shape."},
	{Op: Gather{}, Args: []string{"x", GatherIndices: "indices"}, Moves: Copies,
		Doc: "Slices of x along one axis at the given indices; negative indices count from the end, others outside the axis select the nearest element."},
	{Op: Scatter{}, Args: []string{"x", ScatterIndices: "indices", ScatterUpdates: "updates"}, FLOPs: scatterFLOPs,
		Doc: "x with slices along axis 0 replaced by updates, or combined with them, at the given indices; negative indices count from the end, updates of others outside the axis are ignored."},
	{Op: Resize{}, Args: []string{"x"}, FLOPs: perOutput(7),
		Doc: "Interpolation along each axis with the scale, coordinate mapping and rounding of ONNX Resize."},
	{Op: GridSample{}, Args: []string{"x", GridSampleGrid: "grid"}, FLOPs: perOutput(8),
		Doc: "Interpolation of x [N,C,D…] at the coordinates in grid [N,E…,r], −1 and 1 at the ends of x."},
}

// byName finds the row of an op. It completes the rows from the fields of the
// op's struct.
var byName = func() map[string]*Info {
	m := make(map[string]*Info, len(table))
	for i := range table {
		info := &table[i]
		name := info.Op.Name()
		if m[name] != nil {
			panic("ir: op listed twice: " + name)
		}
		m[name] = info
		info.epilogue = actField(info.Op, "Epilogue")
		info.prologue = actField(info.Op, "Prologue")
		info.scale = slices.Index(info.Args, "scale?")
	}
	return m
}()

// actField returns the index of the field of type [Act] with that name, −1 if
// the op's struct has none.
func actField(op Op, name string) int {
	f, ok := reflect.TypeOf(op).FieldByName(name)
	if !ok || f.Type != reflect.TypeFor[Act]() {
		return -1
	}
	return f.Index[0]
}

// Ops returns the facts of every op, in the order of docs/ops.md.
func Ops() []Info { return table }

// InfoOf returns the facts of op. It panics if the table lacks op.
func InfoOf(op Op) *Info {
	info := byName[op.Name()]
	if info == nil {
		panic("ir: op not in the table: " + op.Name())
	}
	return info
}

func perOutput(k int64) func(Op, []Type, []Type) int64 {
	return func(_ Op, _, out []Type) int64 { return k * outLen(out) }
}

// noFLOPs is the FLOPs function of ops that compare or convert.
func noFLOPs(Op, []Type, []Type) int64 { return 0 }
