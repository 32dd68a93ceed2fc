package onnxfile

import (
	"fmt"
	"math"

	"modelc/ir"
)

// functions has the operators of functions without parameters.
var functions = map[ir.Fn]string{
	ir.Identity: "Identity", ir.Relu: "Relu", ir.Tanh: "Tanh", ir.Sigmoid: "Sigmoid", ir.HardSwish: "HardSwish", ir.Gelu: "Gelu", ir.Mish: "Mish",
	ir.Softplus: "Softplus", ir.Softsign: "Softsign", ir.Abs: "Abs", ir.Neg: "Neg", ir.Exp: "Exp", ir.Log: "Log", ir.Sqrt: "Sqrt",
	ir.Reciprocal: "Reciprocal", ir.Erf: "Erf", ir.Floor: "Floor", ir.Ceil: "Ceil", ir.Round: "Round", ir.Sign: "Sign", ir.Not: "Not",
	ir.Sin: "Sin", ir.Cos: "Cos", ir.Tan: "Tan", ir.Asin: "Asin", ir.Acos: "Acos", ir.Atan: "Atan", ir.Sinh: "Sinh", ir.Cosh: "Cosh",
	ir.Asinh: "Asinh", ir.Acosh: "Acosh", ir.Atanh: "Atanh", ir.IsNaN: "IsNaN",
}

// parameters has the operators of functions whose parameters are attributes, with the names
// of Alpha and Beta.
var parameters = map[ir.Fn]struct{ op, alpha, beta string }{
	ir.LeakyRelu: {"LeakyRelu", "alpha", ""}, ir.HardSigmoid: {"HardSigmoid", "alpha", "beta"}, ir.Elu: {"Elu", "alpha", ""},
	ir.Selu: {"Selu", "alpha", "gamma"}, ir.Celu: {"Celu", "alpha", ""}, ir.ThresholdedRelu: {"ThresholdedRelu", "alpha", ""},
	ir.Shrink: {"Shrink", "lambd", "bias"},
}

// function writes the node that computes the first result as a function of x.
func (w *writer) function(a ir.Act, x string) error {
	d := w.n.In[0].Type.DType
	if name, ok := functions[a.Fn]; ok {
		w.last(name, []string{x})
		return nil
	}
	if p, ok := parameters[a.Fn]; ok {
		attrs := []Attribute{Float(p.alpha, float32(a.Alpha))}
		if p.beta != "" {
			attrs = append(attrs, Float(p.beta, float32(a.Beta)))
		}
		w.last(p.op, []string{x}, attrs...)
		return nil
	}
	switch a.Fn {
	case ir.Clip:
		in := []string{x, "", ""}
		if !math.IsInf(a.Alpha, -1) {
			in[1] = w.number("min", d, a.Alpha)
		}
		if !math.IsInf(a.Beta, 1) {
			in[2] = w.number("max", d, a.Beta)
		}
		w.last("Clip", in)
	case ir.SiLU:
		scaled := x
		if a.Alpha != 1 {
			scaled = w.step("Mul", []string{x, w.number("alpha", d, a.Alpha)})
		}
		w.last("Mul", []string{x, w.step("Sigmoid", []string{scaled})})
	case ir.GeluTanh:
		w.last("Gelu", []string{x}, String("approximate", "tanh"))
	case ir.IsInf:
		w.last("IsInf", []string{x}, Int("detect_negative", truth(a.Alpha != 0)), Int("detect_positive", truth(a.Beta != 0)))
	default:
		return fmt.Errorf("ONNX has no function %s", a)
	}
	return nil
}

// binaries has the operators of functions of two variables.
var binaries = map[ir.BinaryFn]string{
	ir.Add: "Add", ir.Sub: "Sub", ir.Mul: "Mul", ir.Div: "Div", ir.Pow: "Pow", ir.Max: "Max", ir.Min: "Min", ir.Mod: "Mod", ir.FMod: "Mod",
	ir.Equal: "Equal", ir.Less: "Less", ir.LessOrEqual: "LessOrEqual", ir.Greater: "Greater", ir.GreaterOrEqual: "GreaterOrEqual",
	ir.And: "And", ir.Or: "Or", ir.Xor: "Xor", ir.BitAnd: "BitwiseAnd", ir.BitOr: "BitwiseOr", ir.BitXor: "BitwiseXor",
	ir.ShiftLeft: "BitShift", ir.ShiftRight: "BitShift",
}

func (w *writer) binary(op ir.Binary) error {
	var attrs []Attribute
	switch op.Fn {
	case ir.Mod:
		if w.n.In[0].Type.DType.IsFloat() {
			return fmt.Errorf("ONNX has no Mod of floats with the sign of the divisor")
		}
	case ir.FMod:
		attrs = append(attrs, Int("fmod", 1))
	case ir.ShiftLeft:
		attrs = append(attrs, String("direction", "LEFT"))
	case ir.ShiftRight:
		attrs = append(attrs, String("direction", "RIGHT"))
	}
	w.last(binaries[op.Fn], w.operands(), attrs...)
	return nil
}
