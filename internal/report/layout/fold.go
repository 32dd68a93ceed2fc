package layout

import (
	"cmp"
	"math"
	"slices"
)

// row holds the height of a layer and the gap below it.
type row struct{ y, h, gap float64 }

// column is a sequence of layers that are drawn below each other.
type column struct {
	from, to          int // range of layers; to is exclusive
	head, left, right float64
	carriers          []carrier // nets that continue in the next column, from left to right
}

// carrier connects a net from the foot of a column to the head of the next.
type carrier struct {
	item, net  int // the item at the foot
	foot, head float64
}

// stack sets the heights of the layers and the gaps between them. Gaps are larger
// if wires cover a large horizontal distance.
func (s *sheet) stack() {
	s.rows = make([]row, len(s.layers))
	for l, layer := range s.layers {
		r := &s.rows[l]
		aside := 0.0
		for _, i := range layer {
			if v := s.items[i].node; v >= 0 {
				r.h = max(r.h, s.Nodes[v].H)
			}
			for _, j := range s.items[i].down {
				aside = max(aside, math.Abs(s.items[i].x-s.items[j].x))
			}
		}
		r.gap = s.o.GapY + min(1.5*s.o.GapY, aside/12)
	}
}

// fold divides the layers into columns and sets the final coordinates of rows and
// items. It divides at layers that few nets cross, into as few columns as use the
// page best.
func (s *sheet) fold() {
	total := 0.0
	for _, r := range s.rows {
		total += r.h + r.gap
	}
	best := math.Inf(1)
	most := 1
	if s.o.Aspect > 0 {
		most = 24
	}
	for n := 1; n <= most && n <= len(s.layers); n++ {
		cols := s.cut(n, total)
		w, h := 0.0, 0.0
		for k, c := range cols {
			lo, hi := s.extent(c)
			w += hi - lo
			height := 0.0
			for _, r := range s.rows[c.from:c.to] {
				height += r.h + r.gap
			}
			nets := float64(len(c.carriers)) * s.o.Track
			if k < len(cols)-1 {
				w += nets + s.between()
			}
			h = max(h, height+2*nets)
		}
		if size := s.page(w, h); size < best {
			best, s.cols = size, cols
		}
	}
	s.settle()
}

// cut divides the layers into n columns of about the same height.
func (s *sheet) cut(n int, total float64) []column {
	ends := make([]float64, len(s.layers)) // y coordinate of the end of each layer
	sum := 0.0
	for l, r := range s.rows {
		sum += r.h + r.gap
		ends[l] = sum
	}
	// slack is the maximum distance of a cut from the position for equal columns.
	slack := total / float64(n) / 6
	cols := []column{{}}
	for k := 1; k < n; k++ {
		want := total * float64(k) / float64(n)
		at, cost := -1, math.Inf(1)
		for l := cols[len(cols)-1].from; l < len(s.layers)-1; l++ {
			away := math.Abs(ends[l] - want)
			if away > slack && at >= 0 {
				continue
			}
			c := float64(len(s.carriers(l))) + 2*away/slack
			if away > slack {
				c += 1e6 * away
			}
			if c < cost {
				at, cost = l, c
			}
		}
		if at < 0 {
			break
		}
		c := &cols[len(cols)-1]
		c.to, c.carriers = at+1, s.carriers(at)
		cols = append(cols, column{from: at + 1})
	}
	cols[len(cols)-1].to = len(s.layers)
	return cols
}

// carriers returns the nets from layer l to the next, from left to right.
func (s *sheet) carriers(l int) []carrier {
	var list []carrier
	for _, i := range s.layers[l] {
		nets := []int{s.items[i].net}
		if v := s.items[i].node; v >= 0 {
			nets = s.out[v]
		}
		for _, k := range nets {
			sum, n := 0.0, 0
			for _, j := range s.below(k, i) {
				sum += s.items[j].x
				n++
			}
			if n > 0 {
				list = append(list, carrier{item: i, net: k, foot: s.port(i, k), head: sum / float64(n)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b carrier) int { return cmp.Compare(a.foot, b.foot) })
	for k := 1; k < len(list); k++ {
		list[k].head = max(list[k].head, list[k-1].head+s.o.Track)
	}
	return list
}

// below returns the items of the next layer that net k connects to item i.
func (s *sheet) below(k, i int) []int {
	var list []int
	for _, j := range s.items[i].down {
		if s.items[j].net == k || s.items[j].node >= 0 && slices.Contains(s.Nets[k].To, s.items[j].node) {
			list = append(list, j)
		}
	}
	return list
}

// port returns the position at which net k leaves item i. The nets of a node with
// several results leave it side by side.
func (s *sheet) port(i, k int) float64 {
	it := s.items[i]
	if it.node < 0 {
		return it.x
	}
	nets := s.out[it.node]
	step := min(4*s.o.Track, it.w/float64(len(nets)+1))
	return it.x + (float64(slices.Index(nets, k))-float64(len(nets)-1)/2)*step
}

func (s *sheet) extent(c column) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, layer := range s.layers[c.from:c.to] {
		for _, i := range layer {
			lo, hi = min(lo, s.items[i].x-s.items[i].w/2), max(hi, s.items[i].x+s.items[i].w/2)
		}
	}
	return lo, hi
}

// between returns the distance of two columns without that of the wires between them.
func (s *sheet) between() float64 {
	if len(s.Groups) > 0 {
		return s.o.GapX + max(s.o.GapX, s.o.Head+s.o.Track)
	}
	return 2 * s.o.GapX
}

// pad returns the distance of nodes to what is outside their group.
func (s *sheet) pad() float64 {
	if len(s.Groups) > 0 {
		return s.o.Pad
	}
	return 0
}

// settle places the columns side by side, with their heads at the same height.
func (s *sheet) settle() {
	head := 0.0
	for _, c := range s.cols {
		head = max(head, float64(len(c.carriers))*s.o.Track)
	}
	head += s.pad()
	right := 0.0
	if len(s.Groups) > 0 {
		right = s.o.Head
	}
	for k := range s.cols {
		c := &s.cols[k]
		lo, hi := s.extent(*c)
		if k > 0 {
			for _, r := range s.cols[k-1].carriers {
				lo, hi = min(lo, r.head), max(hi, r.head)
			}
			right += s.between() + float64(len(s.cols[k-1].carriers))*s.o.Track
		}
		by := right - lo
		for _, layer := range s.layers[c.from:c.to] {
			for _, i := range layer {
				s.items[i].x += by
			}
		}
		for j := range c.carriers {
			c.carriers[j].foot += by
		}
		if k > 0 {
			for j := range s.cols[k-1].carriers {
				s.cols[k-1].carriers[j].head += by
			}
		}
		c.left = right
		right += hi - lo
		c.head, c.right = head, right
		y := head
		if k > 0 {
			y += s.rows[c.from-1].gap
		}
		for l := c.from; l < c.to; l++ {
			s.rows[l].y = y
			y += s.rows[l].h + s.rows[l].gap
		}
	}
}
