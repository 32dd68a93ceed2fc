package onnxfile

import (
	"fmt"

	"modelc/ir"
)

func (w *writer) quantize(op ir.Quantize) error {
	axis, err := w.axis()
	if err != nil {
		return err
	}
	w.versionFor(op.To)
	// The type of the zero point is that of the result.
	zero := w.along(ir.QuantizeZero, axis)
	if zero == "" {
		t := ir.T(op.To)
		if axis >= 0 {
			t = ir.T(op.To, w.n.In[0].Type.Shape[axis])
		}
		zero = w.constant("zero", ir.NewTensor(t))
	}
	w.last("QuantizeLinear", []string{w.in(0), w.along(ir.QuantizeScale, axis), zero}, axisAttr(axis)...)
	return nil
}

func (w *writer) dequantize() error {
	axis, err := w.axis()
	if err != nil {
		return err
	}
	w.versionFor(w.n.In[0].Type.DType)
	w.last("DequantizeLinear", []string{w.in(0), w.along(ir.QuantizeScale, axis), w.along(ir.QuantizeZero, axis)}, axisAttr(axis)...)
	return nil
}

// versionFor raises the versions of the model to the first with quantised numbers of type t.
func (w *writer) versionFor(t ir.DType) {
	if t.Size() == 2 {
		w.m.Opset, w.m.IRVersion = 21, 10
	}
}

func axisAttr(axis int) []Attribute {
	if axis < 0 {
		return nil
	}
	return []Attribute{Int("axis", axis)}
}

// axis returns the axis of x along which the scale and the zero point vary, −1 if they are
// one number.
func (w *writer) axis() (int, error) {
	axis, x := -1, w.n.In[0].Type
	for _, v := range w.n.In[ir.QuantizeScale:] {
		s := v.Type.Shape
		for i, d := range s {
			if at := x.Rank() - len(s) + i; d != 1 && axis >= 0 && axis != at {
				return 0, fmt.Errorf("ONNX has no scale or zero point %s for %s", v.Type, x)
			} else if d != 1 {
				axis = at
			}
		}
	}
	return axis, nil
}

// along returns the name of a scale or zero point in the shape that ONNX requires: one number,
// or one per position along the axis. It returns "" for an absent operand.
func (w *writer) along(i, axis int) string {
	v := w.n.Input(i)
	if v == nil {
		return ""
	}
	shape := ir.Shape{}
	if axis >= 0 {
		shape = ir.Shape{w.n.In[0].Type.Shape[axis]}
	}
	switch s := v.Type.Shape; {
	case s.Equal(shape):
		return w.in(i)
	case v.Const != nil && s.Len() == shape.Len():
		name := w.unique(v.Name)
		w.m.Weights = append(w.m.Weights, Constant(name, v.Const.Reshaped(shape)))
		return name
	case s.Len() == shape.Len():
		return w.step("Reshape", []string{w.in(i), w.ints("shape", shape...)})
	}
	scalar := w.step("Reshape", []string{w.in(i), w.ints("scalar")})
	return w.step("Expand", []string{scalar, w.ints("shape", shape...)})
}
