package report

import (
	"slices"

	"modelc/backend/plan"
	"modelc/internal/report/layout"
	"modelc/ir"
)

// Picture is a graph that is laid out for drawing. Inputs and outputs of the graph
// have boxes. Constants are not drawn.
type Picture struct {
	name    string
	boxes   []box
	wires   []wire
	drawing *layout.Drawing
	graph   layout.Graph
}

// box is the drawing of a node.
type box struct {
	node        *ir.Node // nil for inputs and outputs
	family      family
	title, name string
	full        string // whole name
	short       string // label of a small drawing
	parts       []pill // nodes of the model that it was fused from; nil if there is one
	w, h        float64
}

// pill shows a node of the model that was fused into another. Pills have the order
// in which the model computes the nodes.
type pill struct {
	node   *ir.Node
	text   string
	family family
	own    bool    // whether it shows the box's own op, if others come before it
	x, y   float64 // relative to the box
	w      float64
}

// wire is a value with the boxes that read it.
type wire struct {
	value *ir.Value
	from  int
	to    []int
	nth   int // index among the producer's results
}

// Widths of letters: a bound of the average width in titles and pills for common
// fonts, and the width in names, which have a monospaced font.
const (
	titleLetter = 7.8
	pillLetter  = 6.2
	nameLetter  = 6.1
	farSize     = 21   // size of the letters in a small drawing
	farLetter   = 0.72 // their width, relative to their size
	minWidth    = 116
	maxWidth    = 216
	pillHeight  = 15
	pillGap     = 4
)

// Options of the layout, in pixels at full size.
var spacing = layout.Options{GapX: 26, GapY: 30, Track: 9, Aspect: 1.6, Tall: 1500}

// Draw lays out g. A node with several [ir.Node.Origins] shows them as pills.
func Draw(g *ir.Graph) *Picture {
	p := &Picture{name: g.Name}
	at := map[*ir.Node]int{}
	wires := map[*ir.Value]int{}
	start := func(v *ir.Value, from, nth int) {
		wires[v] = len(p.wires)
		p.wires = append(p.wires, wire{value: v, from: from, nth: nth})
	}
	for _, v := range g.Inputs {
		start(v, p.add(box{family: portFamily, title: "Input", short: "Input", name: v.Name}), 0)
	}
	order := originOrder(g)
	for _, n := range g.Nodes {
		b := box{node: n, family: familyOf(n.Op), title: title(n), short: shortTitle(n), name: plan.NodeName(n)}
		b.parts = parts(n, order)
		at[n] = p.add(b)
		for i, v := range n.Out {
			if len(v.Uses()) > 0 {
				start(v, at[n], i)
			}
		}
	}
	read := func(v *ir.Value, by int) {
		if k, ok := wires[v]; ok && !slices.Contains(p.wires[k].to, by) {
			p.wires[k].to = append(p.wires[k].to, by)
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			read(v, at[n])
		}
	}
	for _, o := range g.Outputs {
		read(o.Value, p.add(box{family: portFamily, title: "Output", short: "Output", name: o.Name}))
	}
	for _, b := range p.boxes {
		p.graph.Nodes = append(p.graph.Nodes, layout.Size{W: b.w, H: b.h})
	}
	for _, w := range p.wires {
		p.graph.Nets = append(p.graph.Nets, layout.Net{From: w.from, To: w.to})
	}
	p.drawing = layout.Layered(p.graph, spacing)
	return p
}

// originOrder numbers the nodes of the model from which those of g were made, in
// topological order.
func originOrder(g *ir.Graph) map[*ir.Node]int {
	order := map[*ir.Node]int{}
	seen := map[*ir.Node]bool{}
	var visit func(n *ir.Node)
	visit = func(n *ir.Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, v := range n.In {
			if v != nil && v.Def() != nil {
				visit(v.Def())
			}
		}
		order[n] = len(order)
	}
	for _, n := range g.Nodes {
		for _, o := range n.Origins {
			visit(o)
		}
	}
	return order
}

// parts returns the nodes of the model that n was fused from, in the model's
// order. It leaves out n's own node, unless others come before it.
func parts(n *ir.Node, order map[*ir.Node]int) []pill {
	if len(n.Origins) == 0 || len(n.Origins) == 1 && n.Origins[0].Op.Name() == n.Op.Name() {
		return nil
	}
	list := slices.Clone(n.Origins)
	slices.SortFunc(list, func(a, b *ir.Node) int { return order[a] - order[b] })
	own := slices.IndexFunc(list, func(o *ir.Node) bool { return o.Op.Name() == n.Op.Name() && o.Name == n.Name })
	if own < 0 {
		own = slices.IndexFunc(list, func(o *ir.Node) bool { return o.Op.Name() == n.Op.Name() })
	}
	var pills []pill
	for i, o := range list {
		if i != own || own > 0 {
			pills = append(pills, pill{node: o, text: label(o.Op), family: familyOf(o.Op), own: i == own})
		}
	}
	return pills
}

// add sets the size of a box, appends the box and returns its number.
func (p *Picture) add(b box) int {
	letters := func(s string) float64 { return float64(len([]rune(s))) }
	w := max(letters(b.title)*titleLetter, letters(b.name)*nameLetter) + 24
	pills := 20.0
	for i := range b.parts {
		b.parts[i].w = letters(b.parts[i].text)*pillLetter + 12
		pills += b.parts[i].w + pillGap
	}
	b.w = min(max(w, pills, minWidth), maxWidth)
	b.full = b.name
	b.name = clip(b.name, int((b.w-22)/nameLetter))
	b.title = clip(b.title, int((b.w-18)/titleLetter))
	b.h = 40
	if len(b.parts) > 0 {
		x, y := 12.0, 40.0
		for i := range b.parts {
			s := &b.parts[i]
			if x > 12 && x+s.w > b.w-8 {
				x, y = 12, y+pillHeight+pillGap
			}
			s.x, s.y = x, y
			x += s.w + pillGap
		}
		b.h = y + pillHeight + 9
	}
	p.boxes = append(p.boxes, b)
	return len(p.boxes) - 1
}
