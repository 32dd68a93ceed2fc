package onnx

import (
	"slices"

	"modelc/ir"
)

var linearOps = []operator{
	{name: "Gemm", operands: 2, most: []most{{1, 3}}, becomes: "Dense with constant weights, else Transpose, MatMul, Binary", build: gemm},
	{name: "MatMul", operands: 2, becomes: "Dense with a constant matrix, else MatMul", build: matMul},
	{name: "com.microsoft.FusedGemm", operands: 2, most: []most{{1, 3}}, becomes: "as Gemm, then Unary", build: fusedGemm},
	{name: "com.microsoft.FusedMatMul", operands: 2, becomes: "Transpose, then as MatMul, Binary Mul", build: fusedMatMul},
	{name: "com.microsoft.TransposeMatMul", operands: 2, becomes: "Transpose, then as MatMul, Binary Mul", build: fusedMatMul},
}

// gemm computes alpha·A'·B' + beta·C.
func gemm(n *node) []*ir.Value {
	a, b, c := n.in[0], n.in[1], n.arg(2)
	if a.Type.Rank() != 2 || b.Type.Rank() != 2 {
		n.failf("operands %s and %s must be matrices", a.Type, b.Type)
	}
	alpha, beta := n.float("alpha", 1), n.float("beta", 1)
	if n.flag("transA", false) {
		a = n.transpose(a, 1, 0)
	}
	if beta == 0 {
		c = nil
	}
	y, bias := n.product(a, b, n.flag("transB", false), alpha, beta, c)
	if bias == nil {
		return []*ir.Value{y}
	}
	return n.one(ir.Binary{Fn: ir.Add}, y, n.scaled(bias, beta))
}

// fusedGemm imports a Gemm with the activation that ONNX Runtime fused into it.
func fusedGemm(n *node) []*ir.Value {
	v := gemm(n)[0]
	params := map[string]float64{}
	for _, name := range []string{"alpha", "beta", "gamma"} {
		if n.attr("activation_"+name) != nil {
			params[name] = n.float("activation_"+name, 0)
		}
	}
	if op := n.str("activation", ""); op != "" {
		v = n.fused(v, op, params)
	}
	return []*ir.Value{v}
}

// fusedMatMul imports alpha·A'·B'. An operand whose batch is transposed has the axis of rows
// or columns first.
func fusedMatMul(n *node) []*ir.Value {
	for i, name := range []string{"A", "B"} {
		v := n.in[i]
		r := v.Type.Rank()
		perm := upTo(0, r)
		if n.flag("transBatch"+name, false) && r > 2 {
			perm = append(append(upTo(1, r-1), 0), r-1)
		}
		if n.flag("trans"+name, false) && r > 1 {
			perm[r-2], perm[r-1] = perm[r-1], perm[r-2]
		}
		if !slices.IsSorted(perm) {
			n.in[i] = n.transpose(v, perm...)
		}
	}
	return []*ir.Value{n.scaled(matMul(n)[0], n.float("alpha", 1))}
}

// matMul imports a product with a constant matrix as a dense layer over the last axis.
// The other axes may have any extents.
func matMul(n *node) []*ir.Value {
	a, b := n.in[0], n.in[1]
	r := a.Type.Rank()
	if r < 2 || b.Type.Rank() != 2 {
		return n.one(ir.MatMul{}, a, b)
	}
	k, m := b.Type.Shape[0], b.Type.Shape[1]
	if w, _ := n.matrix(b); r > 2 && w != nil && w.Type.DType.IsFloat() && a.Type.Shape[r-1] == k && a.Type.Shape.Len() > 0 {
		rows := a.Type.Shape[:r-1]
		y, _ := n.product(n.reshape(a, ir.Shape{rows.Len(), k}), b, false, 1, 1, nil)
		return []*ir.Value{n.reshape(y, append(slices.Clone(rows), m))}
	}
	if r > 2 {
		return n.one(ir.MatMul{}, a, b)
	}
	y, _ := n.product(a, b, false, 1, 1, nil)
	return []*ir.Value{y}
}

// product multiplies matrices. If b is constant, it becomes a Dense layer, which also
// adds a constant bias per column. product returns the bias if it still must be added.
func (n *node) product(a, b *ir.Value, transB bool, alpha, beta float64, bias *ir.Value) (y, left *ir.Value) {
	if w, trans := n.matrix(b); w != nil && alpha == 1 && w.Type.DType.IsFloat() {
		transB = transB != trans
		_, m := ir.Dense{TransW: transB}.KM(w.Type.Shape)
		var own *ir.Value
		if bias != nil && beta == 1 && isWeights(bias) && bias.Type.Shape.Len() == m && (bias.Type.Rank() == 1 || bias.Type.Shape[0] == 1) {
			own, bias = bias, nil
			own = n.folded(n.reshape(own, ir.Shape{m}))
		}
		return n.emit(ir.Dense{TransW: transB}, a, w, own), bias
	}
	if transB {
		b = n.transpose(b, 1, 0)
	}
	return n.scaled(n.emit(ir.MatMul{}, a, b), alpha), bias
}

// matrix returns v as weights if it holds weights or transposed weights, and nil otherwise.
// It does not transpose large weights.
func (n *node) matrix(v *ir.Value) (w *ir.Value, transposed bool) {
	if isWeights(v) {
		return v, false
	}
	if d := v.Def(); d != nil {
		if t, ok := d.Op.(ir.Transpose); ok && len(t.Perm) == 2 && t.Perm[0] == 1 && isWeights(d.In[0]) {
			return d.In[0], true
		}
	}
	if t, ok := n.im.folder.Const(v); ok {
		return n.constValue(t), false
	}
	return nil, false
}

// isWeights reports whether v is a constant, or the dequantisation of one. Passes fold the
// latter unless a layer computes on the integers.
func isWeights(v *ir.Value) bool {
	if d := v.Def(); d != nil {
		_, ok := d.Op.(ir.Dequantize)
		return ok && !slices.ContainsFunc(d.In, func(v *ir.Value) bool { return v != nil && v.Const == nil })
	}
	return v.Const != nil
}

// scaled multiplies v by a number.
func (n *node) scaled(v *ir.Value, by float64) *ir.Value {
	if by == 1 {
		return v
	}
	return n.binary(ir.Mul, v, n.number(v.Type.DType, by))
}
