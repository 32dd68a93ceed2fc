package passes

import (
	"slices"

	"modelc/ir"
)

// recogniseNormalisation replaces layer, instance and group normalisation that is written as
// several nodes by Normalize. μ is the mean of x over some axes, v the mean of (x−μ)² over
// the same axes, and r = √(v+ε):
//
//	(x−μ)/r  or  (x−μ)·(1/r)                        PyTorch
//	x·m + (β − μ·m),  m = 1/r  or  (1/r)·γ          TensorFlow
//
// A γ and a β that follow the first form remain separate nodes. The pass is legal for
// constant γ and β that broadcast to x. Values inside the pattern that have other readers
// stay. The pass is not exact: Normalize rounds once, the pattern several times.
func recogniseNormalisation(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		b, ok := n.Op.(ir.Binary)
		if !ok || !b.Epilogue.IsIdentity() || !n.Out[0].Type.DType.IsFloat() {
			continue
		}
		var m *moments
		var gamma, beta *ir.Value
		switch b.Fn {
		case ir.Div, ir.Mul:
			m = centredOver(n)
		case ir.Add:
			m, gamma, beta = scaledMinusMean(n)
		}
		if m == nil || !m.x.Type.Equal(n.Out[0].Type) {
			continue
		}
		in := []*ir.Value{m.x}
		if beta != nil && gamma == nil {
			gamma = g.AddConst(n.Out[0].Name+".one", ir.FromFloat64s(ir.T(m.x.Type.DType, 1), []float64{1}))
		}
		if gamma != nil {
			in = append(in, gamma)
		}
		if beta != nil {
			in = append(in, beta)
		}
		v, err := g.InsertBefore(n, n.Name, ir.Normalize{Axes: m.axes, Epsilon: m.epsilon}, in...)
		if err != nil {
			return changed, err
		}
		replaceAll(g, n, v.Out[0], v)
		changed++
	}
	return changed, nil
}

// moments describes the statistics of a value 1/√(v+ε).
type moments struct {
	x       *ir.Value
	axes    []int
	epsilon float64
}

func (m *moments) equal(o *moments) bool {
	return m != nil && o != nil && m.x == o.x && slices.Equal(m.axes, o.axes)
}

// centredOver matches (x−μ)/√(v+ε) at n, a division or a product.
func centredOver(n *ir.Node) *moments {
	try := func(d, r *ir.Value, root bool) *moments {
		if !root {
			if r = operand(r, ir.Reciprocal); r == nil {
				return nil
			}
		}
		m, c := deviation(r), centred(d)
		if !m.equal(c) {
			return nil
		}
		return m
	}
	if n.Op.(ir.Binary).Fn == ir.Div {
		return try(n.In[0], n.In[1], true)
	}
	if m := try(n.In[0], n.In[1], false); m != nil {
		return m
	}
	return try(n.In[1], n.In[0], false)
}

// scaledMinusMean matches x·m + (β−μ·m) at n.
func scaledMinusMean(n *ir.Node) (m *moments, gamma, beta *ir.Value) {
	for i, v := range n.In {
		p := binary(v, ir.Mul)
		if p == nil {
			continue
		}
		for j, scale := range p.In {
			x := p.In[1-j]
			m, gamma = scaleOf(scale)
			if m == nil || m.x != x {
				continue
			}
			if beta, ok := minusMean(n.In[1-i], m, scale); ok {
				return m, gamma, beta
			}
		}
	}
	return nil, nil, nil
}

// scaleOf matches 1/√(v+ε) or (1/√(v+ε))·γ.
func scaleOf(v *ir.Value) (m *moments, gamma *ir.Value) {
	if r := operand(v, ir.Reciprocal); r != nil {
		return deviation(r), nil
	}
	p := binary(v, ir.Mul)
	if p == nil {
		return nil, nil
	}
	for i, c := range p.In {
		if r := operand(p.In[1-i], ir.Reciprocal); r != nil && c.Const != nil {
			return deviation(r), c
		}
	}
	return nil, nil
}

// minusMean matches β−μ·scale, −μ·scale+β or −μ·scale.
func minusMean(v *ir.Value, m *moments, scale *ir.Value) (beta *ir.Value, ok bool) {
	product := func(v *ir.Value, negated bool) bool {
		p := binary(v, ir.Mul)
		if p == nil {
			return false
		}
		for i, s := range p.In {
			mean := p.In[1-i]
			if s != scale {
				continue
			}
			if negated {
				mean = operand(mean, ir.Neg)
			}
			x, axes := meanOf(mean)
			return x == m.x && slices.Equal(axes, m.axes)
		}
		return false
	}
	if product(v, true) {
		return nil, true
	}
	if s := binary(v, ir.Sub); s != nil && s.In[0].Const != nil {
		return s.In[0], product(s.In[1], false)
	}
	if s := binary(v, ir.Add); s != nil {
		for i, c := range s.In {
			if c.Const != nil && product(s.In[1-i], true) {
				return c, true
			}
		}
	}
	return nil, false
}

// deviation matches √(mean((x−μ)²)+ε).
func deviation(v *ir.Value) *moments {
	sum := binary(operand(v, ir.Sqrt), ir.Add)
	if sum == nil {
		return nil
	}
	for i, e := range sum.In {
		epsilon, ok := scalar(e)
		sq, axes := meanOf(sum.In[1-i])
		if !ok || sq == nil {
			continue
		}
		d := (*ir.Value)(nil)
		if p := binary(sq, ir.Mul); p != nil && p.In[0] == p.In[1] {
			d = p.In[0]
		} else if p := binary(sq, ir.Pow); p != nil {
			if two, ok := scalar(p.In[1]); ok && two == 2 {
				d = p.In[0]
			}
		}
		if c := centred(d); c != nil && slices.Equal(c.axes, axes) {
			return &moments{c.x, axes, epsilon}
		}
	}
	return nil
}

// centred matches x−μ.
func centred(v *ir.Value) *moments {
	d := binary(v, ir.Sub)
	if d == nil {
		return nil
	}
	x, axes := meanOf(d.In[1])
	if x == nil || x != d.In[0] {
		return nil
	}
	return &moments{x: x, axes: axes}
}

// meanOf matches a mean that keeps its axes.
func meanOf(v *ir.Value) (x *ir.Value, axes []int) {
	if v == nil || v.Def() == nil {
		return nil, nil
	}
	r, ok := v.Def().Op.(ir.Reduce)
	if !ok || r.Fn != ir.ReduceMean || !r.KeepDims {
		return nil, nil
	}
	return v.Def().In[0], r.Axes
}
