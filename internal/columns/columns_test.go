package columns

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// screen is a terminal.
type screen struct {
	strings.Builder
	columns int
}

func (s *screen) Columns() int { return s.columns }

func example() *Table {
	t := New("lrl", "pass", "number changed", "what it does")
	t.Row("fold_constants", "12", "Computes nodes whose operands are all constants.")
	t.Row("dead_code", "3.5 %")
	return t
}

func TestTable(t *testing.T) {
	for _, c := range []struct {
		columns int
		want    string
	}{
		{0, `
pass            number changed  what it does
fold_constants              12  Computes nodes whose operands are all constants.
dead_code                3.5 %
`},
		{60, `
pass             number  what it does
                changed
fold_constants       12  Computes nodes whose operands are
                         all constants.
dead_code         3.5 %
`},
		{40, `
pass            number changed
    what it does
fold_constants              12
    Computes nodes whose operands are
    all constants.
dead_code                3.5 %
`},
		{26, `
pass             number
                changed
    what it does
fold_constants       12
    Computes nodes whose
    operands are all
    constants.
dead_code         3.5 %
`},
		{4, `
pass
     number
    changed
    what it does
fold_constants
         12
    Computes nodes whose
    operands are all
    constants.
dead_code
      3.5 %
`},
	} {
		s := &screen{columns: c.columns}
		if err := example().Print(s, ""); err != nil {
			t.Fatal(err)
		}
		if got := "\n" + s.String(); got != c.want {
			t.Errorf("%d columns:%s", c.columns, got)
		}
	}
	var b strings.Builder
	plain := New("ll")
	plain.Row("a", "b")
	if err := plain.Print(&b, "  "); err != nil || b.String() != "  a  b\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestText(t *testing.T) {
	const text = "modelc: a/long/path.onnx: 2 things in this model cannot be compiled:\n  Größe is not an operator that it knows\n"
	for _, c := range []struct {
		columns int
		want    string
	}{
		{0, text},
		{100, text},
		{40, "modelc: a/long/path.onnx: 2 things in\n  this model cannot be compiled:\n  Größe is not an operator that it knows\n"},
		{16, "modelc:\n  a/long/path.onnx:\n  2 things in\n  this model\n  cannot be\n  compiled:\n  Größe is not\n    an operator\n    that it\n    knows\n"},
	} {
		got := Text(&screen{columns: c.columns}, text)
		if got != c.want {
			t.Errorf("%d columns:\n%s", c.columns, got)
		}
		for line := range strings.Lines(got) {
			if n := utf8.RuneCountInString(line) - 1; c.columns > 20 && n > c.columns {
				t.Errorf("%q has %d columns", line, n)
			}
		}
	}
}
