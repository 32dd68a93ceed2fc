// Package loop divides the graph of a batch in two. The body runs for one example after
// another, so that its activations stay in the caches from layer to layer. The tail
// runs for the whole batch, so that its weights are read once.
//
// A single value connects the two. The body holds only ops that compute the examples of
// a batch independently; the types of the body prove it, see transparent.
package loop

import (
	"fmt"
	"slices"

	"modelc/ir"
)

// Division is a graph that is divided into a body and a tail.
type Division struct {
	// Times is the number of runs of Body, the size of the batch.
	Times int
	// Body has the input of the graph and computes one value, for one example.
	Body *ir.Graph
	// Tail has the input of that value, for all examples, and the outputs of the graph.
	Tail *ir.Graph
	// Values and Nodes map those of Body and Tail to those of the graph.
	Values map[*ir.Value]*ir.Value
	Nodes  map[*ir.Node]*ir.Node
}

// Divide divides g where the sum of gain over the nodes of the tail is the largest, and of
// equal sums where the value between the parts is the smallest. gain is the time that a
// node gains, or loses if it is negative, if it runs for the whole batch. Divide returns
// nil if the whole graph gains most, or if it cannot be divided.
func Divide(g *ir.Graph, gain func(n *ir.Node) float64) (*Division, error) {
	if len(g.Inputs) != 1 || g.Inputs[0].Type.Rank() == 0 || g.Inputs[0].Type.Shape[0] < 2 {
		return nil, nil
	}
	x := g.Inputs[0]
	n := x.Type.Shape[0]
	before := make([]float64, len(g.Nodes)+1) // sums of gain of the first nodes
	for i, node := range g.Nodes {
		before[i+1] = before[i] + gain(node)
	}
	at := map[*ir.Node]int{}
	for i, node := range g.Nodes {
		at[node] = i
	}
	best, least, size := 0, 0.0, 0
	one := map[*ir.Value]ir.Type{x: single(x.Type)}
	last := lastUse(x, at)
	var open []*ir.Value // values of the body that nodes not yet in the body read
	for i, node := range g.Nodes {
		t, ok := transparent(node, n, one)
		if !ok {
			break
		}
		v := node.Out[0]
		one[v] = t
		open = append(slices.DeleteFunc(open, func(v *ir.Value) bool { return lastUse(v, at) <= i }), v)
		if sum, elements := before[i+1], t.Shape.Len(); len(open) == 1 && last <= i && (sum < least || best > 0 && sum == least && elements < size) {
			best, least, size = i+1, sum, elements
		}
	}
	if best == 0 {
		return nil, nil
	}
	return divide(g, best, n)
}

// lastUse returns the position of the last node that reads v. An output of the graph is
// read after all nodes.
func lastUse(v *ir.Value, at map[*ir.Node]int) int {
	last := -1
	for _, u := range v.Uses() {
		if u.Node == nil {
			return len(at)
		}
		last = max(last, at[u.Node])
	}
	return last
}

// single returns the type of one example of a batch.
func single(t ir.Type) ir.Type {
	t.Shape = slices.Clone(t.Shape)
	t.Shape[0] = 1
	return t
}

// transparent reports whether n computes each of size examples independently, and
// returns the type of its result for one example. one has the types of operands that
// hold one example.
func transparent(n *ir.Node, size int, one map[*ir.Value]ir.Type) (t ir.Type, ok bool) {
	switch op := n.Op.(type) {
	case ir.Conv, ir.Pool, ir.Unary, ir.Binary, ir.Affine, ir.Quantize, ir.Dequantize, ir.LRN, ir.Concat, ir.Reduce:
	case ir.Transpose:
		if op.Perm[0] != 0 {
			return t, false
		}
	case ir.Pad:
		if op.Pads[0] != 0 || op.Pads[len(op.Pads)/2] != 0 {
			return t, false
		}
	default:
		return t, false
	}
	in := n.InTypes()
	for i, v := range n.In {
		if v == nil || v.Const != nil {
			continue
		}
		if in[i], ok = one[v]; !ok {
			return t, false
		}
	}
	types, err := n.Op.Infer(in)
	if err != nil || len(types) != 1 {
		return t, false
	}
	of := n.Out[0].Type
	return types[0], of.Rank() > 0 && of.Shape[0] == size && types[0].Equal(single(of))
}

// divide returns the division of g whose body has the first k nodes.
func divide(g *ir.Graph, k, n int) (*Division, error) {
	d := &Division{Times: n, Values: map[*ir.Value]*ir.Value{}, Nodes: map[*ir.Node]*ir.Node{}}
	x, v := g.Inputs[0], g.Nodes[k-1].Out[0]
	var err error
	if d.Body, err = d.part(g, x, single(x.Type), g.Nodes[:k], []ir.Output{{Name: v.Name, Value: v}}); err != nil {
		return nil, err
	}
	if d.Tail, err = d.part(g, v, v.Type, g.Nodes[k:], g.Outputs); err != nil {
		return nil, err
	}
	return d, nil
}

// part returns a graph of copies of nodes and outputs, with the input x of type t.
func (d *Division) part(g *ir.Graph, x *ir.Value, t ir.Type, nodes []*ir.Node, outputs []ir.Output) (*ir.Graph, error) {
	p := ir.NewGraph(g.Name)
	p.Bounds = g.Bounds
	copies := map[*ir.Value]*ir.Value{x: p.AddInput(x.Name, t)}
	for _, n := range nodes {
		in := make([]*ir.Value, len(n.In))
		for i, v := range n.In {
			if v == nil {
				continue
			}
			if copies[v] == nil && v.Const != nil {
				copies[v] = p.AddConst(v.Name, v.Const)
			}
			if in[i] = copies[v]; in[i] == nil {
				return nil, fmt.Errorf("loop: %s reads %s, which is in another part", n, v)
			}
		}
		c, err := p.Append(n.Out[0].Name, n.Op, in...)
		if err != nil {
			return nil, err
		}
		c.Name, c.Origins = n.Name, n.Origins
		d.Nodes[c] = n
		for i, v := range c.Out {
			copies[n.Out[i]] = v
		}
	}
	for of, c := range copies {
		d.Values[c] = of
	}
	for _, o := range outputs {
		if copies[o.Value] == nil {
			return nil, fmt.Errorf("loop: the output %q is in another part", o.Name)
		}
		p.AddOutput(o.Name, copies[o.Value])
	}
	return p, nil
}
