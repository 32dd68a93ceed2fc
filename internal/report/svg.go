package report

import (
	_ "embed"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"modelc/internal/report/layout"
)

//go:embed graph.css
var graphCSS string

// margin is the space around a drawing.
const margin = 14

// Sizes above the drawing of a file, which has a title and a legend.
const (
	titleHeight  = 26
	legendHeight = 18
	legendLetter = 7.2
	leastWidth   = 300
)

// WriteSVG writes the picture as a complete file, with a title and a legend. Its colours
// follow the reader's preference for light or dark.
func (p *Picture) WriteSVG(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	name := p.name
	if name == "" {
		name = "A model without a name"
	}
	width := max(p.drawing.W, leastWidth)
	var legend strings.Builder
	x, y := 0.0, titleHeight+4.0
	for _, f := range p.families() {
		item := 16 + legendLetter*float64(len(f.doc)) + 14
		if x > 0 && x+item > width {
			x, y = 0, y+legendHeight
		}
		fmt.Fprintf(&legend, `<g class="l %s" transform="translate(%s %s)"><rect width="10" height="10" rx="3"/><text x="16" y="9">%s</text></g>`+"\n", f.class, num(x), num(y), text(f.doc))
		x += item
	}
	top := y + legendHeight + 10
	width, height := width+2*margin, p.drawing.H+top+2*margin
	p.open(&b, width, height, `role="img"`)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>\n%s</style>\n<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n", text("The graph of "+name), graphCSS)
	fmt.Fprintf(&b, "<g transform=\"translate(%d %d)\">\n<text class=\"h\" y=\"14\">%s</text>\n%s", margin, margin, text(clip(name, int(width/9.5))), legend.String())
	fmt.Fprintf(&b, "<g transform=\"translate(0 %s)\">\n", num(top))
	p.draw(&b, false)
	b.WriteString("</g>\n</g>\n</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// families returns the families of the boxes in the order of the legend.
func (p *Picture) families() (list []family) {
	for _, f := range legend {
		if slices.ContainsFunc(p.boxes, func(b box) bool { return b.family == f }) {
			list = append(list, f)
		}
	}
	return list
}

// element returns the drawing as an element of the page. It has labels for a small scale, and
// its nodes are in the order of the keyboard.
func (p *Picture) element() string {
	var b strings.Builder
	w, h := p.drawing.W+2*margin, p.drawing.H+2*margin
	p.open(&b, w, h, `role="group"`)
	fmt.Fprintf(&b, "<g transform=\"translate(%d %d)\">\n", margin, margin)
	p.draw(&b, true)
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

func (p *Picture) open(b *strings.Builder, w, h float64, attrs string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" class="graph" viewBox="0 0 %s %s" width="%s" height="%s" %s aria-label="%s">`+"\n",
		num(w), num(h), num(w), num(h), attrs, text("The graph "+p.name))
}

// draw writes the frames of groups, the wires and the boxes. The elements of nodes have the
// order of the boxes.
func (p *Picture) draw(b *strings.Builder, inPage bool) {
	for k, g := range p.groups {
		p.frame(b, g.name, p.drawing.Frames[k])
	}
	for k, wire := range p.wires {
		p.wire(b, k, wire)
	}
	for i := range p.boxes {
		p.box(b, i, inPage)
	}
}

// frame draws the frames of a group with its name at the side: upwards on the left, or in a
// drawing from left to right at the top.
func (p *Picture) frame(b *strings.Builder, name string, frames []layout.Box) {
	size, far := p.letters, ""
	for _, f := range frames {
		fmt.Fprintf(b, `<rect class="group" x="%s" y="%s" width="%s" height="%s" rx="9"/>`, num(f.X), num(f.Y), num(f.W), num(f.H))
		x, y, long, turn := f.X+9, f.Y+1.25*size, f.W, ""
		if p.drawing.Sideways { // in a small drawing the name fills the room above the boxes
			far = fmt.Sprintf(";--far:%spx", num(max(size, min(1.45*size, (long-18)/(0.62*float64(len([]rune(name))))))))
		} else {
			x, y, long = f.X+1.25*size, f.Y+9, f.H
			turn = fmt.Sprintf(` text-anchor="end" transform="rotate(-90 %s %s)"`, num(x), num(y))
		}
		fmt.Fprintf(b, `<text class="gn" x="%s" y="%s" style="--letters:%spx%s"%s>%s</text>`+"\n", num(x), num(y), num(size), far, turn, text(clip(name, int((long-18)/(0.62*size)))))
	}
}

func (p *Picture) wire(b *strings.Builder, k int, w wire) {
	lines := p.drawing.Wires[k]
	if len(lines) == 0 || len(w.to) == 0 {
		return
	}
	fmt.Fprintf(b, `<path class="w" data-k="%d" d="`, k)
	for _, l := range lines {
		b.WriteString(pathOf(l, p.drawing.Sideways))
	}
	b.WriteString(`"/><path class="a" d="`)
	tip := "l-3.5 -6h7z"
	if p.drawing.Sideways {
		tip = "l-6 -3.5v7z"
	}
	for _, l := range lines {
		if l.To >= 0 {
			end := l.Points[len(l.Points)-1]
			fmt.Fprintf(b, "M%s %s%s", num(end.X), num(end.Y), tip)
		}
	}
	b.WriteString("\"/>\n")
}

// pathOf draws a line. Between points that differ in both coordinates it is a
// curve; a square line has round corners.
func pathOf(l layout.Line, sideways bool) string {
	var b strings.Builder
	pts := l.Points
	fmt.Fprintf(&b, "M%s %s", num(pts[0].X), num(pts[0].Y))
	for i := 1; i < len(pts); i++ {
		a, c := pts[i-1], pts[i]
		switch {
		case l.Square && i+1 < len(pts):
			d := pts[i+1]
			r := min(8, (math.Abs(c.X-a.X)+math.Abs(c.Y-a.Y))/2, (math.Abs(d.X-c.X)+math.Abs(d.Y-c.Y))/2)
			p, q := towards(c, a, r), towards(c, d, r)
			fmt.Fprintf(&b, "L%s %sQ%s %s %s %s", num(p.X), num(p.Y), num(c.X), num(c.Y), num(q.X), num(q.Y))
		case a.X == c.X:
			fmt.Fprintf(&b, "V%s", num(c.Y))
		case a.Y == c.Y:
			fmt.Fprintf(&b, "H%s", num(c.X))
		case sideways:
			mid := num((a.X + c.X) / 2)
			fmt.Fprintf(&b, "C%s %s %s %s %s %s", mid, num(a.Y), mid, num(c.Y), num(c.X), num(c.Y))
		default:
			mid := num((a.Y + c.Y) / 2)
			fmt.Fprintf(&b, "C%s %s %s %s %s %s", num(a.X), mid, num(c.X), mid, num(c.X), num(c.Y))
		}
	}
	return b.String()
}

// towards returns the point at distance r from p in the direction of q, along an
// axis.
func towards(p, q layout.Point, r float64) layout.Point {
	d := math.Abs(q.X-p.X) + math.Abs(q.Y-p.Y)
	if d == 0 {
		return p
	}
	return layout.Point{X: p.X + (q.X-p.X)*r/d, Y: p.Y + (q.Y-p.Y)*r/d}
}

func (p *Picture) box(b *strings.Builder, i int, inPage bool) {
	n := &p.boxes[i]
	at := p.drawing.Boxes[i]
	keys := ""
	if inPage {
		keys = ` tabindex="0" role="button"`
	}
	fmt.Fprintf(b, `<g class="n %s" transform="translate(%s %s)"%s>`, n.family.class, num(at.X), num(at.Y), keys)
	fmt.Fprintf(b, "<title>%s</title>", text(p.tip(i)))
	fmt.Fprintf(b, `<rect class="b" width="%s" height="%s" rx="6"/><rect class="c" x="4" y="5" width="4" height="%s" rx="2"/>`, num(n.w), num(n.h), num(n.h-10))
	fmt.Fprintf(b, `<text class="t" x="14" y="18">%s</text><text class="m" x="14" y="32">%s</text><text class="s" x="14" y="45">%s</text>`, text(n.title), text(n.name), text(n.shape))
	for _, s := range n.parts {
		class := "p"
		if s.own {
			class = "p o"
		}
		fmt.Fprintf(b, `<g class="%s %s" transform="translate(%s %s)"><rect width="%s" height="%d" rx="7"/><text x="6" y="11">%s</text></g>`,
			class, s.family.class, num(s.x), num(s.y), num(s.w), pillHeight, text(s.text))
	}
	if inPage {
		style := ""
		if size := (n.w - 8) / (farLetter * float64(len([]rune(n.short)))); size < farSize {
			style = fmt.Sprintf(` style="font-size:%spx"`, num(size))
		}
		fmt.Fprintf(b, `<text class="f" x="%s" y="%s"%s>%s</text>`, num(n.w/2), num(n.h/2+7), style, text(n.short))
	}
	b.WriteString("</g>\n")
}

// tip returns the tooltip of box i.
func (p *Picture) tip(i int) string {
	n := &p.boxes[i]
	s := n.title + " " + n.full + "\n" + n.shape
	for _, q := range n.parts {
		s += "\n+ " + q.text + " " + q.node.Name
	}
	return s
}

// text escapes a text of a model for XML. It fits text and attributes.
func text(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}

func num(x float64) string {
	return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
}
