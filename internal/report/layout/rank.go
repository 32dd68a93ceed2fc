package layout

import "slices"

// rank assigns every node to the layer below its lowest operand. It then moves
// nodes down if this shortens wires, and adds an item to every layer between a
// net's producer and its last reader.
func (s *sheet) rank() {
	s.out = make([][]int, len(s.Nodes))
	in := make([][]int, len(s.Nodes)) // nets that each node reads
	for k, n := range s.Nets {
		s.out[n.From] = append(s.out[n.From], k)
		for _, t := range n.To {
			if !slices.Contains(in[t], k) {
				in[t] = append(in[t], k)
			}
		}
	}
	order := s.topological(in)
	at := make([]int, len(s.Nodes))
	for _, v := range order {
		for _, k := range in[v] {
			at[v] = max(at[v], at[s.Nets[k].From]+1)
		}
	}
	s.above, s.beneath = slices.Clone(at), make([]int, len(s.Nodes))
	for _, v := range slices.Backward(order) {
		lowest := -1
		for _, k := range s.out[v] {
			for _, t := range s.Nets[k].To {
				s.beneath[v] = max(s.beneath[v], s.beneath[t]+1)
				if lowest < 0 || at[t]-1 < lowest {
					lowest = at[t] - 1
				}
			}
		}
		if lowest <= at[v] {
			continue
		}
		longer := 0
		for _, k := range in[v] {
			last := 0
			for _, t := range s.Nets[k].To {
				if t != v {
					last = max(last, at[t])
				}
			}
			if last < lowest {
				longer++
			}
		}
		if len(s.out[v]) > longer {
			at[v] = lowest
		}
	}
	// Remove empty layers at the top.
	if len(at) > 0 {
		first := slices.Min(at)
		for v := range at {
			at[v] -= first
		}
	}
	s.fill(at)
}

// topological returns the nodes in a topological order that otherwise preserves
// their order.
func (s *sheet) topological(in [][]int) []int {
	done := make([]bool, len(s.Nodes))
	var order []int
	var visit func(v int)
	visit = func(v int) {
		if done[v] {
			return
		}
		done[v] = true
		for _, k := range in[v] {
			visit(s.Nets[k].From)
		}
		order = append(order, v)
	}
	for v := range s.Nodes {
		visit(v)
	}
	return order
}

// fill creates and connects the items of nodes and nets.
func (s *sheet) fill(at []int) {
	for v, size := range s.Nodes {
		s.items = append(s.items, item{node: v, net: -1, layer: at[v], w: size.W, next: -1})
	}
	s.trunks = make([][]int, len(s.Nets))
	for k, n := range s.Nets {
		last := at[n.From]
		for _, t := range n.To {
			last = max(last, at[t])
		}
		trunk := []int{n.From}
		for l := at[n.From] + 1; l < last; l++ {
			i := len(s.items)
			s.items = append(s.items, item{node: -1, net: k, layer: l, w: 0, next: -1})
			if prev := trunk[len(trunk)-1]; prev >= len(s.Nodes) {
				s.items[prev].next = i
			}
			s.connect(trunk[len(trunk)-1], i)
			trunk = append(trunk, i)
		}
		for _, t := range n.To {
			if from := trunk[at[t]-1-at[n.From]]; !slices.Contains(s.items[from].down, t) {
				s.connect(from, t)
			}
		}
		s.trunks[k] = trunk
	}
	for i, it := range s.items {
		for len(s.layers) <= it.layer {
			s.layers = append(s.layers, nil)
		}
		s.layers[it.layer] = append(s.layers[it.layer], i)
	}
}

func (s *sheet) connect(from, to int) {
	s.items[from].down = append(s.items[from].down, to)
	s.items[to].up = append(s.items[to].up, from)
}
