package onnx

import (
	"slices"
	"strings"

	"modelc/ir"
	"modelc/ir/eval"
)

const recurrentLimits = "W, R, B, P and sequence_lens are constant"

var recurrentOps = []operator{
	{name: "RNN", operands: 3, most: []most{{1, 6}}, becomes: "Recurrent, Transpose", limits: recurrentLimits, build: recurrentLayer(ir.CellRNN)},
	{name: "GRU", operands: 3, most: []most{{1, 6}}, becomes: "Recurrent, Transpose", limits: recurrentLimits, build: recurrentLayer(ir.CellGRU)},
	{name: "LSTM", operands: 3, most: []most{{1, 8}}, becomes: "Recurrent, Transpose", limits: recurrentLimits, build: recurrentLayer(ir.CellLSTM)},
}

// cellFunctions lists the functions of activations, by their names in lower case, with the
// defaults of the parameters that they take from the lists activation_alpha and
// activation_beta.
var cellFunctions = map[string]struct {
	fn     ir.Fn
	params []float64
}{
	"relu": {fn: ir.Relu}, "tanh": {fn: ir.Tanh}, "sigmoid": {fn: ir.Sigmoid}, "softsign": {fn: ir.Softsign}, "softplus": {fn: ir.Softplus},
	"leakyrelu": {ir.LeakyRelu, []float64{0.01}}, "thresholdedrelu": {ir.ThresholdedRelu, []float64{1}}, "elu": {ir.Elu, []float64{1}},
	"hardsigmoid": {ir.HardSigmoid, []float64{0.2, 0.5}}, "affine": {ir.Linear, []float64{1, 0}}, "scaledtanh": {ir.ScaledTanh, []float64{1, 1}},
}

// recurrentLayer imports the operators of recurrent layers. Y is [T,D,N,H] and states are
// [D,N,H]. With layout 1, X is [N,T,I], Y is [N,T,D,H], and states are [N,D,H].
func recurrentLayer(cell ir.Cell) func(n *node) []*ir.Value {
	return func(n *node) []*ir.Value {
		op := ir.Recurrent{Cell: cell, InputForget: n.flag("input_forget", false), LinearBeforeReset: n.flag("linear_before_reset", false)}
		if err := op.Direction.UnmarshalText([]byte(strings.ToLower(n.str("direction", "forward")))); err != nil {
			n.failf("direction: %v", err)
		}
		if n.attr("clip") != nil {
			if op.Clip = n.float("clip", 0); !(op.Clip > 0) {
				n.failf("clip is %g, want a positive number", op.Clip)
			}
		}
		batchFirst := n.int("layout", 0) == 1
		x := n.in[0]
		if x.Type.Rank() != 3 || n.in[2].Type.Rank() != 3 {
			n.failf("X is %s and R is %s, want three axes", x.Type, n.in[2].Type)
		}
		if h := n.int("hidden_size", n.in[2].Type.Shape[2]); h != n.in[2].Type.Shape[2] {
			n.failf("hidden_size is %d, but R is %s", h, n.in[2].Type)
		}
		if batchFirst {
			x = n.transpose(x, 1, 0, 2)
		}
		state := func(i int) *ir.Value {
			if v := n.arg(i); v != nil && batchFirst && v.Type.Rank() == 3 {
				return n.transpose(v, 1, 0, 2)
			}
			return n.arg(i)
		}
		op.Lengths = n.lengths(x.Type.Shape)
		in := []*ir.Value{x, n.weights(1, "W"), n.weights(2, "R"), n.weights(3, "B"), state(5), state(6), n.weights(7, "P")}
		out := n.directions(op, n.cellFunctions(cell, op.Directions()), in)
		if batchFirst {
			out[0] = n.transpose(out[0], 1, 0, 2, 3)
			for i := range out[1:] {
				out[1+i] = n.transpose(out[1+i], 1, 0, 2)
			}
		} else {
			out[0] = n.transpose(out[0], 0, 2, 1, 3)
		}
		return out
	}
}

// weights returns operand i as a constant.
func (n *node) weights(i int, what string) *ir.Value {
	v := n.arg(i)
	if v == nil || v.Const != nil {
		return v
	}
	n.budget(v.Type.Shape)
	t, ok := eval.Fold(v)
	if !ok {
		n.refuse(what+" ("+v.Name+") is computed at run time", "it must be a constant; --bind NAME=FILE makes a graph input constant")
	}
	return n.constValue(t)
}

// lengths returns sequence_lens, or nil if all are the number of steps of x [T,N,I].
func (n *node) lengths(x ir.Shape) []int {
	list, ok := n.list(4, "sequence_lens")
	if !ok || !slices.ContainsFunc(list, func(l int) bool { return l != x[0] }) && len(list) == x[1] {
		return nil
	}
	return list
}

// cellFunctions returns the functions f, g and h of each direction.
func (n *node) cellFunctions(cell ir.Cell, dirs int) [][3]ir.Act {
	count := 1 + int(cell)
	names := []string{"Sigmoid", "Tanh", "Tanh"}[:count]
	if cell == ir.CellRNN {
		names = []string{"Tanh"}
	}
	var alpha, beta []float32
	if a := n.attr("activations"); a != nil {
		names = a.strings
	} else if dirs == 2 {
		names = slices.Concat(names, names)
	}
	if len(names) != count*dirs {
		n.failf("activations has %d functions, want %d for each of %d directions", len(names), count, dirs)
	}
	if a := n.attr("activation_alpha"); a != nil {
		alpha = a.floats
	}
	if a := n.attr("activation_beta"); a != nil {
		beta = a.floats
	}
	take := func(list *[]float32, def float64) float64 {
		if len(*list) == 0 {
			return def
		}
		v := (*list)[0]
		*list = (*list)[1:]
		return float64(v)
	}
	out := make([][3]ir.Act, dirs)
	for i, name := range names {
		f, ok := cellFunctions[strings.ToLower(name)]
		if !ok {
			n.failf("activations: there is no function %q", name)
		}
		a := ir.Act{Fn: f.fn}
		if len(f.params) > 0 {
			a.Alpha = take(&alpha, f.params[0])
		}
		if len(f.params) > 1 {
			a.Beta = take(&beta, f.params[1])
		}
		out[i/count][i%count] = a
	}
	return out
}

// directions emits the layer. Directions with different functions become layers of their own,
// whose results are joined.
func (n *node) directions(op ir.Recurrent, f [][3]ir.Act, in []*ir.Value) []*ir.Value {
	op.F, op.G, op.H = f[0][0], f[0][1], f[0][2]
	if len(f) == 1 || f[0] == f[1] {
		return slices.Clone(n.one(op, in...))
	}
	var results [2][]*ir.Value
	for d := range f {
		op.Direction = []ir.Direction{ir.Forward, ir.Reverse}[d]
		op.F, op.G, op.H = f[d][0], f[d][1], f[d][2]
		own := slices.Clone(in)
		for i, v := range own[1:] {
			if v == nil {
				continue
			}
			if v.Type.Rank() == 0 || v.Type.Shape[0] != 2 {
				n.failf("operand %s has not two directions", v.Type)
			}
			if own[1+i] = n.parts(v, 0, []int{1, 1})[d]; v.Const != nil {
				t, _ := eval.Fold(own[1+i])
				own[1+i] = n.constValue(t)
			}
		}
		results[d] = n.one(op, own...)
	}
	out := make([]*ir.Value, len(results[0]))
	for i := range out {
		axis := 0
		if i == 0 {
			axis = 2
		}
		out[i] = n.emit(ir.Concat{Axis: axis}, results[0][i], results[1][i])
	}
	return out
}
