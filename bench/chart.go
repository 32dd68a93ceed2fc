package main

import (
	"fmt"
	"html"
	"strings"
)

// Colours of the engines, which are distinguishable without colour vision.
var colours = map[string]string{"modelc": "#0b6e4f", "onnxruntime": "#5b6770", "openvino": "#8b7fb8", "ncnn": "#d98f3a", "mnn": "#7fa8c9", "tflite": "#c9b37f"}

// Sizes in the picture in pixels.
const (
	barHeight, groupGap = 11, 12
	labelWidth          = 150
	barsWidth           = 460
	pictureWidth        = labelWidth + barsWidth + 90
)

// chart draws the times of the engines with one thread as multiples of modelc's
// time. Each model has a group of bars.
func chart(rows []*row) string {
	var b strings.Builder
	longest := 1.0
	shown := map[string]bool{}
	for _, r := range rows {
		for c, t := range r.Ms {
			if r.Threads == 1 {
				longest = max(longest, t/r.Ms["modelc"])
				shown[c] = true
			}
		}
	}
	x := labelWidth
	for _, c := range columns {
		if shown[c] {
			fmt.Fprintf(&b, `<rect x="%d" y="30" width="10" height="10" fill="%s"/><text x="%d" y="39">%s</text>`+"\n", x, colours[c], x+14, titles[c])
			x += 24 + 7*len(titles[c])
		}
	}
	y := 56
	for _, r := range rows {
		if r.Threads != 1 {
			continue
		}
		top := y
		for _, c := range columns {
			t := r.Ms[c]
			if t == 0 {
				continue
			}
			w := t / r.Ms["modelc"] / longest * barsWidth
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" class="v">%s ms</text>`+"\n",
				labelWidth, y, w, barHeight-2, colours[c], labelWidth+w+4, y+barHeight-3, number(t))
			y += barHeight
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth-8, (top+y)/2+4, html.EscapeString(r.Model))
		y += groupGap
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">
<style>.v{font-size:9px;fill:#333}</style>
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="%d" y="18">Time of one image as a multiple of modelc's, one thread: %s, %s</text>
%s</svg>
`, pictureWidth, y, 12, html.EscapeString(cpuName()), tierName(), b.String())
}
