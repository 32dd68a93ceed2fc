package cpu

import (
	"slices"
	"strings"
	"testing"

	"modelc/ir"
)

// Every op of the IR has a row, and every row an op.
func TestLowerings(t *testing.T) {
	for _, info := range ir.Ops() {
		row, ok := lowerings[info.Op.Name()]
		if !ok || row.dense == nil || (row.fits == nil) != (row.image == nil) {
			t.Errorf("%s: incomplete row %+v", info.Op.Name(), row)
		}
	}
	if len(lowerings) != len(ir.Ops()) {
		t.Errorf("%d rows for %d ops", len(lowerings), len(ir.Ops()))
	}
}

// The rows of the table of algorithms are complete, and the algorithms that
// compete have the names in tune files.
func TestAlgorithms(t *testing.T) {
	for _, a := range algorithms {
		emits := a.emit != nil || a.weights != nil && a.kernel != nil
		competes := slices.Contains(Algorithms(), a.name)
		if a.name == "" || a.refuses == nil || !emits || a.instead != "" && a.cost == nil || (a.prepared != nil) != (a.work != nil) {
			t.Errorf("%s %s: incomplete row", a.name, a.doc)
		}
		if a.instead != "" && (!competes || algorithmNamed(a.name) != a || !slices.ContainsFunc(algorithms, func(p *algorithm) bool { return p.name == a.instead && p.cost != nil })) {
			t.Errorf("%s competes with no %s", a.name, a.instead)
		}
		if l := a.lighter; l != nil && (algorithmNamed(l.algorithm) == nil || algorithmNamed(l.algorithm).prepared == nil) {
			t.Errorf("%s has no lighter algorithm %s", a.name, l.algorithm)
		}
	}
	if got := strings.Join(Algorithms(), " "); got != "direct pointwise winograd2 winograd4 winograd-strided strassen winograd-integer winograd2-bf16" {
		t.Error(got)
	}
	g, err := ir.Parse("input %x : f32[1,4]\n%y = Unary(%x) fn=Relu\noutput \"y\" %y\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Build(g, Config{Algorithms: map[string]string{"y": "winograd7"}})
	if err == nil || !strings.Contains(err.Error(), `unknown algorithm "winograd7", want one of direct, pointwise`) {
		t.Errorf("an unknown algorithm: %v", err)
	}
}
