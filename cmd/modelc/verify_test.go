package main

import (
	"slices"
	"strings"
	"testing"

	"modelc"
	"modelc/ir"
)

// If a stored output and the computed one differ, the reference interpreter decides.
func TestArbiter(t *testing.T) {
	for _, tt := range []struct {
		name          string
		expected, got float64 // differences from the reference, relative to the tolerance
		ok            bool
	}{
		{"within the tolerance", 0.3, 0.6, true},
		{"both are off by rounding", 0.9, -1.5, true},
		{"twice as far", 0.6, -1.1, true},
		{"further", 0.6, -1.3, false},
		{"the stored output is exact", 0, 1.1, false},
		{"the stored output is wrong", 1.2, 0, false},
		{"both are wrong", 1.2, -1.2, false},
	} {
		c, err := load(digits+"lenet5.onnx", digits+"data", modelc.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if c.reference, err = c.Reference(c.in); err != nil {
			t.Fatal(err)
		}
		const tol = 1e-2
		off := func(parts float64) []*ir.Tensor {
			moved := slices.Clone(c.reference[0].Float64s())
			moved[0] += parts * tol * slices.Max(moved)
			return []*ir.Tensor{ir.FromFloat64s(c.reference[0].Type, moved)}
		}
		c.want = off(tt.expected)
		var out strings.Builder
		v := verifier{engine: "inproc", tol: tol, out: &out}
		if err := v.report(c, off(tt.got)); err != nil {
			t.Fatal(err)
		}
		if v.failed == tt.ok || v.verdicts[0].OK != tt.ok {
			t.Errorf("%s: %s", tt.name, out.String())
		}
		if beyond := v.verdicts[0].Outputs[0].Relative > tol; beyond != strings.Contains(out.String(), "compared with the reference interpreter, the expected") {
			t.Errorf("%s: %s", tt.name, out.String())
		}
	}
}
