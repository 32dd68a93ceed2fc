package report

import (
	_ "embed"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"modelc/internal/report/layout"
)

//go:embed graph.css
var graphCSS string

// margin is the space around a drawing.
const margin = 14

// WriteSVG writes the picture as a complete file. Its colours follow the reader's
// preference for light or dark.
func (p *Picture) WriteSVG(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	p.svg(&b, graphCSS)
	_, err := io.WriteString(w, b.String())
	return err
}

// svg writes the drawing. A complete file has a style; in the page, which has one,
// the drawing also has the labels for a small scale. The elements of nodes have the
// order of the boxes.
func (p *Picture) svg(b *strings.Builder, style string) {
	w, h := p.drawing.W+2*margin, p.drawing.H+2*margin
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" class="graph" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="%s">`,
		num(w), num(h), num(w), num(h), text("The graph "+p.name))
	if style != "" {
		fmt.Fprintf(b, "\n<style>\n%s</style>\n<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>", style)
	}
	fmt.Fprintf(b, "\n<g transform=\"translate(%d %d)\">\n", margin, margin)
	for k, wire := range p.wires {
		p.wire(b, k, wire)
	}
	for i := range p.boxes {
		p.box(b, i, style == "")
	}
	b.WriteString("</g>\n</svg>\n")
}

func (p *Picture) wire(b *strings.Builder, k int, w wire) {
	lines := p.drawing.Wires[k]
	if len(lines) == 0 || len(w.to) == 0 {
		return
	}
	fmt.Fprintf(b, `<path class="w" data-k="%d" d="`, k)
	for _, l := range lines {
		b.WriteString(pathOf(l))
	}
	b.WriteString(`"/><path class="a" d="`)
	for _, l := range lines {
		if l.To >= 0 {
			end := l.Points[len(l.Points)-1]
			fmt.Fprintf(b, "M%s %sl-3.5 -6h7z", num(end.X), num(end.Y))
		}
	}
	at := lines[0].Points[0]
	fmt.Fprintf(b, "\"/><text class=\"s\" x=\"%s\" y=\"%s\">%s</text>\n", num(at.X+5), num(at.Y+12+float64(11*w.nth)), text(typeLabel(w.value.Type)))
}

// pathOf draws a line. Between points that differ in both coordinates it is a
// curve; a square line has round corners.
func pathOf(l layout.Line) string {
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

func (p *Picture) box(b *strings.Builder, i int, afar bool) {
	n := &p.boxes[i]
	at := p.drawing.Boxes[i]
	fmt.Fprintf(b, `<g class="n %s" transform="translate(%s %s)">`, n.family.class, num(at.X), num(at.Y))
	fmt.Fprintf(b, "<title>%s</title>", text(p.tip(i)))
	fmt.Fprintf(b, `<rect class="b" width="%s" height="%s" rx="6"/><rect class="c" x="4" y="5" width="4" height="%s" rx="2"/>`, num(n.w), num(n.h), num(n.h-10))
	fmt.Fprintf(b, `<text class="t" x="14" y="18">%s</text><text class="m" x="14" y="32">%s</text>`, text(n.title), text(n.name))
	for _, s := range n.parts {
		class := "p"
		if s.own {
			class = "p o"
		}
		fmt.Fprintf(b, `<g class="%s %s" transform="translate(%s %s)"><rect width="%s" height="%d" rx="7"/><text x="6" y="11">%s</text></g>`,
			class, s.family.class, num(s.x), num(s.y), num(s.w), pillHeight, text(s.text))
	}
	if afar {
		style := ""
		if size := (n.w - 8) / (farLetter * float64(len([]rune(n.short)))); size < farSize {
			style = fmt.Sprintf(` style="font-size:%spx"`, num(size))
		}
		fmt.Fprintf(b, `<text class="f" x="%s" y="27"%s>%s</text>`, num(n.w/2), style, text(n.short))
	}
	b.WriteString("</g>\n")
}

// tip returns the tooltip of box i.
func (p *Picture) tip(i int) string {
	n := &p.boxes[i]
	if n.node == nil {
		return n.title + " " + n.full
	}
	s := n.title + " " + n.full
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
