// Package report shows compiled models: graphs as pictures ([Draw]), and a whole
// compilation as one HTML page ([Write]).
//
//	picture.go  a graph as boxes and wires; layout/ gives them coordinates
//	svg.go, dot.go  pictures as files
//	report.go   the content of the page, in its order
//	charts.go   memory and time over the steps
//	cuda.go     the kernels for a GPU
//	page.*      the page itself: template, style, script
//
// The page loads nothing: no script, no style, no font. Names in a model are
// hostile text. All of them pass through html/template or [text].
package report

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"modelc"
	"modelc/backend/cuda/roofline"
	"modelc/backend/golang"
	"modelc/backend/plan"
	"modelc/frontend/source"
	"modelc/internal/measure"
	"modelc/internal/units"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
)

// Options selects what a page shows in addition to what the compiler knows.
type Options struct {
	// Errors adds the error of each layer, compared with the reference
	// interpreter. It takes one run of the interpreter.
	Errors bool
	// CUDA, unless nil, describes the kernels of Compiled.CUDA.
	CUDA *roofline.Report
	// Profile, unless nil, is what [measure.Bench] measured of this model.
	Profile *measure.Profile
}

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"count":      units.Count[int64],
	"size":       units.Bytes[int64],
	"words":      words,
	"name":       breakable,
	"parameters": func(l *source.Layer) int64 { return l.Trainable + l.Fixed },
}).Parse(pageHTML + cudaHTML))

// words returns the words of text with spaces between them. No line breaks inside a flag.
func words(text string) (list []template.HTML) {
	for i, w := range strings.Fields(text) {
		w = template.HTMLEscapeString(w)
		if strings.Contains(w, "--") {
			w = `<span class="flag">` + w + `</span>`
		}
		if i > 0 {
			w = " " + w
		}
		list = append(list, template.HTML(w))
	}
	return list
}

// breakable returns a name that may break after the signs that separate its parts.
func breakable(name string) template.HTML {
	return template.HTML(strings.NewReplacer(".", ".<wbr/>", "/", "/<wbr/>").Replace(template.HTMLEscapeString(name)))
}

// page is the data of the template.
type page struct {
	CSS template.CSS
	JS  template.JS

	Name, Format, SHA256, Version string
	Flags                         string
	Notes                         []string
	Inputs, Outputs               []port
	Facts                         []fact
	Graphs                        []graphView
	Legend                        []legendEntry
	Model                         []modelRow
	Layers                        []layerRow
	Total                         layerRow
	HasErrors                     bool
	Worst                         string
	Profile                       *measure.Profile
	Times                         *timeChart
	Memory                        memoryChart
	Passes                        []passRow
	CUDA                          *cudaSection
	Data                          map[string]graphData
}

type port struct{ Name, Type string }

// fact is a number of the summary.
type fact struct{ Label, Value, More string }

type legendEntry struct{ Class, Doc string }

// graphView is one of the two graphs: that of the model, or the optimised one.
type graphView struct {
	ID, Title, Count string
	Scale            float64 // at which it fits a printed page, of A4 or Letter
	SVG              template.HTML
}

// graphData is what the page's script knows about a graph.
type graphData struct {
	Nodes []nodeData `json:"nodes"`
	Wires []wireData `json:"wires"`
}

type nodeData struct {
	Title string `json:"t"`
	Name  string `json:"n"`
	Text  string `json:"x,omitempty"` // the node, or those that compute the layer, in the IR's text form
	Note  string `json:"w,omitempty"` // what the file says of a layer
	FLOPs int64  `json:"f,omitempty"`
	Parms int64  `json:"p,omitempty"`
	// Parts are the layers of the model that an optimised node computes, in part or
	// whole. Into are the optimised nodes that compute a layer of the model. Layers are
	// the steps that compute the node.
	Parts  []int `json:"s,omitempty"`
	Into   []int `json:"i,omitempty"`
	Layers []int `json:"l,omitempty"`
}

type wireData struct {
	Type string `json:"y"`
	From int    `json:"a"`
	To   []int  `json:"b"`
}

// modelRow is a layer of the model as its author knows it.
type modelRow struct {
	*source.Layer
	Node         int // index of its first box in the graph of the model
	Family       string
	Shape, Reads string
}

