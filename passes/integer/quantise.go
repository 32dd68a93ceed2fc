package integer

import (
	"fmt"
	"math"
	"slices"

	"modelc/ir"
)

// quantise makes n, a Quantize, and the nodes that compute its operand one node on integers.
func (f *former) quantise(n *ir.Node) error {
	if _, ok := n.Op.(ir.Quantize); !ok {
		return nil
	}
	s, why := schemeOf(n)
	if why != "" {
		f.explain(n.In[0].Def(), why)
		return nil
	}
	for _, try := range []func(*ir.Node, scheme) (bool, error){f.moveQuantised, f.function, f.result} {
		if done, err := try(n, s); done || err != nil {
			return err
		}
	}
	return nil
}

// result replaces n, a Quantize, by a node on integers that does the arithmetic of the node
// whose result n quantises. Between them may be activations Relu and Clip, which become a
// range of the integers.
//
// It is legal if no other node reads the values between them.
func (f *former) result(n *ir.Node, s scheme) (bool, error) {
	c := full(s.dtype)
	var passed []*ir.Node
	reader, d := n, n.In[0].Def()
	// narrow applies an activation to the integers.
	narrow := func(a ir.Act) bool {
		inner, ok := clampOf(a, s)
		if ok {
			c = c.after(inner)
		}
		return ok
	}
	for ; ; reader, d = d, d.In[0].Def() {
		if d == nil {
			return false, nil
		}
		if reader.In[0].OnlyUse() != reader {
			f.explain(d, fmt.Sprintf("%s is quantised, but it is also a float result that something else reads", reader.In[0]))
			return false, nil
		}
		a, ok := act(d)
		if !ok {
			break
		}
		if !narrow(a) {
			f.explain(d, notQuantised)
			return false, nil
		}
		passed = append(passed, d)
	}
	if a, ok := ir.Epilogue(d.Op); ok && !narrow(a) {
		f.explain(d, fmt.Sprintf("between its sums and the quantised result is %s", a.Fn))
		return false, nil
	}
	by := append(passed, d)
	var why string
	var err error
	switch op := d.Op.(type) {
	case ir.Conv, ir.Dense:
		why, err = f.layer(n, d, s, c, by)
	case ir.Binary:
		why, err = f.arithmetic(n, d, op, s, c, by)
	case ir.Pool, ir.Reduce:
		why, err = f.average(n, d, s, c, by)
	default:
		return false, nil
	}
	if why != "" {
		f.explain(d, why)
	}
	return why == "", err
}

// arithmetic replaces a sum or product of two quantised tensors by [ir.QBinary].
func (f *former) arithmetic(n, d *ir.Node, op ir.Binary, s scheme, c clamp, by []*ir.Node) (why string, err error) {
	if op.Fn != ir.Add && op.Fn != ir.Mul {
		return fmt.Sprintf("%s has no integer form", op.Fn), nil
	}
	a, why := dequantised(d.In[0])
	if why != "" {
		return why, nil
	}
	b, why := dequantised(d.In[1])
	if why != "" {
		return why, nil
	}
	q := ir.QBinary{Fn: op.Fn, To: s.dtype, AZero: a.zero, BZero: b.zero, YZero: s.zero, Lo: c.lo, Hi: c.hi}
	if op.Fn == ir.Add {
		q.AScale, q.BScale = float64(a.scale/s.scale), float64(b.scale/s.scale)
	} else {
		product := a.scale * b.scale
		q.AScale = float64(product / s.scale)
	}
	for _, m := range []float64{q.AScale, q.BScale} {
		if math.IsInf(m, 0) || m == 0 && (op.Fn == ir.Add || m == q.AScale) {
			return fmt.Sprintf("the quotient of the scales %g, %g and %g is outside the range of float32", a.scale, b.scale, s.scale), nil
		}
	}
	return "", f.become(n, q, by, a.Value, b.Value)
}

// average replaces the average of a quantised tensor over windows or over all positions by
// [ir.QAveragePool].
//
// It is legal if the sums of a window fit 32 bits. The pass does not change averages over
// channels or examples.
func (f *former) average(n, d *ir.Node, s scheme, c clamp, by []*ir.Node) (why string, err error) {
	if c != full(s.dtype) {
		return "an activation between an average and the quantised result", nil
	}
	x, why := dequantised(d.In[0])
	if why != "" {
		return why, nil
	}
	q := ir.QAveragePool{To: s.dtype, XScale: float64(x.scale), YScale: float64(s.scale), XZero: x.zero, YZero: s.zero}
	var shape ir.Shape // of the result, if it lacks axes
	switch op := d.Op.(type) {
	case ir.Pool:
		if op.Kind != ir.AvgPool || d.HasPrologue() {
			return fmt.Sprintf("%s has no integer form", ir.Label(op)), nil
		}
		q.Kernel, q.Strides, q.Pads, q.Extra, q.Dilations, q.CountPad = op.Kernel, op.Strides, op.Pads, op.Extra, op.Dilations, op.CountPad
		if !op.CountPad && !touches(op, x.Type.Shape[2:], d.Out[0].Type.Shape[2:]) {
			return "a window lies outside the operand", nil
		}
	case ir.Reduce:
		r := x.Type.Rank()
		if op.Fn != ir.ReduceMean || r < 3 || !slices.Equal(op.Axes, ir.SpatialAxes(r)) {
			return fmt.Sprintf("%s over axes %v has no integer form", ir.Label(op), op.Axes), nil
		}
		q.Kernel = slices.Clone(x.Type.Shape[2:])
		q.Strides, q.Dilations, q.Pads = slices.Repeat([]int{1}, r-2), slices.Repeat([]int{1}, r-2), make([]int, 2*(r-2))
		if !op.KeepDims {
			shape = n.Out[0].Type.Shape
		}
	}
	if size := ir.Shape(q.Kernel).Len(); size == 0 || size > math.MaxInt32/math.MaxUint8 {
		return fmt.Sprintf("an average of %d elements", size), nil
	}
	if shape == nil {
		return "", f.become(n, q, by, x.Value)
	}
	pool, err := f.g.InsertBefore(n, d.Name, q, x.Value)
	if err != nil {
		return "", err
	}
	return "", f.become(n, ir.Reshape{Shape: shape}, by, pool.Out[0])
}
