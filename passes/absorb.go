package passes

import (
	"slices"

	"modelc/ir"
)

// absorbs reports whether the layers that compute v can compute v·scale+shift instead.
// scale and shift have one value per channel of v. absorbs looks through pools and
// concatenations whose operands have no other reader.
func absorbs(v *ir.Value, scale, shift []float64) bool {
	d := v.Def()
	if d == nil {
		return false
	}
	switch op := d.Op.(type) {
	case ir.Conv, ir.ConvTranspose, ir.Dense:
		_, isConv := op.(ir.Conv)
		return freeEpilogue(d) && d.Const(ir.Weights) != nil && d.ConstOrAbsent(ir.Bias) && !(isConv && d.Input(ir.ConvResidual) != nil)
	case ir.Pool, ir.Reduce:
		return commutes(d, scale, shift) && d.In[0].OnlyUse() == d && absorbs(d.In[0], scale, shift)
	case ir.Concat:
		if op.Axis != 1 {
			return false
		}
		at := 0
		for _, x := range d.In {
			n := x.Type.Shape[1]
			if x.OnlyUse() != d || !absorbs(x, scale[at:at+n], shift[at:at+n]) {
				return false
			}
			at += n
		}
		return true
	}
	return false
}

// commutes reports whether pooling x·scale+shift gives the pooled x, times scale, plus
// shift. An average commutes unless it counts zeros outside x. A maximum commutes unless a
// negative scale makes it a minimum.
func commutes(n *ir.Node, scale, shift []float64) bool {
	negative := func(x float64) bool { return x < 0 }
	nonzero := func(x float64) bool { return x != 0 }
	switch op := n.Op.(type) {
	case ir.Pool:
		if op.Indices || n.HasPrologue() {
			return false
		}
		switch op.Kind {
		case ir.MaxPool:
			return !slices.ContainsFunc(scale, negative)
		case ir.AvgPool:
			return !op.CountPad || !padded(op.Pads) || !slices.ContainsFunc(shift, nonzero)
		}
	case ir.Reduce:
		if slices.Contains(op.Axes, 0) || slices.Contains(op.Axes, 1) {
			return false
		}
		return op.Fn == ir.ReduceMean || op.Fn == ir.ReduceMax && !slices.ContainsFunc(scale, negative)
	}
	return false
}

// absorb makes the layers that compute v compute v·scale+shift. absorbs must hold for v. The
// layers then do the work of the nodes in chain.
func absorb(g *ir.Graph, v *ir.Value, scale, shift []float64, chain []*ir.Node) {
	d := v.Def()
	if onIntegers(d) {
		absorbIntoMultiplier(g, d, scale, shift, chain)
		return
	}
	switch op := d.Op.(type) {
	case ir.Conv:
		per := d.Const(ir.Weights).Shape[1:].Len()
		absorbInto(g, d, scale, shift, chain, func(i int) int { return i / per })
	case ir.ConvTranspose:
		// The weights are [C,M/groups,K…]. The group of an input channel determines
		// the output channels of its filters.
		w := d.Const(ir.Weights).Shape
		mg, ks, cg := w[1], w[2:].Len(), w[0]/op.Groups
		absorbInto(g, d, scale, shift, chain, func(i int) int { return i/(mg*ks)/cg*mg + i/ks%mg })
	case ir.Dense:
		k, m := op.KM(d.Const(ir.Weights).Shape)
		absorbInto(g, d, scale, shift, chain, func(i int) int {
			if op.TransW {
				return i / k
			}
			return i % m
		})
	case ir.Pool, ir.Reduce:
		absorb(g, d.In[0], scale, shift, chain)
	case ir.Concat:
		at := 0
		for _, x := range d.In {
			n := x.Type.Shape[1]
			absorb(g, x, scale[at:at+n], shift[at:at+n], chain)
			at += n
		}
	}
}

// absorbInto folds scale and shift into the weights and bias of n. Element i of
// the weights contributes to output channel channel(i).
func absorbInto(g *ir.Graph, n *ir.Node, scale, shift []float64, chain []*ir.Node, channel func(i int) int) {
	w := n.Const(ir.Weights)
	v := w.Float64s()
	for i := range v {
		v[i] *= scale[channel(i)]
	}
	g.SetInput(n, ir.Weights, g.AddConst(n.In[ir.Weights].Name+".folded", ir.FromFloat64s(w.Type, v)))
	absorbIntoBias(g, n, scale, shift, w.DType)
	n.Absorb(chain...)
}

// absorbIntoBias folds scale and shift into the bias of n, of type d.
func absorbIntoBias(g *ir.Graph, n *ir.Node, scale, shift []float64, d ir.DType) {
	bias := slices.Clone(shift)
	if b := n.Const(ir.Bias); b != nil {
		for i, x := range b.Float64s() {
			bias[i] += product(x, scale[i])
		}
	}
	g.SetInput(n, ir.Bias, g.AddConst(n.Out[0].Name+".bias", ir.FromFloat64s(ir.T(d, len(bias)), bias)))
}

// absorbIntoMultiplier folds scale and shift into the multiplier and bias of n, a layer on
// integers whose result is floats. A multiplier that is computed at run time, as in
// dynamically quantised models, is multiplied at run time.
func absorbIntoMultiplier(g *ir.Graph, n *ir.Node, scale, shift []float64, chain []*ir.Node) {
	at := ir.ConvMultiplier
	if _, ok := n.Op.(ir.Dense); ok {
		at = ir.DenseMultiplier
	}
	by := ir.FromFloat64s(ir.T(ir.Float32, len(scale)), scale)
	name := n.Out[0].Name + ".multiplier"
	if m := n.Const(at); m != nil {
		old, v := m.Float64s(), slices.Clone(scale)
		for i := range v {
			v[i] *= old[i%len(old)]
		}
		g.SetInput(n, at, g.AddConst(name, ir.FromFloat64s(by.Type, v)))
	} else {
		m, err := g.InsertBefore(n, name, ir.Binary{Fn: ir.Mul}, n.In[at], g.AddConst(name+".scale", by))
		if err != nil {
			panic(err) // impossible, a multiplier has one element or one per channel
		}
		g.SetInput(n, at, m.Out[0])
	}
	absorbIntoBias(g, n, scale, shift, ir.Float32)
	n.Absorb(chain...)
}

// product returns x·y, rounded. Without the conversion, Go may fuse the product
// with a sum on some processors, and weights would differ between machines.
func product(x, y float64) float64 { return float64(x * y) }
