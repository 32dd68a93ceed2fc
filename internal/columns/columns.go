// Package columns prints tables and text that fit the width of a terminal. No line ends inside a
// word there. A writer that is a terminal has a method Columns; text for other writers, such as
// files and pipes, has a line for each row, however long.
package columns

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Of returns the number of columns of the terminal that w writes to, or 0 if w is no terminal.
func Of(w io.Writer) int {
	if t, ok := w.(interface{ Columns() int }); ok {
		return t.Columns()
	}
	return 0
}

// readable is the least width of a text in the last column.
const readable = 20

// gap separates the columns of a table.
const gap = "  "

// Table is a table of text.
type Table struct {
	align    string // l or r for each column
	headings bool
	rows     [][]string
}

// New returns a table. align has a letter for each column: l for text, r for numbers. The
// headings are those of the columns; there may be none.
func New(align string, headings ...string) *Table {
	t := &Table{align: align}
	if len(headings) > 0 {
		t.headings = true
		t.Row(headings...)
	}
	return t
}

// Row adds a row. Cells at its end may be missing.
func (t *Table) Row(cells ...string) {
	if len(cells) > len(t.align) {
		panic(fmt.Sprintf("columns: %d cells in a table of %d columns", len(cells), len(t.align)))
	}
	row := make([]string, len(t.align))
	copy(row, cells)
	t.rows = append(t.rows, row)
}

// Print writes the table with indent in front of each line. If w is a terminal that is too narrow
// for it, cells of text are broken between words. If that does not suffice, the last columns
// follow on lines of their own, further to the right.
func (t *Table) Print(w io.Writer, indent string) error {
	var bands []band
	for first := 0; first < len(t.align); {
		b := t.band(first, Of(w), indent)
		bands = append(bands, b)
		first += len(b.widths)
		if len(bands) == 1 {
			indent += "    "
		}
	}
	var text strings.Builder
	for _, row := range t.rows {
		for i, b := range bands {
			cells := row[b.first : b.first+len(b.widths)]
			if i > 0 && strings.Join(cells, "") == "" {
				continue
			}
			b.print(&text, cells)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// band is a part of the columns, which share a line.
type band struct {
	first  int
	align  string
	indent string
	widths []int
}

// band returns the columns that fit the width, from first on; at least one. A width of 0 fits all.
func (t *Table) band(first, width int, indent string) band {
	b := band{first: first, indent: indent}
	var least []int // widths that break cells between all words
	used := len(indent)
	for c := first; c < len(t.align); c++ {
		most, low := t.sizes(c)
		used += low
		if width > 0 && c > first && used > width {
			break
		}
		used += len(gap)
		b.widths, least = append(b.widths, most), append(least, low)
	}
	b.align = t.align[first : first+len(b.widths)]
	if width == 0 {
		return b
	}
	total := func() int {
		n := len(indent) + len(gap)*(len(b.widths)-1)
		for _, w := range b.widths {
			n += w
		}
		return n
	}
	for i := range b.widths {
		if total() > width && b.align[i] == 'r' {
			b.widths[i] = least[i] // breaks the heading
		}
	}
	for total() > width {
		widest := -1
		for i, n := range b.widths {
			if n > least[i] && (widest < 0 || n > b.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		b.widths[widest]--
	}
	return b
}

// sizes returns the width of column c, and the least one. Only text and headings are broken.
func (t *Table) sizes(c int) (most, least int) {
	for i, row := range t.rows {
		parts := row[c : c+1]
		if t.align[c] == 'l' || i == 0 && t.headings {
			parts = strings.Fields(row[c])
		}
		for _, p := range parts {
			least = max(least, size(p))
		}
		most = max(most, size(row[c]))
	}
	if c == len(t.align)-1 && t.align[c] == 'l' {
		least = max(least, min(most, readable))
	}
	return most, least
}

// print writes the lines of a row.
func (b *band) print(w *strings.Builder, cells []string) {
	lines := make([][]string, len(cells))
	height := 1
	for i, cell := range cells {
		lines[i] = fold(cell, b.widths[i])
		height = max(height, len(lines[i]))
	}
	for k := range height {
		line := b.indent
		for i := range cells {
			text := ""
			if k < len(lines[i]) {
				text = lines[i][k]
			}
			space := strings.Repeat(" ", max(0, b.widths[i]-size(text)))
			if b.align[i] == 'r' {
				text = space + text
			} else {
				text += space
			}
			if i > 0 {
				line += gap
			}
			line += text
		}
		w.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// colours are the sequences that colour text. They take no columns.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// size returns the number of columns that text takes.
func size(text string) int {
	return utf8.RuneCountInString(colours.ReplaceAllString(text, ""))
}

// fold breaks text between words, if there are any, so that its lines have at most width columns.
func fold(text string, width int) (lines []string) {
	for size(text) > width {
		r := []rune(text)
		at := width
		for at > 0 && r[at] != ' ' {
			at--
		}
		if at == 0 {
			if at = slices.Index(r, ' '); at <= 0 {
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(r[:at]), " "))
		text = strings.TrimLeft(string(r[at:]), " ")
	}
	return append(lines, text)
}

// Prose calls print, and writes what it prints to w as [Text] does.
func Prose(w io.Writer, print func(w io.Writer) error) error {
	p := page{columns: Of(w)}
	err := print(&p)
	if _, failed := io.WriteString(w, Text(w, p.String())); failed != nil {
		return failed
	}
	return err
}

// page collects text for a terminal.
type page struct {
	strings.Builder
	columns int
}

func (p *page) Columns() int { return p.columns }

// Text returns text with its lines broken between words so that they fit w. Lines after a break
// are indented by two more columns than the line.
func Text(w io.Writer, text string) string {
	width := Of(w)
	if width == 0 {
		return text
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		line, end := strings.CutSuffix(line, "\n")
		body := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(body)]
		first := fold(body, max(1, width-len(indent)))
		out.WriteString(indent + first[0])
		if len(first) > 1 {
			indent += "  "
			rest := strings.TrimLeft(body[len(first[0]):], " ")
			for _, l := range fold(rest, max(1, width-len(indent))) {
				out.WriteString("\n" + indent + l)
			}
		}
		if end {
			out.WriteByte('\n')
		}
	}
	return out.String()
}
