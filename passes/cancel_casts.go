package passes

import (
	"math"

	"modelc/ir"
)

// cancelCasts lets readers of float(int(x)) read x, so that only rounding and
// clipping remain between quantisation and dequantisation.
//
// It is legal if x holds only whole numbers in the range of the integer type. The nodes in
// front of the cast must round and clip x. The pass does not change other casts, which
// truncate or wrap.
func cancelCasts(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if _, ok := n.Op.(ir.Cast); !ok || len(n.Out[0].Uses()) == 0 || !n.Out[0].Type.DType.IsFloat() {
			continue
		}
		inner := n.In[0].Def()
		if inner == nil {
			continue
		}
		if _, ok := inner.Op.(ir.Cast); !ok || !inner.In[0].Type.Equal(n.Out[0].Type) || !fits(inner.In[0], inner.Out[0].Type.DType) {
			continue
		}
		replaceAll(g, n, inner.In[0], inner.In[0].Def())
		changed++
	}
	return changed, nil
}

// fits reports whether v holds only integers of type d, of at most 16 bits.
func fits(v *ir.Value, d ir.DType) bool {
	if !d.IsInt() || d.Size() > 2 || v.Def() == nil {
		return false
	}
	lo, hi := 0.0, math.Ldexp(1, 8*d.Size())-1
	if d == ir.Int8 || d == ir.Int16 {
		lo, hi = -math.Ldexp(1, 8*d.Size()-1), math.Ldexp(1, 8*d.Size()-1)-1
	}
	u, ok := v.Def().Op.(ir.Unary)
	return ok && u.Fn.Fn == ir.Clip && u.Fn.Alpha >= lo && u.Fn.Beta <= hi &&
		u.Fn.Alpha == math.Trunc(u.Fn.Alpha) && u.Fn.Beta == math.Trunc(u.Fn.Beta) && ir.HoldsIntegers(v.Def().In[0])
}
