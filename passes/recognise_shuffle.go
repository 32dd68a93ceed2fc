package passes

import (
	"slices"

	"modelc/ir"
)

// recogniseShuffle replaces Reshape, Transpose and Reshape that move whole channels. The
// permutation of channels in ShuffleNet becomes a Gather along channels. The pixel shuffle of
// super-resolution (DepthToSpace) becomes an Interleave of such Gathers. A Slice of gathered
// channels becomes a Gather of fewer channels.
//
// The pass considers chains of reordering nodes between two values [N,C,D…]. It evaluates
// them on the positions of the elements. It is legal if the values between have no other
// reader.
func recogniseShuffle(g *ir.Graph, _ *Config) (int, error) {
	changed := 0
	for _, n := range nodes(g) {
		if !slices.Contains(g.Nodes, n) {
			continue
		}
		var m shuffle
		switch op := n.Op.(type) {
		case ir.Transpose:
			m = shuffled(n)
		case ir.Slice:
			m = slicedGather(n, op)
		}
		if m.channels == nil {
			continue
		}
		v, err := m.emit(g)
		if err != nil {
			return changed, err
		}
		replaceAll(g, m.end, v, v.Def())
		changed++
	}
	return changed, nil
}

// shuffle is a movement of channels of x. Its last node is end. strides holds the strides of
// the Interleave, and is nil if there is none. channels lists the channels of each operand.
type shuffle struct {
	x        *ir.Value
	end      *ir.Node
	strides  []int
	channels [][]int
}

func (m shuffle) emit(g *ir.Graph) (*ir.Value, error) {
	var parts []*ir.Value
	for _, channels := range m.channels {
		index := make([]float64, len(channels))
		for i, c := range channels {
			index[i] = float64(c)
		}
		p, err := g.InsertBefore(m.end, m.end.Name, ir.Gather{Axis: 1}, m.x,
			g.AddConst(m.end.Out[0].Name+".channels", ir.FromFloat64s(ir.T(ir.Int64, len(index)), index)))
		if err != nil {
			return nil, err
		}
		parts = append(parts, p.Out[0])
	}
	if m.strides == nil {
		return parts[0], nil
	}
	n, err := g.InsertBefore(m.end, m.end.Name, ir.Interleave{Strides: m.strides}, parts...)
	if err != nil {
		return nil, err
	}
	return n.Out[0], nil
}

// shuffled matches the chain of reordering nodes around the transposition n.
func shuffled(n *ir.Node) shuffle {
	reorders := func(n *ir.Node) bool { return ir.InfoOf(n.Op).Moves == ir.Reorders }
	x := n.In[0]
	if d := x.Def(); d == nil || !reorders(d) || x.OnlyUse() == nil {
		return shuffle{}
	}
	x = x.Def().In[0]
	s := x.Type.Shape
	if len(s) < 3 || s.Len() == 0 || !x.Type.DType.IsFloat() {
		return shuffle{}
	}
	for end := n; end != nil && reorders(end); end = end.Out[0].OnlyUse() {
		strides, ok := enlarged(s, end.Out[0].Type.Shape)
		if !ok {
			continue
		}
		if channels := channelsMoved(x, end.Out[0], strides); channels != nil {
			if ir.Shape(strides).Len() == 1 {
				strides = nil
			}
			return shuffle{x, end, strides, channels}
		}
	}
	return shuffle{}
}

// enlarged returns the factors by which the spatial extents of y exceed those
// of x [N,C,D…]. ok is false unless y has fewer channels by their product,
// and at most maxPhases times fewer.
func enlarged(x, y ir.Shape) (strides []int, ok bool) {
	if len(x) != len(y) || x[0] != y[0] {
		return nil, false
	}
	for i := 2; i < len(x); i++ {
		if y[i]%x[i] != 0 {
			return nil, false
		}
		strides = append(strides, y[i]/x[i])
	}
	grid := ir.Shape(strides).Len()
	return strides, grid <= maxPhases && y[1]*grid == x[1]
}

// channelsMoved returns, for each position of the grid of strides, the channels
// of x that y has there. It returns nil if the chain from x to y moves elements in another
// way, or moves none.
func channelsMoved(x, y *ir.Value, strides []int) [][]int {
	got, _, ok := positions(x, y)
	if !ok {
		return nil
	}
	s, t, grid := x.Type.Shape, y.Type.Shape, ir.Shape(strides)
	channels := make([][]int, grid.Len())
	for p := range channels {
		channels[p] = slices.Repeat([]int{-1}, t[1])
	}
	pixels := s[2:].Len()
	identity := grid.Len() == 1
	at := make([]int, len(t)) // coordinates of the element of y
	for _, from := range got {
		p, pixel := 0, 0
		for a, stride := range strides {
			p = p*stride + at[2+a]%stride
			pixel = pixel*s[2+a] + at[2+a]/stride
		}
		c := &channels[p][at[1]]
		if *c < 0 {
			*c = int(from) / pixels % s[1]
			identity = identity && *c == at[1]
		}
		if int(from) != (at[0]*s[1]+*c)*pixels+pixel {
			return nil
		}
		for a := len(at) - 1; a >= 0; a-- {
			if at[a]++; at[a] < t[a] {
				break
			}
			at[a] = 0
		}
	}
	if identity {
		return nil
	}
	return channels
}

// slicedGather matches a slice along the channels of a Gather of channels.
func slicedGather(n *ir.Node, op ir.Slice) shuffle {
	d := n.In[0].Def()
	if d == nil {
		return shuffle{}
	}
	if g, ok := d.Op.(ir.Gather); !ok || g.Axis != 1 || d.Const(ir.GatherIndices) == nil || d.In[ir.GatherIndices].Type.Rank() != 1 {
		return shuffle{}
	}
	for i, c := range op.Count {
		if i != 1 && (op.Start[i] != 0 || op.Step[i] != 1 || c != n.In[0].Type.Shape[i]) {
			return shuffle{}
		}
	}
	index := d.Const(ir.GatherIndices).Float64s()
	var channels []int
	for i := range op.Count[1] {
		channels = append(channels, int(index[op.Start[1]+i*op.Step[1]]))
	}
	return shuffle{d.In[0], n, nil, [][]int{channels}}
}
