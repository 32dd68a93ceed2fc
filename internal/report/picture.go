package report

import (
	"slices"

	"modelc/backend/plan"
	"modelc/frontend/source"
	"modelc/internal/report/layout"
	"modelc/ir"
)

// Picture is a graph that is laid out for drawing. Inputs and outputs of the graph
// have boxes. Constants are not drawn.
type Picture struct {
	name    string
	boxes   []box
	wires   []wire
	groups  []group
	letters float64 // size of the names of groups
	drawing *layout.Drawing
	graph   layout.Graph
}

// box is the drawing of a node of the IR, or of a call of a model's layer.
type box struct {
	node        *ir.Node // nil for layers, inputs and outputs
	call        *source.Call
	family      family
	title, name string
	full        string // whole name
	shape       string // of the results
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
	label string // type of the value
	from  int
	to    []int
}

// Widths of letters: a bound of the average width in titles and pills for common
// fonts, and the width in names, which have a monospaced font.
const (
	titleLetter = 7.8
	pillLetter  = 6.2
	nameLetter  = 6.1
	farSize     = 21   // size of the letters in a small drawing
	farLetter   = 0.72 // their width, relative to their size
	shapeLetter = 5.8
	minWidth    = 116
	maxWidth    = 216
	plainHeight = 54 // of a box without pills
	groupLetter = 11 // size of the names of groups in a drawing that fits the report's page
	pillHeight  = 15
	pillGap     = 4
)

// Options of the layout, in pixels at full size. The page is that of the report in a window
// of common size.
var spacing = layout.Options{GapX: 30, GapY: 28, Track: 9, Pad: 8, Aspect: 1.6, Low: 540, Short: 40}

// Draw lays out g. A node with several [ir.Node.Origins] shows them as pills.
func Draw(g *ir.Graph) *Picture {
	p := &Picture{name: g.Name}
	at := map[*ir.Node]int{}
	wires := map[*ir.Value]int{}
	start := func(v *ir.Value, from int) {
		wires[v] = p.start(typeLabel(v.Type), from)
	}
	for _, v := range g.Inputs {
		start(v, p.add(inputBox(v)))
	}
	order := originOrder(g)
	for _, n := range g.Nodes {
		b := box{node: n, family: familyOf(n.Op), title: title(n), short: shortTitle(n), name: plan.NodeName(n), shape: typesLabel(n.Out)}
		b.parts = parts(n, order)
		at[n] = p.add(b)
		for _, v := range n.Out {
			if len(v.Uses()) > 0 {
				start(v, at[n])
			}
		}
	}
	read := func(v *ir.Value, by int) {
		if k, ok := wires[v]; ok {
			p.read(k, by)
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			read(v, at[n])
		}
	}
	for _, o := range g.Outputs {
		read(o.Value, p.add(outputBox(o)))
	}
	p.layOut()
	return p
}

// DrawModel lays out the layers of a model as its author knows them. A layer that the model
// uses several times has a box for each use. A model without layers is drawn as its graph.
func DrawModel(m *source.Model) *Picture {
	if len(m.Calls) == 0 {
		return Draw(m.Graph)
	}
	p := &Picture{name: m.Graph.Name}
	wires := map[string]int{}      // by the name of the tensor
	results := map[*ir.Value]int{} // wires of the last call that returns a value
	for _, v := range m.Graph.Inputs {
		if !slices.ContainsFunc(m.Calls, func(c *source.Call) bool { return slices.Contains(c.Makes, v.Name) }) {
			wires[v.Name] = p.start(typeLabel(v.Type), p.add(inputBox(v)))
			results[v] = wires[v.Name]
		}
	}
	for _, c := range m.Calls {
		b := box{call: c, family: familyOfCall(c), title: c.Layer.Class, short: abbreviated.Replace(c.Layer.Class), name: c.Layer.Name, shape: typesLabel(c.Out)}
		if w := window(c.Layer.Kernel, c.Layer.Strides); w != "" {
			b.title += " " + w
		}
		i := p.add(b)
		for _, name := range c.Reads {
			if k, ok := wires[name]; ok && p.wires[k].from != i {
				p.read(k, i)
			}
		}
		for j, v := range c.Out {
			if v != nil && v.Const == nil && j < len(c.Makes) {
				k := p.start(typeLabel(v.Type), i)
				wires[c.Makes[j]], results[v] = k, k
			}
		}
	}
	for _, o := range m.Graph.Outputs {
		i := p.add(outputBox(o))
		v := o.Value
		k, ok := results[v]
		for !ok && v.Def() != nil { // the compiler may have added a softmax
			v = v.Def().In[0]
			k, ok = results[v]
		}
		if ok {
			p.read(k, i)
		}
	}
	p.layOut()
	return p
}

func inputBox(v *ir.Value) box {
	return box{family: portFamily, title: "Input", short: "Input", name: v.Name, shape: typeLabel(v.Type)}
}

func outputBox(o ir.Output) box {
	return box{family: portFamily, title: "Output", short: "Output", name: o.Name, shape: typeLabel(o.Value.Type)}
}

// start adds a wire from a box and returns its number.
func (p *Picture) start(label string, from int) int {
	p.wires = append(p.wires, wire{label: label, from: from})
	return len(p.wires) - 1
}

// read adds a reader to wire k.
func (p *Picture) read(k, by int) {
	if !slices.Contains(p.wires[k].to, by) {
		p.wires[k].to = append(p.wires[k].to, by)
	}
}

// layOut gives the boxes and wires their coordinates.
func (p *Picture) layOut() {
	var names []string
	for _, b := range p.boxes {
		p.graph.Nodes = append(p.graph.Nodes, layout.Size{W: b.w, H: b.h})
		name := b.full
		if b.node == nil && b.call == nil {
			name = ""
		}
		names = append(names, name)
	}
	for _, w := range p.wires {
		p.graph.Nets = append(p.graph.Nets, layout.Net{From: w.from, To: w.to})
	}
	p.groups = groupsOf(names)
	for _, g := range p.groups {
		p.graph.Groups = append(p.graph.Groups, g.nodes)
	}
	o := spacing
	p.letters = groupLetter
	for k := range 2 { // the second drawing has names as large as the first needs
		o.Head = 1.5*p.letters + 5
		p.drawing = layout.Layered(p.graph, o)
		if len(p.groups) == 0 || k == 1 {
			return
		}
		p.letters = groupLetter / p.scale(1240, 740)
	}
}

// scale returns the scale at which the drawing fits a page of the given size in pixels.
func (p *Picture) scale(width, height float64) float64 {
	return min(width/(p.drawing.W+2*margin), height/(p.drawing.H+2*margin), 1)
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
	w := max(letters(b.title)*titleLetter, letters(b.name)*nameLetter, letters(b.shape)*shapeLetter) + 24
	pills := 20.0
	for i := range b.parts {
		b.parts[i].w = letters(b.parts[i].text)*pillLetter + 12
		pills += b.parts[i].w + pillGap
	}
	b.w = min(max(w, pills, minWidth), maxWidth)
	b.full = b.name
	b.name = clip(b.name, int((b.w-22)/nameLetter))
	b.title = clip(b.title, int((b.w-18)/titleLetter))
	b.shape = clip(b.shape, int((b.w-22)/shapeLetter))
	b.h = plainHeight
	if len(b.parts) > 0 {
		x, y := 12.0, plainHeight-2.0
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
