package kernel

import (
	"math"

	"modelc/runtime/internal/simd"
)

// Fn names a function of one variable. The values are those of ir.Fn.
type Fn uint8

// The functions. Alpha and Beta are the parameters of [Act].
const (
	ActIdentity  Fn = iota
	ActRelu         // max(x, 0)
	ActLeakyRelu    // x ≥ 0: x, else Alpha·x
	ActClip         // min(max(x, Alpha), Beta)
	ActTanh
	ActSigmoid         // 1/(1+exp(−x))
	ActHardSigmoid     // min(max(Alpha·x+Beta, 0), 1)
	ActHardSwish       // x·min(max(x/6+1/2, 0), 1)
	ActSiLU            // x·sigmoid(Alpha·x)
	ActElu             // x > 0: x, else Alpha·(exp(x)−1)
	ActSelu            // Beta·(x > 0: x, else Alpha·(exp(x)−1))
	ActCelu            // max(x,0)+min(0, Alpha·(exp(x/Alpha)−1))
	ActGelu            // x/2·(1+erf(x/√2))
	ActGeluTanh        // x/2·(1+tanh(√(2/π)·(x+0.044715x³)))
	ActMish            // x·tanh(ln(1+exp(x)))
	ActSoftplus        // ln(1+exp(x))
	ActSoftsign        // x/(1+|x|)
	ActThresholdedRelu // x > Alpha: x, else 0
	ActShrink          // x < −Alpha: x+Beta, x > Alpha: x−Beta, else 0
	ActAbs
	ActNeg
	ActExp
	ActLog
	ActSqrt
	ActReciprocal
	ActErf
	ActFloor
	ActCeil
	ActRound // half to even
	ActSign
	ActNot
	ActSin
	ActCos
	ActTan
	ActAsin
	ActAcos
	ActAtan
	ActSinh
	ActCosh
	ActAsinh
	ActAcosh
	ActAtanh
	ActIsNaN
	ActIsInf      // Alpha ≠ 0: counts −∞, Beta ≠ 0: counts +∞
	ActLinear     // Alpha·x+Beta
	ActScaledTanh // Alpha·tanh(Beta·x)
)

// Act is a function of one variable with its parameters, applied to the
// result of a kernel before it leaves the cache. The zero value is the
// identity.
type Act struct {
	Fn          Fn
	Alpha, Beta float32
}

// Clamp returns the bounds of an activation that is a clamp. For any other it returns
// infinite bounds and false.
func (a Act) Clamp() (lo, hi float32, ok bool) {
	switch a.Fn {
	case ActIdentity:
		return -Inf32, Inf32, true
	case ActRelu:
		return 0, Inf32, true
	case ActClip:
		return a.Alpha, a.Beta, true
	}
	return -Inf32, Inf32, false
}

