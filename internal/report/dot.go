package report

import (
	"fmt"
	"io"
	"strings"
)

// WriteDOT writes the picture's graph for Graphviz, without positions: Graphviz
// makes its own layout.
func (p *Picture) WriteDOT(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n\tnode [shape=box style=\"rounded,filled\" fillcolor=white penwidth=1.5 fontname=\"Helvetica\" fontsize=11]\n\tedge [fontname=\"Helvetica\" fontsize=9 color=\"#6b7280\"]\n", quote(p.name))
	for i, n := range p.boxes {
		lines := []string{n.title, n.full, n.shape}
		for _, s := range n.parts {
			lines = append(lines, "+ "+s.text)
		}
		fmt.Fprintf(&b, "\tn%d [label=%s color=%q]\n", i, quote(lines...), n.family.light)
	}
	for _, w := range p.wires {
		for _, t := range w.to {
			fmt.Fprintf(&b, "\tn%d -> n%d\n", w.from, t)
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// quote returns the given lines as a quoted DOT string. It escapes characters that
// start escapes and entities in Graphviz.
func quote(lines ...string) string {
	for i, s := range lines {
		s = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(s, "\uFFFD"))
		lines[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "&", "&amp;").Replace(s)
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}
