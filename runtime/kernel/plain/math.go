package plain

import (
	"modelc/runtime/internal/team"
	"modelc/runtime/kernel"
)

// Unary applies a function to each element. Integer tensors support Abs, Neg, Sign,
// Relu, Clip and Not.
type Unary[T kernel.Number] struct {
	Src, Dst    kernel.Ref
	Fn          kernel.Fn
	Alpha, Beta float64
}

// Test applies a function whose result is a truth value: IsNaN, IsInf or Not.
type Test[T kernel.Number] struct {
	Src, Dst    kernel.Ref // Dst uint8
	Fn          kernel.Fn
	Alpha, Beta float64
}

// Binary computes Dst = Act(Fn(A, B)). Strides of 0 broadcast an operand. Act applies to
// float types only.
type Binary[T kernel.Number] struct {
	Fn               kernel.BinaryFn
	A, B, Dst        kernel.Ref
	Shape            []int
	AStride, BStride []int // in elements, 0 along broadcast axes
	Act              kernel.Act
}

// Compare is [Binary] for functions whose result is a truth value.
type Compare[T kernel.Number] struct {
	Fn               kernel.BinaryFn
	A, B, Dst        kernel.Ref // Dst uint8
	Shape            []int
	AStride, BStride []int
}

// Pow raises A to B. The operands may have different types.
type Pow[T, E kernel.Number] struct {
	A, B, Dst        kernel.Ref
	Shape            []int
	AStride, BStride []int
}

// Where copies A where Cond is not 0, and B elsewhere.
type Where[T kernel.Number] struct {
	Cond, A, B, Dst              kernel.Ref
	Shape                        []int
	CondStride, AStride, BStride []int
}

// Cast converts the element type. It truncates floats toward zero for integers. If
// ToBool is set, the result is x ≠ 0.
type Cast[From, To kernel.Number] struct {
	Src, Dst kernel.Ref
	ToBool   bool
}

// Check declares the memory of the step.
func (k *Unary[T]) Check(v *kernel.Verifier) {
	v.Read("Src", k.Src, size[T](), int64(k.Src.Len))
	v.Write("Dst", k.Dst, size[T](), int64(k.Src.Len))
	v.Act(k.Fn)
}

