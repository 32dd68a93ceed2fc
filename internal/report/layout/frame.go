package layout

// frame adds the frames of the groups to d. The frames in a column have its width, and
// cover the layers between the group's first and last node. A group without a frame has
// nodes of others between its own.
func (s *sheet) frame(d *Drawing) {
	d.Frames = make([][]Box, len(s.Groups))
	group := make([]int, len(s.Nodes)) // of each node, counted from 1
	for k, list := range s.Groups {
		for _, v := range list {
			group[v] = k + 1
		}
	}
	for k := range s.Groups {
		for _, c := range s.cols {
			first, last := -1, -1
			for l := c.from; l < c.to; l++ {
				if s.has(l, func(v int) bool { return group[v] == k+1 }) {
					last = l
					if first < 0 {
						first = l
					}
				}
			}
			if first < 0 {
				continue
			}
			for l := first; l <= last; l++ {
				if s.has(l, func(v int) bool { return group[v] != k+1 }) {
					d.Frames[k] = nil
					first = -1
				}
			}
			if first < 0 {
				break
			}
			top, foot := s.rows[first].y-s.o.Pad, s.rows[last].y+s.rows[last].h+s.o.Pad
			d.Frames[k] = append(d.Frames[k], Box{c.left - s.o.Head, top, c.right - c.left + s.o.Head + s.o.Pad, foot - top})
		}
		for _, b := range d.Frames[k] {
			d.W, d.H = max(d.W, b.X+b.W), max(d.H, b.Y+b.H)
		}
	}
}

// has reports whether layer l has a node for which f is true.
func (s *sheet) has(l int, f func(v int) bool) bool {
	for _, i := range s.layers[l] {
		if v := s.items[i].node; v >= 0 && f(v) {
			return true
		}
	}
	return false
}
