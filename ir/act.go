package ir

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Fn is a function of one variable.
type Fn uint8

// The functions. Alpha and Beta are the parameters of [Act].
const (
	Identity  Fn = iota
	Relu         // max(x, 0)
	LeakyRelu    // x ≥ 0: x, else Alpha·x
	Clip         // min(max(x, Alpha), Beta)
	Tanh
	Sigmoid         // 1/(1+exp(−x))
	HardSigmoid     // min(max(Alpha·x+Beta, 0), 1)
	HardSwish       // x·min(max(x/6+1/2, 0), 1)
	SiLU            // x·sigmoid(Alpha·x)
	Elu             // x > 0: x, else Alpha·(exp(x)−1)
	Selu            // Beta·(x > 0: x, else Alpha·(exp(x)−1))
	Celu            // max(x,0)+min(0, Alpha·(exp(x/Alpha)−1))
	Gelu            // x/2·(1+erf(x/√2))
	GeluTanh        // x/2·(1+tanh(√(2/π)·(x+0.044715x³)))
	Mish            // x·tanh(ln(1+exp(x)))
	Softplus        // ln(1+exp(x))
	Softsign        // x/(1+|x|)
	ThresholdedRelu // x > Alpha: x, else 0
	Shrink          // x < −Alpha: x+Beta, x > Alpha: x−Beta, else 0
	Abs
	Neg
	Exp
	Log
	Sqrt
	Reciprocal
	Erf
	Floor
	Ceil
	Round // half to even
	Sign
	Not
	Sin
	Cos
	Tan
	Asin
	Acos
	Atan
	Sinh
	Cosh
	Asinh
	Acosh
	Atanh
	IsNaN
	IsInf      // true for −∞ if Alpha ≠ 0, for +∞ if Beta ≠ 0
	Linear     // Alpha·x+Beta
	ScaledTanh // Alpha·tanh(Beta·x)
	numFns
)

type fnInfo struct {
	name   string
	params int // 1 for Alpha, 2 for Alpha and Beta
	f      func(x, a, b float64) float64
}

func std(f func(float64) float64) func(x, a, b float64) float64 {
	return func(x, _, _ float64) float64 { return f(x) }
}

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

