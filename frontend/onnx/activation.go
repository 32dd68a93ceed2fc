package onnx

import (
	"math"
	"strings"

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
	{name: "Selu", operands: 1, becomes: "Unary Selu", build: selu},
	{name: "Celu", since: 12, operands: 1, becomes: "Unary Celu", build: act(ir.Celu, param{"alpha", 1})},
	{name: "Softplus", operands: 1, becomes: "Unary Softplus", build: act(ir.Softplus)},
	{name: "Softsign", operands: 1, becomes: "Unary Softsign", build: act(ir.Softsign)},
	{name: "ThresholdedRelu", operands: 1, becomes: "Unary ThresholdedRelu", build: act(ir.ThresholdedRelu, param{"alpha", 1})},
	{name: "Shrink", since: 9, operands: 1, becomes: "Unary Shrink", build: act(ir.Shrink, param{"lambd", 0.5}, param{"bias", 0})},
	{name: "ParametricSoftplus", operands: 1, becomes: "Unary Softplus, Binary Mul", build: scaledAct(ir.Softplus)},
	{name: "ScaledTanh", operands: 1, becomes: "Unary Tanh, Binary Mul", build: scaledAct(ir.Tanh)},
	{name: "com.microsoft.Gelu", operands: 1, becomes: "Unary Gelu", build: act(ir.Gelu)},
	{name: "com.microsoft.QuickGelu", operands: 1, becomes: "Unary SiLU", build: act(ir.SiLU, param{"alpha", 1.702})},
	{name: "com.microsoft.BiasGelu", operands: 2, becomes: "Binary Add, Unary Gelu", build: biasGelu(ir.Gelu)},
	{name: "com.microsoft.FastGelu", operands: 1, most: []most{{1, 2}}, becomes: "Binary Add, Unary GeluTanh", build: biasGelu(ir.GeluTanh)},
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

// selu imports Selu. The defaults were rounded before opset 6.
func selu(n *node) []*ir.Value {
	alpha, gamma := 1.67326319217681884765625, 1.05070102214813232421875
	if n.version < 6 {
		alpha, gamma = 1.6732, 1.0507
	}
	return act(ir.Selu, param{"alpha", alpha}, param{"gamma", gamma})(n)
}

// scaledAct imports alpha·f(beta·x). ONNX had such operators before opset 7, and ONNX Runtime
// still has them.
func scaledAct(f ir.Fn) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		y := n.unary(f, n.scaled(n.in[0], n.float("beta", 1)))
		return []*ir.Value{n.scaled(y, n.float("alpha", 1))}
	}
}

// biasGelu imports the sum of x and a vector along its last axis, which may be absent, in f.
func biasGelu(f ir.Fn) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		x := n.in[0]
		if b := n.arg(1); b != nil {
			x = n.binary(ir.Add, x, b)
		}
		return []*ir.Value{n.unary(f, x)}
	}
}

// fused applies the activation that ONNX Runtime fused into a layer. params has the attributes
// of its operator.
func (n *node) fused(v *ir.Value, op string, params map[string]float64) *ir.Value {
	o := n.im.operators[op]
	if o == nil || !strings.HasPrefix(o.becomes, "Unary") {
		n.failf("activation %q", op)
	}
	// In this opset, all parameters are attributes.
	a := &node{im: n.im, p: &nodeProto{opType: op, outputs: n.p.outputs}, scope: n.scope, version: 6, name: n.name, in: []*ir.Value{v}, depth: n.depth}
	for name, x := range params {
		a.p.attrs = append(a.p.attrs, &attribute{name: name, f: float32(x)})
	}
	return o.build(a)[0]
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
