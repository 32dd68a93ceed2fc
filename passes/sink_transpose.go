package passes

import (
	"cmp"
	"slices"

	"modelc/ir"
	"modelc/ir/eval"
)

// sinkTranspose moves transpositions towards the outputs: a node that reads a transposed
// value reads the value itself, and its result is transposed instead. Two transpositions that
// meet become one or cancel. A Dense layer over the channels of every pixel becomes a 1×1
// convolution. Networks with channels last have a transposition around every convolution.
// After the pass, none is left inside them but those in front of flattened operands of Dense
// layers: the back end orders the weights of such a layer for the untransposed operand.
//
// A transposition moves past element-wise nodes whose other operands are constants, have the
// same transposition, or keep the order of their elements when transposed, like a factor per
// channel [N,1,1,C]. It moves past Concat, Pad, Slice, Expand, Reduce, Softmax, Normalize,
// Resize, and reshapes that split axes or join axes that stay adjacent. Transpositions of a
// model input stay, because packing absorbs them. A transposition between a model input and a
// layer moves up over the nodes between.
//
// The pass does not change transpositions in front of other reshapes and matrix products.
func sinkTranspose(g *ir.Graph, _ *Config) (int, error) {
	s := sinker{g: g}
	for again := true; again; {
		again = false
		g.Prune() // replaced nodes still read their operands
		for _, n := range nodes(g) {
			if !slices.Contains(g.Nodes, n) {
				continue
			}
			moved, err := s.visit(n)
			if err != nil {
				return s.changed, err
			}
			if moved {
				s.changed++
				again = true
			}
		}
		if err := g.Sort(); err != nil {
			return s.changed, err
		}
	}
	return s.changed, nil
}

type sinker struct {
	g       *ir.Graph
	changed int
}

// sinkable returns the permutation of a transposed value, unless it is a
// transposed model input.
func sinkable(v *ir.Value) ([]int, bool) {
	p, ok := permOf(v)
	if !ok || v.Def().In[0].Def() == nil {
		return nil, false
	}
	return p, true
}

func (s *sinker) visit(n *ir.Node) (bool, error) {
	if t, ok := n.Op.(ir.Transpose); ok {
		return s.transposition(n, t)
	}
	if len(n.Out) != 1 || len(n.In) == 0 {
		return false, nil
	}
	if op, ok := n.Op.(ir.Dense); ok {
		return s.pointwise(n, op)
	}
	var perm []int
	for _, v := range n.In {
		if p, ok := sinkable(v); ok {
			perm = p
			break
		}
	}
	if perm == nil {
		return false, nil
	}
	op, outPerm, ok := below(n, perm)
	if !ok {
		return false, nil
	}
	in := make([]*ir.Value, len(n.In))
	for i, v := range n.In {
		if in[i], ok = s.before(v, perm, n); !ok {
			return false, nil
		}
	}
	m, err := s.g.InsertBefore(n, n.Name, op, in...)
	if err != nil {
		return false, err
	}
	m.Absorb(n)
	v := m.Out[0]
	moved := m // does the work of the transpositions above
	if !ir.IsIdentity(outPerm) {
		t, err := s.g.InsertBefore(n, n.Name, ir.Transpose{Perm: outPerm}, v)
		if err != nil {
			return false, err
		}
		v, moved = t.Out[0], t
	}
	for _, x := range n.In {
		if _, ok := sinkable(x); ok {
			moved.Absorb(x.Def())
		}
	}
	redirect(s.g, n, v)
	return true, nil
}

// before returns operand v of n before the permutation: the operand of a transposition, a
// constant permuted back, or v reshaped if that keeps the elements in order.
func (s *sinker) before(v *ir.Value, perm []int, n *ir.Node) (*ir.Value, bool) {
	if v == nil {
		return nil, true
	}
	if p, ok := permOf(v); ok && slices.Equal(p, perm) {
		return v.Def().In[0], true
	}
	if v.Type.Rank() > len(perm) {
		return nil, false
	}
	if v.Type.Shape.Len() == 1 && (v.Const != nil || v.Type.Rank() == 0) {
		return v, true
	}
	wide := slices.Concat(slices.Repeat(ir.Shape{1}, len(perm)-v.Type.Rank()), v.Type.Shape)
	if inv := ir.Inverse(perm); v.Const == nil && movesOnlyOnes(wide, inv) {
		return s.reshaped(v, ir.Permute(wide, inv), n), true
	}
	if v.Const == nil {
		return s.small(v, perm, n)
	}
	c, ok := transposed(v.Const.Reshaped(wide), ir.Inverse(perm))
	if !ok {
		return nil, false
	}
	return s.g.AddConst(v.Name+".transposed", c), true
}