func softplus(x float64) float64 {
	return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var fns = [numFns]fnInfo{
	Identity: {"Identity", 0, func(x, _, _ float64) float64 { return x }},
	Relu: {"Relu", 0, func(x, _, _ float64) float64 {
		if x < 0 {
			return 0
		}
		return x // NaN stays NaN
	}},
	LeakyRelu: {"LeakyRelu", 1, func(x, a, _ float64) float64 {
		if x < 0 {
			return a * x
		}
		return x
	}},
	Clip: {"Clip", 2, func(x, a, b float64) float64 {
		if x < a {
			x = a
		}
		if x > b {
			x = b
		}
		return x
	}},
	Tanh:        {"Tanh", 0, std(math.Tanh)},
	Sigmoid:     {"Sigmoid", 0, std(sigmoid)},
	HardSigmoid: {"HardSigmoid", 2, func(x, a, b float64) float64 { return min(max(a*x+b, 0), 1) }},
	HardSwish:   {"HardSwish", 0, func(x, _, _ float64) float64 { return x * min(max(x/6+0.5, 0), 1) }},
	SiLU:        {"SiLU", 1, func(x, a, _ float64) float64 { return x * sigmoid(a*x) }},
	Elu: {"Elu", 1, func(x, a, _ float64) float64 {
		if x > 0 {
			return x
		}
		return a * math.Expm1(x)
	}},
	Selu: {"Selu", 2, func(x, a, b float64) float64 {
		if x > 0 {
			return b * x
		}
		return b * a * math.Expm1(x)
	}},
	Celu: {"Celu", 1, func(x, a, _ float64) float64 { return max(x, 0) + min(0, a*math.Expm1(x/a)) }},
	Gelu: {"Gelu", 0, func(x, _, _ float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }},
	GeluTanh: {"GeluTanh", 0, func(x, _, _ float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}},
	Mish:     {"Mish", 0, func(x, _, _ float64) float64 { return x * math.Tanh(softplus(x)) }},
	Softplus: {"Softplus", 0, std(softplus)},
	Softsign: {"Softsign", 0, func(x, _, _ float64) float64 { return x / (1 + math.Abs(x)) }},
	ThresholdedRelu: {"ThresholdedRelu", 1, func(x, a, _ float64) float64 {
		if x > a {
			return x
		}
		return 0
	}},
	Shrink: {"Shrink", 2, func(x, a, b float64) float64 {
		switch {
		case x < -a:
			return x + b
		case x > a:
			return x - b
		}
		return 0
	}},
	Abs:        {"Abs", 0, std(math.Abs)},
	Neg:        {"Neg", 0, func(x, _, _ float64) float64 { return -x }},
	Exp:        {"Exp", 0, std(math.Exp)},
	Log:        {"Log", 0, std(math.Log)},
	Sqrt:       {"Sqrt", 0, std(math.Sqrt)},
	Reciprocal: {"Reciprocal", 0, func(x, _, _ float64) float64 { return 1 / x }},
	Erf:        {"Erf", 0, std(math.Erf)},
	Floor:      {"Floor", 0, std(math.Floor)},
	Ceil:       {"Ceil", 0, std(math.Ceil)},
	Round:      {"Round", 0, std(math.RoundToEven)},
	Sign: {"Sign", 0, func(x, _, _ float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return x
	}},
	Not:   {"Not", 0, func(x, _, _ float64) float64 { return truth(x == 0) }},
	Sin:   {"Sin", 0, std(math.Sin)},
	Cos:   {"Cos", 0, std(math.Cos)},
	Tan:   {"Tan", 0, std(math.Tan)},
	Asin:  {"Asin", 0, std(math.Asin)},
	Acos:  {"Acos", 0, std(math.Acos)},
	Atan:  {"Atan", 0, std(math.Atan)},
	Sinh:  {"Sinh", 0, std(math.Sinh)},
	Cosh:  {"Cosh", 0, std(math.Cosh)},
	Asinh: {"Asinh", 0, std(math.Asinh)},
	Acosh: {"Acosh", 0, std(math.Acosh)},
	Atanh: {"Atanh", 0, std(math.Atanh)},
	IsNaN: {"IsNaN", 0, func(x, _, _ float64) float64 { return truth(math.IsNaN(x)) }},
	IsInf: {"IsInf", 2, func(x, a, b float64) float64 {
		return truth(a != 0 && math.IsInf(x, -1) || b != 0 && math.IsInf(x, 1))
	}},
	Linear:     {"Linear", 2, func(x, a, b float64) float64 { return a*x + b }},
	ScaledTanh: {"ScaledTanh", 2, func(x, a, b float64) float64 { return a * math.Tanh(b*x) }},
}

// String returns the function's name.
func (f Fn) String() string {
	if f >= numFns {
		return fmt.Sprintf("Fn(%d)", uint8(f))
	}
	return fns[f].name
}

// ResultBool reports whether the result of the function is a truth value.
func (f Fn) ResultBool() bool { return f == Not || f == IsNaN || f == IsInf }

// Act is a function of one variable with its parameters: an activation. The
// zero value is the identity.
type Act struct {
	Fn          Fn
	Alpha, Beta float64
}

// Eval returns the function's value at x.
func (a Act) Eval(x float64) float64 { return fns[a.Fn].f(x, a.Alpha, a.Beta) }

// FiniteAtZero reports whether the function is finite at zero; log and 1/x are not. Back
// ends pad channels with zeros and apply activations to them.
func (a Act) FiniteAtZero() bool {
	v := a.Eval(0)
	return !math.IsNaN(v) && !math.IsInf(v, 0)
}

// IsIdentity reports whether the activation is the identity.
func (a Act) IsIdentity() bool { return a.Fn == Identity }

// String returns the text form, such as Relu or LeakyRelu(0.1).
func (a Act) String() string {
	g := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	switch fns[a.Fn].params {
	case 1:
		return a.Fn.String() + "(" + g(a.Alpha) + ")"
	case 2:
		return a.Fn.String() + "(" + g(a.Alpha) + "," + g(a.Beta) + ")"
	}
	return a.Fn.String()
}

// MarshalText writes the form of String.
func (a Act) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the form of String.
func (a *Act) UnmarshalText(b []byte) error {
	name, rest, hasArgs := strings.Cut(string(b), "(")
	for f := Fn(0); f < numFns; f++ {
		if fns[f].name != name {
			continue
		}
		*a = Act{Fn: f}
		var args []string
		if hasArgs {
			args = strings.Split(strings.TrimSuffix(rest, ")"), ",")
		}
		if len(args) != fns[f].params {
			return fmt.Errorf("%s takes %d parameters, got %q", name, fns[f].params, b)
		}
		for i, p := range []*float64{&a.Alpha, &a.Beta}[:len(args)] {
			v, err := strconv.ParseFloat(strings.TrimSpace(args[i]), 64)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			*p = v
		}
		return nil
	}
	return fmt.Errorf("unknown function %q", name)
}
