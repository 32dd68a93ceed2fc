package quantise

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"modelc/ir"
	"modelc/ir/eval"
)

var update = flag.Bool("update", false, "write testdata anew")

func parse(t *testing.T, text string) *ir.Graph {
	t.Helper()
	g, err := ir.Parse("graph \"test\"\n" + text)
	if err == nil {
		err = ir.Verify(g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// measure returns the statistics of all tensors of p on seeded inputs.
func measure(t *testing.T, p *Plan, seeds int) map[string]*Stats {
	t.Helper()
	stats := p.NewStats()
	for _, visit := range []func(*Stats, *ir.Tensor) error{(*Stats).Add, func(s *Stats, t *ir.Tensor) error { s.Count(t); return nil }} {
		for seed := range seeds {
			in := eval.Inputs(p.g, uint64(seed+1))
			see := func(v *ir.Value, x *ir.Tensor) error {
				if s := stats[v.Name]; s != nil {
					return visit(s, x)
				}
				return nil
			}
			for i, v := range p.g.Inputs {
				if err := see(v, in[i]); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := eval.Trace(p.g, in, see); err != nil {
				t.Fatal(err)
			}
		}
	}
	return stats
}

func apply(t *testing.T, g *ir.Graph, o Options, m Method, seeds int, keep func(*ir.Node) bool) *ir.Graph {
	t.Helper()
	p := NewPlan(g, keep)
	stats := measure(t, p, seeds)
	scales, err := p.Ranges(o.Activations, m, stats)
	if err != nil {
		t.Fatal(err)
	}
	q, err := p.Apply(o, scales, stats)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// golden compares graphs before and after a rewrite with the file at path.
func golden(t *testing.T, path string, rewrite func(g *ir.Graph) *ir.Graph) {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := &txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		if name, ok := strings.CutPrefix(f.Name, "before "); ok {
			after := ir.Format(rewrite(parse(t, string(f.Data))))
			got.Files = append(got.Files, f, txtar.File{Name: "after " + name, Data: []byte(after)})
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if d := cmp.Diff(string(txtar.Format(a)), string(txtar.Format(got))); d != "" {
		t.Errorf("-update accepts this:\n%s", d)
	}
}

func TestPlan(t *testing.T) {
	golden(t, "testdata/plan.txtar", func(g *ir.Graph) *ir.Graph {
		before := ir.Format(g)
		q := apply(t, g, Options{Activations: ir.Uint8}, Method{}, 1, func(n *ir.Node) bool { return n.Out[0].Name == "keep" })
		if ir.Format(g) != before {
			t.Error("the float graph changed")
		}
		return q
	})
}

// Prepare keeps the values.
func TestPrepare(t *testing.T) {
	golden(t, "testdata/prepare.txtar", func(g *ir.Graph) *ir.Graph {
		p := g.Clone()
		if err := Prepare(p); err != nil {
			t.Fatal(err)
		}
		if err := ir.Verify(p); err != nil {
			t.Error(err)
		}
		in := eval.Inputs(g, 1)
		want, err := eval.Run(g, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := eval.Run(p, in)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if !ir.SameBits(got[i], want[i]) {
				t.Errorf("output %d changed", i)
			}
		}
		return p
	})
}

// A quantised network stays near the float one, for both types of activations, weights per
// tensor and per channel, and all calibrations. A correction reduces the mean error.
func TestError(t *testing.T) {
	g := parse(t, `
input %x : f32[1,3,12,12]
const %w : f32[16,3,3,3] = seed=1
const %b : f32[16] = seed=2
const %v : f32[16,1,3,3] = seed=3
const %d : f32[16,10] = seed=4
%c = Conv(%x, %w, %b) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=1
%r = Unary(%c) fn=Relu
%p = Conv(%r, %v) strides=[1,1] pads=[1,1,1,1] dilations=[1,1] groups=16
%h = Unary(%p) fn=HardSwish
%s = Binary(%h, %r) fn=Add
%m = Reduce(%s) fn=mean axes=[2,3] keepDims=true
%f = Reshape(%m) shape=[1,16]
%y = Dense(%f, %d)
output "y" %y
`)
	errs := map[string]float64{}
	for name, o := range map[string]Options{
		"u8": {Activations: ir.Uint8}, "i8": {Activations: ir.Int8}, "per tensor": {Activations: ir.Uint8, PerTensor: true},
		"corrected": {Activations: ir.Uint8, Correct: true}, "corrected per tensor": {Activations: ir.Uint8, PerTensor: true, Correct: true},
	} {
		for _, m := range []Method{{}, {Kind: Percentile, Percentile: 99.99}, {Kind: Entropy}} {
			q := apply(t, g, o, m, 4, nil)
			more := 2*7 + 3 + 1 // pairs, weights, a bias
			if o.Correct {
				more += 2 // the other layers get a bias
			}
			if n := len(q.Nodes) - len(g.Nodes); n != more {
				t.Errorf("%s: %d nodes more, want %d", name, n, more)
			}
			var wrong, all float64
			for seed := range 8 {
				in := eval.Inputs(g, uint64(seed+1))
				want, err := eval.Run(g, in)
				if err != nil {
					t.Fatal(err)
				}
				got, err := eval.Run(q, in)
				if err != nil {
					t.Fatal(err)
				}
				x, y := want[0].Float64s(), got[0].Float64s()
				for i := range x {
					wrong += (x[i] - y[i]) * (x[i] - y[i])
					all += x[i] * x[i]
				}
			}
			if m.Kind == MinMax {
				errs[name] = math.Sqrt(wrong / all)
			}
			if e := math.Sqrt(wrong / all); !(e < 0.05) {
				t.Errorf("%s, %v: error %.4f", name, m, e)
			}
		}
	}
	t.Log(errs)
	if errs["corrected per tensor"] >= errs["per tensor"] {
		t.Errorf("the correction does not help: %v", errs)
	}
}

// Weights are within half a step, zero is exact, and a correction makes the mean error of a
// layer zero.
func TestWeights(t *testing.T) {
	g := parse(t, `
input %x : f32[1,4,5,6]
const %w : f32[6,2,3,3] = seed=1
const %b : f32[6] = seed=2
%y = Conv(%x, %w, %b) strides=[2,1] pads=[1,2,0,1] dilations=[1,2] groups=2
output "y" %y
`)
	n := g.Nodes[0]
	w := n.Const(ir.Weights).Float64s()
	x := ir.Seeded(n.In[0].Type, 7)
	p := weightsOf(n, Scale{Step: 0.1}, false, x.Float64s())
	q := p.w.Float64s()
	for i, v := range q {
		if step := float64(p.steps[i/18]); math.Abs(v*step-w[i]) > step/2*1.0001 {
			t.Errorf("weight %d: %g became %g in steps of %g", i, w[i], v*step, step)
		} else {
			q[i] = v * step
		}
	}
	exact, err := eval.Run(g, []*ir.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	g.SetInput(n, ir.Weights, g.AddConst("q", ir.FromFloat64s(n.In[ir.Weights].Type, q)))
	g.SetInput(n, ir.Bias, g.AddConst("c", ir.FromFloat64s(ir.T(ir.Float32, 6), p.bias)))
	got, err := eval.Run(g, []*ir.Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	for m := range 6 {
		sum := 0.0
		area := n.Out[0].Type.Shape[2:].Len()
		for i := m * area; i < (m+1)*area; i++ {
			sum += got[0].Float64s()[i] - exact[0].Float64s()[i]
		}
		if math.Abs(sum) > 1e-4 {
			t.Errorf("channel %d: the error has the mean %g", m, sum/float64(area))
		}
	}
}

// A bias that exceeds int32 in units of the scales makes the scale of its channel larger.
func TestLargeBias(t *testing.T) {
	g := parse(t, `
input %x : f32[1,2]
const %w : f32[3,2] = {0.001, 0.001, 0, 0, 1, 1}
const %b : f32[3] = {30000, 5, 1}
%y = Dense(%x, %w, %b) transW=true
output "y" %y
`)
	x := Scale{Step: 1e-4}
	p := weightsOf(g.Nodes[0], x, false, nil)
	q, steps := p.biasOf(x)
	for m, want := range []float64{30000, 5, 1} {
		if got := q.Float64s()[m] * float64(steps[m]); math.Abs(got-want) > 1e-6*want || math.Abs(q.Float64s()[m]) > mostBias+1 {
			t.Errorf("bias %d: %g is %g·%g, want %g", m, got, q.Float64s()[m], steps[m], want)
		}
	}
}

func TestScale(t *testing.T) {
	for _, c := range []struct {
		d      ir.DType
		lo, hi float64
		want   Scale
	}{
		{ir.Uint8, 0, 25.5, Scale{0.1, 0}},
		{ir.Uint8, -12.8, 12.7, Scale{0.1, 128}},
		{ir.Int8, -12.8, 12.7, Scale{0.1, 0}},
		{ir.Int8, 0, 25.5, Scale{0.1, -128}},
		{ir.Uint8, 2, 25.5, Scale{0.1, 0}}, // zero is in every range
		{ir.Uint8, -25.5, -2, Scale{0.1, 255}},
		{ir.Uint8, 0, 0, Scale{1, 0}},     // a constant
		{ir.Uint8, 0, 1e-40, Scale{1, 0}}, // a denormal scale
	} {
		got := scaleOf(c.d, c.lo, c.hi)
		if math.Abs(float64(got.Step-c.want.Step)) > 1e-7 || got.Zero != c.want.Zero {
			t.Errorf("%s [%g, %g]: %v, want %v", c.d, c.lo, c.hi, got, c.want)
		}
		// Quantised zero is zero.
		if q := got.quantise(c.d, []float64{0}, ir.Shape{1}).Float64s()[0]; q != float64(got.Zero) {
			t.Errorf("%s [%g, %g]: zero is %g, the zero point %d", c.d, c.lo, c.hi, q, got.Zero)
		}
	}
}

// Percentile cuts the given part of the elements; entropy cuts outliers and keeps the range of
// an even distribution.
func TestCalibration(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(outlier float32, draw func() float32) *Stats {
		x := make([]float32, 100000)
		for i := range x {
			x[i] = draw()
		}
		x[0] = outlier
		tensor := ir.TensorOf(ir.Shape{1, len(x)}, x...)
		s := &Stats{Min: math.Inf(1), Max: math.Inf(-1)}
		if err := s.Add(tensor); err != nil {
			t.Fatal(err)
		}
		s.Count(tensor)
		return s
	}
	even := func() float32 { return r.Float32() }
	normal := func() float32 { return float32(r.NormFloat64()) }
	relu := func() float32 { return max(0, float32(r.NormFloat64())) }
	for _, c := range []struct {
		name         string
		m            Method
		s            *Stats
		loMin, loMax float64
		hiMin, hiMax float64
	}{
		{"minmax", Method{}, sample(20, normal), -6, -4, 20, 20},
		{"percentile, even", Method{Percentile, 90}, sample(1, even), 0.045, 0.055, 0.945, 0.955},
		{"percentile, zeros", Method{Percentile, 98}, sample(4, relu), 0, 0.01, 2.2, 2.5},
		{"entropy, outlier", Method{Kind: Entropy}, sample(40, normal), -6, -2.5, 3, 8},
		{"entropy, relu", Method{Kind: Entropy}, sample(40, relu), 0, 0, 3, 15},
		{"entropy, even", Method{Kind: Entropy}, sample(1, even), 0, 0.01, 0.97, 1},
	} {
		lo, hi := c.m.bounds(c.s)
		if lo < c.loMin-1e-9 || lo > c.loMax || hi < c.hiMin || hi > c.hiMax+1e-9 {
			t.Errorf("%s: [%g, %g], want [%g…%g, %g…%g]", c.name, lo, hi, c.loMin, c.loMax, c.hiMin, c.hiMax)
		}
	}
	constant := sample(0.5, func() float32 { return 0.5 })
	if lo, hi := (Method{Kind: Entropy}).bounds(constant); lo != 0.5 || hi != 0.5 {
		t.Errorf("a constant has the range [%g, %g]", lo, hi)
	}
}

func TestNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		s := &Stats{}
		if err := s.Add(ir.TensorOf(ir.Shape{1, 3}, 1, float32(bad), 2)); err == nil {
			t.Errorf("%g was accepted", bad)
		}
	}
}