// small is like before, for arithmetic on constants and on values whose elements a
// permutation keeps in order. It repeats the arithmetic on the operands permuted back.
func (s *sinker) small(v *ir.Value, perm []int, n *ir.Node) (*ir.Value, bool) {
	d := v.Def()
	if d == nil || v.Type.Rank() != len(perm) {
		return nil, false
	}
	if b, ok := d.Op.(ir.Binary); !ok || b.Fn.ResultBool() {
		return nil, false
	}
	in := make([]*ir.Value, len(d.In))
	for i, x := range d.In {
		ok := false
		if in[i], ok = s.before(x, perm, d); !ok {
			return nil, false
		}
	}
	m, err := s.g.InsertBefore(n, d.Name, d.Op, in...)
	if err != nil {
		return nil, false
	}
	m.Absorb(d)
	return m.Out[0], true
}

// reshaped returns v with another shape, computed in front of node at. It skips reshapes that
// compute v. The result does the work of those without other readers.
func (s *sinker) reshaped(v *ir.Value, shape ir.Shape, at *ir.Node) *ir.Value {
	var passed []*ir.Node
	for isReshape(v.Def()) {
		if v.OnlyUse() != nil {
			passed = append(passed, v.Def())
		}
		v = v.Def().In[0]
	}
	if v.Type.Shape.Equal(shape) {
		v.Def().Absorb(passed...)
		return v
	}
	m, err := s.g.InsertBefore(at, at.Name, ir.Reshape{Shape: shape}, v)
	if err != nil {
		panic(err) // impossible, the number of elements is the same
	}
	m.Absorb(passed...)
	return m.Out[0]
}

func transposed(t *ir.Tensor, perm []int) (*ir.Tensor, bool) {
	g := ir.NewGraph("")
	v, err := g.Emit("t", ir.Transpose{Perm: perm}, g.AddConst("c", t))
	if err != nil {
		return nil, false
	}
	return eval.Const(v)
}

// below returns the op that, on the untransposed operands, computes the result of n before a
// permutation, and that permutation.
func below(n *ir.Node, perm []int) (ir.Op, []int, bool) {
	axes := func(list []int) []int {
		out := make([]int, len(list))
		for i, a := range list {
			out[i] = perm[a]
		}
		slices.Sort(out)
		return out
	}
	// spread undoes the permutation of per-axis attributes.
	spread := func(list []int) []int {
		out := make([]int, len(list))
		for i, x := range list {
			out[perm[i]] = x
		}
		return out
	}
	if _, ok := n.Op.(ir.Reshape); ok {
		return reshapeBelow(n.In[0].Type.Shape, n.Out[0].Type.Shape, perm)
	}
	if n.Out[0].Type.Rank() != len(perm) {
		if r, ok := n.Op.(ir.Reduce); !ok || r.KeepDims {
			return nil, nil, false
		}
	}
	if ir.InfoOf(n.Op).Elementwise {
		return n.Op, perm, true
	}
	switch op := n.Op.(type) {
	case ir.Concat:
		op.Axis = perm[op.Axis]
		return op, perm, true
	case ir.Pad:
		r := len(perm)
		op.Pads = append(spread(op.Pads[:r]), spread(op.Pads[r:])...)
		return op, perm, true
	case ir.Slice:
		op.Start, op.Count, op.Step = spread(op.Start), spread(op.Count), spread(op.Step)
		return op, perm, true
	case ir.Expand:
		if n.In[0].Type.Rank() != len(perm) {
			return nil, nil, false
		}
		op.Shape = spread(op.Shape)
		return op, perm, true
	case ir.Softmax:
		op.Axes = axes(op.Axes)
		return op, perm, true
	case ir.Normalize:
		op.Axes = axes(op.Axes)
		return op, perm, true
	case ir.Resize:
		op.Shape = spread(op.Shape)
		scales := make([]float64, len(perm))
		for i, x := range op.Scales {
			scales[perm[i]] = x
		}
		op.Scales = scales
		return op, perm, true
	case ir.Reduce:
		reduced := op.Axes
		op.Axes = axes(op.Axes)
		if op.KeepDims {
			return op, perm, true
		}
		return op, squeezed(perm, reduced), true
	}
	return nil, nil, false
}

