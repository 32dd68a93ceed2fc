package eval

import (
	"testing"

	"modelc/ir"
)

// Every op of the IR has a rule, and every rule is that of an op.
func TestRules(t *testing.T) {
	for _, info := range ir.Ops() {
		if rules[info.Op.Name()] == nil {
			t.Errorf("%s: no rule", info.Op.Name())
		}
	}
	if len(rules) != len(ir.Ops()) {
		t.Errorf("%d rules for %d ops", len(rules), len(ir.Ops()))
	}
}
