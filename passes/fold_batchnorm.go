package passes

import (
	"math"
	"slices"

	"modelc/ir"
)

// foldBatchNorm folds per-channel arithmetic with constants: batch
// normalisation, affine steps, and additions, subtractions, multiplications and
// divisions by one value per channel or one value for all (the scales and biases
// of Caffe, Keras' Rescaling and Normalization).
//
// A chain of them, which computes x·s+t, folds
//
//   - into the Conv, ConvTranspose or Dense in front of it: w·s, b·s+t. It is
//     legal if the result of that layer and the links of the chain have no other
//     reader, and the layer has constant weights and no epilogue or residual.
//     The layer may have groups. If it computes on integers, its result must be
//     floats, and its multiplier and bias change.
//     The chain folds through pools, means and concatenations that commute with
//     it (absorb.go).
//   - into the Conv behind it: w·s for the channels that the weights read, b+Σw·t.
//     A shift folds only into a convolution without zero padding, because padding
//     comes after the shift.
//   - otherwise into one Affine, which fuse_prologue and fuse_activation attach to
//     its neighbours.
//
// Weights are computed in float64 and rounded once. The pass does not change chains whose
// factors are not finite, as with a variance of −ε, or values that are graph outputs or
// have several readers.
func foldBatchNorm(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if !slices.Contains(g.Nodes, n) {
			continue // removed with its chain
		}
		c, ok := chainFrom(n)
		if !ok {
			continue
		}
		switch {
		case c.foldBack(g):
		case c.foldForward(g):
		case c.worthAffine():
			if err := c.makeAffine(g); err != nil {
				return changed, err
			}
		default:
			continue
		}
		changed += len(c.nodes)
	}
	return changed, nil
}

// chain is a sequence of per-channel arithmetic that computes x·scale+shift.
type chain struct {
	nodes        []*ir.Node
	x            *ir.Value
	scale, shift []float64
}

