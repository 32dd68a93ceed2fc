package layout

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

var options = Options{GapX: 24, GapY: 30, Track: 8, Pad: 6, Head: 20, Aspect: 1.5, Low: 600, Short: 30}

// random returns a graph of n nodes. Each node reads up to four earlier nodes, and
// more often near ones.
func random(r *rand.Rand, n int) Graph {
	var g Graph
	for range n {
		g.Nodes = append(g.Nodes, Size{60 + 200*r.Float64(), 20 + 40*r.Float64()})
	}
	for v := range n {
		results := 1
		if r.IntN(6) == 0 {
			results = 3
		}
		for range results {
			net := Net{From: v}
			for t := v + 1; t < n; t++ {
				if r.Float64() < 1.2/float64(1+(t-v)*(t-v)) || r.IntN(3*n) == 0 {
					net.To = append(net.To, t)
				}
			}
			g.Nets = append(g.Nets, net)
		}
	}
	return g
}

func TestRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	framed, sideways := 0, 0
	for i := range 150 {
		g := random(r, 1+r.IntN(60))
		o := options
		if i%3 == 0 {
			o.Aspect = 0
		}
		if i%2 == 0 { // groups of nodes that follow each other
			for v := 0; v+5 <= len(g.Nodes); v += 5 + r.IntN(4) {
				g.Groups = append(g.Groups, []int{v, v + 1, v + 2, v + 3, v + 4}[:2+r.IntN(4)])
			}
		}
		d := Layered(g, o)
		if err := Check(g, d); err != nil {
			t.Fatalf("graph %d of %d nodes: %v", i, len(g.Nodes), err)
		}
		for _, f := range d.Frames {
			if f != nil {
				framed++
			}
		}
		if d.Sideways {
			sideways++
		}
		if again := Layered(g, o); !reflect.DeepEqual(again, d) {
			t.Fatalf("graph %d: another drawing the second time", i)
		}
	}
	if framed < 20 || sideways < 20 || sideways > 120 {
		t.Errorf("%d frames, %d drawings are sideways", framed, sideways)
	}
}

// residual returns a chain of n nodes with a skip over every second node.
func residual(n int) Graph {
	var g Graph
	for v := range n {
		g.Nodes = append(g.Nodes, Size{100, 40})
		net := Net{From: v}
		if v+1 < n {
			net.To = append(net.To, v+1)
		}
		if v%2 == 0 && v+3 < n {
			net.To = append(net.To, v+3)
		}
		g.Nets = append(g.Nets, net)
	}
	return g
}

// The longest path of a residual network is a straight line in each column.
func TestStraight(t *testing.T) {
	for _, o := range []Options{{GapX: 24, GapY: 30, Track: 8}, options} {
		g := residual(60)
		d := Layered(g, o)
		if err := Check(g, d); err != nil {
			t.Fatal(err)
		}
		columns := map[float64]int{}
		for _, b := range d.Boxes {
			columns[b.X]++
		}
		if o.Aspect == 0 && len(columns) != 1 || o.Aspect != 0 && (len(columns) < 3 || len(columns) > 8) {
			t.Errorf("nodes at %v", columns)
		}
		if ratio := d.W / d.H; o.Aspect != 0 && (ratio < 0.8 || ratio > 2.5) {
			t.Errorf("%g×%g", d.W, d.H)
		}
	}
}

// A node that is added at every step of a long path does not bend the path.
func TestRoad(t *testing.T) {
	const n = 40
	g := Graph{Nodes: []Size{{100, 40}}}
	for v := 1; v < 2*n; v += 2 { // v is the next node of the path and v+1 its other operand
		g.Nodes = append(g.Nodes, Size{100, 40}, Size{100, 40})
		g.Nets = append(g.Nets, Net{max(0, v-2), []int{v}}, Net{v + 1, []int{v}})
	}
	d := Layered(g, Options{GapX: 24, GapY: 30, Track: 8})
	if err := Check(g, d); err != nil {
		t.Fatal(err)
	}
	if d.W > 3*100+2*24 {
		t.Errorf("%g wide", d.W)
	}
}

