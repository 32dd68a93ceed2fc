package layout

import "slices"

// route draws the wires and returns the finished drawing.
func (s *sheet) route() *Drawing {
	d := &Drawing{Boxes: make([]Box, len(s.Nodes)), Wires: make([][]Line, len(s.Nets))}
	for v, size := range s.Nodes {
		it := s.items[v]
		r := s.rows[it.layer]
		d.Boxes[v] = Box{it.x - size.W/2, r.y + (r.h-size.H)/2, size.W, size.H}
	}
	for k := range s.Nets {
		d.Wires[k] = s.wire(k, d.Boxes)
	}
	for _, b := range d.Boxes {
		d.W, d.H = max(d.W, b.X+b.W), max(d.H, b.Y+b.H)
	}
	for _, lines := range d.Wires {
		for _, l := range lines {
			for _, p := range l.Points {
				d.W, d.H = max(d.W, p.X), max(d.H, p.Y)
			}
		}
	}
	return d
}

// wire follows net k from layer to layer.
func (s *sheet) wire(k int, boxes []Box) []Line {
	var lines, branches []Line
	from := boxes[s.Nets[k].From]
	main := []Point{{s.port(s.Nets[k].From, k), from.Y + from.H}}
	for _, i := range s.trunks[k] {
		l := s.items[i].layer
		joint := Point{s.port(i, k), s.rows[l].y + s.rows[l].h}
		main = append(main, joint)
		below := s.below(k, i)
		if len(below) == 0 {
			break
		}
		if c, n, ok := s.carrier(l, k); ok {
			lines = append(lines, line(main, -1))
			square := s.around(c, n, joint)
			lines = append(lines, Line{Points: square, To: -1, Square: true})
			joint = square[len(square)-1]
			main = []Point{joint}
		}
		// The trunk continues with the net, or at its end to the first reader.
		slices.SortStableFunc(below, func(a, b int) int {
			return s.items[a].node - s.items[b].node // the net, with node −1, comes first
		})
		for n, j := range below {
			enter := Point{s.items[j].x, s.rows[l+1].y}
			switch v := s.items[j].node; {
			case v < 0:
				main = append(main, enter)
			case n == 0:
				lines = append(lines, line(append(main, enter, boxes[v].Top()), v))
			default:
				branches = append(branches, line([]Point{joint, enter, boxes[v].Top()}, v))
			}
		}
	}
	return append(lines, branches...)
}

// carrier returns the column that ends with layer l, and the index of net k among
// the column's carriers.
func (s *sheet) carrier(l, k int) (column, int, bool) {
	for _, c := range s.cols {
		if c.to == l+1 {
			if n := slices.IndexFunc(c.carriers, func(r carrier) bool { return r.net == k }); n >= 0 {
				return c, n, true
			}
		}
	}
	return column{}, 0, false
}

// around routes carrier n of a column from a joint at its foot to the head of the
// next column: below the column, up between the two columns, and over the next.
// The rightmost carrier turns first, so that carriers do not cross.
func (s *sheet) around(c column, n int, joint Point) []Point {
	r := c.carriers[n]
	turn := float64(len(c.carriers) - n)
	foot := s.rows[c.to-1].y + s.rows[c.to-1].h + s.pad() + turn*s.o.Track
	up := c.right + s.o.GapX + turn*s.o.Track
	over := c.head - s.pad() - float64(n+1)*s.o.Track
	return []Point{joint, {joint.X, foot}, {up, foot}, {up, over}, {r.head, over}, {r.head, c.head}}
}

// line returns a line without the points inside vertical segments.
func line(points []Point, to int) Line {
	var p []Point
	for _, q := range points {
		if n := len(p); n > 0 && p[n-1] == q {
			continue
		}
		if n := len(p); n > 1 && p[n-1].X == q.X && p[n-2].X == q.X {
			p[n-1] = q
			continue
		}
		p = append(p, q)
	}
	return Line{Points: p, To: to}
}
