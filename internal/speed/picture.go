package speed

import "modelc/internal/speed/chart"

// Picture draws the times with one thread as an SVG file. It has a line of panels for each
// network of the first report, with a panel for each report.
func Picture(reports ...[]*Row) string {
	var panels []chart.Panel
	for _, first := range reports[0] {
		if first.Threads != 1 {
			continue
		}
		for _, rows := range reports {
			r := find(rows, first.Model, 1)
			p := chart.Panel{Title: first.Model + ", " + title(rows[0].Tier)}
			for _, e := range engines {
				if t := r.Ms[e.name]; t > 0 {
					p.Bars = append(p.Bars, chart.Bar{Name: e.title, Colour: e.colour, Ms: t, Label: number(t) + " ms"})
				}
			}
			panels = append(panels, p)
		}
	}
	return chart.Draw("Median time of one image, float32, one thread", panels)
}
