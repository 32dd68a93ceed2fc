package report

import (
	"slices"

	"modelc/backend/plan"
	"modelc/internal/report/layout"
	"modelc/ir"
)

// Picture is a graph laid out for drawing. Constants are not drawn; the
// graph's inputs and outputs are boxes of their own.
type Picture struct {
	name    string
	boxes   []box
	wires   []wire
	drawing *layout.Drawing
	graph   layout.Graph
}

// box is what is drawn for a node.
type box struct {
	node        *ir.Node // nil for inputs and outputs
	family      family
	title, name string
	full        string // the name, unclipped
	short       string // for a drawing seen from afar
	parts       []pill // what it was fused from, unless it is one node of the model
	w, h        float64
}

// pill shows a node of the model that became part of another, in the order in
// which the model computes them.
type pill struct {
	node   *ir.Node
	text   string
	family family
	own    bool    // it is the box's own op, shown where others come before it
	x, y   float64 // in the box
	w      float64
}

// wire is a value and who reads it, by box.
type wire struct {
	value *ir.Value
	from  int
	to    []int
	nth   int // of its producer's results
}

// How wide letters are: those of titles and pills on average, as a bound for
// common fonts, and those of names, which are set in a monospaced font.
const (
	titleLetter = 7.8
	pillLetter  = 6.2
	nameLetter  = 6.1
	farSize     = 21   // of the letters of a drawing seen from afar
	farLetter   = 0.72 // their width, relative to their size
	minWidth    = 116
	maxWidth    = 216
	pillHeight  = 15
	pillGap     = 4
)

// Options of the layout, in pixels at full size.
var spacing = layout.Options{GapX: 26, GapY: 30, Track: 9, Aspect: 1.6, Tall: 1500}

// Draw lays out g. A node whose [ir.Node.Origins] are several shows the others.
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

// originOrder numbers the nodes of the model that the nodes of g stand for such
// that each comes behind those it reads.
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

// parts returns what n was fused from in the model's order: its origins but
// the one that it is itself, unless others come before that.
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

// add gives a box its size and returns its number.
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
