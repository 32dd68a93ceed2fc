package eval

import (
	"math"

	"modelc/ir"
)

func init() {
	define(unary)
	define(binary)
	define(prelu)
	define(where)
	define(cast)
}

func unary(op ir.Unary, c call) ([]*ir.Tensor, error) {
	x := c.in[0]
	// These functions of integers are exact.
	if x.DType.IsInt() && (op.Fn.Fn == ir.Abs || op.Fn.Fn == ir.Neg || op.Fn.Fn == ir.Identity) {
		v := x.Int64s()
		for i, k := range v {
			if op.Fn.Fn == ir.Neg || op.Fn.Fn == ir.Abs && k < 0 && x.DType != ir.Uint64 {
				v[i] = -k
			}
		}
		return one(fromInts(c.out[0], v))
	}
	return c.each(func(lo, hi int) []float64 {
		v := part(x, lo, hi)
		for i, k := range v {
			v[i] = op.Fn.Eval(k)
		}
		return v
	})
}

// fromInts returns a tensor of the integers v, which wrap to the width of the type.
func fromInts(t ir.Type, v []int64) *ir.Tensor {
	out := ir.NewTensor(t)
	switch t.DType {
	case ir.Int64, ir.Uint64:
		e := ir.Elements[int64](out)
		copy(e, v)
	case ir.Int32, ir.Uint32:
		e := ir.Elements[int32](out)
		for i, x := range v {
			e[i] = int32(x)
		}
	case ir.Int16, ir.Uint16:
		e := ir.Elements[int16](out)
		for i, x := range v {
			e[i] = int16(x)
		}
	case ir.Int8, ir.Uint8:
		e := ir.Elements[int8](out)
		for i, x := range v {
			e[i] = int8(x)
		}
	case ir.Bool:
		e := ir.Elements[bool](out)
		for i, x := range v {
			e[i] = x != 0
		}
	default:
		f := make([]float64, len(v))
		for i, x := range v {
			f[i] = float64(x)
		}
		return ir.FromFloat64s(t, f)
	}
	return out
}

func binary(op ir.Binary, c call) ([]*ir.Tensor, error) {
	a, b, t := c.in[0], c.in[1], c.out[0]
	if (a.DType.IsInt() || a.DType == ir.Bool) && (b.DType.IsInt() || b.DType == ir.Bool) {
		return one(binaryInts(op.Fn, t, a, b))
	}
	return c.broadcast2(a, b, func(x, y float64) float64 { return op.Epilogue.Eval(floatFn(op.Fn, x, y)) })
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func floatFn(f ir.BinaryFn, x, y float64) float64 {
	switch f {
	case ir.Add:
		return x + y
	case ir.Sub:
		return x - y
	case ir.Mul:
		return x * y
	case ir.Div:
		return x / y
	case ir.Pow:
		return math.Pow(x, y)
	case ir.Max:
		return math.Max(x, y)
	case ir.Min:
		return math.Min(x, y)
	case ir.FMod:
		return math.Mod(x, y)
	case ir.Mod:
		r := math.Mod(x, y)
		if r != 0 && (r < 0) != (y < 0) {
			r += y
		}
		return r
	case ir.Equal:
		return truth(x == y)
	case ir.Less:
		return truth(x < y)
	case ir.LessOrEqual:
		return truth(x <= y)
	case ir.Greater:
		return truth(x > y)
	case ir.GreaterOrEqual:
		return truth(x >= y)
	case ir.And:
		return truth(x != 0 && y != 0)
	case ir.Or:
		return truth(x != 0 || y != 0)
	case ir.Xor:
		return truth((x != 0) != (y != 0))
	}
	return math.NaN() // bit operations have no meaning on floats
}

func binaryInts(f ir.BinaryFn, t ir.Type, a, b *ir.Tensor) *ir.Tensor {
	x, y := a.Int64s(), b.Int64s()
	out := make([]int64, t.Shape.Len())
	at := make([]int, len(t.Shape))
	unsigned := a.DType == ir.Uint64
	for i := range out {
		coordinates(i, t.Shape, at)
		out[i] = intFn(f, x[broadcastIndex(a.Shape, at)], y[broadcastIndex(b.Shape, at)], unsigned)
	}
	return fromInts(t, out)
}

func intFn(f ir.BinaryFn, x, y int64, unsigned bool) int64 {
	less := x < y
	if unsigned {
		less = uint64(x) < uint64(y)
	}
	switch f {
	case ir.Add:
		return x + y
	case ir.Sub:
		return x - y
	case ir.Mul:
		return x * y
	case ir.Div:
		if y == 0 {
			return 0
		}
		if unsigned {
			return int64(uint64(x) / uint64(y))
		}
		return x / y
	case ir.Pow:
		if y < 0 {
			return int64(math.Pow(float64(x), float64(y)))
		}
		r := int64(1)
		for ; y > 0; y >>= 1 {
			if y&1 == 1 {
				r *= x
			}
			x *= x
		}
		return r
	case ir.Max:
		if less {
			return y
		}
		return x
	case ir.Min:
		if less {
			return x
		}
		return y
	case ir.Mod, ir.FMod:
		if y == 0 {
			return 0
		}
		if unsigned {
			return int64(uint64(x) % uint64(y))
		}
		r := x % y
		if f == ir.Mod && r != 0 && (r < 0) != (y < 0) {
			r += y
		}
		return r
	case ir.BitAnd:
		return x & y
	case ir.BitOr:
		return x | y
	case ir.BitXor:
		return x ^ y
	case ir.ShiftLeft:
		return int64(uint64(x) << min(uint64(y), 64))
	case ir.ShiftRight:
		return int64(uint64(x) >> min(uint64(y), 64))
	case ir.Equal:
		return int64(truth(x == y))
	case ir.Less:
		return int64(truth(less))
	case ir.LessOrEqual:
		return int64(truth(less || x == y))
	case ir.Greater:
		return int64(truth(!less && x != y))
	case ir.GreaterOrEqual:
		return int64(truth(!less))
	}
	return int64(floatFn(f, float64(x), float64(y)))
}

func prelu(_ ir.PRelu, c call) ([]*ir.Tensor, error) {
	return c.broadcast2(c.in[0], c.in[ir.PReluSlope], func(x, s float64) float64 {
		if x < 0 {
			return x * s
		}
		return x
	})
}

func where(_ ir.Where, c call) ([]*ir.Tensor, error) {
	t, cond := c.out[0], c.in[0].Int64s()
	size := t.DType.Size()
	out := ir.NewTensor(t)
	a, b, to := c.in[ir.WhereA].Bytes(), c.in[ir.WhereB].Bytes(), out.Bytes()
	walk(t.Shape, func(i int, at []int) {
		src, from := b, c.in[ir.WhereB].Shape
		if cond[broadcastIndex(c.in[0].Shape, at)] != 0 {
			src, from = a, c.in[ir.WhereA].Shape
		}
		copy(to[i*size:(i+1)*size], src[broadcastIndex(from, at)*size:])
	})
	return one(out)
}

func cast(_ ir.Cast, c call) ([]*ir.Tensor, error) {
	x, t := c.in[0], c.out[0]
	switch {
	case t.DType == x.DType:
		return one(x)
	case x.DType.IsFloat() && (t.DType.IsFloat() || t.DType == ir.Bool):
		return c.each(func(lo, hi int) []float64 { return part(x, lo, hi) })
	}
	return one(fromInts(t, x.Int64s()))
}
