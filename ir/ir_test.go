package ir

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

const sample = `graph "sample"
input %x : f32[1,3,8,8]
const %w : f32[4,3,3,3] = seed=3
const %b : f32[4] = {0, 1, 2.5, -1}
const %big : f32[4,8,8] = sha256=0123456789abcdef
%y : f32[1,4,8,8] = Conv(%x, %w, %b) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1 epilogue=LeakyRelu(0.1) # "conv one"
%"odd name" : f32[1,4,8,8] = Conv(%x, %w, _, %y) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%s : f32[1,4,8,8] = Binary(%"odd name", %big) fn=Mul
%p : f32[1,4,4,4], %p:1 : i64[1,4,4,4] = Pool(%s) kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1] indices=true
%r : f32[1,64] = Reshape(%p) shape=[1,64]
output "scores" %r
output "x" %x
`

func TestTextRoundTrip(t *testing.T) {
	g, err := Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(g); err != nil {
		t.Fatal(err)
	}
	if got := Format(g); got != sample {
		t.Errorf("text changed:\n%s", got)
	}
	if got := Format(g.Clone()); got != sample {
		t.Errorf("clone differs:\n%s", got)
	}
	if err := Verify(g.Clone()); err != nil {
		t.Error(err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"%y = Relu(%x)", `unknown op "Relu"`},
		{"%y = Unary(%x) fn=Relu", "%x is not defined"},
		{"input %x : f32[1,2,3]\n%y = Unary(%x) fn=Rleu", `unknown function "Rleu"`},
		{"input %x : f32[1,2,3]\n%y : f32[2] = Unary(%x) fn=Relu", "is written as f32[2]"},
		{"input %x : f32[1,2,3]\n%y = Unary(%x) colour=red", `no attribute "colour"`},
		{"const %c : f32[3] = {1, 2}", "f32[3] with 2 elements"},
		{"input %x : f32[1]\noutput \"y\" _", `output "y" has no value`},
		{"input %x : f32[1,2]\ninput %x : f32[1,2]", "defined twice"},
		{"const %c : f32[206666663] = seed=1", "more than 16777216 elements to draw"},
		{"input %x : f32[2,0,3]\n%y = ArgReduce(%x) axis=1", "no element to find"},
		{"input %x : bool[3]\n%y = Pad(%x) pads=[1,1] value=17", "17 is no truth value"},
		{"input %x : f32[2,0]\ninput %i : i64[1]\n%y = Gather(%x, %i) axis=1", "which has no elements"},
		{"input %x : f32[1,3,4,4]\nconst %w : f32[2,4,3,3] = seed=1\n%y = Conv(%x, %w) groups=1", "3 channels"},
		{"input %x : f32[1,3,4,4]\n%y = Conv(%x) groups=1", `operand "w" is missing`},
	} {
		_, err := Parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.want)
		}
	}
}

