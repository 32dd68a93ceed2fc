package onnx

import (
	"fmt"

	"modelc/ir"
)

var _ = register("linear algebra", map[string]operator{
	"Gemm":   {build: gemm},
	"MatMul": {build: matMul},
})

// gemm is alpha·A'·B' + beta·C. With constant weights and a bias per column it
// is a Dense layer.
func gemm(n *node) ([]*ir.Value, error) {
	a, err := n.need(0)
	if err != nil {
		return nil, err
	}
	b, err := n.need(1)
	if err != nil {
		return nil, err
	}
	c := n.arg(2)
	if a.Type.Rank() != 2 || b.Type.Rank() != 2 {
		return nil, fmt.Errorf("operands %s and %s must be matrices", a.Type, b.Type)
	}
	alpha, beta := n.float("alpha", 1), n.float("beta", 1)
	if n.int("transA", 0) != 0 {
		if a, err = n.emit(ir.Transpose{Perm: []int{1, 0}}, a); err != nil {
			return nil, err
		}
	}
	transB := n.int("transB", 0) != 0
	m := b.Type.Shape[1]
	if transB {
		m = b.Type.Shape[0]
	}
	perColumn := c == nil || c.Const != nil && beta == 1 && (c.Type.Shape.Equal(ir.Shape{m}) || c.Type.Shape.Equal(ir.Shape{1, m}))
	if b.Const != nil && alpha == 1 && perColumn {
		if c != nil && c.Type.Rank() == 2 {
			c = n.constValue(c.Const.Reshaped(ir.Shape{m}))
		}
		return n.one(ir.Dense{TransW: transB}, a, b, c)
	}
	if transB {
		if b, err = n.emit(ir.Transpose{Perm: []int{1, 0}}, b); err != nil {
			return nil, err
		}
	}
	y, err := n.emit(ir.MatMul{}, a, b)
	if err != nil {
		return nil, unwrapNode(err)
	}
	if y, err = n.scaled(y, alpha); err != nil {
		return nil, err
	}
	if c == nil {
		return []*ir.Value{y}, nil
	}
	if c, err = n.scaled(c, beta); err != nil {
		return nil, err
	}
	return n.one(ir.Binary{Fn: ir.Add}, y, c)
}

// scaled multiplies by a number.
func (n *node) scaled(v *ir.Value, by float64) (*ir.Value, error) {
	if by == 1 {
		return v, nil
	}
	return n.emit(ir.Binary{Fn: ir.Mul}, v, n.constValue(ir.FromFloat64s(ir.T(v.Type.DType), []float64{by})))
}

func matMul(n *node) ([]*ir.Value, error) {
	a, err := n.need(0)
	if err != nil {
		return nil, err
	}
	b, err := n.need(1)
	if err != nil {
		return nil, err
	}
	if a.Type.Rank() == 2 && b.Type.Rank() == 2 && b.Const != nil && b.Type.DType.IsFloat() {
		return n.one(ir.Dense{}, a, b)
	}
	return n.one(ir.MatMul{}, a, b)
}
