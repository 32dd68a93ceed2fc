package integer

import (
	"fmt"
	"math"

	"modelc/ir"
	"modelc/ir/eval"
)

// Recognise replaces quantisation and dequantisation written as arithmetic by Quantize and
// Dequantize, and returns the number of changed places. PyTorch's exporters write them so:
//
//	cast(clip(round(x/s) + z, lo, hi))     Quantize
//	cast(clip(round(x·(1/s)) + z, lo, hi)) Quantize
//	(float(q) − z)·s                       Dequantize
//	(clip(round(x/s) + z, lo, hi) − z)·s   Quantize, Dequantize
//
// Sums with z = 0 and factors of 1 may be absent. A clip may be a maximum and a minimum. A
// range narrower than that of the integers becomes a table.
//
// It is legal if s is a positive constant, z, lo and hi are integers of 8 bits in order, and
// the float is f32. s may have one element for each channel of a Dequantize. Quantisation by a
// product differs from that by a division by at most one step, where the quotient is next to
// a tie.
func Recognise(g *ir.Graph) (changed int, err error) {
	r := recogniser{g: g}
	for _, n := range append([]*ir.Node(nil), g.Nodes...) {
		if len(n.Out) != 1 || !isRead(n) {
			continue
		}
		for _, try := range []func(*ir.Node) (bool, error){r.cast, r.product} {
			done, err := try(n)
			if err != nil {
				return changed, fmt.Errorf("%s: %w", n, err)
			}
			if done {
				changed++
				break
			}
		}
	}
	g.Prune()
	return changed, nil
}

type recogniser struct{ g *ir.Graph }

// cast replaces n, a Cast of a rounded and clipped number to integers, or of integers to
// floats, of which no product follows.
func (r recogniser) cast(n *ir.Node) (bool, error) {
	c, ok := n.Op.(ir.Cast)
	if !ok || c.To != ir.Uint8 && c.To != ir.Int8 {
		return false, nil
	}
	p, ok := stepsOf(n.In[0])
	if !ok || !p.fits(c.To) {
		return false, nil
	}
	q, err := r.quantize(n, p, c.To)
	if err != nil {
		return false, err
	}
	r.replace(n, q, p.nodes)
	return true, nil
}

// product replaces n, the product of a scale and integers as floats, perhaps with their zero
// point subtracted.
func (r recogniser) product(n *ir.Node) (bool, error) {
	x, s, ok := constantOperand(n, ir.Mul)
	if !ok || n.Out[0].Type.DType != ir.Float32 || !n.Out[0].Type.Shape.Equal(x.Type.Shape) {
		return false, nil
	}
	for _, e := range s.Float64s() {
		if !(e > 0) || math.IsInf(e, 0) {
			return false, nil
		}
	}
	nodes := []*ir.Node{n}
	zero := 0.0
	if d := x.Def(); d != nil {
		if y, z, ok := constantOperand(d, ir.Sub); ok && z.Shape.Len() == 1 && y.Type.Shape.Equal(x.Type.Shape) {
			x, zero = y, z.Float64s()[0]
			nodes = append(nodes, d)
		}
	}
	d := x.Def()
	if d == nil {
		return false, nil
	}
	var q *ir.Value
	if _, ok := d.Op.(ir.Cast); ok && d.In[0].Type.DType.IsInt() {
		q = d.In[0]
		nodes = append(nodes, d)
	} else if p, ok := stepsOf(x); ok && s.Shape.Len() == 1 {
		to := ir.Uint8
		if !p.fits(to) {
			to = ir.Int8
		}
		if !p.fits(to) || !inRange(to, zero) {
			return false, nil
		}
		var err error
		if q, err = r.quantize(n, p, to); err != nil {
			return false, err
		}
		nodes = append(nodes, p.nodes...)
	} else {
		return false, nil
	}
	to := q.Type.DType
	if to != ir.Uint8 && to != ir.Int8 || !inRange(to, zero) {
		return false, nil
	}
	v, err := r.g.InsertBefore(n, n.Name, ir.Dequantize{}, q, r.g.AddConst(n.Out[0].Name+".scale", s), r.zero(n, to, zero))
	if err != nil {
		return false, err
	}
	r.replace(n, v.Out[0], nodes)
	return true, nil
}

// quantize adds a Quantize for p in front of n.
func (r recogniser) quantize(n *ir.Node, p steps, to ir.DType) (*ir.Value, error) {
	scale := r.g.AddConst(n.Out[0].Name+".scale", ir.TensorOf(ir.Shape{}, p.scale))
	q, err := r.g.InsertBefore(n, n.Name, ir.Quantize{To: to}, p.x, scale, r.zero(n, to, p.zero))
	if err != nil {
		return nil, err
	}
	lo, hi := to.Range()
	q.Absorb(p.nodes...)
	if p.lo <= float64(lo) && p.hi >= float64(hi) {
		return q.Out[0], nil
	}
	table := make([]int64, hi-lo+1)
	for i := range table {
		table[i] = min(max(int64(lo+i), int64(p.lo)), int64(p.hi))
	}
	l, err := r.g.InsertBefore(n, n.Name, ir.Lookup{}, q.Out[0], r.g.AddConst(n.Out[0].Name+".table", ir.FromInt64s(ir.T(to, len(table)), table)))
	if err != nil {
		return nil, err
	}
	return l.Out[0], nil
}