// chainFrom returns the longest chain that starts at n. It returns false if n continues a
// chain.
func chainFrom(n *ir.Node) (*chain, bool) {
	x, scale, shift, ok := affineOf(n)
	if !ok {
		return nil, false
	}
	if d := x.Def(); d != nil && x.OnlyUse() == n {
		if _, _, _, before := affineOf(d); before {
			return nil, false
		}
	}
	c := &chain{nodes: []*ir.Node{n}, x: x, scale: scale, shift: shift}
	for {
		last := c.nodes[len(c.nodes)-1]
		next := last.Out[0].OnlyUse()
		if next == nil {
			break
		}
		in, s, t, ok := affineOf(next)
		if !ok || in != last.Out[0] {
			break
		}
		for i := range c.scale {
			c.scale[i], c.shift[i] = c.scale[i]*s[i], product(c.shift[i], s[i])+t[i]
		}
		c.nodes = append(c.nodes, next)
	}
	for i := range c.scale {
		if !finite(c.scale[i]) || !finite(c.shift[i]) {
			return nil, false
		}
	}
	return c, true
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// affineOf returns x, scale and shift if n computes x·scale+shift per channel.
func affineOf(n *ir.Node) (x *ir.Value, scale, shift []float64, ok bool) {
	if len(n.In) == 0 || n.In[0] == nil || len(n.Out) != 1 || !n.Out[0].Type.DType.IsFloat() || n.Out[0].Type.Rank() < 2 {
		return nil, nil, nil, false
	}
	channels := n.Out[0].Type.Shape[1]
	switch op := n.Op.(type) {
	case ir.BatchNorm:
		gamma, beta, mean, variance := n.Const(ir.BatchNormScale), n.Const(ir.BatchNormBias), n.Const(ir.BatchNormMean), n.Const(ir.BatchNormVar)
		if gamma == nil || beta == nil || mean == nil || variance == nil {
			return nil, nil, nil, false
		}
		mu, v := mean.Float64s(), variance.Float64s()
		scale, shift = gamma.Float64s(), beta.Float64s()
		for i := range scale {
			scale[i] /= math.Sqrt(v[i] + op.Epsilon)
			shift[i] -= product(mu[i], scale[i])
		}
		return n.In[0], scale, shift, true
	case ir.Affine:
		s, t := n.Const(ir.AffineScale), n.Const(ir.AffineShift)
		if !op.Epilogue.IsIdentity() || s == nil || t == nil {
			return nil, nil, nil, false
		}
		return n.In[0], s.Float64s(), t.Float64s(), true
	case ir.Binary:
		return affineBinary(n, op, channels)
	}
	return nil, nil, nil, false
}

func affineBinary(n *ir.Node, op ir.Binary, channels int) (x *ir.Value, scale, shift []float64, ok bool) {
	if !op.Epilogue.IsIdentity() || op.Fn > ir.Div {
		return nil, nil, nil, false
	}
	x, c := n.In[0], n.In[1]
	swapped := false
	if x.Const != nil {
		x, c, swapped = c, x, true
	}
	if x.Const != nil || c.Const == nil || !x.Type.Equal(n.Out[0].Type) || swapped && op.Fn == ir.Div {
		return nil, nil, nil, false
	}
	v, ok := perChannel(c.Const, x.Type.Shape)
	if !ok {
		return nil, nil, nil, false
	}
	scale, shift = make([]float64, channels), make([]float64, channels)
	for i := range scale {
		switch op.Fn {
		case ir.Add:
			scale[i], shift[i] = 1, v[i]
		case ir.Sub:
			scale[i], shift[i] = 1, -v[i]
			if swapped {
				scale[i], shift[i] = -1, v[i]
			}
		case ir.Mul:
			scale[i] = v[i]
		case ir.Div:
			scale[i] = 1 / v[i]
		}
	}
	return x, scale, shift, true
}

// perChannel returns the C values of a constant that broadcasts to x [N,C,…] with one value
// per channel or one value for all channels.
func perChannel(t *ir.Tensor, x ir.Shape) ([]float64, bool) {
	if !ir.PerChannel(t.Shape, x) {
		return nil, false
	}
	v := t.Float64s()
	out := make([]float64, x[1])
	for i := range out {
		out[i] = v[i%len(v)]
	}
	return out, true
}

// end is the value that the chain computes.
func (c *chain) end() *ir.Value { return c.nodes[len(c.nodes)-1].Out[0] }

// remove makes the readers of the chain read v instead.
func (c *chain) remove(g *ir.Graph, v *ir.Value) {
	g.ReplaceUses(c.end(), v)
	for i := len(c.nodes) - 1; i >= 0; i-- {
		g.Remove(c.nodes[i])
	}
}

// foldBack folds the chain into the layers in front of it.
func (c *chain) foldBack(g *ir.Graph) bool {
	if c.x.OnlyUse() != c.nodes[0] || !absorbs(c.x, c.scale, c.shift) {
		return false
	}
	absorb(g, c.x, c.scale, c.shift, c.nodes)
	c.remove(g, c.x)
	return true
}

// foldForward folds the chain into the convolution behind it.
func (c *chain) foldForward(g *ir.Graph) bool {
	next := c.end().OnlyUse()
	if next == nil || next.In[0] != c.end() {
		return false
	}
	op, ok := next.Op.(ir.Conv)
	if !ok || next.HasPrologue() || next.Const(ir.Weights) == nil || !next.ConstOrAbsent(ir.Bias) {
		return false
	}
	if padded(op.Pads) {
		for _, t := range c.shift {
			if t != 0 {
				return false
			}
		}
	}
	w := next.Const(ir.Weights)
	v := w.Float64s()
	cg, ks := w.Shape[1], w.Shape[2:].Len()
	mg := w.Shape[0] / op.Groups
	bias := make([]float64, w.Shape[0])
	if b := next.Const(ir.Bias); b != nil {
		copy(bias, b.Float64s())
	}
	for i := range v {
		m, ch := i/(cg*ks), i/ks%cg
		in := m/mg*cg + ch
		bias[m] += product(v[i], c.shift[in])
		v[i] *= c.scale[in]
	}
	g.SetInput(next, ir.Weights, g.AddConst(next.In[ir.Weights].Name+".folded", ir.FromFloat64s(w.Type, v)))
	g.SetInput(next, ir.Bias, g.AddConst(next.Out[0].Name+".bias", ir.FromFloat64s(ir.T(w.DType, len(bias)), bias)))
	next.Absorb(c.nodes...)
	c.remove(g, c.x)
	return true
}

// worthAffine reports whether one Affine is better than the chain. That is so for batch
// normalisation, for chains of several links, and for images, whose readers may absorb the
// Affine.
func (c *chain) worthAffine() bool {
	if _, ok := c.nodes[0].Op.(ir.Affine); ok && len(c.nodes) == 1 {
		return false
	}
	if _, ok := c.nodes[0].Op.(ir.BatchNorm); ok || len(c.nodes) > 1 {
		return true
	}
	r := c.x.Type.Rank()
	return (r == 3 || r == 4) && c.x.Type.DType == ir.Float32
}

func (c *chain) makeAffine(g *ir.Graph) error {
	t := ir.T(c.x.Type.DType, len(c.scale))
	s := g.AddConst(c.end().Name+".scale", ir.FromFloat64s(t, c.scale))
	h := g.AddConst(c.end().Name+".shift", ir.FromFloat64s(t, c.shift))
	n, err := g.InsertAfter(c.nodes[len(c.nodes)-1], c.nodes[0].Name, ir.Affine{}, c.x, s, h)
	if err != nil {
		return err
	}
	n.Absorb(c.nodes...)
	c.remove(g, n.Out[0])
	return nil
}
