package ir

import (
	"fmt"
	"testing"
)

func TestHoldsIntegers(t *testing.T) {
	for _, tt := range []struct {
		name, nodes string
		want        bool
	}{
		{"an input", "%y = Unary(%x) fn=Identity", false},
		{"of integers", "%y = Cast(%q) to=f32", true},
		{"of floats", "%f = Cast(%x) to=f64\n%y = Cast(%f) to=f32", false},
		{"rounded", "%y = Unary(%x) fn=Round", true},
		{"rounded and clipped", "%r = Unary(%x) fn=Round\n%y = Unary(%r) fn=Clip(-128,127)", true},
		{"clipped between integers", "%r = Unary(%x) fn=Round\n%y = Unary(%r) fn=Clip(0,5.5)", false},
		{"zero point added", "%r = Unary(%x) fn=Round\n%y = Binary(%r, %zero) fn=Add epilogue=Clip(0,255)", true},
		{"a half added", "%r = Unary(%x) fn=Round\n%y = Binary(%r, %half) fn=Add", false},
		{"divided", "%r = Unary(%x) fn=Round\n%y = Binary(%r, %zero) fn=Div", false},
		{"a power", "%r = Unary(%x) fn=Round\n%y = Binary(%r, %zero) fn=Pow", false},
		{"rounded behind a sum", "%y = Binary(%x, %half) fn=Mul epilogue=Round", true},
		{"pooled", "%c = Cast(%q) to=f32\n%y = Pool(%c) kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1]", true},
		{"averaged", "%c = Cast(%q) to=f32\n%y = Pool(%c) kind=avg kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1]", false},
		{"joined", "%c = Cast(%q) to=f32\n%r = Unary(%x) fn=Round\n%y = Concat(%c, %r) axis=1", true},
		{"joined with floats", "%c = Cast(%q) to=f32\n%y = Concat(%c, %x) axis=1", false},
		{"scaled by integers", "%c = Cast(%q) to=f32\n%y = Affine(%c, %one, %minus)", true},
		{"scaled by fractions", "%c = Cast(%q) to=f32\n%y = Affine(%c, %small, %minus)", false},
		{"a sum of products", "%c = Cast(%q) to=f32\n%y = Conv(%c, %w) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1", false},
	} {
		g := quantised(t, tt.nodes)
		if got := HoldsIntegers(g.Outputs[0].Value); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// Repeated sums of a value with itself are not followed along every path. This graph has
// 2⁶⁴ paths.
func TestHoldsIntegersOfDoubles(t *testing.T) {
	text := "%v0 = Unary(%x) fn=Round\n"
	for i := range 64 {
		text += fmt.Sprintf("%%v%d = Binary(%%v%d, %%v%d) fn=Add\n", i+1, i, i)
	}
	if !HoldsIntegers(quantised(t, text+"%y = Unary(%v64) fn=Neg").Outputs[0].Value) {
		t.Error("false")
	}
}

func TestSumsIntegers(t *testing.T) {
	const conv = " strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1"
	for _, tt := range []struct {
		name, nodes string
		want        bool
	}{
		{"floats", "%y = Conv(%x, %w)" + conv, false},
		{"integers", "%c = Cast(%q) to=f32\n%y = Conv(%c, %w)" + conv, true},
		{"with fractions", "%c = Cast(%q) to=f32\n%y = Conv(%c, %v)" + conv, false},
		{"less a zero point", "%c = Cast(%q) to=f32\n%y = Conv(%c, %w, _, _, %one, %minus)" + conv, true},
		{"scaled on the way in", "%c = Cast(%q) to=f32\n%y = Conv(%c, %w, _, _, %small, %minus)" + conv, false},
		{"squashed on the way in", "%c = Cast(%q) to=f32\n%y = Conv(%c, %w)" + conv + " prologue=Tanh", false},
		{"an addition", "%c = Cast(%q) to=f32\n%y = Binary(%c, %zero) fn=Add", false},
	} {
		g := quantised(t, tt.nodes)
		if got := SumsIntegers(g.Outputs[0].Value.Def()); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func quantised(t *testing.T, nodes string) *Graph {
	t.Helper()
	g, err := Parse(`input %x : f32[1,2,4,4]
input %q : u8[1,2,4,4]
const %zero : f32[] = {128}
const %half : f32[] = {0.5}
const %one : f32[2] = {1, 1}
const %small : f32[2] = {0.5, 1}
const %minus : f32[2] = {-128, -128}
const %w : f32[1,2,1,1] = {3, -4}
const %v : f32[1,2,1,1] = {3, -4.5}
` + nodes + "\noutput \"y\" %y\n")
	if err != nil {
		t.Fatal(err)
	}
	return g
}
