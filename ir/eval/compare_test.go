package eval

import (
	"testing"

	"modelc/ir"
)

func parse(t *testing.T, text string) *ir.Graph {
	t.Helper()
	g, err := ir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A dynamic engine gives two boxes. The graph has room for three, and a count.
func TestCut(t *testing.T) {
	g := parse(t, `
input %boxes : f32[1,3,4]
input %scores : f32[1,1,3]
const %axis : i64[1] = {2}
%rows : i64[3,3], %count : i64[1] = NonMaxSuppression(%boxes, %scores) perClass=3 overlap=0.5
%which : i64[3,1] = Slice(%rows) start=[0,2] count=[3,1] step=[1,1]
output "which" %which
output "rows" %rows
output "rows.count" %count`)
	boxes := ir.TensorOf(ir.Shape{1, 3, 4}, []float32{0, 0, 1, 1, 0, 0, 1, 1, 5, 5, 6, 6}...)
	scores := ir.TensorOf(ir.Shape{1, 1, 3}, []float32{0.5, 0.9, 0.7}...)
	got, err := Run(g, []*ir.Tensor{boxes, scores})
	if err != nil {
		t.Fatal(err)
	}
	want := []*ir.Tensor{ir.TensorOf(ir.Shape{2, 1}, []int64{1, 2}...), ir.TensorOf(ir.Shape{2, 3}, []int64{0, 0, 1, 0, 0, 2}...)}
	cut := Cut(g, got, want)
	if len(cut) != 2 {
		t.Fatalf("%d outputs", len(cut))
	}
	for i, w := range want {
		if d, err := Compare(cut[i], w); err != nil || d.MaxAbs != 0 {
			t.Errorf("output %d: %v %v", i, d, err)
		}
	}
	// Cut does not shorten an axis to a wrong number of rows.
	one := ir.NewTensor(ir.T(ir.Int64, 1, 3))
	if c := Cut(g, got, []*ir.Tensor{want[0], one}); !c[1].Shape.Equal(ir.Shape{3, 3}) {
		t.Errorf("cut to %s", c[1].Shape)
	}
	if all := Cut(g, got, got); len(all) != 3 {
		t.Errorf("%d outputs, although want has the count", len(all))
	}
}

func TestStep(t *testing.T) {
	g := parse(t, `
input %x : f32[1,1,4]
const %scale : f32[1] = {0.25}
const %zero : u8[] = {3}
const %w : i8[1,1,1] = {1}
const %table : u8[256] = seed=1
%r = Unary(%x) fn=Tanh
%q = Quantize(%r, %scale, %zero) to=u8
%y = Dequantize(%q, %scale, %zero)
%c = Conv(%q, %w, _, _, _, _, %scale) strides=[1] pads=[0,0] dilations=[1] groups=1 integer=u8(3,0,0,255)
%t = Lookup(%c, %table)
%d = Conv(%t, %w) strides=[1] pads=[0,0] dilations=[1] groups=1 integer=i32(3,0,0,0)
%e = Quantize(%x, %scale, %zero) to=u8
%s = QBinary(%e, %e) fn=Add to=u8 aScale=1 bScale=1 aZero=0 bZero=0 yZero=0 lo=0 hi=255
%m = Conv(%e, %w, _, _, _, _, %scale) strides=[1] pads=[0,0] dilations=[1] groups=1 integer=u8(3,0,0,255)
output "q" %q
output "y" %y
output "t" %t
output "d" %d
output "s" %s
output "m" %m
output "r" %r`)
	for i, want := range []float64{1, 0.25, 1, 0, 1, 0, 0} {
		if got := Step(g.Outputs[i].Value); got != want {
			t.Errorf("output %d: step %g, want %g", i, got, want)
		}
	}
	if d := (Diff{MaxAbs: 0.25, Rel: 0.1}); !d.Agrees(1e-4, 0.25) || d.Agrees(1e-4, 0.2) {
		t.Error("a step apart")
	}
}
