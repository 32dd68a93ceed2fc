package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"modelc/backend/plan"
	"modelc/internal/units"
)

// memoryChart shows the buffers of the arena, with steps from left to right and
// offsets from bottom to top. The page stretches the drawing, so coordinates are
// in per cent, or in steps and bytes.
type memoryChart struct {
	Steps             int
	Arena, LowerBound int
	Rects             []rect
	Live              template.HTMLAttr // path of the live bytes over the steps
	BoundAt           float64           // distance of the lower bound from the top, in per cent
	Ticks             []tick
	StepTicks         []tick
}

// rect is a rectangle of a chart, in the chart's units. Its label is shown if it
// fits.
type rect struct {
	X, Y, W, H  float64
	Class, Tip  string
	Layer       int
	Label       string
	Left, Top   float64 // position of the label, in per cent
	Wide, Tall  float64
	ShowAtWidth bool
}

// tick is a mark on an axis, in per cent of its length.
type tick struct {
	At    float64
	Label string
}

func memoryOf(p *plan.Program) memoryChart {
	m := memoryChart{Steps: len(p.Layers), Arena: p.Arena, LowerBound: p.LowerBound}
	if m.Arena == 0 {
		return m
	}
	live := make([]int, m.Steps)
	for _, b := range p.Buffers {
		class := shapeFamily.class
		if n := p.Layers[b.First].Node; n != nil {
			class = familyOf(n.Op).class
		}
		steps := fmt.Sprintf("steps %d to %d", b.First, b.Last)
		if b.First == b.Last {
			steps = fmt.Sprintf("step %d", b.First)
		}
		r := rect{
			X: float64(b.First), W: float64(b.Last - b.First + 1), Y: float64(m.Arena - b.Off - b.Bytes), H: float64(b.Bytes),
			Class: class, Layer: b.First, Label: b.Name,
			Tip: fmt.Sprintf("%s\n%s at %s, %s", b.Name, units.Bytes(b.Bytes), units.Bytes(b.Off), steps),
		}
		r.Left, r.Wide = 100*r.X/float64(m.Steps), 100*r.W/float64(m.Steps)
		r.Top, r.Tall = 100*r.Y/float64(m.Arena), 100*r.H/float64(m.Arena)
		r.ShowAtWidth = r.Wide > 5 && r.Tall > 5
		m.Rects = append(m.Rects, r)
		for t := b.First; t <= b.Last; t++ {
			live[t] += b.Bytes
		}
	}
	var path strings.Builder
	for t, n := range live {
		fmt.Fprintf(&path, "%s%d %dH%d", map[bool]string{true: "M", false: "L"}[t == 0], t, m.Arena-n, t+1)
	}
	m.Live = template.HTMLAttr(`d="` + path.String() + `"`)
	m.BoundAt = 100 * float64(m.Arena-m.LowerBound) / float64(m.Arena)
	unit, name := 1.0, "bytes"
	switch {
	case m.Arena >= 1<<20:
		unit, name = 1<<20, "MB"
	case m.Arena >= 1<<10:
		unit, name = 1<<10, "kB"
	}
	m.Ticks = axis(float64(m.Arena)/unit, name)
	m.StepTicks = stepTicks(m.Steps)
	return m
}

// axis returns the ticks of a vertical axis from 0 to most.
func axis(most float64, unit string) (list []tick) {
	ticks, decimals := units.Ticks(most)
	for _, x := range ticks {
		list = append(list, tick{100 - 100*x/most, fmt.Sprintf("%.*f %s", decimals, x, unit)})
	}
	return list
}

// stepTicks returns about ten ticks at round step numbers.
func stepTicks(n int) []tick {
	by := 1
	for _, k := range []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000} {
		by = k
		if n/k <= 10 {
			break
		}
	}
	var list []tick
	for i := 0; i < n; i += by {
		list = append(list, tick{100 * (float64(i) + 0.5) / float64(n), fmt.Sprint(i)})
	}
	return list
}

// timeChart shows the time of each step and of each family of ops.
type timeChart struct {
	Steps     int
	Most      float64
	Rects     []rect
	Ticks     []tick
	StepTicks []tick
	Families  []share
}

// share is the part of the time that a family of ops takes.
type share struct {
	Class, Doc, Time string
	Percent          float64
}

func timesOf(layers []layerRow) *timeChart {
	c := &timeChart{Steps: len(layers), StepTicks: stepTicks(len(layers))}
	sum := 0.0
	byClass := map[string]float64{}
	for _, l := range layers {
		c.Most = max(c.Most, l.Ms)
		sum += l.Ms
		byClass[l.Class] += l.Ms
	}
	if sum == 0 {
		return c
	}
	for i, l := range layers {
		tip := fmt.Sprintf("%s\n%s ms, %s %% of the time", l.Name, l.Time, decimals(100*l.Ms/sum))
		if l.GFLOPS > 0 {
			tip += fmt.Sprintf(", %s GFLOP/s", decimals(l.GFLOPS))
		}
		if l.OfPeak > 0 {
			tip += fmt.Sprintf(", %.0f %% of the peak", 100*l.OfPeak)
		}
		h := 100 * l.Ms / c.Most
		c.Rects = append(c.Rects, rect{X: float64(i) + .1, W: .8, Y: 100 - h, H: h, Class: l.Class, Layer: i, Tip: tip})
	}
	c.Ticks = axis(c.Most, "ms")
	for _, f := range legend {
		if t := byClass[f.class]; t > 0 {
			c.Families = append(c.Families, share{f.class, f.doc, decimals(t), 100 * t / sum})
		}
	}
	slices.SortStableFunc(c.Families, func(a, b share) int {
		switch {
		case a.Percent > b.Percent:
			return -1
		case a.Percent < b.Percent:
			return 1
		}
		return 0
	})
	return c
}
