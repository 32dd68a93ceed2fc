package onnx

import (
	"fmt"

	"modelc/ir"
)

var normalisationOps = []operator{
	{name: "BatchNormalization", operands: 5, becomes: "BatchNorm, or Binary and Unary", limits: "in training mode since opset 14", build: batchNorm},
	{name: "InstanceNormalization", operands: 3, becomes: "Normalize", build: instanceNorm},
	{name: "LayerNormalization", operands: 2, most: []most{{1, 3}}, becomes: "Normalize", build: layerNorm},
	{name: "GroupNormalization", since: 18, operands: 3, becomes: "Reshape, Normalize, Binary", build: groupNorm},
	{name: "RMSNormalization", since: 23, operands: 2, becomes: "Binary, Reduce, Unary", build: rmsNorm},
	{name: "SimplifiedLayerNormalization", operands: 2, becomes: "as RMSNormalization", build: rmsNorm},
	{name: "com.microsoft.SkipLayerNormalization", operands: 3, most: []most{{1, 5}}, becomes: "Binary Add, Normalize", build: skipNorm},
	{name: "com.microsoft.SkipSimplifiedLayerNormalization", operands: 3, most: []most{{1, 4}}, becomes: "Binary, Reduce, Unary", build: skipNorm},
	{name: "MeanVarianceNormalization", operands: 1, becomes: "Normalize", build: meanVarianceNorm},
	{name: "LpNormalization", operands: 1, becomes: "Reduce, Binary", build: lpNorm},
	{name: "Affine", operands: 1, becomes: "Binary", build: affine},
	{name: "Scale", operands: 1, becomes: "Binary Mul", build: scaleOp},
	{name: "ImageScaler", operands: 1, becomes: "Binary", build: imageScaler},
	{name: "LRN", operands: 1, becomes: "LRN", build: lrn},
	{name: "Softmax", operands: 1, becomes: "Softmax", build: softmax(false)},
	{name: "LogSoftmax", operands: 1, becomes: "Softmax", build: softmax(true)},
}

func batchNorm(n *node) []*ir.Value {
	switch {
	case n.version >= 14 && n.flag("training_mode", false):
		return n.trainedNorm()
	case n.version >= 7 && n.version < 14 && n.wants(1):
		n.refuse("batch normalisation in training mode", "export the model for inference")
	case n.version < 7 && !n.flag("is_test", false):
		n.refuse("batch normalisation in training mode", "export the model for inference (is_test = 1)")
	}
	eps := n.float("epsilon", 1e-5)
	if n.version < 9 && !n.flag("spatial", true) && n.in[1].Type.Rank() > 1 {
		return n.computedNorm(eps) // statistics per activation
	}
	for _, v := range n.in[1:5] {
		if _, fixed := n.im.folder.Const(v); !fixed {
			return n.computedNorm(eps)
		}
	}
	return n.one(ir.BatchNorm{Epsilon: eps}, n.in[:5]...)
}

// trainedNorm imports a batch normalisation in training mode. It normalises by the mean and
// the variance of the batch. Its other results are the updated statistics.
func (n *node) trainedNorm() []*ir.Value {
	n.im.notes = append(n.im.notes, fmt.Sprintf("BatchNormalization %q is in training mode: an example changes the results of the others in its batch; export the model for inference (PyTorch: model.eval())", n.label()))
	x := n.in[0]
	r := x.Type.Rank()
	scale, bias := n.alongChannels(n.in[1], r), n.alongChannels(n.in[2], r)
	axes := append([]int{0}, ir.SpatialAxes(r)...)
	out := []*ir.Value{n.emit(ir.Normalize{Axes: axes, Epsilon: n.float("epsilon", 1e-5)}, x, scale, bias)}
	if !n.wants(1) && !n.wants(2) {
		return out
	}
	mean := n.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: axes, KeepDims: true}, x)
	d := n.binary(ir.Sub, x, mean)
	variance := n.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: axes, KeepDims: true}, n.binary(ir.Mul, d, d))
	m := n.float("momentum", 0.9)
	for i, v := range []*ir.Value{mean, variance} {
		v = n.reshape(v, ir.Shape{v.Type.Shape.Len()})
		out = append(out, n.binary(ir.Add, n.scaled(n.in[3+i], m), n.scaled(v, 1-m)))
	}
	return out
}

