package ir_test

import (
	"testing"

	"modelc/ir"
	"modelc/ir/examples"
)

// FuzzParse reads graphs in the text form. A graph that Parse accepts is valid, and
// its text form describes the same graph.
func FuzzParse(f *testing.F) {
	list, err := examples.All()
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range list {
		if e.DType == ir.Float32 {
			f.Add(e.Text)
		}
	}
	f.Add("graph \"all\"\ninput %\"a b\" : i64[2]\nconst %c : i64[2] = {1, -2} # comment\n%y : i64[2] = Binary(%\"a b\", %c) fn=Add # \"sum\"\noutput \"y\" %y\noutput \"x\" %c\n")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ir.Parse(text)
		if err != nil {
			return
		}
		if err := ir.Verify(g); err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, c := range g.Constants {
			size += c.Const.Shape.Len()
		}
		if size > 1<<16 {
			return // slow to draw and to print
		}
		form := ir.Format(g)
		again, err := ir.Parse(form)
		if err != nil {
			t.Fatalf("%v\n%s", err, form)
		}
		if got := ir.Format(again); got != form {
			t.Errorf("%s\nbecomes\n%s", form, got)
		}
	})
}