// layerRow is a step of the program.
type layerRow struct {
	Index                     int
	Node                      int // index of its box in the optimised graph, or −1
	Class                     string
	Name, Doc, Shape          string
	Parameters, FLOPs, Bytes  int64
	Algorithm, AlgorithmWhy   string
	Padding, PaddingWhy       string
	Error                     string
	ErrorValue                float64
	Ms, Share, GFLOPS, OfPeak float64
	Time                      string
}

type passRow struct {
	passes.Stat
	Doc, Ms            string
	Nodes, Work, Moved string // before and after, or one text if they look the same
}

func passRowOf(s passes.Stat, doc string) passRow {
	r := passRow{Stat: s, Doc: doc, Ms: decimals(float64(s.Time.Nanoseconds()) / 1e6)}
	change := func(a, b string) string {
		if a == b {
			return a
		}
		return a + " → " + b
	}
	flops := func(x passes.Size) string { return units.Count(x.FLOPs) }
	bytes := func(x passes.Size) string { return units.Bytes(x.Bytes) }
	r.Nodes = change(fmt.Sprint(s.Before.Nodes), fmt.Sprint(s.After.Nodes))
	r.Work, r.Moved = change(flops(s.Before), flops(s.After)), change(bytes(s.Before), bytes(s.After))
	return r
}

// ErrProfile is the error of [Write] if the profile is of another program.
var ErrProfile = errors.New("the profile is of another program: measure it again with `modelc bench --json` and the same flags")

// Write writes the page of c to w.
func Write(w io.Writer, c *modelc.Compiled, o Options) error {
	if t := o.Profile; t != nil {
		same := t.SHA256 == c.Model.SHA256 && slices.EqualFunc(t.Layers, c.Program.Layers, func(a measure.LayerTime, b plan.Layer) bool {
			return a.Name == b.Name && a.Doc == b.Doc
		})
		if !same {
			return ErrProfile
		}
	}
	before, after := DrawModel(c.Model), Draw(c.Graph)
	p := &page{
		CSS: template.CSS(graphCSS + pageCSS), JS: template.JS(pageJS),
		Name: c.Graph.Name, Format: c.Model.Format, SHA256: c.Model.SHA256, Version: modelc.Version, Flags: strings.Join(c.Options.Flags, " "), Notes: c.Model.Notes,
		HasErrors: o.Errors, Profile: o.Profile,
	}
	if p.Name == "" {
		p.Name = "A model without a name"
	}
	for _, v := range c.Before.Inputs {
		p.Inputs = append(p.Inputs, port{v.Name, typeLabel(v.Type)})
	}
	for _, v := range c.Before.Outputs {
		p.Outputs = append(p.Outputs, port{v.Name, typeLabel(v.Value.Type)})
	}
	p.model(before)
	for _, f := range legend {
		p.Legend = append(p.Legend, legendEntry{f.class, f.doc})
	}
	if err := p.layers(c, after, o); err != nil {
		return err
	}
	p.graphs(c, before, after)
	p.Memory = memoryOf(&c.Program.Program)
	if o.Profile != nil {
		p.Times = timesOf(p.Layers)
	}
	docs := map[string]string{}
	for _, q := range passes.Pipeline {
		docs[q.Name] = q.Doc
	}
	for _, s := range c.Report.Passes {
		p.Passes = append(p.Passes, passRowOf(s, docs[s.Name]))
	}
	if o.CUDA != nil {
		var err error
		if p.CUDA, err = cudaOf(c, o.CUDA); err != nil {
			return err
		}
	}
	p.facts(c)
	var b strings.Builder
	if err := pageTemplate.Execute(&b, p); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.ToValidUTF8(b.String(), "\uFFFD")) // names are any bytes
	return err
}