// Avoidable crossings are not drawn.
func TestCrossings(t *testing.T) {
	g := Graph{Nodes: make([]Size, 8)}
	for v := range 4 { // four edges in reverse order
		g.Nets = append(g.Nets, Net{v, []int{7 - v}})
	}
	s := &sheet{Graph: g, o: options}
	s.rank()
	s.order()
	if c := s.crossings(); c != 0 {
		t.Errorf("%d crossings", c)
	}
	// Exchanges of neighbours remove some of the crossings that remain after the
	// sweeps.
	r, n := rand.New(rand.NewPCG(1, 2)), 0
	for range 60 {
		s := &sheet{Graph: random(r, 1+r.IntN(40)), o: options}
		s.rank()
		s.order()
		n += s.crossings()
	}
	if n > 350 {
		t.Errorf("%d crossings in random graphs", n)
	}
	// K(2,2) has one crossing.
	s = &sheet{Graph: Graph{Nodes: make([]Size, 4), Nets: []Net{{0, []int{2, 3}}, {1, []int{2, 3}}}}, o: options}
	s.rank()
	s.order()
	if c := s.crossings(); c != 1 {
		t.Errorf("%d crossings", c)
	}
}

// Nodes are near their readers.
func TestRank(t *testing.T) {
	g := Graph{Nodes: make([]Size, 5), Nets: []Net{{0, []int{1}}, {1, []int{2}}, {2, []int{4}}, {3, []int{4}}}}
	s := &sheet{Graph: g, o: options}
	s.rank()
	if l := s.items[3].layer; l != 2 {
		t.Errorf("the second input is in layer %d, its reader in %d", l, s.items[4].layer)
	}
	if d := Layered(Graph{}, options); d.W != 0 || d.H != 0 {
		t.Errorf("%+v", d)
	}
}

// A chain is drawn from left to right in rows that fit the page. Frames surround the nodes of
// a group in each row.
func TestSideways(t *testing.T) {
	g := Graph{Groups: [][]int{{3, 4, 5, 6, 7, 8}, {0, 2}}}
	for v := range 13 {
		g.Nodes = append(g.Nodes, Size{150, 50})
		if v > 0 {
			g.Nets = append(g.Nets, Net{v - 1, []int{v}})
		}
	}
	d := Layered(g, options)
	if err := Check(g, d); err != nil {
		t.Fatal(err)
	}
	if !d.Sideways || d.W > 1000 || d.H > 400 {
		t.Errorf("%g×%g, sideways %v", d.W, d.H, d.Sideways)
	}
	if len(d.Frames[0]) != 2 || d.Frames[1] != nil {
		t.Errorf("frames %v", d.Frames)
	}
	if r := d.Boxes[1]; r.X <= d.Boxes[0].X || r.Y != d.Boxes[0].Y {
		t.Errorf("the second node is at %v", r)
	}
}

// Check finds each kind of error.
func TestCheck(t *testing.T) {
	g := residual(12)
	g.Groups = [][]int{{0, 1, 2, 3}, {4, 5, 6}}
	for name, spoil := range map[string]func(d *Drawing){
		"overlap":  func(d *Drawing) { d.Boxes[3].Y = d.Boxes[2].Y + 5; d.Boxes[3].X = d.Boxes[2].X },
		"detached": func(d *Drawing) { d.Wires[0][0].Points[0].X += 500 },
		"outside":  func(d *Drawing) { d.Boxes[0].X = -7 },
		"missed":   func(d *Drawing) { d.Wires[4] = d.Wires[4][:1] },
		"through":  func(d *Drawing) { d.Boxes[3].W += 300; d.W += 300 },
		"frames":   func(d *Drawing) { d.Frames[0][0].H += 50 },
		"member":   func(d *Drawing) { d.Frames[1][0].Y += 50 },
	} {
		d := Layered(g, Options{GapX: 24, GapY: 30, Track: 8})
		if err := Check(g, d); err != nil {
			t.Fatal(err)
		}
		spoil(d)
		if Check(g, d) == nil {
			t.Errorf("%s: not found", name)
		}
	}
}
