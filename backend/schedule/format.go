package schedule

import (
	"fmt"
	"strings"
)

// Format returns the program for people: a line per step, then the memory
// plan with a bar per buffer over the steps it is alive.
func Format(p *Program) string {
	var b strings.Builder
	for _, l := range p.Loads {
		fmt.Fprintf(&b, "load %s: %s\n", l.Name, l.Doc)
	}
	for i, l := range p.Layers {
		fmt.Fprintf(&b, "%3d %s: %s\n", i, l.Name, l.Doc)
	}
	fmt.Fprintf(&b, "arena %d bytes, lower bound %d\n", p.Plan.ArenaBytes, p.LowerBound)
	for _, m := range p.Buffers {
		fmt.Fprintf(&b, "%9d %9d  %s%s  %s\n", m.Off, m.Bytes, strings.Repeat(".", m.First), strings.Repeat("#", m.Last-m.First+1), m.Name)
	}
	return b.String()
}
