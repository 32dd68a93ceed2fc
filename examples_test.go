package modelc

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"modelc/ir"
	"modelc/ir/eval"
	"modelc/ir/examples"
)

// If oneExample returns a graph, its outputs are those of the first example, and copies of an
// example in another place have the same outputs.
func TestOneExample(t *testing.T) {
	proven := 0
	for seed := range uint64(400) {
		g, err := examples.Random(seed)
		if err != nil {
			t.Fatal(err)
		}
		checkExamples(t, fmt.Sprint("seed ", seed), g, &proven)
	}
	if proven < 60 {
		t.Errorf("oneExample found %d graphs with independent examples", proven)
	}
}

func checkExamples(t *testing.T, name string, g *ir.Graph, proven *int) {
	t.Helper()
	one, n := oneExample(g)
	if n == 0 {
		return
	}
	*proven++
	if err := ir.Verify(one); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	in := eval.Inputs(g, 1)
	want, err := eval.Run(one, firstExamples(in, n))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	// Copy the first example to the last place.
	for _, x := range in {
		b := x.Bytes()
		copy(b[len(b)-len(b)/n:], b)
	}
	out, err := eval.Run(g, in)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for i, y := range firstExamples(out, n) {
		last := slices.Clone(out[i].Bytes()[len(out[i].Bytes())-len(y.Bytes()):])
		if !slices.Equal(y.Bytes(), want[i].Bytes()) || !slices.Equal(last, want[i].Bytes()) {
			t.Errorf("%s: output %d differs\n%s", name, i, ir.Format(g))
		}
	}
}

// Each op that mixes examples, or treats them differently, is found.
func TestMixedExamples(t *testing.T) {
	for _, c := range []struct {
		op    string
		mixes bool
	}{
		{"%y = Unary(%x) fn=Relu", false},
		{"%y = Reduce(%x) fn=mean axes=[0] keepDims=true", true},
		{"%y = Reduce(%x) fn=mean axes=[1,2]", false},
		{"%y = Transpose(%x) perm=[1,0,2]", true},
		{"%y = Transpose(%x) perm=[0,2,1]", false},
		{"%y = Reshape(%x) shape=[2,24]", true},
		{"%y = Reshape(%x) shape=[6,8]", true},
		{"%y = Reshape(%x) shape=[8,6]", false},
		{"%y = Softmax(%x) axes=[0]", true},
		{"%y = Softmax(%x) axes=[2]", false},
		{"%y = Slice(%x) start=[1,0,0] count=[3,3,4] step=[1,1,1]", true},
		{"%y = Slice(%x) start=[3,0,0] count=[4,3,4] step=[-1,1,1]", true},
		{"%y = Slice(%x) start=[0,1,0] count=[4,2,4] step=[1,1,1]", false},
		{"%y = Pad(%x) pads=[1,0,0,-1,0,0] value=0", true},
		{"%y = Pad(%x) pads=[0,1,0,0,0,0] value=0", false},
		{"%y = Concat(%x,%x) axis=0", true},
		{"%y = Concat(%x,%x) axis=1", false},
		{"%y = ArgReduce(%x) axis=0", true},
		{"%y = Binary(%x,%each) fn=Add", true},
		{"%y = Binary(%x,%same) fn=Add", false},
		{"%y = Binary(%x,%row) fn=Add", false},
		{"%y = Concat(%x,%same) axis=1", false},
		{"%y = Concat(%x,%each) axis=2", true},
		{"%y = MatMul(%x,%x2)", false},
		{"%y = MatMul(%x,%square)", false},
		{"%y = Normalize(%x) axes=[0] epsilon=1e-05", true},
		{"%y = Normalize(%x) axes=[2] epsilon=1e-05", false},
		{"%y = Gather(%x,%idx) axis=0", true},
		{"%y = Gather(%x,%idx) axis=1", false},
		{"%y = Resize(%x) mode=linear coord=half_pixel nearest=round_prefer_floor shape=[8,3,4] scales=[2,1,1] cubicA=-0.75", true},
		{"%y = Resize(%x) mode=linear coord=half_pixel nearest=round_prefer_floor shape=[4,3,8] scales=[1,1,2] cubicA=-0.75", false},
	} {
		row := "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
		g, err := ir.Parse("input %x : f32[4,3,4]\ninput %x2 : f32[4,4,3]\n" +
			"const %each : f32[4,3,4] = seed=1\nconst %same : f32[4,3,4] = {" + strings.Join([]string{row, row, row, row}, ", ") + "}\n" +
			"const %row : f32[3,4] = seed=2\nconst %square : f32[4,4] = seed=3\nconst %idx : i64[3] = {0, 1, 0}\n" + c.op + "\noutput \"y\" %y\n")
		if err != nil {
			t.Fatalf("%s: %v", c.op, err)
		}
		proven := 0
		checkExamples(t, c.op, g, &proven)
		if proven == 1 == c.mixes {
			t.Errorf("%s: mixes examples %v, independent %v", c.op, c.mixes, proven == 1)
		}
	}
}