// Eval returns f(x) in float64. a and b are the parameters Alpha and Beta.
func Eval(f Fn, x, a, b float64) float64 {
	switch f {
	case ActIdentity:
		return x
	case ActRelu:
		if x < 0 {
			return 0
		}
		return x // NaN stays NaN
	case ActLeakyRelu:
		if x < 0 {
			return a * x
		}
		return x
	case ActClip:
		if x < a {
			x = a
		}
		if x > b {
			x = b
		}
		return x
	case ActTanh:
		return math.Tanh(x)
	case ActSigmoid:
		return sigmoid(x)
	case ActHardSigmoid:
		return min(max(a*x+b, 0), 1)
	case ActHardSwish:
		return x * min(max(x/6+0.5, 0), 1)
	case ActSiLU:
		return x * sigmoid(a*x)
	case ActElu:
		if x > 0 {
			return x
		}
		return a * math.Expm1(x)
	case ActSelu:
		if x > 0 {
			return b * x
		}
		return b * a * math.Expm1(x)
	case ActCelu:
		return max(x, 0) + min(0, a*math.Expm1(x/a))
	case ActGelu:
		return x / 2 * (1 + math.Erf(x/math.Sqrt2))
	case ActGeluTanh:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case ActMish:
		return x * math.Tanh(softplus(x))
	case ActSoftplus:
		return softplus(x)
	case ActSoftsign:
		return x / (1 + math.Abs(x))
	case ActThresholdedRelu:
		if x > a {
			return x
		}
		return 0
	case ActShrink:
		switch {
		case x < -a:
			return x + b
		case x > a:
			return x - b
		}
		return 0
	case ActAbs:
		return math.Abs(x)
	case ActNeg:
		return -x
	case ActExp:
		return math.Exp(x)
	case ActLog:
		return math.Log(x)
	case ActSqrt:
		return math.Sqrt(x)
	case ActReciprocal:
		return 1 / x
	case ActErf:
		return math.Erf(x)
	case ActFloor:
		return math.Floor(x)
	case ActCeil:
		return math.Ceil(x)
	case ActRound:
		return math.RoundToEven(x)
	case ActSign:
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return x
	case ActNot:
		return truth(x == 0)
	case ActSin:
		return math.Sin(x)
	case ActCos:
		return math.Cos(x)
	case ActTan:
		return math.Tan(x)
	case ActAsin:
		return math.Asin(x)
	case ActAcos:
		return math.Acos(x)
	case ActAtan:
		return math.Atan(x)
	case ActSinh:
		return math.Sinh(x)
	case ActCosh:
		return math.Cosh(x)
	case ActAsinh:
		return math.Asinh(x)
	case ActAcosh:
		return math.Acosh(x)
	case ActAtanh:
		return math.Atanh(x)
	case ActIsNaN:
		return truth(math.IsNaN(x))
	case ActIsInf:
		return truth(a != 0 && math.IsInf(x, -1) || b != 0 && math.IsInf(x, 1))
	case ActLinear:
		return a*x + b
	case ActScaledTanh:
		return a * math.Tanh(b*x)
	}
	panic("kernel: function out of range")
}

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Apply replaces each element by the value of the activation.
func Apply(x []float32, a Act) {
	if applyVector(x, a) {
		return
	}
	switch a.Fn {
	case ActIdentity:
	case ActRelu:
		for i, v := range x {
			if v < 0 {
				x[i] = 0
			}
		}
	case ActClip:
		for i, v := range x {
			if v < a.Alpha {
				v = a.Alpha
			}
			if v > a.Beta {
				v = a.Beta
			}
			x[i] = v
		}
	case ActLeakyRelu:
		for i, v := range x {
			if v < 0 {
				x[i] = a.Alpha * v
			}
		}
	default:
		for i, v := range x {
			x[i] = float32(Eval(a.Fn, float64(v), float64(a.Alpha), float64(a.Beta)))
		}
	}
}

// applyVector is Apply for the activations that have a micro-kernel. It reports
// whether act has one.
func applyVector(x []float32, a Act) bool {
	if a.Fn == ActLeakyRelu && a.Alpha-a.Alpha != 0 {
		return false // the kernel multiplies zeros by the slope as well: ∞·0 is NaN
	}
	for len(x) > callFloats {
		if !vectorAct(a, &x[0], callFloats/16) {
			return false
		}
		x = x[callFloats:]
	}
	n := len(x) / 16
	if n > 0 && !vectorAct(a, &x[0], n) {
		return false
	}
	if rest := x[n*16:]; len(rest) > 0 {
		buf := zeros // lanes do not affect one another, so padding gives the same values
		copy(buf[:], rest)
		if !vectorAct(a, &buf[0], 1) {
			return false
		}
		copy(rest, buf[:])
	}
	return true
}

// vectorAct replaces n vectors of 16 floats. It reports whether the activation has a
// micro-kernel. The calls are direct, because through a variable x would move to the
// heap.
func vectorAct(a Act, x *float32, n int) bool {
	switch a.Fn {
	case ActRelu, ActClip:
		lo, hi, _ := a.Clamp()
		return simd.Affine(x, x, n, &ones[0], &zeros[0], lo, hi)
	case ActHardSigmoid:
		scale, shift := splat(a.Alpha), splat(a.Beta)
		return simd.Affine(x, x, n, &scale[0], &shift[0], 0, 1)
	case ActHardSwish:
		return simd.HardSwish(x, n)
	case ActLeakyRelu:
		return simd.LeakyRelu(x, n, a.Alpha)
	case ActTanh:
		return simd.Tanh(x, n)
	case ActSigmoid:
		return simd.Sigmoid(x, n)
	case ActSiLU:
		return simd.Silu(x, n, a.Alpha)
	case ActGelu:
		return simd.Gelu(x, n)
	case ActExp:
		return simd.Exp(x, n)
	}
	return false
}

// Saturate returns round(v) + zero between lo and hi, rounded half to even. NaN becomes lo.
func Saturate(v float64, zero, lo, hi int) int { return simd.Saturate(v, zero, lo, hi) }