// facts fills the numbers at the head of the page.
func (p *page) facts(c *modelc.Compiled) {
	s, m := golang.Summarize(c.Program), modelc.SizeOf(c.Model.Layers)
	p.Facts = []fact{
		{"Parameters", units.Count(m.Parameters), units.Bytes(s.Weights) + " of packed weights"},
		{"Work", units.FLOP(m.FLOPs), fmt.Sprintf("a run, a multiply-add counted as two; %s after the passes", units.FLOP(s.FLOPs))},
		{"Steps", fmt.Sprint(s.Layers), fmt.Sprintf("from %d nodes of the model", len(c.Before.Nodes))},
		{"Memory", units.Bytes(s.Arena), "a session; no plan needs less than " + units.Bytes(s.LowerBound)},
	}
	if s.Prepared > 0 {
		p.Facts[0].More += ", " + units.Bytes(s.Prepared) + " transformed at load"
	}
	if r := c.Report.Integers; r != nil {
		more := "convolutions and dense layers"
		if lines := r.Reasons(4); len(lines) > 0 {
			more += "; in float32: " + strings.Join(lines, "; ")
		}
		p.Facts = append(p.Facts, fact{"Integers", fmt.Sprintf("%d of %d", r.Integer, r.Layers), more})
	}
	if p.HasErrors {
		p.Facts = append(p.Facts, fact{"Largest error", p.Worst, "of a layer, relative to its largest value"})
	}
	if t := p.Profile; t != nil {
		threads := "1 thread"
		if t.Threads > 1 {
			threads = fmt.Sprintf("%d threads", t.Threads)
		}
		more := fmt.Sprintf("a run, the sum of the steps, on %s, %s; %s GFLOP/s", threads, t.Tier, decimals(t.GFLOPS))
		if t.Peak > 0 {
			more += fmt.Sprintf(", %.0f %% of the peak", 100*t.OfPeak)
		}
		p.Facts = append(p.Facts, fact{"Time", decimals(t.Time) + " ms", more})
	}
}

// layers fills the table of layers.
func (p *page) layers(c *modelc.Compiled, after *Picture, o Options) error {
	boxes := after.boxOf()
	diffs := map[*ir.Value]eval.Diff{}
	if o.Errors {
		var broken error
		if err := c.CompareLayers(eval.Inputs(c.Before, 1), func(l plan.Layer, d eval.Diff, err error) {
			if err != nil {
				broken = errors.Join(broken, fmt.Errorf("%s: %w", l.Name, err))
			}
			diffs[l.Value] = d
		}); err != nil {
			return err
		}
		if broken != nil {
			return broken
		}
	}
	slowest := 0.0
	worst := 0.0
	for i, l := range c.Program.Layers {
		r := layerRow{Index: i, Node: -1, Class: shapeFamily.class, Name: l.Name, Doc: l.Doc, Shape: dims(l.Out), FLOPs: l.FLOPs, Bytes: l.Bytes()}
		if l.Node != nil {
			r.Class = familyOf(l.Node.Op).class
		}
		for _, n := range l.Nodes {
			if b, ok := boxes[n]; ok {
				r.Node = b
			}
			if l.Value != nil {
				r.Parameters += parameters(n)
			}
		}
		r.Algorithm, r.AlgorithmWhy = algorithmOf(&l)
		if l.Node != nil {
			r.Padding, r.PaddingWhy = l.Padding.How, l.Padding.Why
		}
		if d, ok := diffs[l.Value]; ok {
			r.Error, r.ErrorValue = errorText(d.Rel), d.Rel
			worst = max(worst, d.Rel)
		}
		if o.Profile != nil {
			t := o.Profile.Layers[i]
			r.Ms, r.GFLOPS, r.OfPeak, r.Time = t.Time, t.GFLOPS, t.OfPeak, decimals(t.Time)
			slowest = max(slowest, t.Time)
		}
		p.Total.Parameters += r.Parameters
		p.Total.FLOPs += r.FLOPs
		p.Total.Bytes += r.Bytes
		p.Total.Ms += r.Ms
		p.Layers = append(p.Layers, r)
	}
	for i := range p.Layers {
		if slowest > 0 {
			p.Layers[i].Share = 100 * p.Layers[i].Ms / slowest
		}
	}
	p.Total.Time = decimals(p.Total.Ms)
	p.Worst = errorText(worst)
	return nil
}

// algorithmOf returns the algorithm of a step, and the reason if it has a choice.
func algorithmOf(l *plan.Layer) (name, why string) {
	if l.Choice.Algorithm == "" {
		return l.Kernel, ""
	}
	why = l.Choice.Why
	if e := l.Choice.Estimates; e != nil {
		var parts []string
		for a := range e {
			parts = append(parts, fmt.Sprintf("%s %s ms", a, decimals(e[a]/1e6)))
		}
		slices.Sort(parts)
		why += ": " + strings.Join(parts, ", ")
	}
	return l.Choice.Algorithm, why
}