// reshapeBelow moves a transposition by perm, whose result has shape x, past a
// reshape to shape y. ok is false unless the axes that the reshape splits and
// joins lie side by side on both sides of the transposition and the batch stays
// the first axis.
func reshapeBelow(x, y ir.Shape, perm []int) (ir.Op, []int, bool) {
	parts, ok := splitReshape(x, y)
	if !ok {
		return nil, nil, false
	}
	// rank[a] counts the axes of more than one element in front of axis a of
	// the untransposed value.
	rank := make([]int, len(perm))
	wide := 0
	for a, i := range ir.Inverse(perm) {
		rank[a] = wide
		if x[i] != 1 {
			wide++
		}
	}
	for k := range parts {
		p := &parts[k]
		p.at = perm[p.x[0]]
		last := -1
		for _, i := range p.x {
			if x[i] == 1 {
				continue
			}
			if last < 0 {
				p.at = perm[i]
			} else if rank[perm[i]] != last+1 {
				return nil, nil, false
			}
			last = rank[perm[i]]
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.at, b.at) })
	var order []int // the axes of y, as they stand untransposed
	for _, p := range parts {
		order = append(order, p.y...)
	}
	if len(order) == 0 || order[0] != 0 {
		return nil, nil, false
	}
	return ir.Reshape{Shape: ir.Permute(y, order)}, ir.Inverse(order), true
}

// part is a piece of a reshape: consecutive axes x become the axes y, with the
// same number of elements.
type part struct {
	x, y []int
	at   int
}

// splitReshape splits a reshape into its smallest parts.
func splitReshape(x, y ir.Shape) ([]part, bool) {
	if x.Len() == 0 || len(x) == 0 || len(y) == 0 {
		return nil, false
	}
	var parts []part
	i, j := 0, 0
	for i < len(x) && j < len(y) {
		p := part{x: []int{i}, y: []int{j}}
		nx, ny := x[i], y[j]
		i, j = i+1, j+1
		for nx != ny {
			if nx < ny {
				p.x = append(p.x, i)
				nx *= x[i]
				i++
			} else {
				p.y = append(p.y, j)
				ny *= y[j]
				j++
			}
		}
		parts = append(parts, p)
	}
	last := &parts[len(parts)-1] // the remaining axes have extent one
	for ; i < len(x); i++ {
		last.x = append(last.x, i)
	}
	for ; j < len(y); j++ {
		last.y = append(last.y, j)
	}
	return parts, true
}

// squeezed returns the permutation that remains of perm without the axes of the
// result in reduced.
func squeezed(perm, reduced []int) []int {
	var left []int
	for i, p := range perm {
		if !slices.Contains(reduced, i) {
			left = append(left, p)
		}
	}
	order := slices.Sorted(slices.Values(left))
	for i, p := range left {
		left[i] = slices.Index(order, p)
	}
	return left
}

// transposition simplifies a transposition of a transposition or of axes of extent one. It
// moves a transposition up if a layer reads it.
func (s *sinker) transposition(n *ir.Node, t ir.Transpose) (bool, error) {
	x := n.In[0]
	if p, ok := permOf(x); ok {
		perm := make([]int, len(p))
		for i, a := range t.Perm {
			perm[i] = p[a]
		}
		src := x.Def().In[0]
		n.Absorb(x.Def())
		if ir.IsIdentity(perm) {
			replace(s.g, n, src)
			return true, nil
		}
		n.Op = ir.Transpose{Perm: perm}
		s.g.SetInput(n, 0, src)
		return true, nil
	}
	if ir.IsIdentity(t.Perm) {
		replace(s.g, n, x)
		return true, nil
	}
	if movesOnlyOnes(x.Type.Shape, t.Perm) {
		replace(s.g, n, s.reshaped(x, n.Out[0].Type.Shape, n))
		return true, nil
	}
	return s.hoist(n, t)
}

// movesOnlyOnes reports whether perm keeps the order of the axes with more than
// one element, and so the order of the elements.
func movesOnlyOnes(shape ir.Shape, perm []int) bool {
	last := -1
	for _, p := range perm {
		if shape[p] == 1 {
			continue
		}
		if p < last {
			return false
		}
		last = p
	}
	return true
}

// meetsLayer reports whether all readers of v are convolutions and pools, which
// no transposition moves past.
func meetsLayer(v *ir.Value) bool {
	for _, u := range v.Uses() {
		if u.Node == nil {
			return false
		}
		switch u.Node.Op.(type) {
		case ir.Conv, ir.ConvTranspose, ir.Pool:
		default:
			return false
		}
	}
	return true
}

// hoist moves a transposition in front of a layer up over all nodes between it and a model
// input: T(f(x)) = f′(T(x)).
func (s *sinker) hoist(n *ir.Node, t ir.Transpose) (bool, error) {
	x := n.In[0]
	if !meetsLayer(n.Out[0]) || isInput(x) || x.OnlyUse() != n || !liftable(x, t.Perm) {
		return false, nil
	}
	v, err := s.lift(x, t.Perm, n)
	if err != nil {
		return false, err
	}
	redirect(s.g, n, v)
	return true, nil
}

