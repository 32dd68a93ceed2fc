package layout

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

var options = Options{GapX: 24, GapY: 30, Track: 8, Aspect: 1.5, Tall: 800}

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
	for i := range 150 {
		g := random(r, 1+r.IntN(60))
		o := options
		if i%3 == 0 {
			o.Aspect = 0
		}
		d := Layered(g, o)
		if err := Check(g, d); err != nil {
			t.Fatalf("graph %d of %d nodes: %v", i, len(g.Nodes), err)
		}
		if again := Layered(g, o); !reflect.DeepEqual(again, d) {
			t.Fatalf("graph %d: another drawing the second time", i)
		}
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

// Check finds each kind of error.
func TestCheck(t *testing.T) {
	g := residual(12)
	for name, spoil := range map[string]func(d *Drawing){
		"overlap":  func(d *Drawing) { d.Boxes[3].Y = d.Boxes[2].Y + 5; d.Boxes[3].X = d.Boxes[2].X },
		"detached": func(d *Drawing) { d.Wires[0][0].Points[0].X += 500 },
		"outside":  func(d *Drawing) { d.Boxes[0].X = -7 },
		"missed":   func(d *Drawing) { d.Wires[4] = d.Wires[4][:1] },
		"through":  func(d *Drawing) { d.Boxes[3].W += 300; d.W += 300 },
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
