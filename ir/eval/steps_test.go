package eval

import (
	"strings"
	"testing"

	"modelc/ir"
)

// CompareSteps accepts steps that ties explain, and no others.
func TestCompareSteps(t *testing.T) {
	const layers = `input %x : f32[2,40]
const %s : f32[] = {0.1}
const %m : f32[] = {MULTIPLIER}
const %w : i8[40,40] = seed=1
const %v : i8[40,2] = seed=2
%q = Quantize(%x, %s) to=i8
%a = Dense(%q, %w, _, %m) integer=i8(0,ZERO,-128,127)
%r = Reshape(%a) shape=SHAPE
%b = Reshape(%r) shape=[2,40]
%y = Dense(%b, %v, _, %m) integer=f32(0,0,0,0)
output "y" %y`
	graph := func(multiplier, zero, shape string) *ir.Graph {
		return parse(t, strings.NewReplacer("MULTIPLIER", multiplier, "ZERO", zero, "SHAPE", shape).Replace(layers))
	}
	want := graph("0.05", "0", "[80]")
	in := Inputs(want, 1)
	if one, _ := CountSteps(integersOf(t, graph("0.04999999", "0", "[80]"), in), integersOf(t, want, in)); one == 0 {
		t.Error("no tie went the other way")
	}
	for _, tt := range []struct {
		name string
		g    *ir.Graph
		ok   bool
	}{
		{"equal", graph("0.05", "0", "[80]"), true},
		{"a value of another shape", graph("0.05", "0", "[2,40]"), true},
		{"ties the other way", graph("0.04999999", "0", "[80]"), true},
		{"one step everywhere", graph("0.05", "1", "[80]"), false},
		{"another scale", graph("0.06", "0", "[80]"), false},
		{"moved elements", parse(t, strings.NewReplacer("MULTIPLIER", "0.05", "ZERO", "0", "SHAPE", "[80]", "%b = Reshape(%r) shape=[2,40]", "%f = Reshape(%r) shape=[40,2]\n%b = Transpose(%f) perm=[1,0]").Replace(layers)), false},
	} {
		if err := CompareSteps(tt.g, want, in, 1e-6); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// integersOf returns the value a of g.
func integersOf(t *testing.T, g *ir.Graph, in []*ir.Tensor) (a *ir.Tensor) {
	t.Helper()
	_, err := Trace(g, in, func(v *ir.Value, x *ir.Tensor) error {
		if v.Name == "a" {
			a = x
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
