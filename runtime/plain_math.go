package runtime

import "math"

// UnaryPlain applies Fn to each element, in float64 for float64 tensors.
// Integer tensors take Abs, Neg, Sign, Relu, Clip and Not.
type UnaryPlain[T Number] struct {
	Src, Dst    Ref
	Fn          Fn
	Alpha, Beta float64
}

// TestPlain applies a function that yields truth values (IsNaN, IsInf, Not).
type TestPlain[T Number] struct {
	Src, Dst    Ref // Dst uint8
	Fn          Fn
	Alpha, Beta float64
}

// BinaryPlain is Dst = Act(Fn(A, B)) with broadcasting by strides. Act is
// applied to float types only.
type BinaryPlain[T Number] struct {
	Fn               BinaryFn
	A, B, Dst        Ref
	Shape            []int
	AStride, BStride []int // elements, 0 along broadcast axes
	Act              Act
}

// ComparePlain is BinaryPlain for functions that yield truth values.
type ComparePlain[T Number] struct {
	Fn               BinaryFn
	A, B, Dst        Ref // Dst uint8
	Shape            []int
	AStride, BStride []int
}

// PowPlain raises A to B, whose type may differ.
type PowPlain[T, E Number] struct {
	A, B, Dst        Ref
	Shape            []int
	AStride, BStride []int
}

// WherePlain selects A where Cond is not 0, B elsewhere.
type WherePlain[T Number] struct {
	Cond, A, B, Dst              Ref
	Shape                        []int
	CondStride, AStride, BStride []int
}

// CastPlain converts element types: floats to integers toward zero, and to
// truth values as x ≠ 0 when ToBool is set.
type CastPlain[From, To Number] struct {
	Src, Dst Ref
	ToBool   bool
}

func pow(x, y float64) float64 { return math.Pow(x, y) }

// isFloat reports whether T is a floating-point type.
func isFloat[T Number]() bool {
	half := 0.5
	return T(half) != 0
}

// ScratchBytes is zero.
func (k *UnaryPlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *UnaryPlain[T]) Run(c *Context) {
	c.do(split(k.Src.Len, unaryChunk), k.Src.Len*8, k)
}

const unaryChunk = 1 << 13

func (k *UnaryPlain[T]) part(c *Context, i, worker int) {
	lo, hi := i*unaryChunk, min(k.Src.Len, (i+1)*unaryChunk)
	src, dst := view[T](c, k.Src)[lo:hi], view[T](c, k.Dst)[lo:hi]
	if f, ok := any(dst).([]float32); ok {
		copy(dst, src)
		applyAct(f, Act{k.Fn, float32(k.Alpha), float32(k.Beta)})
		return
	}
	for i, v := range src {
		switch {
		case isFloat[T]():
			dst[i] = T(evalFn(k.Fn, float64(v), k.Alpha, k.Beta))
		case k.Fn == ActAbs && v < 0, k.Fn == ActNeg:
			dst[i] = -v
		case k.Fn == ActAbs, k.Fn == ActIdentity:
			dst[i] = v
		default:
			dst[i] = T(evalFn(k.Fn, float64(v), k.Alpha, k.Beta))
		}
	}
}

// ScratchBytes is zero.
func (k *TestPlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *TestPlain[T]) Run(c *Context) {
	dst := view[uint8](c, k.Dst)
	for i, v := range view[T](c, k.Src) {
		dst[i] = uint8(evalFn(k.Fn, float64(v), k.Alpha, k.Beta))
	}
}

