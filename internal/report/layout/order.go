package layout

import (
	"cmp"
	"slices"
)

// sweeps is the number of times that the layers are sorted downwards and upwards.
// The order of networks is stable after three or four.
const sweeps = 12

// order orders the items of each layer so that few wires cross. It sorts by the
// mean position of the items' neighbours in the layer above, then below, and so
// on, and exchanges neighbours. It keeps the best order.
func (s *sheet) order() {
	s.pos = make([]int, len(s.items))
	s.renumber()
	best, least := s.copyLayers(), s.crossings()
	for k := 0; k < sweeps && least > 0; k++ {
		if k%2 == 0 {
			for l := 1; l < len(s.layers); l++ {
				s.sortLayer(l, func(i int) []int { return s.items[i].up })
			}
		} else {
			for l := len(s.layers) - 2; l >= 0; l-- {
				s.sortLayer(l, func(i int) []int { return s.items[i].down })
			}
		}
		s.exchange()
		if c := s.crossings(); c < least {
			best, least = s.copyLayers(), c
		}
	}
	s.layers = best
	s.renumber()
}

func (s *sheet) copyLayers() [][]int {
	c := make([][]int, len(s.layers))
	for l := range c {
		c[l] = slices.Clone(s.layers[l])
	}
	return c
}

func (s *sheet) renumber() {
	for _, layer := range s.layers {
		for p, i := range layer {
			s.pos[i] = p
		}
	}
}

// sortLayer sorts layer l by the mean position of the items' neighbours. Items
// without neighbours keep their position.
func (s *sheet) sortLayer(l int, neighbours func(i int) []int) {
	layer := s.layers[l]
	mean := map[int]float64{}
	var moving, places []int
	for p, i := range layer {
		list := neighbours(i)
		if len(list) == 0 {
			continue
		}
		sum := 0
		for _, j := range list {
			sum += s.pos[j]
		}
		mean[i] = float64(sum) / float64(len(list))
		moving, places = append(moving, i), append(places, p)
	}
	slices.SortStableFunc(moving, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
	for k, p := range places {
		layer[p] = moving[k]
		s.pos[moving[k]] = p
	}
}

// exchange swaps neighbours while this removes crossings.
func (s *sheet) exchange() {
	for again, rounds := true, 0; again && rounds < 8; rounds++ {
		again = false
		for _, layer := range s.layers {
			for p := range len(layer) - 1 {
				a, b := layer[p], layer[p+1]
				if s.crossed(a, b) > s.crossed(b, a) {
					layer[p], layer[p+1] = b, a
					s.pos[a], s.pos[b] = p+1, p
					again = true
				}
			}
		}
	}
}

// crossed counts the crossings of the wires of a with those of b if a is left of
// b.
func (s *sheet) crossed(a, b int) int {
	n := 0
	count := func(x, y []int) {
		for _, i := range x {
			for _, j := range y {
				if s.pos[i] > s.pos[j] {
					n++
				}
			}
		}
	}
	count(s.items[a].up, s.items[b].up)
	count(s.items[a].down, s.items[b].down)
	return n
}

// crossings counts all crossings of wires.
func (s *sheet) crossings() int {
	n := 0
	for l, layer := range s.layers[:max(0, len(s.layers)-1)] {
		// A tree of counts over the positions in the layer below gives the number
		// of earlier wires that end to the right of a position.
		size := len(s.layers[l+1])
		tree := make([]int, size+1)
		seen := 0
		for _, i := range layer {
			ends := make([]int, 0, len(s.items[i].down))
			for _, j := range s.items[i].down {
				ends = append(ends, s.pos[j])
			}
			for _, e := range ends {
				n += seen
				for k := e + 1; k > 0; k -= k & -k {
					n -= tree[k]
				}
			}
			for _, e := range ends {
				for k := e + 1; k <= size; k += k & -k {
					tree[k]++
				}
			}
			seen += len(ends)
		}
	}
	return n
}