// computedNorm imports a batch normalisation whose statistics or parameters the graph
// computes. Some exporters write layer normalisation in this way.
func (n *node) computedNorm(eps float64) []*ir.Value {
	x := n.in[0]
	operand := func(i int) *ir.Value {
		if n.in[i].Type.Rank() > 1 {
			return n.in[i] // [C,…], per activation
		}
		return n.alongChannels(n.in[i], x.Type.Rank())
	}
	scale, bias, mean, variance := operand(1), operand(2), operand(3), operand(4)
	deviation := n.unary(ir.Sqrt, n.binary(ir.Add, variance, n.number(x.Type.DType, eps)))
	y := n.binary(ir.Div, n.binary(ir.Sub, x, mean), deviation)
	return n.one(ir.Binary{Fn: ir.Add}, n.binary(ir.Mul, y, scale), bias)
}

func lrn(n *node) []*ir.Value {
	return n.one(ir.LRN{Size: n.int("size", 0), Alpha: n.float("alpha", 1e-4), Beta: n.float("beta", 0.75), Bias: n.float("bias", 1)}, n.in[0])
}

// alongChannels reshapes a vector with one value per channel so that it broadcasts to
// a tensor of the given rank.
func (n *node) alongChannels(v *ir.Value, rank int) *ir.Value {
	if rank < 2 {
		n.failf("%d axes, want [N,C,…]", rank)
	}
	return n.reshape(v, append(ir.Shape{v.Type.Shape.Len()}, repeat(1, rank-2)...))
}

func instanceNorm(n *node) []*ir.Value {
	x := n.in[0]
	r := x.Type.Rank()
	return n.one(ir.Normalize{Axes: ir.SpatialAxes(r), Epsilon: n.float("epsilon", 1e-5)}, x, n.alongChannels(n.in[1], r), n.alongChannels(n.in[2], r))
}

func layerNorm(n *node) []*ir.Value {
	x := n.in[0]
	r := x.Type.Rank()
	axes := upTo(n.axis(n.int("axis", -1), r), r)
	eps := n.float("epsilon", 1e-5)
	out := n.one(ir.Normalize{Axes: axes, Epsilon: eps}, x, n.in[1], n.arg(2))
	if !n.wants(1) && !n.wants(2) {
		return out
	}
	// The other results are the mean and 1/√(variance+ε).
	mean := n.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: axes, KeepDims: true}, x)
	d := n.binary(ir.Sub, x, mean)
	return append(out, mean, n.inverseRoot(d, axes, eps))
}

// inverseRoot computes 1/√(mean(x²)+ε) over axes. The axes are kept with extent 1.
func (n *node) inverseRoot(x *ir.Value, axes []int, eps float64) *ir.Value {
	v := n.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: axes, KeepDims: true}, n.binary(ir.Mul, x, x))
	v = n.binary(ir.Add, v, n.number(x.Type.DType, eps))
	return n.unary(ir.Reciprocal, n.unary(ir.Sqrt, v))
}

func rmsNorm(n *node) []*ir.Value {
	x := n.in[0]
	r := x.Type.Rank()
	axes := upTo(n.axis(n.int("axis", -1), r), r)
	y := n.binary(ir.Mul, x, n.inverseRoot(x, axes, n.float("epsilon", 1e-5)))
	return n.one(ir.Binary{Fn: ir.Mul}, y, n.in[1])
}

// skipNorm imports the normalisation of the sum of a tensor, a shortcut and a bias, as ONNX
// Runtime fuses it. The last result is the sum.
func skipNorm(n *node) []*ir.Value {
	simplified := n.p.opType == "SkipSimplifiedLayerNormalization"
	bias := 4
	if simplified {
		bias = 3
	}
	sum := n.binary(ir.Add, n.in[0], n.in[1])
	if b := n.arg(bias); b != nil {
		sum = n.binary(ir.Add, sum, b)
	}
	if n.wants(1) || n.wants(2) {
		n.refuse("the mean or the deviation is a result", "save the model without optimisation")
	}
	eps := n.float("epsilon", 1e-12)
	axes := []int{sum.Type.Rank() - 1}
	if simplified {
		return []*ir.Value{n.binary(ir.Mul, n.binary(ir.Mul, sum, n.inverseRoot(sum, axes, eps)), n.in[2]), nil, nil, sum}
	}
	return []*ir.Value{n.emit(ir.Normalize{Axes: axes, Epsilon: eps}, sum, n.in[2], n.arg(3)), nil, nil, sum}
}