// binary returns fn(a, b) for the functions that keep the type.
func binary[T Number](fn BinaryFn, a, b T) T {
	switch fn {
	case BinAdd:
		return a + b
	case BinSub:
		return a - b
	case BinMul:
		return a * b
	case BinDiv:
		if !isFloat[T]() && b == 0 {
			return 0
		}
		return a / b
	case BinPow:
		return power(a, b)
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

// power raises a to b: integers by squaring, so that no digit is lost.
func power[T, E Number](a T, b E) T {
	if isFloat[T]() || isFloat[E]() || b < 0 {
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
	if isFloat[T]() {
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

// compare returns the truth value of fn(a, b).
func compare[T Number](fn BinaryFn, a, b T) bool {
	switch fn {
	case BinEqual:
		return a == b
	case BinLess:
		return a < b
	case BinLessOrEqual:
		return a <= b
	case BinGreater:
		return a > b
	case BinGreaterOrEqual:
		return a >= b
	case BinAnd:
		return a != 0 && b != 0
	case BinOr:
		return a != 0 || b != 0
	case BinXor:
		return (a != 0) != (b != 0)
	}
	panic("runtime: comparison out of range")
}

// ScratchBytes is zero.
func (k *BinaryPlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *BinaryPlain[T]) Run(c *Context) {
	x, y, dst := view[T](c, k.A), view[T](c, k.B), view[T](c, k.Dst)
	outer, n := inner(k.Shape)
	as, bs := last(k.AStride), last(k.BStride)
	strides := [4][]int{outerOf(k.AStride), outerOf(k.BStride)}
	w := walk{shape: outer}
	for d := 0; ; d += n {
		row := dst[d : d+n]
		a, b := x[w.off[0]:], y[w.off[1]:]
		switch k.Fn {
		case BinAdd:
			for i := range row {
				row[i] = a[i*as] + b[i*bs]
			}
		case BinMul:
			for i := range row {
				row[i] = a[i*as] * b[i*bs]
			}
		default:
			for i := range row {
				row[i] = binary(k.Fn, a[i*as], b[i*bs])
			}
		}
		if !w.next(&strides) {
			break
		}
	}
	if k.Act.Fn == ActIdentity {
		return
	}
	if f, ok := any(dst).([]float32); ok {
		applyAct(f, k.Act)
		return
	}
	for i, v := range dst {
		dst[i] = T(evalFn(k.Act.Fn, float64(v), float64(k.Act.Alpha), float64(k.Act.Beta)))
	}
}

// ScratchBytes is zero.
func (k *ComparePlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *ComparePlain[T]) Run(c *Context) {
	x, y, dst := view[T](c, k.A), view[T](c, k.B), view[uint8](c, k.Dst)
	strides := [4][]int{k.AStride, k.BStride}
	w := walk{shape: k.Shape}
	for d := range dst {
		dst[d] = 0
		if compare(k.Fn, x[w.off[0]], y[w.off[1]]) {
			dst[d] = 1
		}
		w.next(&strides)
	}
}

// ScratchBytes is zero.
func (k *PowPlain[T, E]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *PowPlain[T, E]) Run(c *Context) {
	x, y, dst := view[T](c, k.A), view[E](c, k.B), view[T](c, k.Dst)
	strides := [4][]int{k.AStride, k.BStride}
	w := walk{shape: k.Shape}
	for d := range dst {
		dst[d] = power(x[w.off[0]], y[w.off[1]])
		w.next(&strides)
	}
}

// ScratchBytes is zero.
func (k *WherePlain[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *WherePlain[T]) Run(c *Context) {
	cond, x, y, dst := view[uint8](c, k.Cond), view[T](c, k.A), view[T](c, k.B), view[T](c, k.Dst)
	strides := [4][]int{k.CondStride, k.AStride, k.BStride}
	w := walk{shape: k.Shape}
	for d := range dst {
		if cond[w.off[0]] != 0 {
			dst[d] = x[w.off[1]]
		} else {
			dst[d] = y[w.off[2]]
		}
		w.next(&strides)
	}
}

// ScratchBytes is zero.
func (k *CastPlain[From, To]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *CastPlain[From, To]) Run(c *Context) {
	dst := view[To](c, k.Dst)
	for i, v := range view[From](c, k.Src) {
		switch {
		case !k.ToBool:
			dst[i] = To(v)
		case v != 0:
			dst[i] = 1
		default:
			dst[i] = 0
		}
	}
}