// parameters returns the number of elements of a node's constants.
func parameters(n *ir.Node) int64 {
	var sum int64
	for i, v := range n.In {
		if v != nil && v.Const != nil && !slices.Contains(n.In[:i], v) {
			sum += int64(v.Type.Shape.Len())
		}
	}
	return sum
}

// model fills the table of the model's layers.
func (p *page) model(before *Picture) {
	seen := map[*source.Layer]bool{}
	last := ""
	for i, b := range before.boxes {
		if b.call == nil || seen[b.call.Layer] {
			continue
		}
		l := b.call.Layer
		seen[l] = true
		var shapes []string
		for _, s := range l.Shapes {
			shapes = append(shapes, dims(s))
		}
		r := modelRow{Layer: l, Node: i, Family: b.family.class, Shape: strings.Join(shapes, ", "), Reads: strings.Join(l.Inputs, ", ")}
		if r.Reads == last {
			r.Reads = ""
		}
		last = l.Name
		p.Model = append(p.Model, r)
	}
}

// graphs draws both graphs and links their nodes with each other and with the
// layers.
func (p *page) graphs(c *modelc.Compiled, before, after *Picture) {
	p.Data = map[string]graphData{}
	layers := fmt.Sprintf("%d layers", len(p.Model))
	if len(p.Model) == 0 {
		layers = fmt.Sprintf("%d nodes", len(c.Before.Nodes))
	}
	for _, g := range []struct {
		id, title, count string
		*Picture
	}{{"b", "Model", layers, before}, {"a", "Optimised", fmt.Sprintf("%d nodes", len(c.Graph.Nodes)), after}} {
		p.Graphs = append(p.Graphs, graphView{g.id, g.title, g.count, g.scale(960, 590), template.HTML(g.element())})
		p.Data[g.id] = g.data()
	}
	add := func(list []int, k int) []int {
		if slices.Contains(list, k) {
			return list
		}
		return append(list, k)
	}
	from := before.boxOf()
	a, b := p.Data["a"].Nodes, p.Data["b"].Nodes
	for i, box := range after.boxes {
		if box.node == nil {
			continue
		}
		for _, o := range box.node.Origins {
			if k, ok := from[o]; ok { // the compiler may have added others
				a[i].Parts, b[k].Into = add(a[i].Parts, k), add(b[k].Into, i)
			}
		}
		slices.Sort(a[i].Parts)
	}
	to := after.boxOf()
	for i, l := range c.Program.Layers {
		for _, n := range l.Nodes {
			box := to[n]
			a[box].Layers = append(a[box].Layers, i)
		}
	}
}

// boxOf returns the index of the box of each node of the IR.
func (p *Picture) boxOf() map[*ir.Node]int {
	m := map[*ir.Node]int{}
	for i, b := range p.boxes {
		if b.node != nil {
			m[b.node] = i
		}
		if b.call != nil {
			for _, n := range b.call.Nodes {
				m[n] = i
			}
		}
	}
	return m
}

func (p *Picture) data() graphData {
	var d graphData
	for _, b := range p.boxes {
		n := nodeData{Title: b.title, Name: b.full}
		if b.node != nil {
			n.Title = title(b.node)
			n.Text = ir.FormatNode(b.node)
			n.FLOPs = ir.FLOPs(b.node)
			n.Parms = parameters(b.node)
		}
		if b.call != nil {
			l := b.call.Layer
			n.Title, n.FLOPs, n.Parms, n.Note = l.Class, l.FLOPs, l.Trainable+l.Fixed, l.Window.String()
			var lines []string
			for _, m := range b.call.Nodes {
				lines = append(lines, ir.FormatNode(m))
			}
			n.Text = strings.Join(lines, "\n")
		}
		d.Nodes = append(d.Nodes, n)
	}
	for _, w := range p.wires {
		d.Wires = append(d.Wires, wireData{w.label, w.from, w.to})
	}
	return d
}

// decimals formats a number with three significant digits.
func decimals(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 0.001:
		return fmt.Sprintf("%.1g", x)
	case x < 1:
		return fmt.Sprintf("%.3f", x)
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

func errorText(x float64) string {
	if x == 0 {
		return "0"
	}
	return fmt.Sprintf("%.1e", x)
}
