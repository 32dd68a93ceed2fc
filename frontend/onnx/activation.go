package onnx

import (
	"math"

	"modelc/ir"
)

var activationOps = []operator{
	{name: "Relu", operands: 1, becomes: "Unary Relu", build: act(ir.Relu)},
	{name: "LeakyRelu", operands: 1, becomes: "Unary LeakyRelu", build: act(ir.LeakyRelu, param{"alpha", 0.01})},
	{name: "PRelu", operands: 2, becomes: "PRelu", build: prelu},
	{name: "Clip", operands: 1, most: []most{{11, 3}}, becomes: "Unary Clip or Relu; Binary Max, Min with computed bounds or integers", build: clip},
	{name: "Tanh", operands: 1, becomes: "Unary Tanh", build: act(ir.Tanh)},
	{name: "Sigmoid", operands: 1, becomes: "Unary Sigmoid", build: act(ir.Sigmoid)},
	{name: "HardSigmoid", operands: 1, becomes: "Unary HardSigmoid", build: act(ir.HardSigmoid, param{"alpha", 0.2}, param{"beta", 0.5})},
	{name: "HardSwish", since: 14, operands: 1, becomes: "Unary HardSwish", build: act(ir.HardSwish)},
	{name: "Swish", since: 24, operands: 1, becomes: "Unary SiLU", build: act(ir.SiLU, param{"alpha", 1})},
	{name: "Mish", since: 18, operands: 1, becomes: "Unary Mish", build: act(ir.Mish)},
	{name: "Gelu", since: 20, operands: 1, becomes: "Unary Gelu or GeluTanh", build: gelu},
	{name: "Elu", operands: 1, becomes: "Unary Elu", build: act(ir.Elu, param{"alpha", 1})},
	{name: "Selu", operands: 1, becomes: "Unary Selu", build: act(ir.Selu, param{"alpha", 1.67326319217681884765625}, param{"gamma", 1.05070102214813232421875})},
	{name: "Celu", since: 12, operands: 1, becomes: "Unary Celu", build: act(ir.Celu, param{"alpha", 1})},
	{name: "Softplus", operands: 1, becomes: "Unary Softplus", build: act(ir.Softplus)},
	{name: "Softsign", operands: 1, becomes: "Unary Softsign", build: act(ir.Softsign)},
	{name: "ThresholdedRelu", operands: 1, becomes: "Unary ThresholdedRelu", build: act(ir.ThresholdedRelu, param{"alpha", 1})},
	{name: "Shrink", since: 9, operands: 1, becomes: "Unary Shrink", build: act(ir.Shrink, param{"lambd", 0.5}, param{"bias", 0})},
}

// param describes a float attribute that is a parameter of a function.
type param struct {
	name string
	def  float64
}

// act imports a function of one variable. The attributes are its Alpha and Beta.
func act(f ir.Fn, params ...param) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		a := ir.Act{Fn: f}
		for i, p := range params {
			v := n.float(p.name, p.def)
			if i == 0 {
				a.Alpha = v
			} else {
				a.Beta = v
			}
		}
		return n.one(ir.Unary{Fn: a}, n.in[0])
	}
}

func gelu(n *node) []*ir.Value {
	if n.str("approximate", "none") == "tanh" {
		return act(ir.GeluTanh)(n)
	}
	return act(ir.Gelu)(n)
}

// clip imports Clip. The bounds are attributes before opset 11 and operands since
// opset 11.
func clip(n *node) []*ir.Value {
	x := n.in[0]
	lo, hi := math.Inf(-1), math.Inf(1)
	if n.version < 11 {
		lo, hi = n.float("min", lo), n.float("max", hi)
	} else if lower, upper, ok := n.bounds(); ok {
		lo, hi = lower, upper
	} else {
		for i, f := range []ir.BinaryFn{ir.Max, ir.Min} {
			if b := n.arg(i + 1); b != nil {
				x = n.binary(f, x, b)
			}
		}
		return []*ir.Value{x}
	}
	switch {
	case hi >= math.MaxFloat32 && lo == 0:
		return act(ir.Relu)(n)
	case hi >= math.MaxFloat32 && lo <= -math.MaxFloat32:
		return []*ir.Value{x}
	}
	return n.one(ir.Unary{Fn: ir.Act{Fn: ir.Clip, Alpha: lo, Beta: hi}}, x)
}

// bounds returns the operands of Clip if they are constant floats.
func (n *node) bounds() (lo, hi float64, ok bool) {
	lo, hi = math.Inf(-1), math.Inf(1)
	for i, b := range []*float64{&lo, &hi} {
		v := n.arg(i + 1)
		if v == nil {
			continue
		}
		t, constant := n.im.folder.Const(v)
		if !constant || !v.Type.DType.IsFloat() || v.Type.Shape.Len() != 1 {
			return 0, 0, false
		}
		*b = t.Float64s()[0]
	}
	return lo, hi, n.in[0].Type.DType.IsFloat()
}

// prelu imports PRelu. The slope broadcasts to x. Before opset 7, and in files of
// exporters that do not follow opset 7, it is along the channels.
func prelu(n *node) []*ir.Value {
	x, slope := n.in[0], n.in[1]
	xs, ss := x.Type.Shape, slope.Type.Shape
	r := len(xs)
	if len(ss) == 1 && r > 2 && ss[0] != 1 && ss[0] == xs[1] && (n.version < 7 || ss[0] != xs[r-1]) {
		slope = n.alongChannels(slope, r)
	}
	return n.one(ir.PRelu{}, x, slope)
}
