package golang

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// maxColumns is the maximum width of a line of generated source. A tab counts as
// tabColumns. Comments are filled to textColumns.
const (
	maxColumns  = 120
	textColumns = 80
	tabColumns  = 8
)

// columns returns the width of a line.
func columns(line string) int {
	tabs := strings.Count(line, "\t")
	return utf8.RuneCountInString(line) + tabs*(tabColumns-1)
}

// wrap breaks text at blanks into lines of at most width columns. The first line
// starts with first, the others with rest. A word that is too long for a line is
// cut.
func wrap(text, first, rest string, width int) string {
	var b strings.Builder
	line, empty := first, true
	flush := func() {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		line, empty = rest, true
	}
	for _, w := range strings.Fields(text) {
		if !empty && columns(line)+1+columns(w) > width {
			flush()
		}
		for room := width - columns(line); empty && columns(w) > max(room, 1); room = width - columns(line) {
			cut := string([]rune(w)[:max(room, 1)])
			line, w = line+cut, w[len(cut):]
			flush()
		}
		if !empty {
			line += " "
		}
		line, empty = line+w, false
	}
	flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// reflow fills the paragraphs of comments in Go source that have a line longer than
// textColumns. Such lines occur because names and numbers in a template can be of
// any length. Directives, headers and the outputs of examples do not change.
func reflow(src []byte) []byte {
	var out bytes.Buffer
	var p paragraph
	header := false
	for line := range strings.Lines(string(src)) {
		text := strings.TrimRight(line, "\n")
		header = strings.HasPrefix(text, "//") && (header || strings.HasPrefix(text, marker))
		indent, ok := commentIndent(text)
		if !ok || header {
			p.flush(&out)
			out.WriteString(line)
			continue
		}
		item := strings.HasPrefix(text[len(indent):], "//   - ")
		if text == indent+"//" || item || indent != p.indent {
			p.flush(&out)
		}
		if text == indent+"//" {
			out.WriteString(line)
			continue
		}
		if len(p.lines) == 0 {
			p.indent, p.item = indent, item
		}
		p.lines = append(p.lines, text)
	}
	p.flush(&out)
	return out.Bytes()
}

// commentIndent returns the tabs before a line of a comment. ok is false if the
// line is no comment, a directive, or the output of an example.
func commentIndent(line string) (indent string, ok bool) {
	rest := strings.TrimLeft(line, "\t")
	ok = rest == "//" || strings.HasPrefix(rest, "// ") && !strings.HasPrefix(rest, "// Output:")
	return line[:len(line)-len(rest)], ok
}

// paragraph is a run of comment lines that are filled together.
type paragraph struct {
	indent string
	item   bool // whether it is an item of a list
	lines  []string
}

func (p *paragraph) flush(out *bytes.Buffer) {
	long := false
	var text []string
	for _, l := range p.lines {
		long = long || columns(l) > textColumns+len(p.indent)*tabColumns
		text = append(text, strings.TrimPrefix(l[len(p.indent):], "//"))
	}
	switch {
	case !long:
		for _, l := range p.lines {
			out.WriteString(l + "\n")
		}
	case p.item:
		joined := strings.TrimPrefix(strings.TrimSpace(strings.Join(text, " ")), "- ")
		out.WriteString(wrap(joined, p.indent+"//   - ", p.indent+"//     ", textColumns) + "\n")
	default:
		out.WriteString(wrap(strings.Join(text, " "), p.indent+"// ", p.indent+"// ", textColumns) + "\n")
	}
	*p = paragraph{}
}