func TestEdits(t *testing.T) {
	g, err := Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	y := g.Lookup("y")
	if y.OnlyUse() == nil {
		t.Error("y has one reader")
	}
	// Insert a relu behind y that every reader of y reads instead.
	n, err := g.InsertAfter(y.Def(), "relu", Unary{Act{Fn: Relu}}, y)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range append([]Use(nil), y.Uses()...) {
		if u.Node != n {
			g.SetInput(u.Node, u.Index, n.Out[0])
		}
	}
	if err := Verify(g); err != nil {
		t.Fatal(err)
	}
	// Remove it again.
	g.ReplaceUses(n.Out[0], y)
	g.Remove(n)
	if got := Format(g); got != sample {
		t.Errorf("not restored:\n%s", got)
	}
	// If the output is redirected, nothing reads the chain behind it.
	g.ReplaceUses(g.Lookup("r"), g.Inputs[0])
	if n := len(g.Prune()); n != 5 {
		t.Errorf("pruned %d nodes, want 5", n)
	}
	if len(g.Constants) != 0 {
		t.Errorf("%d constants left", len(g.Constants))
	}
	if err := Verify(g); err != nil {
		t.Error(err)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	fresh := func() *Graph { g, _ := Parse(sample); return g }
	for _, c := range []struct {
		name   string
		damage func(g *Graph)
		want   string
	}{
		{"type", func(g *Graph) { g.Nodes[0].Out[0].Type = T(Float32, 1) }, "its op gives"},
		{"order", func(g *Graph) { g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] }, "not defined before"},
		{"uses", func(g *Graph) { g.Inputs[0].uses = nil }, "uses recorded"},
		{"operand", func(g *Graph) { g.Nodes[0].In[0] = g.Nodes[0].In[1] }, "uses recorded"},
		{"name", func(g *Graph) { g.Nodes[1].Out[0].Name = "y" }, "used twice"},
		{"producer", func(g *Graph) { g.Nodes[0].Out[0].def = g.Nodes[1] }, "producer"},
		{"attribute", func(g *Graph) { c := g.Nodes[0].Op.(Conv); c.Groups = 2; g.Nodes[0].Op = c }, "groups"},
	} {
		g := fresh()
		c.damage(g)
		if err := Verify(g); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestSort(t *testing.T) {
	g, _ := Parse(sample)
	want := Format(g)
	g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0]
	g.Nodes[3], g.Nodes[4] = g.Nodes[4], g.Nodes[3]
	if err := g.Sort(); err != nil {
		t.Fatal(err)
	}
	if Format(g) != want {
		t.Errorf("got\n%s", Format(g))
	}
}

func TestHalfPrecision(t *testing.T) {
	for h := range 1 << 16 {
		f := Float16ToFloat32(uint16(h))
		if back := Float32ToFloat16(f); back != uint16(h) && f == f {
			t.Fatalf("f16 %#04x -> %g -> %#04x", h, f, back)
		}
		b := BFloat16ToFloat32(uint16(h))
		if back := Float32ToBFloat16(b); back != uint16(h) && b == b {
			t.Fatalf("bf16 %#04x -> %g -> %#04x", h, b, back)
		}
	}
	for _, c := range []struct {
		f float32
		h uint16
	}{{1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519, 0x7bff}, {65520, 0x7c00}, {1e-8, 0}, {5.9604645e-8, 1},
		{2.9802322e-8, 0}, {2.98023e-8 * 1.01, 1}, {float32(math.Inf(-1)), 0xfc00}, {1.0009765625 + 0.00048828125, 0x3c02}} {
		if got := Float32ToFloat16(c.f); got != c.h {
			t.Errorf("%g -> %#04x, want %#04x", c.f, got, c.h)
		}
	}
	if got := Float32ToBFloat16(1.00390625); got != 0x3f80 { // a tie: to even
		t.Errorf("bf16 tie -> %#04x", got)
	}
}

func TestUnalignedConstant(t *testing.T) {
	want := TensorOf(Shape{3}, float32(1), 2, 3)
	buf := append([]byte{0}, want.Bytes()...)
	u, err := FromBytes(want.Type, buf[1:])
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Float32s(); !reflect.DeepEqual(got, want.Float32s()) {
		t.Errorf("got %v", got)
	}
	if _, err := FromBytes(want.Type, buf); err == nil {
		t.Error("13 bytes are accepted for f32[3]")
	}
}

// A free name is the one with the lowest number, whatever happened before.
func TestUniqueName(t *testing.T) {
	g := NewGraph("")
	var v []*Value
	for range 5 {
		v = append(v, g.AddInput("x", T(Float32, 1)))
	}
	if v[0].Name != "x" || v[4].Name != "x.4" {
		t.Errorf("named %s and %s", v[0], v[4])
	}
	g.Rename(v[2], "y")
	g.Rename(v[0], "x.9")
	for _, want := range []string{"x", "x.2", "x.5", "x.6", "x.7", "x.8", "x.10"} {
		if got := g.AddInput("x", T(Float32, 1)).Name; got != want {
			t.Errorf("named %s, want %s", got, want)
		}
	}
}
