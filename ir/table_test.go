package ir

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every row of the table is complete, and the text form can write every
// attribute.
func TestTable(t *testing.T) {
	for _, info := range Ops() {
		name, typ := info.Op.Name(), reflect.TypeOf(info.Op)
		if typ.Name() != name {
			t.Errorf("%s: the Go type is %s", name, typ.Name())
		}
		for i := range typ.NumField() {
			formatAttr(reflect.Zero(typ.Field(i).Type))
		}
		if info.Doc == "" || len(info.Args) == 0 {
			t.Errorf("%s: no documentation or operands", name)
		}
		for i, a := range info.Args {
			word := strings.TrimRight(a, "?…")
			if word == "" {
				t.Errorf("%s: operand %d has no name", name, i)
			}
			if strings.HasSuffix(a, "…") && i != len(info.Args)-1 {
				t.Errorf("%s: operand %s repeats but is not the last", name, word)
			}
			if slices.Index(info.Args, a) != i {
				t.Errorf("%s: two operands are called %s", name, word)
			}
		}
		if moves := info.Moves != Computes; moves == (info.FLOPs != nil) {
			t.Errorf("%s: moves elements: %v, counts operations: %v", name, moves, info.FLOPs != nil)
		}
		if single := len(info.Args) == 1 && !strings.HasSuffix(info.Args[0], "…"); !single && (info.Moves == Reorders || info.Moves == Repeats) {
			t.Errorf("%s: rearranges one operand but has %v", name, info.Args)
		}
		if info.prologue >= 0 && (info.scale < 0 || info.Args[info.scale+1] != "shift?") {
			t.Errorf("%s: a prologue without scale and shift: %v", name, info.Args)
		}
	}
	for f := range fns {
		if fns[f].name == "" || fns[f].f == nil {
			t.Errorf("function %d has no row", f)
		}
	}
}

// The facts about epilogues and prologues agree with the fields of the ops.
func TestEpilogueAndPrologue(t *testing.T) {
	relu := Act{Fn: Relu}
	with := map[string]bool{"Conv": true, "ConvTranspose": true, "Dense": true, "Affine": true, "Binary": true}
	for _, info := range Ops() {
		name := info.Op.Name()
		a, ok := Epilogue(info.Op)
		if ok != with[name] || !a.IsIdentity() {
			t.Errorf("%s: epilogue %v, %v", name, a, ok)
		}
		if !ok {
			continue
		}
		if a, _ := Epilogue(WithEpilogue(info.Op, relu)); a != relu {
			t.Errorf("%s: epilogue %v after it was set", name, a)
		}
		if a, _ := Epilogue(info.Op); !a.IsIdentity() {
			t.Errorf("%s: the zero value has changed", name)
		}
	}
	g, err := Parse(`input %x : f32[1,2,4,4]
const %w : f32[1,2,1,1] = {3, -4}
const %s : f32[2] = {2, 3}
%c = Conv(%x, %w) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1
%p = Pool(%x) kernel=[2,2] strides=[2,2] pads=[0,0,0,0] dilations=[1,1]
%r = Unary(%x) fn=Relu
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Nodes[:2] {
		if n.HasPrologue() {
			t.Errorf("%s has a prologue", n)
		}
		g.SetPrologue(n, relu, nil, nil)
		if !n.HasPrologue() {
			t.Errorf("%s has no prologue after one was set", n)
		}
	}
	c, p := g.Nodes[0], g.Nodes[1]
	g.SetPrologue(c, Act{}, g.Lookup("s"), g.Lookup("s"))
	g.SetPrologue(p, relu, g.Lookup("s"), g.Lookup("s"))
	if !c.HasPrologue() || c.Const(ConvScale) == nil || c.Const(ConvShift) == nil || c.Input(ConvResidual) != nil {
		t.Errorf("%s", FormatNode(c))
	}
	if !p.HasPrologue() || p.Const(PoolScale) == nil || p.Const(PoolShift) == nil || p.Op.(Pool).Prologue != relu {
		t.Errorf("%s", FormatNode(p))
	}
	if g.Nodes[2].HasPrologue() {
		t.Error("a function has a prologue")
	}
	if err := Verify(g); err != nil {
		t.Error(err)
	}
}

func TestPermutations(t *testing.T) {
	for _, c := range []struct {
		rank        int
		first, last []int
	}{{2, []int{0, 1}, []int{0, 1}}, {3, []int{0, 2, 1}, []int{0, 2, 1}}, {4, []int{0, 3, 1, 2}, []int{0, 2, 3, 1}}, {5, []int{0, 4, 1, 2, 3}, []int{0, 2, 3, 4, 1}}} {
		first, last := ChannelsFirst(c.rank), ChannelsLast(c.rank)
		if !slices.Equal(first, c.first) || !slices.Equal(last, c.last) || !slices.Equal(Inverse(first), last) {
			t.Errorf("rank %d: %v and %v", c.rank, first, last)
		}
		if !isPermutation(first, c.rank) || IsIdentity(first) != (c.rank == 2) {
			t.Errorf("rank %d: %v", c.rank, first)
		}
	}
	if got := Permute(Shape{1, 5, 7, 3}, ChannelsFirst(4)); !got.Equal(Shape{1, 3, 5, 7}) {
		t.Errorf("got %s", got)
	}
}

func TestPerChannel(t *testing.T) {
	x := Shape{2, 3, 4, 5}
	for _, c := range []struct {
		s    Shape
		want bool
	}{{Shape{}, true}, {Shape{1}, true}, {Shape{3, 1, 1}, true}, {Shape{1, 3, 1, 1}, true}, {Shape{3}, false}, {Shape{5}, false}, {Shape{2, 3, 1, 1}, false}, {Shape{1, 1, 3, 1, 1}, false}} {
		if got := PerChannel(c.s, x); got != c.want {
			t.Errorf("%s: %v", c.s, got)
		}
	}
}
