package modelc

import (
	"math"
	"strings"
	"testing"

	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

func TestScores(t *testing.T) {
	const dense = "input %x : f32[1,4]\nconst %w : f32[4,10] = seed=1\n%y : f32[1,10] = MatMul(%x, %w)\n"
	for _, c := range []struct{ text, kind, err string }{
		{dense + `output "y" %y`, Logit, ""},
		{dense + "%z : f32[1,10] = Softmax(%y) axes=[1]\noutput \"z\" %z", Probability, "probability"},
		{dense + "%z : f32[1,10] = Softmax(%y) axes=[1]\n%r : f32[1,10,1,1] = Reshape(%z) shape=[1,10,1,1]\noutput \"r\" %r", Probability, "probability"},
		{dense + "%z : f32[1,10] = Softmax(%y) axes=[1] log=true\noutput \"z\" %z", LogProbability, "log-probability"},
		{dense + "%z : f32[1,10] = Unary(%y) fn=Sigmoid\noutput \"z\" %z", Probability, "probability"},
		{dense + "%e : f32[1,10] = Unary(%y) fn=Exp\n%s : f32[1,1] = Reduce(%e) fn=sum axes=[1] keepDims=true\n%z : f32[1,10] = Binary(%e, %s) fn=Div\noutput \"z\" %z", Probability, "probability"},
		{dense + "%z : f32[1,10] = Unary(%y) fn=Relu\n%r : f32[1,10,1,1] = Reshape(%z) shape=[1,10,1,1]\noutput \"r\" %r", Logit, ""},
		{dense + "output \"y\" %y\noutput \"z\" %y", "", "one output"},
		{"input %x : f32[2,3,4,4]\n%y : f32[2,3,4,4] = Unary(%x) fn=Relu\noutput \"y\" %y", "", "one score per class"},
	} {
		load := func(o Options) (*Compiled, error) {
			g, err := ir.Parse("graph \"g\"\n" + c.text + "\n")
			if err != nil {
				t.Fatalf("%v\n%s", err, c.text)
			}
			return CompileModel(&source.Model{Graph: g, Release: func() error { return nil }}, o)
		}
		m, err := load(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if kind, err := m.Scores(); kind != c.kind || (err == nil) != (c.kind != "") {
			t.Errorf("%s: %q, %v; want %q", c.text, kind, err, c.kind)
		}
		p, err := load(Options{Softmax: true})
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.text, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if kind, err := p.Scores(); kind != Probability || err != nil {
			t.Errorf("with a softmax: %q, %v", kind, err)
		}
		in := eval.Inputs(m.Before, 1)
		logits, err := m.Reference(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Reference(in)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, x := range logits[0].Float64s() {
			sum += math.Exp(x)
		}
		for i, x := range logits[0].Float64s() {
			if want := math.Exp(x) / sum; math.Abs(got[0].Float64s()[i]-want) > 1e-6 {
				t.Errorf("%s: probability %d is %g, want %g", c.text, i, got[0].Float64s()[i], want)
			}
		}
	}
}

// A batch of 2 has 2 softmaxes.
func TestSoftmaxOfBatch(t *testing.T) {
	g, err := ir.Parse("graph \"g\"\ninput %x : f32[2,3]\n%y : f32[2,3] = Unary(%x) fn=Relu\noutput \"y\" %y\n")
	if err != nil {
		t.Fatal(err)
	}
	m, err := CompileModel(&source.Model{Graph: g, Release: func() error { return nil }}, Options{Softmax: true})
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Reference([]*ir.Tensor{ir.FromFloat64s(ir.T(ir.Float32, 2, 3), []float64{1, 1, 1, 0, 0, 5})})
	if err != nil {
		t.Fatal(err)
	}
	y := out[0].Float64s()
	if math.Abs(y[0]-1./3) > 1e-6 || math.Abs(y[3]+y[4]+y[5]-1) > 1e-6 {
		t.Error(y)
	}
}
