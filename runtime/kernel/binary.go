package kernel

import "math"

// BinaryFn names a function of two variables. The values are those of ir.BinaryFn.
type BinaryFn uint8

// The functions of two variables.
const (
	BinAdd BinaryFn = iota
	BinSub
	BinMul
	BinDiv
	BinPow
	BinMax
	BinMin
	BinMod
	BinFMod
	BinEqual
	BinLess
	BinLessOrEqual
	BinGreater
	BinGreaterOrEqual
	BinAnd
	BinOr
	BinXor
	BinBitAnd
	BinBitOr
	BinBitXor
	BinShiftLeft
	BinShiftRight
)

// EvalBinary returns fn(a, b). The result of fn must have the type of its operands.
func EvalBinary[T Number](fn BinaryFn, a, b T) T {
	switch fn {
	case BinAdd:
		return a + b
	case BinSub:
		return a - b
	case BinMul:
		return a * b
	case BinDiv:
		if !IsFloat[T]() && b == 0 {
			return 0
		}
		return a / b
	case BinPow:
		return Power(a, b)
	case BinMax:
		if a > b || a != a {
			return a
		}
		return b
	case BinMin:
		if a < b || a != a {
			return a
		}
		return b
	case BinMod, BinFMod:
		return modulo(fn, a, b)
	}
	return bits(fn, a, b)
}

// Power returns a raised to b. It computes powers of integers by squaring, so that
// they are exact.
func Power[T, E Number](a T, b E) T {
	if IsFloat[T]() || IsFloat[E]() || b < 0 {
		return T(math.Pow(float64(a), float64(b)))
	}
	r := T(1)
	for n := uint64(b); n > 0; n >>= 1 {
		if n&1 == 1 {
			r *= a
		}
		a *= a
	}
	return r
}

func modulo[T Number](fn BinaryFn, a, b T) T {
	if IsFloat[T]() {
		r := math.Mod(float64(a), float64(b))
		if fn == BinMod && r != 0 && (r < 0) != (float64(b) < 0) {
			r += float64(b)
		}
		return T(r)
	}
	if b == 0 {
		return 0
	}
	r := a - a/b*b
	if fn == BinMod && r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

func bits[T Number](fn BinaryFn, a, b T) T {
	x, y := uint64(int64(a)), uint64(int64(b))
	switch fn {
	case BinBitAnd:
		x &= y
	case BinBitOr:
		x |= y
	case BinBitXor:
		x ^= y
	case BinShiftLeft:
		x <<= min(y, 64)
	case BinShiftRight:
		x >>= min(y, 64)
	}
	return T(x)
}