// ScratchBytes is zero.
func (k *Unary[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Unary[T]) Run(c *kernel.Context) {
	c.Do(team.Split(k.Src.Len, unaryChunk), k.Src.Len*8, k)
}

const unaryChunk = 1 << 13

// Part computes unaryChunk elements.
func (k *Unary[T]) Part(c *kernel.Context, i, worker int) {
	lo, hi := i*unaryChunk, min(k.Src.Len, (i+1)*unaryChunk)
	src, dst := kernel.View[T](c, k.Src)[lo:hi], kernel.View[T](c, k.Dst)[lo:hi]
	if f, ok := any(dst).([]float32); ok {
		copy(dst, src)
		kernel.Apply(f, kernel.Act{Fn: k.Fn, Alpha: float32(k.Alpha), Beta: float32(k.Beta)})
		return
	}
	for i, v := range src {
		switch {
		case kernel.IsFloat[T]():
			dst[i] = T(kernel.Eval(k.Fn, float64(v), k.Alpha, k.Beta))
		case k.Fn == kernel.ActAbs && v < 0, k.Fn == kernel.ActNeg:
			dst[i] = -v
		case k.Fn == kernel.ActAbs, k.Fn == kernel.ActIdentity:
			dst[i] = v
		default:
			dst[i] = T(kernel.Eval(k.Fn, float64(v), k.Alpha, k.Beta))
		}
	}
}

// Check declares the memory of the step.
func (k *Test[T]) Check(v *kernel.Verifier) {
	v.Read("Src", k.Src, size[T](), int64(k.Src.Len))
	v.Write("Dst", k.Dst, 1, int64(k.Src.Len))
	v.Act(k.Fn)
}

// ScratchBytes is zero.
func (k *Test[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Test[T]) Run(c *kernel.Context) {
	dst := kernel.View[uint8](c, k.Dst)
	for i, v := range kernel.View[T](c, k.Src) {
		dst[i] = uint8(kernel.Eval(k.Fn, float64(v), k.Alpha, k.Beta))
	}
}

// compare returns the truth value of fn(a, b).
func compare[T kernel.Number](fn kernel.BinaryFn, a, b T) bool {
	switch fn {
	case kernel.BinEqual:
		return a == b
	case kernel.BinLess:
		return a < b
	case kernel.BinLessOrEqual:
		return a <= b
	case kernel.BinGreater:
		return a > b
	case kernel.BinGreaterOrEqual:
		return a >= b
	case kernel.BinAnd:
		return a != 0 && b != 0
	case kernel.BinOr:
		return a != 0 || b != 0
	case kernel.BinXor:
		return (a != 0) != (b != 0)
	}
	panic("runtime: comparison out of range")
}

// Check declares the memory of the step.
func (k *Binary[T]) Check(v *kernel.Verifier) {
	axes(v, k.Shape)
	strided(v, "A", k.A, size[T](), 0, k.Shape, k.AStride, false)
	strided(v, "B", k.B, size[T](), 0, k.Shape, k.BStride, false)
	v.Require(last(k.AStride) >= 0 && last(k.BStride) >= 0, "a stride is negative")
	v.Write("Dst", k.Dst, size[T](), kernel.Product(k.Shape...))
	v.Act(k.Act.Fn)
}

// ScratchBytes is zero.
func (k *Binary[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Binary[T]) Run(c *kernel.Context) {
	x, y, dst := kernel.View[T](c, k.A), kernel.View[T](c, k.B), kernel.View[T](c, k.Dst)
	outer, n := inner(k.Shape)
	as, bs := last(k.AStride), last(k.BStride)
	strides := [4][]int{outerOf(k.AStride), outerOf(k.BStride)}
	w := walk{shape: outer}
	for d := 0; ; d += n {
		row := dst[d : d+n]
		a, b := x[w.off[0]:], y[w.off[1]:]
		switch k.Fn {
		case kernel.BinAdd:
			for i := range row {
				row[i] = a[i*as] + b[i*bs]
			}
		case kernel.BinMul:
			for i := range row {
				row[i] = a[i*as] * b[i*bs]
			}
		default:
			for i := range row {
				row[i] = kernel.EvalBinary(k.Fn, a[i*as], b[i*bs])
			}
		}
		if !w.next(&strides) {
			break
		}
	}
	if k.Act.Fn == kernel.ActIdentity {
		return
	}
	if f, ok := any(dst).([]float32); ok {
		kernel.Apply(f, k.Act)
		return
	}
	for i, v := range dst {
		dst[i] = T(kernel.Eval(k.Act.Fn, float64(v), float64(k.Act.Alpha), float64(k.Act.Beta)))
	}
}

// Check declares the memory of the step.
func (k *Compare[T]) Check(v *kernel.Verifier) {
	axes(v, k.Shape)
	strided(v, "A", k.A, size[T](), 0, k.Shape, k.AStride, false)
	strided(v, "B", k.B, size[T](), 0, k.Shape, k.BStride, false)
	v.Write("Dst", k.Dst, 1, int64(k.Dst.Len))
	v.Require(k.Fn >= kernel.BinEqual && k.Fn <= kernel.BinXor, "there is no such comparison")
}

// ScratchBytes is zero.
func (k *Compare[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Compare[T]) Run(c *kernel.Context) {
	x, y, dst := kernel.View[T](c, k.A), kernel.View[T](c, k.B), kernel.View[uint8](c, k.Dst)
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

// Check declares the memory of the step.
func (k *Pow[T, E]) Check(v *kernel.Verifier) {
	axes(v, k.Shape)
	strided(v, "A", k.A, size[T](), 0, k.Shape, k.AStride, false)
	strided(v, "B", k.B, size[E](), 0, k.Shape, k.BStride, false)
	v.Write("Dst", k.Dst, size[T](), int64(k.Dst.Len))
}

// ScratchBytes is zero.
func (k *Pow[T, E]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Pow[T, E]) Run(c *kernel.Context) {
	x, y, dst := kernel.View[T](c, k.A), kernel.View[E](c, k.B), kernel.View[T](c, k.Dst)
	strides := [4][]int{k.AStride, k.BStride}
	w := walk{shape: k.Shape}
	for d := range dst {
		dst[d] = kernel.Power(x[w.off[0]], y[w.off[1]])
		w.next(&strides)
	}
}

// Check declares the memory of the step.
func (k *Where[T]) Check(v *kernel.Verifier) {
	axes(v, k.Shape)
	strided(v, "Cond", k.Cond, 1, 0, k.Shape, k.CondStride, false)
	strided(v, "A", k.A, size[T](), 0, k.Shape, k.AStride, false)
	strided(v, "B", k.B, size[T](), 0, k.Shape, k.BStride, false)
	v.Write("Dst", k.Dst, size[T](), int64(k.Dst.Len))
}

// ScratchBytes is zero.
func (k *Where[T]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Where[T]) Run(c *kernel.Context) {
	cond, x, y, dst := kernel.View[uint8](c, k.Cond), kernel.View[T](c, k.A), kernel.View[T](c, k.B), kernel.View[T](c, k.Dst)
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

// Check declares the memory of the step.
func (k *Cast[From, To]) Check(v *kernel.Verifier) {
	v.Read("Src", k.Src, size[From](), int64(k.Src.Len))
	v.Write("Dst", k.Dst, size[To](), int64(k.Src.Len))
}

// ScratchBytes is zero.
func (k *Cast[From, To]) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *Cast[From, To]) Run(c *kernel.Context) {
	dst := kernel.View[To](c, k.Dst)
	for i, v := range kernel.View[From](c, k.Src) {
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
