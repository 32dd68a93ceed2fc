// Package quantise rewrites float graphs to quantised ones in the form of ONNX that is called
// QDQ: a tensor is quantised and dequantised, and the layers between such pairs compute on
// integers in engines that can.
//
// [NewPlan] decides which tensors get pairs. [Stats] measures their ranges on examples, and
// [Plan.Ranges] turns the measurements into scales. [Plan.Apply] rewrites the graph. The
// decisions are those of ONNX Runtime's quantisation tool (quantize_static), except that sums,
// concatenations, pools and activations which only float nodes read stay in float32.
package quantise

import (
	"math"
	"slices"

	"modelc/ir"
)

// role is the part that a node plays in a quantised graph.
type role uint8

const (
	float role = iota // computes on floats
	layer             // computes on integers: reads and writes quantised tensors
	clips             // becomes the range of a quantised result
	moves             // moves elements: its result has the scale of its operand
	weigh             // a layer with constant weights
)

// activations are the functions that engines compute on quantised tensors with a table.
var activations = []ir.Fn{ir.LeakyRelu, ir.Tanh, ir.Sigmoid, ir.HardSigmoid, ir.HardSwish, ir.SiLU, ir.Elu, ir.Selu, ir.Celu,
	ir.Gelu, ir.GeluTanh, ir.Mish, ir.Softplus, ir.Softsign}

// roleOf returns the role that n can play.
func roleOf(n *ir.Node) role {
	x := n.In[0].Type
	if x.DType != ir.Float32 || n.In[0].Const != nil && !isBinary(n.Op) || n.HasPrologue() {
		return float
	}
	if a, ok := ir.Epilogue(n.Op); ok && !a.IsIdentity() {
		return float
	}
	switch op := n.Op.(type) {
	case ir.Conv:
		if n.Input(ir.ConvResidual) == nil && hasWeights(n) {
			return weigh
		}
	case ir.Dense:
		if hasWeights(n) {
			return weigh
		}
	case ir.Binary:
		if (op.Fn == ir.Add || op.Fn == ir.Mul) && (n.Const(0) == nil || n.Const(1) == nil) {
			return layer
		}
	case ir.Concat:
		if !slices.ContainsFunc(n.In, func(v *ir.Value) bool { return v.Const != nil }) {
			return layer
		}
	case ir.Pool:
		if op.Kind == ir.MaxPool && !op.Indices {
			return moves
		}
		if op.Kind == ir.AvgPool {
			return layer
		}
	case ir.Reduce:
		if op.Fn == ir.ReduceMean && op.KeepDims && slices.Equal(op.Axes, ir.SpatialAxes(x.Rank())) {
			return layer
		}
	case ir.Unary:
		if op.Fn.Fn == ir.Relu || op.Fn.Fn == ir.Clip && op.Fn.Alpha <= 0 && op.Fn.Beta >= 0 {
			return clips
		}
		if slices.Contains(activations, op.Fn.Fn) {
			return layer
		}
	case ir.Resize:
		if op.Mode != ir.ResizeCubic { // which overshoots the range of x
			return moves
		}
	case ir.Pad:
		if op.Mode != ir.PadConstant || op.Value == 0 {
			return moves
		}
	case ir.Reshape, ir.Transpose, ir.Slice, ir.Gather, ir.Expand:
		return moves
	}
	return float
}

// hasWeights reports whether the weights and the bias of n are constant, and its sums fit int32:
// products of a byte and a weight, and the bias.
func hasWeights(n *ir.Node) bool {
	if n.Const(ir.Weights) == nil || !n.ConstOrAbsent(ir.Bias) {
		return false
	}
	const byteRange = 255
	return int64(dimsOf(n).k)*byteRange*mostWeight+mostBias <= math.MaxInt32
}

func isBinary(op ir.Op) bool {
	_, ok := op.(ir.Binary)
	return ok
}

// Plan has the decisions about a graph.
type Plan struct {
	g     *ir.Graph
	roles map[*ir.Node]role
	group map[*ir.Value]*ir.Value // another value with the same scale; absent for the last one
	pairs map[*ir.Value]bool      // by the representative of the group

	// Layers are the nodes that compute on integers, without those that only move
	// elements or clip.
	Layers []*ir.Node
	// Tensors are the values that are quantised, constants excluded, in the order of
	// the graph.
	Tensors []*ir.Value
}

