package integer

import (
	"slices"

	"modelc/ir"
)

// moveDequantised lets a node that moves elements move the integers: its dequantised
// operands become their integers, and its result is dequantised.
//
// It is legal if all operands have one scheme, and if a constant that the node adds is a
// number that an integer of the scheme stands for. The nodes are those of movement.
func (f *former) moveDequantised(n *ir.Node) error {
	m, ok := movement(n)
	if !ok {
		return nil
	}
	in := slices.Clone(n.In)
	var s scheme
	var dq *ir.Node
	for _, i := range m.data {
		x, why := dequantised(n.In[i])
		if why != "" || dq != nil && x.scheme != s {
			return nil
		}
		in[i], s, dq = x.Value, x.scheme, n.In[i].Def()
	}
	op, ok := m.on(s, func(v float64) (int, bool) { return s.holds(v) })
	if !ok {
		return nil
	}
	var above []*ir.Node
	for _, i := range m.data {
		above = append(above, n.In[i].Def())
	}
	old := slices.Clone(n.In)
	n.Op = op
	f.g.SetInputs(n, in...)
	f.sweep(old)
	if err := f.g.Retype(n); err != nil {
		return err
	}
	readers := slices.Clone(n.Out[0].Uses())
	back, err := f.g.InsertAfter(n, n.Name, ir.Dequantize{}, n.Out[0], f.single(dq.In[ir.QuantizeScale]), f.single(dq.Input(ir.QuantizeZero)))
	if err != nil {
		return err
	}
	back.Absorb(above...)
	for _, u := range readers {
		if u.Node == nil {
			f.g.SetOutput(u.Index, back.Out[0])
		} else {
			f.g.SetInput(u.Node, u.Index, back.Out[0])
		}
	}
	f.moved[n] = true
	f.changed++
	return nil
}

// moveQuantised lets n, a Quantize of moved elements, move quantised elements instead.
//
// It is legal if no other node reads the moved elements. Each operand must have no other
// reader, or be dequantised or constant, because otherwise more elements would be quantised
// than before. The nodes are those of movement.
func (f *former) moveQuantised(n *ir.Node, s scheme) (done bool, err error) {
	d := n.In[0].Def()
	if d == nil || n.In[0].OnlyUse() != n {
		return false, nil
	}
	m, ok := movement(d)
	if !ok {
		return false, nil
	}
	for _, i := range m.data {
		if v := d.In[i]; v.OnlyUse() != d && v.Const == nil && !isDequantize(v) {
			return false, nil
		}
	}
	op, ok := m.on(s, func(v float64) (int, bool) { return s.quantise(v), true })
	if !ok {
		return false, nil
	}
	in := slices.Clone(d.In)
	quantize, scale, zero := n.Op, f.single(n.In[ir.QuantizeScale]), f.single(n.Input(ir.QuantizeZero))
	var fresh []*ir.Node
	for _, i := range m.data {
		q, err := f.g.InsertBefore(n, n.Name, quantize, d.In[i], scale, zero)
		if err != nil {
			return false, err
		}
		q.Absorb(n)
		in[i] = q.Out[0]
		fresh = append(fresh, q)
	}
	if err := f.become(n, op, []*ir.Node{d}, in...); err != nil {
		return false, err
	}
	for _, q := range fresh {
		if err := f.quantise(q); err != nil {
			return false, err
		}
	}
	return true, nil
}

// single returns v, a scale or zero point whose elements are equal, as one number. The shape of v
// fits the tensor that it was written for, but perhaps not the one before or after a move.
func (f *former) single(v *ir.Value) *ir.Value {
	if v == nil || v.Type.Shape.Len() == 1 && len(v.Type.Shape) <= 1 {
		return v
	}
	e, _ := uniform(v)
	return f.g.AddConst(v.Name, ir.FromFloat64s(ir.Type{DType: v.Type.DType}, []float64{e}))
}

// mover is a node whose result has elements of operands, and perhaps a constant.
type mover struct {
	op   ir.Op
	data []int // the operands whose elements the result has
}

// movement returns how n moves elements. ok is false if n computes, or reads its operand
// through a prologue. A maximum over windows moves elements, because quantisation is
// monotonic, unless a window lies outside x.
func movement(n *ir.Node) (m mover, ok bool) {
	if len(n.Out) != 1 || !n.Out[0].Type.DType.IsFloat() {
		return m, false
	}
	m = mover{n.Op, []int{0}}
	switch op := n.Op.(type) {
	case ir.Reshape, ir.Transpose, ir.Slice, ir.Expand, ir.Gather, ir.Pad:
	case ir.Concat, ir.Interleave:
		m.data = m.data[:0]
		for i := range n.In {
			m.data = append(m.data, i)
		}
	case ir.Where:
		m.data = []int{ir.WhereA, ir.WhereB}
	case ir.Pool:
		return m, op.Kind == ir.MaxPool && !n.HasPrologue() && touches(op, n.In[0].Type.Shape[2:], n.Out[0].Type.Shape[2:])
	case ir.Reduce:
		return m, (op.Fn == ir.ReduceMax || op.Fn == ir.ReduceMin) && n.In[0].Type.Shape.Len() > 0
	case ir.Resize:
		return m, op.Mode == ir.ResizeNearest && op.Region == nil && !op.Antialias
	default:
		return m, false
	}
	return m, true
}

// on returns the op for elements of scheme s. integer returns the integer for a constant.
func (m mover) on(s scheme, integer func(float64) (int, bool)) (ir.Op, bool) {
	p, ok := m.op.(ir.Pad)
	if !ok || p.Mode != ir.PadConstant {
		return m.op, true
	}
	v, ok := integer(p.Value)
	p.Value = float64(v)
	return p, ok
}

// touches reports whether every window of p has an element inside x.
func touches(p ir.Pool, x, y ir.Shape) bool {
	for a := range x {
		for o := range y[a] {
			inside := false
			for k := range p.Kernel[a] {
				at := o*p.Strides[a] - p.Pads[a] + k*p.Dilations[a]
				inside = inside || at >= 0 && at < x[a]
			}
			if !inside {
				return false
			}
		}
	}
	return true
}
