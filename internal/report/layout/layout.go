// Package layout places the nodes of directed acyclic graphs in layers and
// routes the wires between them, by the method of Sugiyama, Tagawa and Toda:
//
//	rank.go   assigns every node to a layer below its operands
//	order.go  orders each layer so that few wires cross
//	place.go  computes horizontal coordinates that keep chains straight
//	fold.go   divides a tall drawing into columns side by side
//	route.go  draws the wires
//
// The input consists of sizes and connections. All lengths are in the drawing's
// unit, and y grows downwards. Equal graphs have equal drawings.
package layout

// Graph is a graph of nodes and of nets that connect them. It must have no cycles.
type Graph struct {
	Nodes []Size
	Nets  []Net
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
	// Aspect is the target ratio of width to height of a folded drawing. With 0,
	// and for drawings lower than Tall, there is only one column.
	Aspect, Tall float64
}

// Drawing is a graph with coordinates. All its points are in the rectangle of W×H
// at the origin.
type Drawing struct {
	W, H  float64
	Boxes []Box    // the box of each node
	Wires [][]Line // the lines of each net; the first starts at the producer
}

// Box is a rectangle. X and Y are its upper left corner.
type Box struct{ X, Y, W, H float64 }

// Top returns the point at which wires enter a node.
func (b Box) Top() Point { return Point{b.X + b.W/2, b.Y} }

// Point is a place in the drawing.
type Point struct{ X, Y float64 }

// Line is a part of a wire. It has a curve between two successive points that
// differ in both coordinates. The curve starts and ends vertically.
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

// Layered lays out g.
func Layered(g Graph, o Options) *Drawing {
	s := &sheet{Graph: g, o: o}
	s.rank()
	s.order()
	s.place()
	s.stack()
	s.fold()
	return s.route()
}
