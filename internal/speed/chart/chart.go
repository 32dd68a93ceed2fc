// Package chart draws times of networks as an SVG file. Each network has a panel with a scale
// of its own, because the times of networks differ by factors of thousands.
package chart

import (
	"fmt"
	"html"
	"strings"

	"modelc/internal/units"
)

// Panel holds the times of a network.
type Panel struct {
	Title string
	Bars  []Bar // from top to bottom
}

// Bar is the time of an engine.
type Bar struct {
	Name, Colour string
	Ms           float64 // more than 0
	Label        string  // the time as text
}

// Sizes in the picture in pixels.
const (
	columns    = 2
	panelWidth = 380
	nameWidth  = 92
	barsWidth  = 200
	barHeight  = 15
	headHeight = 24 // of a panel: its title
	footHeight = 32 // the labels of the axis, and a gap
	margin     = 14
	topHeight  = 44 // the title of the picture
)

const style = `
:root { --ink: #1c2430; --soft: #5b6675; --paper: #ffffff; --line: #dde2e8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf2; --soft: #a3aebd; --paper: #10151c; --line: #2b3542; } }
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: var(--ink); }
.h { font-size: 14px; font-weight: 600; } .p { font-weight: 600; } .s { fill: var(--soft); font-size: 11px; }
.v { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.paper { fill: var(--paper); } .grid { stroke: var(--line); }
`

// Draw returns the picture. Its colours follow the reader's preference for light or dark.
func Draw(title string, panels []Panel) string {
	var b strings.Builder
	y, width := topHeight, columns*panelWidth+2*margin
	for i := 0; i < len(panels); i += columns {
		line := panels[i:min(i+columns, len(panels))]
		tall := 0
		for k, p := range line {
			p.draw(&b, margin+k*panelWidth, y)
			tall = max(tall, headHeight+barHeight*len(p.Bars)+footHeight)
		}
		y += tall
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">
<title>%[5]s</title>
<style>%[6]s</style>
<rect class="paper" width="100%%" height="100%%"/>
<text class="h" x="%[7]d" y="26">%[5]s</text>
%[8]s</svg>
`, width, y, width, y, html.EscapeString(title), style, margin, b.String())
}

// draw writes a panel with its upper left corner at (x, y).
func (p *Panel) draw(b *strings.Builder, x, y int) {
	most := 0.0
	for _, r := range p.Bars {
		most = max(most, r.Ms)
	}
	fmt.Fprintf(b, `<text class="p" x="%d" y="%d">%s</text>`+"\n", x, y+14, html.EscapeString(p.Title))
	if most == 0 {
		return
	}
	left, top := x+nameWidth, y+headHeight
	foot := top + barHeight*len(p.Bars)
	ticks, decimals := units.Ticks(most)
	for i, t := range ticks {
		at := float64(left) + t/most*barsWidth
		unit := ""
		if i == len(ticks)-1 {
			unit = " ms"
		}
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %dV%d"/><text class="s" x="%.1f" y="%d" text-anchor="middle">%.*f%s</text>`+"\n", at, top, foot+3, at, foot+14, decimals, t, unit)
	}
	for i, r := range p.Bars {
		at := top + barHeight*i
		w := r.Ms / most * barsWidth
		fmt.Fprintf(b, `<text class="s" x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text class="s v" x="%.1f" y="%d">%s</text>`+"\n",
			left-6, at+11, html.EscapeString(r.Name), left, at+1, w, barHeight-3, r.Colour, float64(left)+w+5, at+11, html.EscapeString(r.Label))
	}
}
