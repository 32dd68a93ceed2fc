// Package layout places the nodes of directed acyclic graphs in layers and
// routes the wires between them, by the method of Sugiyama, Tagawa and Toda:
//
//	rank.go   every node gets a layer, below those it reads
//	order.go  the order within each layer, for few crossings
//	place.go  horizontal coordinates that keep chains straight
//	fold.go   a tall drawing is cut into columns side by side
//	route.go  the wires
//
// It knows sizes and connections alone. All lengths are in the drawing's unit,
// y grows downwards, and equal graphs give equal drawings.
package layout

// Graph is what is laid out: nodes, and nets that connect them. It must have
// no cycles.
type Graph struct {
	Nodes []Size
	Nets  []Net
}

// Size is the extent of a node.
type Size struct{ W, H float64 }

// Net connects the node that computes a value to those that read it. They
// share one trunk, which the wires to each leave where they must: a value with
// twenty readers is one line with twenty ends.
type Net struct {
	From int
	To   []int
}

// Options are lengths and proportions of the drawing.
type Options struct {
	GapX, GapY float64 // between neighbours in a layer, between layers
	Track      float64 // between parallel wires
	// Aspect is the width over the height that a folded drawing aims at, 0
	// for one column always. Drawings lower than Tall are not folded.
	Aspect, Tall float64
}

// Drawing is a graph with coordinates. Everything lies within W×H from the
// origin.
type Drawing struct {
	W, H  float64
	Boxes []Box    // one each node
	Wires [][]Line // of each net: the first starts at its producer
}

// Box is a rectangle by its upper left corner.
type Box struct{ X, Y, W, H float64 }

// Top is the point at which wires enter a node.
func (b Box) Top() Point { return Point{b.X + b.W/2, b.Y} }

// Point is a place in the drawing.
type Point struct{ X, Y float64 }

// Line is a part of a wire. Where two successive points differ in both
// coordinates, it runs from one to the other in a curve that starts and ends
// vertically.
type Line struct {
	Points []Point
	To     int // the node that it ends at, −1 where other lines go on
	// Square lines lead from the foot of a column to the head of the next,
	// with right angles.
	Square bool
}

// item is what a layer holds: a node, or the place where a net passes.
type item struct {
	node     int // −1 where a net passes
	net      int // that passes, −1 for a node
	layer    int
	w, x     float64
	up, down []int // items of the neighbouring layers
	next     int   // of a net's items the one below, −1 at the end and for nodes
}

// sheet is a drawing in the making.
type sheet struct {
	Graph
	o      Options
	items  []item   // those of the nodes come first, by node
	layers [][]int  // items from left to right
	pos    []int    // of each item in its layer
	trunks [][]int  // of each net: its item in each layer from the producer's on
	rows   []row    // of each layer
	cols   []column // from left to right
	out    [][]int  // the nets that each node starts
	// The longest way to each node from where the graph starts, and from each
	// node to where it ends, in nodes.
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
