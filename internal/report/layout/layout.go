// Package layout places the nodes of directed acyclic graphs in layers and
// routes the wires between them, by the method of Sugiyama, Tagawa and Toda:
//
//	rank.go   assigns every node to a layer below its operands
//	order.go  orders each layer so that few wires cross
//	place.go  computes horizontal coordinates that keep chains straight
//	fold.go   divides a tall drawing into columns side by side
//	route.go  draws the wires
//	frame.go  draws frames around groups of nodes
//
// Short graphs are laid out from left to right if that uses a page better.
//
// The input consists of sizes and connections. All lengths are in the drawing's
// unit, and y grows downwards. Equal graphs have equal drawings.
package layout

// Graph is a graph of nodes and of nets that connect them. It must have no cycles.
type Graph struct {
	Nodes  []Size
	Nets   []Net
	Groups [][]int // nodes that a frame surrounds if no other node is among them
}

// Size is the extent of a node.
type Size struct{ W, H float64 }

// Net connects the node that computes a value to the nodes that read it. The wires
// to all readers share a trunk: a value with twenty readers is drawn as one line
// with twenty ends.
type Net struct {
	From int
	To   []int
}

// Options holds lengths and proportions of the drawing.
type Options struct {
	GapX, GapY float64 // distances between neighbours in a layer and between layers
	Track      float64 // distance between parallel wires
	// Pad is the distance between a group's nodes and its frame. Head is the distance on the
	// side where the frame has the group's name.
	Pad, Head float64
	// Aspect is the ratio of width to height of the page that the drawing shall fill.
	// With 0 there is only one column. Low is the height of a drawing that needs no
	// folding.
	Aspect, Low float64
	// Short is the maximum number of nodes of graphs that may be laid out from left to
	// right.
	Short int
}

// Drawing is a graph with coordinates. All its points are in the rectangle of W×H
// at the origin.
type Drawing struct {
	W, H  float64
	Boxes []Box    // the box of each node
	Wires [][]Line // the lines of each net; the first starts at the producer
	// Frames are the frames of each group, one in each column with nodes of the group.
	Frames [][]Box
	// Sideways drawings have layers from left to right, so that what is said of columns
	// holds for rows: wires enter nodes on the left.
	Sideways bool
}

// Box is a rectangle. X and Y are its upper left corner.
type Box struct{ X, Y, W, H float64 }

// Top returns the point at which wires enter a node of a drawing that is not sideways.
func (b Box) Top() Point { return Point{b.X + b.W/2, b.Y} }

// Point is a place in the drawing.
type Point struct{ X, Y float64 }

// Line is a part of a wire. It has a curve between two successive points that
// differ in both coordinates. The curve starts and ends in the direction of the layers.
type Line struct {
	Points []Point
	To     int // the node at which it ends, or −1 if other lines continue it
	// Square lines connect the foot of a column to the head of the next and have
	// right angles.
	Square bool
}

// item is an element of a layer: a node, or the place where a net crosses the
// layer.
type item struct {
	node     int // the node, or −1 for a net
	net      int // the net, or −1 for a node
	layer    int
	w, x     float64
	up, down []int // connected items of the layers above and below
	next     int   // the item of the same net in the layer below, or −1
}

// sheet is an unfinished drawing.
type sheet struct {
	Graph
	o      Options
	turned bool     // whether the drawing will be transposed
	items  []item   // items of nodes, in the order of the nodes, then of nets
	layers [][]int  // items of each layer from left to right
	pos    []int    // position of each item in its layer
	trunks [][]int  // items of each net, from the producer's layer downwards
	rows   []row    // row of each layer
	cols   []column // columns from left to right
	out    [][]int  // nets that start at each node
	// The lengths of the longest path from the start of the graph to each node,
	// and from each node to the end of the graph, in nodes.
	above, beneath []int
}

// Layered lays out g. From left to right, it may need a slightly larger page.
func Layered(g Graph, o Options) *Drawing {
	d, size := draw(g, o, false)
	if o.Aspect > 0 && len(g.Nodes) <= o.Short {
		t := Graph{Nets: g.Nets, Groups: g.Groups}
		for _, n := range g.Nodes {
			t.Nodes = append(t.Nodes, Size{n.H, n.W})
		}
		if e, other := draw(t, o, true); other <= 1.1*size {
			return e.transposed()
		}
	}
	return d
}

// draw returns a drawing of g and the height of the page that it needs.
func draw(g Graph, o Options, turned bool) (*Drawing, float64) {
	s := &sheet{Graph: g, o: o, turned: turned}
	s.rank()
	s.order()
	s.place()
	s.stack()
	s.fold()
	d := s.route()
	s.frame(d)
	return d, s.page(d.W, d.H)
}

// page returns the height of a page with the aspect ratio of the options that has space for
// w×h. Small drawings need the same page.
func (s *sheet) page(w, h float64) float64 {
	if s.turned {
		w, h = h, w
	}
	return max(w/max(s.o.Aspect, 1e-9), h, s.o.Low)
}

// transposed exchanges the coordinates.
func (d *Drawing) transposed() *Drawing {
	t := &Drawing{W: d.H, H: d.W, Sideways: !d.Sideways}
	turn := func(list []Box) (turned []Box) {
		for _, b := range list {
			turned = append(turned, Box{b.Y, b.X, b.H, b.W})
		}
		return turned
	}
	t.Boxes = turn(d.Boxes)
	for _, list := range d.Frames {
		t.Frames = append(t.Frames, turn(list))
	}
	for _, lines := range d.Wires {
		var turned []Line
		for _, l := range lines {
			points := make([]Point, len(l.Points))
			for i, p := range l.Points {
				points[i] = Point{p.Y, p.X}
			}
			turned = append(turned, Line{Points: points, To: l.To, Square: l.Square})
		}
		t.Wires = append(t.Wires, turned)
	}
	return t
}