// affine imports alpha·x+beta, which ONNX had before opset 7, and ONNX Runtime still has.
func affine(n *node) []*ir.Value {
	x := n.scaled(n.in[0], n.float("alpha", 1))
	return n.one(ir.Binary{Fn: ir.Add}, x, n.number(x.Type.DType, n.float("beta", 0)))
}

// scaleOp imports scale·x, an operator like [affine].
func scaleOp(n *node) []*ir.Value { return []*ir.Value{n.scaled(n.in[0], n.float("scale", 1))} }

// imageScaler imports scale·x plus a bias per channel, an operator like [affine].
func imageScaler(n *node) []*ir.Value {
	x := n.scaled(n.in[0], n.float("scale", 1))
	a := n.attr("bias")
	if a == nil || x.Type.Rank() != 4 || len(a.floats) != x.Type.Shape[1] {
		n.failf("a bias for each channel is required")
	}
	bias := n.alongChannels(n.constValue(ir.TensorOf(ir.Shape{len(a.floats)}, a.floats...)), 4)
	return n.one(ir.Binary{Fn: ir.Add}, x, bias)
}

func groupNorm(n *node) []*ir.Value {
	x := n.in[0]
	s := x.Type.Shape
	g := n.int("num_groups", 0)
	if len(s) < 2 || g < 1 || s[1]%g != 0 {
		n.failf("%d groups of x %s", g, x.Type)
	}
	grouped := append(ir.Shape{s[0], g, s[1] / g}, s[2:]...)
	y := n.emit(ir.Normalize{Axes: upTo(2, len(grouped)), Epsilon: n.float("epsilon", 1e-5)}, n.reshape(x, grouped))
	y = n.reshape(y, s)
	perChannel := func(p *ir.Value) *ir.Value {
		if n.version < 21 { // scale and bias are per group
			p = n.emit(ir.Expand{Shape: ir.Shape{g, s[1] / g}}, n.reshape(p, ir.Shape{p.Type.Shape.Len(), 1}))
		}
		return n.alongChannels(p, len(s))
	}
	return n.one(ir.Binary{Fn: ir.Add}, n.binary(ir.Mul, y, perChannel(n.in[1])), perChannel(n.in[2]))
}

// meanVarianceNorm imports MeanVarianceNormalization, which divides by the deviation
// plus 1e-9. Here the square of 1e-9 is added under the root. A constant input gives 0
// in both cases. Before opset 9, a flag includes the channels.
func meanVarianceNorm(n *node) []*ir.Value {
	axes := n.ints("axes")
	if axes == nil {
		axes = []int{0, 2, 3}
	}
	if n.version < 9 && n.flag("across_channels", false) {
		axes = []int{0, 1, 2, 3}
	}
	axes = n.axes(axes, n.in[0].Type.Rank())
	if n.version < 9 && !n.flag("normalize_variance", true) {
		return n.one(ir.Binary{Fn: ir.Sub}, n.in[0], n.emit(ir.Reduce{Fn: ir.ReduceMean, Axes: axes, KeepDims: true}, n.in[0]))
	}
	return n.one(ir.Normalize{Axes: axes, Epsilon: 1e-18}, n.in[0])
}

// softmax imports Softmax. Before opset 13 it normalises over the given axis and all
// axes after it, since opset 13 only over the given axis.
func softmax(log bool) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		return n.one(ir.Softmax{Axes: n.normalised(), Log: log}, n.in[0])
	}
}

// normalised returns the axes along which Softmax and similar operators work.
func (n *node) normalised() []int {
	r := n.in[0].Type.Rank()
	if n.version >= 13 {
		return []int{n.axis(n.int("axis", -1), r)}
	}
	a := n.int("axis", 1)
	if a == r {
		return []int{}
	}
	return upTo(n.axis(a, r), r)
}

// lpNorm divides by the norm. A vector of zeros is not changed.
func lpNorm(n *node) []*ir.Value {
	x := n.in[0]
	fn := ir.ReduceL2
	if n.int("p", 2) == 1 {
		fn = ir.ReduceL1
	}
	norm := n.emit(ir.Reduce{Fn: fn, Axes: []int{n.axis(n.int("axis", -1), x.Type.Rank())}, KeepDims: true}, x)
	const smallestNormal = 0x1p-126
	return n.one(ir.Binary{Fn: ir.Div}, x, n.binary(ir.Max, norm, n.number(x.Type.DType, smallestNormal)))
}
