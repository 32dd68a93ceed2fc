package cpu

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"modelc/backend/plan"
	"modelc/ir"
)

// The transformed weights of six layers of 512 channels need 170 MB more than the
// weights. The budget is 96 MB, so four layers use a lighter algorithm. A layer
// with many pixels would lose too much time and keeps its algorithm, and so does
// a layer whose algorithm was measured. A batch has twice the budget.
func TestBudget(t *testing.T) {
	for _, c := range []struct {
		batch int
		cfg   Config
		want  []string
	}{
		{1, Config{}, []string{"c1 winograd2", "c2 winograd2", "c3 winograd2", "c4 winograd2", "c5 winograd4", "l winograd4"}},
		{1, Config{Algorithms: map[string]string{"c1": "winograd4"}}, []string{"c1 winograd4", "c2 winograd2", "c3 winograd2", "c4 winograd2", "c5 winograd2", "l winograd4"}},
		{2, Config{}, []string{"c1 winograd4", "c2 winograd4", "c3 winograd4", "c4 winograd4", "c5 winograd4", "l winograd4"}},
	} {
		p, err := Build(budgetGraph(t, c.batch), c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range p.Layers {
			if l.Choice.Estimates != nil {
				got = append(got, fmt.Sprintf("%s %s", plan.NodeName(l.Node), l.Choice.Algorithm))
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("batch of %d, %+v: %s", c.batch, c.cfg, diff)
		}
	}
}

func budgetGraph(t *testing.T, batch int) *ir.Graph {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "graph \"budget\"\ninput %%c0 : f32[%[1]d,512,14,14]\ninput %%large : f32[%[1]d,512,28,28]\n", batch)
	conv := "%%%s = Conv(%%%s, %%w%s) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1\n"
	for i := range 5 {
		fmt.Fprintf(&text, "const %%wc%d : f32[512,512,3,3] = seed=%d\n", i+1, i)
	}
	text.WriteString("const %wl : f32[512,512,3,3] = seed=7\n")
	for i := range 5 {
		fmt.Fprintf(&text, conv, fmt.Sprint("c", i+1), fmt.Sprint("c", i), fmt.Sprint("c", i+1))
	}
	fmt.Fprintf(&text, conv, "l", "large", "l")
	text.WriteString("output \"y\" %c5\noutput \"z\" %l\n")
	g, err := ir.Parse(text.String())
	if err != nil {
		t.Fatal(err)
	}
	return g
}
