package ir

import (
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Every integer field of every op has a range, so that new ops do not compute with
// unchecked numbers.
func TestLimitsKnowEveryField(t *testing.T) {
	for _, info := range Ops() {
		op := reflect.TypeOf(info.Op)
		for i := range op.NumField() {
			f := op.Field(i)
			if isInteger(f.Type) && limitByName[attrName(f.Name)] == nil {
				t.Errorf("%s.%s has no range in the table of limits", info.Op.Name(), f.Name)
			}
		}
	}
	for _, l := range limits {
		if l.Min > l.Max || l.Doc == "" || len(l.Names) == 0 {
			t.Errorf("limit %+v", l)
		}
	}
}

func isInteger(t reflect.Type) bool {
	return t.Kind() == reflect.Int || t.Kind() == reflect.Slice && isInteger(t.Elem())
}

type example struct {
	op Op
	in []Type
}

// valid returns ops with operands that fit them: those of examples.txtar, and special
// cases.
func valid(t *testing.T) []example {
	list := slices.Clone(special)
	b, err := os.ReadFile("examples/examples.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range txtar.Parse(b).Files {
		as := func(d DType) (*Graph, error) {
			return Parse(strings.ReplaceAll(string(f.Data), ": T[", ": "+d.String()+"[") + "output \"y\" %y\n")
		}
		g, err := as(Float32)
		if err != nil {
			g, err = as(Uint8)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Nodes {
			list = append(list, example{n.Op, n.InTypes()})
		}
	}
	return list
}

var special = []example{
	{Conv{Strides: []int{1, 2}, Pads: []int{1, 1, 1, 1}, Dilations: []int{1, 1}, Groups: 1}, []Type{T(Float32, 1, 4, 8, 8), T(Float32, 6, 4, 3, 3)}},
	{Conv{Strides: []int{1, 2}, Pads: []int{1, 1, 1, 1}, Dilations: []int{1, 1}, Groups: 2}, []Type{T(Float32, 1, 0, 8, 8), T(Float32, 0, 0, 1, 3)}},
	{ConvTranspose{Strides: []int{1, 2}, Pads: []int{1, 1, 1, 1}, Dilations: []int{1, 1}, OutputPads: []int{0, 1}, Groups: 2}, []Type{T(Float32, 1, 4, 8, 8), T(Float32, 4, 3, 3, 3)}},
	{ConvTranspose{Strides: []int{1, 2}, Pads: []int{0, 0, 0, 0}, Dilations: []int{1, 1}, OutputPads: []int{0, 1}, Groups: 1}, []Type{T(Float32, 1, 0, 0, 8), T(Float32, 0, 0, 3, 3)}},
	{Pool{Kernel: []int{3, 2}, Strides: []int{2, 2}, Pads: []int{1, 0, 1, 0}, Extra: []int{0, 1}, Dilations: []int{1, 1}}, []Type{T(Float32, 1, 4, 8, 8)}},
	{Pool{Kind: LpPool, Kernel: []int{3, 2}, Strides: []int{2, 2}, Pads: []int{1, 0, 1, 0}, Dilations: []int{1, 1}, P: 2}, []Type{T(Float32, 1, 4, 8, 8)}},
	{MaxUnpool{Spatial: []int{4, 4}}, []Type{T(Float32, 1, 1, 2, 2), T(Int64, 1, 1, 2, 2)}},
	{LRN{Size: 5, Alpha: 1, Beta: 1, Bias: 1}, []Type{T(Float32, 1, 4, 8, 8)}},
	{Normalize{Axes: []int{1, 2}, Epsilon: 1e-5}, []Type{T(Float32, 2, 3, 4)}},
	{Softmax{Axes: []int{1, 2}}, []Type{T(Float32, 2, 3, 4)}},
	{Reduce{Axes: []int{1, 2}}, []Type{T(Float32, 2, 3, 4)}},
	{ArgReduce{Axis: 1}, []Type{T(Float32, 2, 3, 4)}},
	{TopK{Axis: 1, K: 2}, []Type{T(Float32, 2, 3, 4)}},
	{NonMaxSuppression{PerClass: 2}, []Type{T(Float32, 1, 6, 4), T(Float32, 1, 2, 6)}},
	{Reshape{Shape: Shape{6, 4}}, []Type{T(Float32, 2, 3, 4)}},
	{Reshape{Shape: Shape{0, 4}}, []Type{T(Float32, 2, 0, 4)}},
	{Transpose{Perm: []int{2, 0, 1}}, []Type{T(Float32, 2, 3, 4)}},
	{Concat{Axis: 1}, []Type{T(Float32, 2, 3), T(Float32, 2, 4)}},
	{Interleave{Strides: []int{2, 1}}, []Type{T(Float32, 1, 2, 3, 3), T(Float32, 1, 2, 3, 3)}},
	{Slice{Start: []int{0, 1}, Count: []int{2, 1}, Step: []int{1, 2}}, []Type{T(Float32, 2, 3)}},
	{Slice{Start: []int{0, 0}, Count: []int{0, 0}, Step: []int{1, 2}}, []Type{T(Float32, 2, 0)}},
	{Pad{Pads: []int{1, 0, 0, 2}}, []Type{T(Float32, 2, 3)}},
	{Pad{Mode: PadReflect, Pads: []int{1, -1, 0, 2}}, []Type{T(Float32, 2, 3)}},
	{Expand{Shape: Shape{2, 3}}, []Type{T(Float32, 1, 3)}},
	{Gather{Axis: 1}, []Type{T(Float32, 2, 3), T(Int64, 5)}},
	{Resize{Shape: Shape{1, 1, 4, 6}, Scales: []float64{1, 1, 2, 2}}, []Type{T(Float32, 1, 1, 2, 3)}},
	{Resize{Coord: TfCropAndResize, Shape: Shape{2, 6}, Scales: []float64{1, 2}, Region: []float64{0, 0, 1, 1}}, []Type{T(Float32, 2, 3)}},
	{Resize{Mode: ResizeCubic, Antialias: true, Shape: Shape{2, 6}, Scales: []float64{1, 2}}, []Type{T(Float32, 2, 3)}},
}

// extremes returns the ends of ranges, of 32 and of 64 bits, and numbers near them.
func extremes() []int {
	var list []int
	for _, x := range []int64{0, 1, 2, 8, MaxStep, MaxExtent, 1 << 31, 1 << 32, 1 << 33, 1 << 62, math.MaxInt64} {
		for d := int64(-2); d <= 2; d++ {
			for _, y := range []int64{x + d, -x - d} { // the largest wraps, which is an extreme too
				if int64(int(y)) == y {
					list = append(list, int(y))
				}
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// For every value of an attribute, its op fails or has results of legal shapes.
func TestExtremeAttributes(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range valid(t) {
		if err := try(t, c.op, c.in); err != nil {
			t.Errorf("%s itself: %v", c.op.Name(), err)
		}
		typ := reflect.TypeOf(c.op)
		for i := range typ.NumField() {
			f := typ.Field(i)
			covered[c.op.Name()+"."+f.Name] = true
			n := 1
			if f.Type.Kind() == reflect.Slice {
				n = reflect.ValueOf(c.op).Field(i).Len()
			}
			floats := []float64{0, -1, 1, 0.1, 1e-300, 1e300, MaxExtent, math.Inf(1), math.Inf(-1), math.NaN()}
			switch {
			case isInteger(f.Type):
				// One element at a time, then all of them.
				for k := range n + 1 {
					for _, x := range extremes() {
						try(t, with(c.op, i, k, func(v reflect.Value) { v.SetInt(int64(x)) }), c.in)
					}
				}
			case f.Type.Kind() == reflect.Float64 || f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Float64:
				for k := range n + 1 {
					for _, x := range floats {
						try(t, with(c.op, i, k, func(v reflect.Value) { v.SetFloat(x) }), c.in)
					}
				}
			}
		}
	}
	for _, info := range Ops() {
		op := reflect.TypeOf(info.Op)
		for i := range op.NumField() {
			if name := info.Op.Name() + "." + op.Field(i).Name; isInteger(op.Field(i).Type) && !covered[name] {
				t.Errorf("%s is not tested: give it an example in examples/examples.txtar", name)
			}
		}
	}
}

// Products of two attributes near their limits do not overflow.
func TestExtremePairs(t *testing.T) {
	for _, c := range valid(t) {
		typ := reflect.TypeOf(c.op)
		var fields []int
		for i := range typ.NumField() {
			if isInteger(typ.Field(i).Type) {
				fields = append(fields, i)
			}
		}
		for _, a := range fields {
			for _, b := range fields {
				for _, x := range extremes() {
					for _, y := range []int{1, 2, MaxStep - 1, MaxStep, MaxExtent, -MaxStep} {
						op := with(c.op, a, -1, func(v reflect.Value) { v.SetInt(int64(x)) })
						try(t, with(op, b, -1, func(v reflect.Value) { v.SetInt(int64(y)) }), c.in)
					}
				}
			}
		}
	}
}

// with returns op with element k of field i changed, or all elements if there is no
// element k.
func with(op Op, i, k int, set func(reflect.Value)) Op {
	v := reflect.New(reflect.TypeOf(op)).Elem()
	v.Set(reflect.ValueOf(op))
	f := v.Field(i)
	if f.Kind() != reflect.Slice {
		set(f)
		return v.Interface().(Op)
	}
	list := reflect.MakeSlice(f.Type(), f.Len(), f.Len())
	reflect.Copy(list, f)
	for e := range f.Len() {
		if e == k || k < 0 || k >= f.Len() {
			set(list.Index(e))
		}
	}
	f.Set(list)
	return v.Interface().(Op)
}

// try adds op to a graph. If the graph accepts it, the sizes of the results and the numbers
// that are computed from them must be legal.
func try(t *testing.T, op Op, in []Type) error {
	t.Helper()
	g := NewGraph("")
	var args []*Value
	for _, x := range in {
		args = append(args, g.AddInput("x", x))
	}
	n, err := g.Append("op", op, args...)
	if err != nil {
		return err
	}
	for _, v := range n.Out {
		size := int64(v.Type.DType.Size())
		for _, d := range v.Type.Shape {
			if d < 0 {
				t.Fatalf("%s: result %s", FormatNode(n), v.Type)
			}
			if size *= int64(d); size > math.MaxInt || size > 8*MaxExtent {
				t.Fatalf("%s: result %s is too large", FormatNode(n), v.Type)
			}
		}
	}
	if FLOPs(n) < 0 || Traffic(n) < 0 {
		t.Fatalf("%s: %d FLOPs, %d bytes", FormatNode(n), FLOPs(n), Traffic(n))
	}
	if err := Verify(g); err != nil {
		t.Fatal(err)
	}
	return nil
}

// Operands are checked too, because a graph may be built from any types.
func TestExtremeOperands(t *testing.T) {
	for _, s := range []Shape{{1 << 16, 1 << 16}, {math.MaxInt}, {math.MaxInt, 2}, {-1}, {0, math.MaxInt}, {1, 1, 1, 1, 1, 1, 1, 1, 1}} {
		if err := try(t, Unary{Act{Fn: Relu}}, []Type{{Float32, s}}); err == nil {
			t.Errorf("an operand of shape %s is accepted", s)
		}
		if _, err := FromBytes(Type{Float32, s}, nil); err == nil && len(s) <= MaxRank {
			t.Errorf("no bytes are accepted for a tensor of shape %s", s)
		}
	}
}

// The limits apply to the text form.
func TestParseLimits(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"input %x : f32[1,1,8]\nconst %w : f32[1,1,3] = {1, 2, 3}\n%y = Conv(%x, %w) strides=[1] pads=[0,0] dilations=[2000000000] groups=1", "dilations: 2000000000"},
		{"input %x : f32[1,1,8]\n%y = Pool(%x) kernel=[3] strides=[1] pads=[2000000000,0] dilations=[1]", "pads: 2000000000"},
		{"input %x : f32[65536,65536]", "more than"},
		{"input %x : f32[1,1,1,1,1,1,1,1,1]", "rank: 9"},
	} {
		if _, err := Parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.want)
		}
	}
}

// Padding within its range may still make an image that is too large to store, even if few
// windows of it are computed.
func TestPaddedImage(t *testing.T) {
	const far = 1 << 14
	x, w := T(Float32, 1, 64, 8, 8), T(Float32, 64, 64, 1, 1)
	pads, strides, one := []int{far, far, far, far}, []int{far, far}, []int{1, 1}
	for _, c := range []struct {
		op Op
		in []Type
	}{
		{Pool{Kernel: one, Strides: strides, Pads: pads, Dilations: one}, []Type{x}},
		{Pool{Kernel: one, Strides: strides, Pads: make([]int, 4), Extra: []int{far - 1, far - 1}, Dilations: one}, []Type{x}},
		{Conv{Strides: strides, Pads: pads, Dilations: one, Groups: 1}, []Type{x, w}},
		{ConvTranspose{Strides: []int{far / 2, far / 2}, Pads: []int{28000, 28000, 28000, 28000}, Dilations: one, OutputPads: make([]int, 2), Groups: 1}, []Type{x, w}},
	} {
		if err := try(t, c.op, c.in); err == nil || !strings.Contains(err.Error(), "elements") {
			t.Errorf("%s: error %v", c.op.Name(), err)
		}
	}
}

// An op must not crop more elements than there are.
func TestCrops(t *testing.T) {
	one := []int{1}
	for _, op := range []Op{
		Pool{Kernel: one, Strides: one, Pads: []int{-9, 9}, Dilations: one},
		Pool{Kernel: one, Strides: one, Pads: []int{20, -9}, Dilations: one},
		Pad{Pads: []int{0, 0, -9, 0, 0, 9}},
	} {
		if err := try(t, op, []Type{T(Float32, 1, 1, 8)}); err == nil {
			t.Errorf("%s crops 9 of 8 elements: %+v", op.Name(), op)
		}
	}
	w := T(Float32, 1, 1, 3)
	if err := try(t, ConvTranspose{Strides: one, Pads: []int{11, 0}, Dilations: one, OutputPads: []int{9}, Groups: 1}, []Type{T(Float32, 1, 1, 8), w}); err == nil {
		t.Error("ConvTranspose crops 11 of 10 elements")
	}
}