// NewPlan returns the plan for g, in which the nodes that keep reports stay in float32. keep
// may be nil. Values that both results and operands of such nodes and those of integer layers
// are quantised nevertheless.
func NewPlan(g *ir.Graph, keep func(*ir.Node) bool) *Plan {
	p := &Plan{g: g, roles: map[*ir.Node]role{}, group: map[*ir.Value]*ir.Value{}, pairs: map[*ir.Value]bool{}}
	for _, n := range slices.Backward(g.Nodes) {
		r := roleOf(n)
		// A layer without weights that only floats follow would round its result for
		// nothing. Normalisations after sums and concatenations, whose channels differ
		// in range, are sensitive to it. The tail of a network is such a case, too.
		if r != weigh && !p.feeds(n.Out[0]) && !(r == clips && followsConv(n)) {
			r = float
		}
		p.roles[n] = r
	}
	for _, n := range g.Nodes {
		if keep != nil && keep(n) {
			p.roles[n] = float
		}
	}
	for _, n := range g.Nodes {
		if p.roles[n] == moves || p.roles[n] == layer && isConcat(n.Op) {
			p.join(n)
		}
	}
	for _, n := range g.Nodes {
		p.mark(n)
	}
	for v := range g.Values() {
		if v.Const == nil && p.pairs[p.find(v)] {
			p.Tensors = append(p.Tensors, v)
		}
	}
	return p
}

// followsConv reports whether n is the only reader of a convolution.
func followsConv(n *ir.Node) bool {
	d := n.In[0].Def()
	if d == nil || n.In[0].OnlyUse() != n {
		return false
	}
	_, ok := d.Op.(ir.Conv)
	return ok
}

func isConcat(op ir.Op) bool {
	_, ok := op.(ir.Concat)
	return ok
}

// feeds reports whether a node that computes on integers reads v.
func (p *Plan) feeds(v *ir.Value) bool {
	return slices.ContainsFunc(v.Uses(), func(u ir.Use) bool { return u.Node != nil && p.roles[u.Node] != float })
}

// find returns the representative of the group of v.
func (p *Plan) find(v *ir.Value) *ir.Value {
	for p.group[v] != nil {
		v = p.group[v]
	}
	return v
}

// join gives the result of n and operands of n the same scale. An operand of a concatenation
// joins if nothing else reads it, because then its own scale would add no precision.
func (p *Plan) join(n *ir.Node) {
	for i, v := range n.In {
		if v == nil || v.Const != nil || v.Type.DType != ir.Float32 {
			continue
		}
		if isConcat(n.Op) && v.OnlyUse() != n || !isConcat(n.Op) && i > 0 {
			continue
		}
		if a, b := p.find(v), p.find(n.Out[0]); a != b {
			p.group[a] = b
			p.pairs[b] = p.pairs[a] || p.pairs[b]
		}
	}
}

// mark quantises the operands and the result of a layer.
func (p *Plan) mark(n *ir.Node) {
	switch p.roles[n] {
	case weigh, layer:
		p.Layers = append(p.Layers, n)
		for i, v := range n.In {
			if v.Const == nil && (i == 0 || p.roles[n] != weigh) {
				p.pairs[p.find(v)] = true
			}
		}
		if next := n.Out[0].OnlyUse(); next != nil && p.roles[next] == clips && rounds(n.Op) {
			p.pairs[p.find(next.Out[0])] = true
			return
		}
		// Scores stay floats, which engines compute from exact sums.
		if _, dense := n.Op.(ir.Dense); dense && !p.feeds(n.Out[0]) {
			return
		}
		p.pairs[p.find(n.Out[0])] = true
	case clips:
		if p.pairs[p.find(n.In[0])] {
			p.pairs[p.find(n.Out[0])] = true
		}
	}
}

// rounds reports whether op can clip the result that it rounds to integers.
func rounds(op ir.Op) bool {
	switch op.(type) {
	case ir.Conv, ir.Dense, ir.Binary:
		return true
	}
	return false
}

// IsFloat reports whether n computes on floats.
func (p *Plan) IsFloat(n *ir.Node) bool { return p.roles[n] == float }

// NewStats returns statistics of no example for all tensors of p, by name.
func (p *Plan) NewStats() map[string]*Stats {
	m := map[string]*Stats{}
	for _, v := range p.Tensors {
		s := &Stats{Min: math.Inf(1), Max: math.Inf(-1)}
		if slices.ContainsFunc(v.Uses(), func(u ir.Use) bool { return u.Index == 0 && u.Node != nil && p.roles[u.Node] == weigh }) {
			s.sums = make([]float64, v.Type.Shape[1:].Len())
		}
		m[v.Name] = s
	}
	return m
}
