package passes

import (
	"slices"

	"modelc/ir"
)

// recogniseShuffle replaces the permutation of channels that ShuffleNet writes
// as Reshape to groups, Transpose and Reshape back by Gather along the channels,
// and slices of gathered channels by a Gather of those alone.
//
// Whatever the nodes between two values of one shape [N,C,D…] are, as long as
// they only move elements: they are evaluated on the positions of the elements.
// Legal when nothing else reads what lies between. It leaves chains that move
// anything but whole channels.
func recogniseShuffle(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if !slices.Contains(g.Nodes, n) {
			continue
		}
		var x *ir.Value
		var channels []int
		switch op := n.Op.(type) {
		case ir.Transpose:
			x, n, channels = shuffled(n)
		case ir.Slice:
			x, channels = slicedGather(n, op)
		}
		if channels == nil {
			continue
		}
		index := make([]float64, len(channels))
		for i, c := range channels {
			index[i] = float64(c)
		}
		m, err := g.InsertBefore(n, n.Name, ir.Gather{Axis: 1}, x,
			g.AddConst(n.Out[0].Name+".channels", ir.FromFloat64s(ir.T(ir.Int64, len(index)), index)))
		if err != nil {
			return changed, err
		}
		replace(g, n, m.Out[0])
		g.Prune()
		changed++
	}
	return changed, nil
}

// shuffled returns the operand and the last node of the chain around the
// transposition n that permutes channels, and for each channel of the result
// the one it is.
func shuffled(n *ir.Node) (x *ir.Value, end *ir.Node, channels []int) {
	reordersOnly := func(n *ir.Node) bool {
		_, isExpand := n.Op.(ir.Expand)
		return moves(n) && !isExpand
	}
	x = n.In[0]
	if d := x.Def(); d == nil || !reordersOnly(d) || x.OnlyUse() == nil {
		return nil, nil, nil
	}
	x = x.Def().In[0]
	s := x.Type.Shape
	if len(s) < 3 || s.Len() == 0 || !x.Type.DType.IsFloat() {
		return nil, nil, nil
	}
	for end = n; end != nil && reordersOnly(end); end = end.Out[0].OnlyUse() {
		if !end.Out[0].Type.Shape.Equal(s) {
			continue
		}
		if channels = channelsMoved(x, end.Out[0]); channels != nil {
			return x, end, channels
		}
	}
	return nil, nil, nil
}

// channelsMoved returns for each channel of y, which a chain of moves makes of
// x, the one of x that it is; nil if it is none, or none has moved.
func channelsMoved(x, y *ir.Value) []int {
	got, ok := positions(x, y)
	if !ok {
		return nil
	}
	s := x.Type.Shape
	size := s[2:].Len()
	channels := make([]int, s[1])
	for i, p := range got {
		c, at := i/size%s[1], int(p)
		if i < s[1]*size && i%size == 0 {
			channels[c] = at / size
		}
		if at != i+(channels[c]-c)*size {
			return nil
		}
	}
	for c, from := range channels {
		if from != c {
			return channels
		}
	}
	return nil
}

// slicedGather returns what a slice along the channels of a Gather of channels
// takes of the Gather's operand.
func slicedGather(n *ir.Node, op ir.Slice) (x *ir.Value, channels []int) {
	d := n.In[0].Def()
	if d == nil {
		return nil, nil
	}
	if g, ok := d.Op.(ir.Gather); !ok || g.Axis != 1 || d.Const(1) == nil || d.In[1].Type.Rank() != 1 {
		return nil, nil
	}
	for i, c := range op.Count {
		if i != 1 && (op.Start[i] != 0 || op.Step[i] != 1 || c != n.In[0].Type.Shape[i]) {
			return nil, nil
		}
	}
	index := d.Const(1).Float64s()
	for i := range op.Count[1] {
		channels = append(channels, int(index[op.Start[1]+i*op.Step[1]]))
	}
	return d.In[0], channels
}
