package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
)

// Each panel has a scale of its own: the longest bar of each has the same length. The picture
// has a title, and colours for dark pages.
func TestDraw(t *testing.T) {
	svg := Draw("Time & more", []Panel{
		{"lenet5", []Bar{{"modelc", "#111", 0.02, "0.02 ms"}, {"other", "#222", 0.04, "0.04 ms"}}},
		{"vgg16", []Bar{{"modelc", "#111", 200, "200 ms"}, {"other", "#222", 50, "50 ms"}, {"third", "#333", 400, "400 ms"}}},
		{"a<b", []Bar{{"modelc", "#111", 7, "7 ms"}}},
	})
	if !strings.Contains(svg, "<title>Time &amp; more</title>") || !strings.Contains(svg, "prefers-color-scheme: dark") || !strings.Contains(svg, ">a&lt;b<") {
		t.Error(svg)
	}
	type box struct{ x, y, w, h float64 }
	var bars, texts []box
	var widths []float64
	d := xml.NewDecoder(strings.NewReader(svg))
	var text box
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			at := map[string]string{}
			for _, a := range e.Attr {
				at[a.Name.Local] = a.Value
			}
			number := func(s string) float64 { x, _ := strconv.ParseFloat(at[s], 64); return x }
			r := box{number("x"), number("y"), number("width"), number("height")}
			if e.Name.Local == "rect" && at["fill"] != "" {
				bars, widths = append(bars, r), append(widths, r.w)
			}
			if text = (box{}); e.Name.Local == "text" {
				const letter = 6.6
				text = r
				text.y, text.h = text.y-9, 10
				text.w = letter
				switch at["text-anchor"] {
				case "end":
					text.w = -letter
				case "middle":
					text.w = 0
				}
			}
		case xml.CharData:
			if text.h > 0 {
				w := 6.2 * float64(len([]rune(string(e))))
				switch {
				case text.w < 0:
					text.x -= w
				case text.w == 0:
					text.x -= w / 2
				}
				text.w = w
				texts = append(texts, text)
				text = box{}
			}
		}
	}
	want := []float64{100, 200, 100, 25, 200, 200}
	for i, w := range widths {
		if w != want[i] {
			t.Errorf("bar %d is %g wide, want %g", i, w, want[i])
		}
	}
	// No text is on another, or on a bar.
	for i, a := range texts {
		for _, b := range append(texts[:i:i], bars...) {
			if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
				t.Errorf("the text at %v is on %v", a, b)
			}
		}
	}
	if len(texts) < 20 || len(widths) != len(want) {
		t.Errorf("%d texts, %d bars", len(texts), len(widths))
	}
}
