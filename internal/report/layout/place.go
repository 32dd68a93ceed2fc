package layout

import (
	"math"
	"slices"
)

// place computes horizontal coordinates by the method of Brandes and Köpf. Items
// are aligned with their median neighbour above or below, blocks of aligned items
// are compacted from the left or from the right, and the four results are
// averaged. The items of a net are one block, so trunks are straight. Nodes prefer
// to align with nodes instead of trunks, so the longest path through a network is
// straight.
func (s *sheet) place() {
	var xs [4][]float64
	for k := range xs {
		down, left := k < 2, k%2 == 0
		xs[k] = s.compact(s.align(down, left), left)
	}
	// Align the four results with the left or right edge of the narrowest.
	var lo, hi [4]float64
	narrow := 0
	for k := range xs {
		lo[k], hi[k] = math.Inf(1), math.Inf(-1)
		for i, x := range xs[k] {
			lo[k], hi[k] = min(lo[k], x-s.items[i].w/2), max(hi[k], x+s.items[i].w/2)
		}
		if hi[k]-lo[k] < hi[narrow]-lo[narrow] {
			narrow = k
		}
	}
	for i := range s.items {
		var at [4]float64
		for k := range xs {
			d := lo[narrow] - lo[k]
			if k%2 == 1 {
				d = hi[narrow] - hi[k]
			}
			at[k] = xs[k][i] + d
		}
		slices.Sort(at[:])
		s.items[i].x = math.Round((at[1]+at[2])*4) / 8
	}
}

// preferred returns the neighbours with which an item may align, from left to
// right.
//
//   - An item of a net aligns with the next item of the net, or with the node at
//     the net's end unless the node has nodes as neighbours on that side.
//   - A node aligns with nodes, or with nets that start or end at it if there are
//     no nodes. Of several nodes on one side, it aligns with those on the longest
//     path through the graph, because others would bend the path.
func (s *sheet) preferred(i int, up bool) []int {
	it, list := s.items[i], s.neighbours(i, up)
	isNet := func(j int) bool { return s.items[j].node < 0 }
	var choice []int
	if it.node < 0 {
		for _, j := range list {
			if isNet(j) {
				return []int{j}
			}
		}
		for _, j := range list {
			if !slices.ContainsFunc(s.neighbours(j, !up), func(k int) bool { return !isNet(k) }) {
				choice = append(choice, j)
			}
		}
	} else {
		nodes := false
		for _, j := range list {
			if isNet(j) {
				continue
			}
			nodes = true
			if up && s.onRoad(j, i) || !up && s.onRoad(i, j) {
				choice = append(choice, j)
			}
		}
		if !nodes {
			for _, j := range list {
				if !up || s.items[j].next < 0 {
					choice = append(choice, j)
				}
			}
		}
	}
	slices.SortFunc(choice, func(a, b int) int { return s.pos[a] - s.pos[b] })
	return choice
}

// onRoad reports whether from and to are successive nodes of a longest path: no
// node below from starts a longer path than to, and no node above to ends a longer
// path than from.
func (s *sheet) onRoad(from, to int) bool {
	for _, j := range s.items[from].down {
		if s.items[j].node >= 0 && s.beneath[j] > s.beneath[to] {
			return false
		}
	}
	for _, j := range s.items[to].up {
		if s.items[j].node >= 0 && s.above[j] > s.above[from] {
			return false
		}
	}
	return true
}

func (s *sheet) neighbours(i int, up bool) []int {
	if up {
		return s.items[i].up
	}
	return s.items[i].down
}

// align returns the block of each item. A block is identified by one of its items.
// align visits the layers downwards or upwards, and each layer from the left or
// from the right.
func (s *sheet) align(down, left bool) []int {
	block := make([]int, len(s.items))
	for i := range block {
		block[i] = i
	}
	for k := range s.layers {
		l := k
		if !down {
			l = len(s.layers) - 1 - k
		}
		layer := s.layers[l]
		barred := s.barred(l, down)
		last := -1 // position of the last neighbour with an alignment, from the side of the start
		for p := range layer {
			i := layer[p]
			if !left {
				i = layer[len(layer)-1-p]
			}
			list := s.preferred(i, down)
			if len(list) == 0 {
				continue
			}
			m := []int{(len(list) - 1) / 2, len(list) / 2}
			if !left {
				m[0], m[1] = m[1], m[0]
			}
			for _, c := range m {
				j := list[c]
				at := s.pos[j]
				if !left {
					at = len(s.layers[s.items[j].layer]) - 1 - at
				}
				if at <= last || barred(i, j) {
					continue
				}
				block[i], last = block[j], at
				break
			}
		}
	}
	return block
}

// barred returns a function that reports whether an alignment between layer l and
// the layer above or below crosses a net and would bend it.
func (s *sheet) barred(l int, down bool) func(i, j int) bool {
	var through [][2]int // positions of crossing nets in both layers
	for p, i := range s.layers[l] {
		if s.items[i].node >= 0 {
			continue
		}
		if n := s.preferred(i, down); len(n) == 1 && s.items[n[0]].node < 0 {
			through = append(through, [2]int{p, s.pos[n[0]]})
		}
	}
	return func(i, j int) bool {
		if s.items[i].node < 0 && s.items[j].node < 0 {
			return false
		}
		for _, t := range through {
			if (s.pos[i]-t[0])*(s.pos[j]-t[1]) < 0 {
				return true
			}
		}
		return false
	}
}

// compact returns coordinates with straight blocks and sufficient distances
// between neighbours. It places each block as far to the left as possible and then
// moves it to the right as far as its right neighbours allow. If left is false,
// the directions are exchanged.
func (s *sheet) compact(block []int, left bool) []float64 {
	type sep struct {
		to int
		by float64
	}
	right := make([][]sep, len(s.items)) // right neighbours of each block
	degree := make([]int, len(s.items))
	for _, layer := range s.layers {
		for p := range len(layer) - 1 {
			a, b := layer[p], layer[p+1]
			by := (s.items[a].w+s.items[b].w)/2 + s.apart(a, b)
			if !left {
				a, b = b, a
			}
			right[block[a]] = append(right[block[a]], sep{block[b], by})
			degree[block[b]]++
		}
	}
	var order []int
	for i, b := range block {
		if i == b && degree[i] == 0 {
			order = append(order, i)
		}
	}
	x := make([]float64, len(s.items))
	for k := 0; k < len(order); k++ {
		for _, e := range right[order[k]] {
			x[e.to] = max(x[e.to], x[order[k]]+e.by)
			if degree[e.to]--; degree[e.to] == 0 {
				order = append(order, e.to)
			}
		}
	}
	for _, b := range slices.Backward(order) {
		limit := math.Inf(1)
		for _, e := range right[b] {
			limit = min(limit, x[e.to]-e.by)
		}
		if !math.IsInf(limit, 1) {
			x[b] = max(x[b], limit)
		}
	}
	at := make([]float64, len(s.items))
	for i, b := range block {
		at[i] = x[b]
		if !left {
			at[i] = -x[b]
		}
	}
	return at
}

// apart returns the minimum distance between two neighbours.
func (s *sheet) apart(a, b int) float64 {
	switch nets := s.items[a].node < 0; {
	case nets && s.items[b].node < 0:
		return s.o.Track
	case nets != (s.items[b].node < 0):
		return max(s.o.Track, s.o.GapX/2)
	}
	return s.o.GapX
}