// zero returns a zero point as a constant, or nil for 0.
func (r recogniser) zero(n *ir.Node, d ir.DType, zero float64) *ir.Value {
	if zero == 0 {
		return nil
	}
	return r.g.AddConst(n.Out[0].Name+".zero", ir.FromFloat64s(ir.T(d), []float64{zero}))
}

// replace lets readers of n read v, under the name of the result of n.
func (r recogniser) replace(n *ir.Node, v *ir.Value, nodes []*ir.Node) {
	v.Def().Absorb(n)
	v.Def().Absorb(nodes...)
	name := n.Out[0].Name
	r.g.ReplaceUses(n.Out[0], v)
	r.g.Remove(n)
	r.g.Rename(v, name)
}

// steps is clip(round(x/scale) + zero, lo, hi).
type steps struct {
	x            *ir.Value
	scale        float32
	zero, lo, hi float64
	nodes        []*ir.Node
}

// fits reports whether the range and the zero point of p are integers of type d.
func (p steps) fits(d ir.DType) bool {
	return inRange(d, p.lo) && inRange(d, p.hi) && inRange(d, p.zero) && p.lo <= p.hi
}

// inRange reports whether x is an integer of type d.
func inRange(d ir.DType, x float64) bool {
	lo, hi := d.Range()
	return x == math.Trunc(x) && x >= float64(lo) && x <= float64(hi)
}

// stepsOf returns how v rounds and clips.
func stepsOf(v *ir.Value) (p steps, ok bool) {
	if v.Type.DType != ir.Float32 {
		return p, false
	}
	p = steps{scale: 1, lo: math.Inf(-1), hi: math.Inf(1)}
	follow := func(y *ir.Value, d *ir.Node) bool {
		if !y.Type.Equal(v.Type) {
			return false
		}
		p.nodes = append(p.nodes, d)
		v = y
		return v.Def() != nil
	}
	for d := v.Def(); d != nil; d = v.Def() {
		y, lo, hi, ok := bounds(d)
		if !ok {
			break
		}
		// The range of this clip, after those below it.
		p.lo, p.hi = min(max(lo, p.lo), p.hi), min(max(hi, p.lo), p.hi)
		if !follow(y, d) {
			return p, false
		}
	}
	d := v.Def()
	if d == nil {
		return p, false
	}
	if y, z, ok := constantOperand(d, ir.Add); ok && z.Shape.Len() == 1 {
		p.zero = z.Float64s()[0]
		if !follow(y, d) {
			return p, false
		}
		d = v.Def()
	}
	if a, ok := act(d); !ok || a.Fn != ir.Round {
		return p, false
	}
	p.x = d.In[0]
	p.nodes = append(p.nodes, d)
	if d = p.x.Def(); d == nil {
		return p, true
	}
	if y, s, ok := constantOperand(d, ir.Div); ok && s.Shape.Len() == 1 && isScale(s.Float64s()[0]) && y.Type.Equal(v.Type) {
		p.x, p.scale = y, float32(s.Float64s()[0])
		p.nodes = append(p.nodes, d)
	} else if y, s, ok := constantOperand(d, ir.Mul); ok && s.Shape.Len() == 1 && y.Type.Equal(v.Type) {
		if by, ok := inverse(float32(s.Float64s()[0])); ok {
			p.x, p.scale = y, by
			p.nodes = append(p.nodes, d)
		}
	}
	return p, true
}

// bounds returns the operand and the range of d, if it limits floats to a range.
func bounds(d *ir.Node) (x *ir.Value, lo, hi float64, ok bool) {
	lo, hi = math.Inf(-1), math.Inf(1)
	if a, isAct := act(d); isAct {
		switch a.Fn {
		case ir.Clip:
			return d.In[0], a.Alpha, a.Beta, a.Alpha <= a.Beta
		case ir.Relu:
			return d.In[0], 0, hi, true
		}
		return nil, 0, 0, false
	}
	if x, c, ok := constantOperand(d, ir.Max); ok && c.Shape.Len() == 1 {
		return x, c.Float64s()[0], hi, true
	}
	if x, c, ok := constantOperand(d, ir.Min); ok && c.Shape.Len() == 1 {
		return x, lo, c.Float64s()[0], true
	}
	return nil, 0, 0, false
}

// constantOperand returns the operands of n if it applies fn to a value and a constant. For
// Sub and Div the constant comes second.
func constantOperand(n *ir.Node, fn ir.BinaryFn) (x *ir.Value, c *ir.Tensor, ok bool) {
	b, isBinary := n.Op.(ir.Binary)
	if !isBinary || b.Fn != fn || !b.Epilogue.IsIdentity() {
		return nil, nil, false
	}
	for i := 1; i >= 0; i-- {
		if i == 0 && (fn == ir.Sub || fn == ir.Div) {
			break
		}
		if c, ok := eval.Const(n.In[i]); ok {
			return n.In[1-i], c, true
		}
	}
	return nil, nil, false
}

// isScale reports whether s is a positive finite number.
func isScale(s float64) bool { return s > 0 && !math.IsInf(s, 0) }

// inverse returns the number whose reciprocal in float32 is c.
func inverse(c float32) (float32, bool) {
	s := 1 / c
	for _, s := range []float32{s, math.Nextafter32(s, 0), math.Nextafter32(s, math.MaxFloat32)} {
		if isScale(float64(s)) && 1/s == c {
			return s, true
		}
	}
	return 0, false
}
