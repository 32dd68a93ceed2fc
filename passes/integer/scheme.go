package integer

import (
	"fmt"
	"math"
	"slices"

	"modelc/ir"
)

// scheme is the meaning of the integers of a quantised tensor: q stands for scale·(q−zero).
type scheme struct {
	dtype ir.DType // u8 or i8
	scale float32
	zero  int
}

// schemeOf returns the scheme of n, a Quantize or Dequantize. It fails, with a reason, if
// integer ops cannot use it: the scale must be one positive constant of type f32, the zero
// point one constant, and the integers of 8 bits.
func schemeOf(n *ir.Node) (scheme, string) {
	d := n.In[0].Type.DType
	if q, ok := n.Op.(ir.Quantize); ok {
		d = q.To
	}
	if d != ir.Uint8 && d != ir.Int8 {
		return scheme{}, fmt.Sprintf("%s holds integers of type %s, not of 8 bits", quantisedBy(n), d)
	}
	scale, ok := uniform(n.Input(ir.QuantizeScale))
	if !ok || n.In[ir.QuantizeScale].Type.DType != ir.Float32 {
		return scheme{}, fmt.Sprintf("the scale of %s is not one constant of type f32", quantisedBy(n))
	}
	if !(scale > 0) || math.IsInf(scale, 0) {
		return scheme{}, fmt.Sprintf("the scale of %s is %g", quantisedBy(n), scale)
	}
	zero := 0.0
	if z := n.Input(ir.QuantizeZero); z != nil {
		if zero, ok = uniform(z); !ok {
			return scheme{}, fmt.Sprintf("the zero point of %s is not one constant", quantisedBy(n))
		}
	}
	return scheme{d, float32(scale), int(zero)}, ""
}

// quantisedBy returns the name of the integers that n, a Quantize or Dequantize, writes or
// reads.
func quantisedBy(n *ir.Node) string {
	if _, ok := n.Op.(ir.Quantize); ok {
		return n.Out[0].String()
	}
	return n.In[0].String()
}

// uniform returns the element of a constant whose elements are equal.
func uniform(v *ir.Value) (float64, bool) {
	if v == nil || v.Const == nil || v.Const.Shape.Len() == 0 {
		return 0, false
	}
	e := v.Const.Float64s()
	return e[0], !slices.ContainsFunc(e, func(x float64) bool { return x != e[0] })
}

// quantise returns x in the scheme, as [ir.Quantize].
func (s scheme) quantise(x float64) int {
	lo, hi := s.dtype.Range()
	v := math.RoundToEven(float64(float32(x)/s.scale)) + float64(s.zero)
	if !(v >= float64(lo)) {
		return lo
	}
	return int(min(v, float64(hi)))
}

// holds reports whether an integer of the scheme stands for exactly x, and returns it.
func (s scheme) holds(x float64) (int, bool) {
	q := s.quantise(x)
	return q, float64(float32(q-s.zero)*s.scale) == x
}

// tensor is a quantised tensor.
type tensor struct {
	*ir.Value
	scheme
}

// dequantised returns the quantised tensor that v is computed from by a Dequantize. It fails
// with a reason.
func dequantised(v *ir.Value) (tensor, string) {
	if !isDequantize(v) {
		return tensor{}, notQuantised
	}
	n := v.Def()
	s, why := schemeOf(n)
	return tensor{n.In[0], s}, why
}

// notQuantised is a reason that many nodes share, so it names no operand.
const notQuantised = "an operand is not quantised"

// isDequantize reports whether a Dequantize computes v.
func isDequantize(v *ir.Value) bool {
	if v == nil || v.Def() == nil {
		return false
	}
	_, ok := v.Def().Op.(ir.Dequantize)
	return ok
}

// act returns the function of activation n, which is nil or any node.
func act(n *ir.Node) (ir.Act, bool) {
	if n == nil {
		return ir.Act{}, false
	}
	u, ok := n.Op.(ir.Unary)
	return u.Fn, ok
}

// clamp is a range of integers.
type clamp struct{ lo, hi int }

// full returns the range of all integers of a type.
func full(d ir.DType) clamp {
	lo, hi := d.Range()
	return clamp{lo, hi}
}

// after returns the range of c applied to integers in range inner.
func (c clamp) after(inner clamp) clamp {
	at := func(x int) int { return min(max(x, c.lo), c.hi) }
	return clamp{at(inner.lo), at(inner.hi)}
}

// clampOf returns the range of integers that has the effect of a on numbers, in front of
// quantisation in scheme s. Quantisation is monotonic, so the order of the two does not
// matter. ok is false unless a is the identity, Relu or Clip.
func clampOf(a ir.Act, s scheme) (c clamp, ok bool) {
	c = full(s.dtype)
	switch a.Fn {
	case ir.Identity:
	case ir.Relu:
		c.lo = s.quantise(0)
	case ir.Clip:
		if math.IsNaN(a.Alpha) || math.IsNaN(a.Beta) {
			return c, false
		}
		c.hi = s.quantise(a.Beta)
		c.lo = min(s.quantise(a.Alpha), c.hi)
	default:
		return c, false
	}
	return c, true
}