// isInput reports whether v is a model input or a transposed one.
func isInput(v *ir.Value) bool {
	if v.Const != nil {
		return false
	}
	_, isT := permOf(v)
	return v.Def() == nil || isT && v.Def().In[0].Def() == nil
}

// liftable reports whether v is computed from model inputs and constants by
// nodes that a transposition can move over and that have a single reader.
func liftable(v *ir.Value, perm []int) bool {
	if v.Const != nil {
		return v.Type.Rank() <= len(perm)
	}
	if v.Type.Rank() != len(perm) {
		return false
	}
	if isInput(v) {
		return true
	}
	d := v.Def()
	switch d.Op.(type) {
	case ir.Pad, ir.Slice, ir.Resize:
	default:
		if !ir.InfoOf(d.Op).Elementwise {
			return false
		}
	}
	if v.OnlyUse() == nil {
		return false
	}
	for _, in := range d.In {
		if !liftable(in, perm) {
			return false
		}
	}
	return true
}

// lift returns v transposed, computed in front of node at.
func (s *sinker) lift(v *ir.Value, perm []int, at *ir.Node) (*ir.Value, error) {
	inv := ir.Inverse(perm)
	if v.Const != nil {
		c, _ := s.before(v, inv, at) // liftable has checked the rank
		return c, nil
	}
	if isInput(v) {
		m, err := s.g.InsertBefore(at, at.Name, ir.Transpose{Perm: perm}, v)
		if err != nil {
			return nil, err
		}
		m.Absorb(at)
		return m.Out[0], nil
	}
	d := v.Def()
	op, _, _ := below(d, inv) // known for the ops that are liftable
	in := make([]*ir.Value, len(d.In))
	for i, x := range d.In {
		var err error
		if in[i], err = s.lift(x, perm, at); err != nil {
			return nil, err
		}
	}
	m, err := s.g.InsertBefore(at, d.Name, op, in...)
	if err != nil {
		return nil, err
	}
	m.Absorb(d)
	return m.Out[0], nil
}

// pointwise replaces a dense layer over the channels of each pixel of a
// transposed image by a 1×1 convolution. The layer is written as Reshape to
// [pixels, C], Dense, and Reshape to the image.
func (s *sinker) pointwise(n *ir.Node, op ir.Dense) (bool, error) {
	if n.Const(ir.Weights) == nil || !isReshape(n.In[0].Def()) {
		return false, nil
	}
	x := n.In[0].Def().In[0]
	perm, ok := sinkable(x)
	last := x.Type.Rank() - 1
	back := n.Out[0].OnlyUse()
	if !ok || last < 2 || perm[0] != 0 || perm[last] != 1 || back == nil || x.Type.Shape[last] != n.In[0].Type.Shape[1] {
		return false, nil
	}
	r, ok := back.Op.(ir.Reshape)
	k, m := op.KM(n.In[ir.Weights].Type.Shape)
	if !ok || !r.Shape.Equal(append(slices.Clone(x.Type.Shape[:last]), m)) {
		return false, nil
	}
	w := n.Const(ir.Weights)
	if !op.TransW {
		if w, ok = transposed(w, []int{1, 0}); !ok {
			return false, nil
		}
	}
	ones := slices.Repeat([]int{1}, last-1)
	in := []*ir.Value{x.Def().In[0], s.g.AddConst(n.In[ir.Weights].Name+".pointwise", w.Reshaped(append(ir.Shape{m, k}, ones...)))}
	in = append(in, n.Input(ir.Bias))
	if !op.Integer.IsZero() {
		in = append(in, make([]*ir.Value, 1+ir.ConvXZero-len(in))...)
		in[ir.ConvMultiplier], in[ir.ConvXZero] = n.Input(ir.DenseMultiplier), n.Input(ir.DenseXZero)
	}
	conv := ir.Conv{Strides: ones, Pads: make([]int, 2*(last-1)), Dilations: ones, Groups: 1, Epilogue: op.Epilogue, Integer: op.Integer}
	c, err := s.g.InsertBefore(n, n.Name, conv, in...)
	if err != nil {
		return false, err
	}
	t, err := s.g.InsertBefore(n, n.Name, ir.Transpose{Perm: perm}, c.Out[0])
	if err != nil {
		return false, err
	}
	c.Absorb(n.In[0].Def(), n, back)
	t.Absorb(x.Def())
	redirect(s.g, back, t.Out[0])
	return true, nil
}
