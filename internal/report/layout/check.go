package layout

import (
	"fmt"
	"math"
	"slices"
)

// Check returns an error if a drawing of g is wrong: nodes overlap, or a wire does
// not start at its producer, does not reach a reader, runs upwards, crosses a node
// or leaves the drawing, or a frame overlaps another or has other nodes than those of its
// group. It is for tests.
func Check(g Graph, d *Drawing) error {
	if d.Sideways {
		d = d.transposed()
	}
	for a, p := range d.Boxes {
		if p.X < -1e-6 || p.Y < -1e-6 || p.X+p.W > d.W+1e-6 || p.Y+p.H > d.H+1e-6 {
			return fmt.Errorf("node %d is outside the drawing", a)
		}
		for b, q := range d.Boxes[:a] {
			if overlap(p, q) {
				return fmt.Errorf("nodes %d and %d overlap", b, a)
			}
		}
	}
	for k, n := range g.Nets {
		if err := checkWire(n, d.Wires[k], d); err != nil {
			return fmt.Errorf("net %d: %w", k, err)
		}
	}
	return checkFrames(g, d)
}

func checkFrames(g Graph, d *Drawing) error {
	var all []Box
	for k, frames := range d.Frames {
		for _, f := range frames {
			if f.X < -1e-6 || f.Y < -1e-6 || f.X+f.W > d.W+1e-6 || f.Y+f.H > d.H+1e-6 {
				return fmt.Errorf("a frame of group %d is outside the drawing", k)
			}
			for _, other := range all {
				if overlap(f, other) {
					return fmt.Errorf("a frame of group %d overlaps another", k)
				}
			}
			all = append(all, f)
		}
		if frames == nil {
			continue
		}
		for v, b := range d.Boxes {
			within := slices.ContainsFunc(frames, func(f Box) bool {
				return b.X >= f.X && b.Y >= f.Y && b.X+b.W <= f.X+f.W && b.Y+b.H <= f.Y+f.H
			})
			touched := slices.ContainsFunc(frames, func(f Box) bool { return overlap(b, f) })
			if member := slices.Contains(g.Groups[k], v); member && !within || !member && touched {
				return fmt.Errorf("node %d and the frame of group %d do not agree", v, k)
			}
		}
	}
	return nil
}

func overlap(p, q Box) bool {
	const touch = 1e-6
	return p.X+p.W > q.X+touch && q.X+q.W > p.X+touch && p.Y+p.H > q.Y+touch && q.Y+q.H > p.Y+touch
}

func checkWire(n Net, lines []Line, d *Drawing) error {
	if len(n.To) == 0 {
		return nil
	}
	from := d.Boxes[n.From]
	reached := map[int]bool{}
	for i, l := range lines {
		first, last := l.Points[0], l.Points[len(l.Points)-1]
		switch {
		case i == 0 && (math.Abs(first.Y-from.Y-from.H) > 1e-6 || first.X < from.X || first.X > from.X+from.W):
			return fmt.Errorf("starts at %v, away from its producer %v", first, from)
		case i > 0 && !touches(lines[:i], first):
			return fmt.Errorf("line %d starts at %v, which is not on an earlier line", i, first)
		case l.To >= 0 && last != d.Boxes[l.To].Top():
			return fmt.Errorf("line %d ends at %v, away from node %d", i, last, l.To)
		}
		if l.To >= 0 {
			reached[l.To] = true
		}
		for k, p := range l.Points {
			if p.X < -1e-6 || p.Y < -1e-6 || p.X > d.W+1e-6 || p.Y > d.H+1e-6 {
				return fmt.Errorf("line %d leaves the drawing at %v", i, p)
			}
			if k == 0 {
				continue
			}
			q := l.Points[k-1]
			if p.Y < q.Y && !l.Square {
				return fmt.Errorf("line %d runs upwards at %v", i, p)
			}
			if p.X != q.X && p.Y != q.Y && l.Square {
				return fmt.Errorf("line %d is not square at %v", i, p)
			}
			run := Box{min(p.X, q.X), min(p.Y, q.Y), math.Abs(p.X - q.X), math.Abs(p.Y - q.Y)}
			for v, b := range d.Boxes {
				if run.X+run.W > b.X && run.X < b.X+b.W && run.Y+run.H > b.Y+1e-6 && run.Y < b.Y+b.H-1e-6 {
					return fmt.Errorf("line %d crosses node %d", i, v)
				}
			}
		}
	}
	for _, t := range n.To {
		if !reached[t] {
			return fmt.Errorf("never reaches node %d", t)
		}
	}
	return nil
}

// touches reports whether p is a point of the lines or lies on a vertical segment.
func touches(lines []Line, p Point) bool {
	for _, l := range lines {
		for k, q := range l.Points {
			if p == q || k > 0 && p.X == q.X && l.Points[k-1].X == q.X && l.Points[k-1].Y < p.Y && p.Y < q.Y {
				return true
			}
		}
	}
	return false
}
