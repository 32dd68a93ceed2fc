package passes

import (
	"math"

	"modelc/ir"
)

// recogniseActivations replaces activations that exporters write as several
// nodes by the function itself:
//
//	x·sigmoid(x)                       SiLU
//	x·hardsigmoid(x) with 1/6 and 1/2  HardSwish
//	x·clip(x+3, 0, 6)/6                HardSwish
//	x·tanh(softplus(x))                Mish
//	x·½·(1+erf(x/√2)), in any order    Gelu
//	clip of clip, max and min with constants   Clip
//
// It is legal if no node outside the pattern reads a value inside it. The pass is not exact:
// the function rounds once, the pattern several times.
func recogniseActivations(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if len(n.Out) != 1 || !n.Out[0].Type.DType.IsFloat() {
			continue
		}
		x, fn, ok := activationOf(n)
		if !ok || !x.Type.Equal(n.Out[0].Type) {
			continue
		}
		m, err := g.InsertBefore(n, n.Name, ir.Unary{Fn: fn}, x)
		if err != nil {
			return changed, err
		}
		replaceAll(g, n, m.Out[0], m)
		changed++
	}
	return changed, nil
}

func activationOf(n *ir.Node) (x *ir.Value, fn ir.Act, ok bool) {
	b, isBinary := n.Op.(ir.Binary)
	if !isBinary || !b.Epilogue.IsIdentity() {
		return nil, fn, false
	}
	if x, fn, ok = clamp(n, b); ok {
		return x, fn, true
	}
	factors, k := factorsOf(n)
	if len(factors) == 2 {
		for i, v := range factors {
			if fn, ok := gate(v, factors[1-i], k); ok {
				return factors[1-i], fn, true
			}
		}
	}
	return nil, fn, false
}

// factorsOf splits the result of n into factors that are not constant scalars and the product
// k of the constant scalars. It looks through nodes with a single reader.
func factorsOf(n *ir.Node) (factors []*ir.Value, k float64) {
	k = 1
	b, ok := n.Op.(ir.Binary)
	if !ok || b.Fn != ir.Mul && b.Fn != ir.Div || !b.Epilogue.IsIdentity() {
		return []*ir.Value{n.Out[0]}, 1
	}
	for i, v := range n.In {
		if c, ok := scalar(v); ok {
			if b.Fn == ir.Div {
				if i == 0 {
					return []*ir.Value{n.Out[0]}, 1
				}
				c = 1 / c
			}
			k *= c
			continue
		}
		if b.Fn == ir.Div && i == 1 {
			return []*ir.Value{n.Out[0]}, 1
		}
		if d := v.Def(); d != nil && v.OnlyUse() == n {
			f, kf := factorsOf(d)
			factors, k = append(factors, f...), k*kf
			continue
		}
		factors = append(factors, v)
	}
	return factors, k
}

func near32(a, b float64) bool { return math.Abs(a-b) <= 2e-7*math.Abs(b) }

// gate returns the function of x that equals k·v·x, where v depends on x only.
func gate(v, x *ir.Value, k float64) (ir.Act, bool) {
	d := v.Def()
	if d == nil || len(v.Uses()) != 1 {
		return ir.Act{}, false
	}
	switch op := d.Op.(type) {
	case ir.Unary:
		switch in := d.In[0]; {
		case op.Fn.Fn == ir.Sigmoid && in == x && k == 1:
			return ir.Act{Fn: ir.SiLU, Alpha: 1}, true
		case op.Fn.Fn == ir.HardSigmoid && in == x && k == 1 && near32(op.Fn.Alpha, 1./6) && op.Fn.Beta == 0.5:
			return ir.Act{Fn: ir.HardSwish}, true
		case op.Fn.Fn == ir.Tanh && k == 1 && inner(in, ir.Softplus) == x:
			return ir.Act{Fn: ir.Mish}, true
		case op.Fn == (ir.Act{Fn: ir.Clip, Beta: 6}) && near32(k, 1./6):
			if y, c, ok := plus(in); ok && y == x && c == 3 {
				return ir.Act{Fn: ir.HardSwish}, true
			}
		}
	case ir.Binary:
		if y, c, ok := plus(v); ok && c == 1 && near32(k, 0.5) {
			if e := inner(y, ir.Erf); e != nil && e.Def() != nil && e.OnlyUse() != nil {
				if f, kf := factorsOf(e.Def()); len(f) == 1 && f[0] == x && near32(kf, math.Sqrt2/2) {
					return ir.Act{Fn: ir.Gelu}, true
				}
			}
		}
	}
	return ir.Act{}, false
}

// inner is like operand, for a value with a single reader.
func inner(v *ir.Value, fn ir.Fn) *ir.Value {
	if v == nil || v.OnlyUse() == nil {
		return nil
	}
	return operand(v, fn)
}

// plus returns x and c if v is x+c.
func plus(v *ir.Value) (x *ir.Value, c float64, ok bool) {
	d := v.Def()
	if d == nil || v.OnlyUse() == nil {
		return nil, 0, false
	}
	if b, isBinary := d.Op.(ir.Binary); !isBinary || b.Fn != ir.Add || !b.Epilogue.IsIdentity() {
		return nil, 0, false
	}
	if c, ok := scalar(d.In[1]); ok {
		return d.In[0], c, true
	}
	c, ok = scalar(d.In[0])
	return d.In[1], c, ok
}

// clamp returns the operand of a maximum or minimum with a constant, and the equivalent Relu
// or Clip.
func clamp(n *ir.Node, b ir.Binary) (*ir.Value, ir.Act, bool) {
	if b.Fn != ir.Max && b.Fn != ir.Min {
		return nil, ir.Act{}, false
	}
	x, c := n.In[0], n.In[1]
	k, ok := scalar(c)
	if !ok {
		x = n.In[1]
		if k, ok = scalar(n.In[0]); !ok {
			return nil, ir.Act{}, false
		}
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	if b.Fn == ir.Max {
		lo = k
	} else {
		hi = k
	}
	// Merge a Relu or Clip in front if the bounds do not cross.
	if d := x.Def(); d != nil && x.OnlyUse() == n {
		if u, ok := d.Op.(ir.Unary); ok {
			l, h := math.Inf(-1), math.Inf(1)
			switch u.Fn.Fn {
			case ir.Relu:
				l = 0
			case ir.Clip:
				l, h = u.Fn.Alpha, u.Fn.Beta
			}
			if l, h = math.Max(l, lo), math.Min(h, hi); (u.Fn.Fn == ir.Relu || u.Fn.Fn == ir.Clip) && l <= h {
				x, lo, hi = d.In[0], l, h
			}
		}
	}
	if lo == 0 && math.IsInf(hi, 1) {
		return x, ir.Act{Fn: ir.Relu}, true
	}
	return x, ir.Act{Fn: ir.Clip, Alpha: lo, Beta: hi}, true
}
