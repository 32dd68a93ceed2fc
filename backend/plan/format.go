package plan

import (
	"fmt"
	"strings"
)

// Format returns the program as text: a line for each step, then a line for each
// buffer, with a bar that covers the steps during which the buffer is alive.
func (p *Program) Format() string {
	var b strings.Builder
	for _, l := range p.Loads {
		fmt.Fprintf(&b, "load %s: %s\n", l.Name, l.Doc)
	}
	for i, l := range p.Layers {
		fmt.Fprintf(&b, "%3d %s: %s\n", i, l.Name, l.Doc)
	}
	fmt.Fprintf(&b, "arena %d bytes, lower bound %d\n", p.Arena, p.LowerBound)
	for _, m := range p.Buffers {
		fmt.Fprintf(&b, "%9d %9d  %s%s  %s\n", m.Off, m.Bytes, strings.Repeat(".", m.First), strings.Repeat("#", m.Last-m.First+1), m.Name)
	}
	return b.String()
}
