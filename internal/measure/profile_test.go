package measure

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"modelc"
	"modelc/backend/plan"
	"modelc/internal/zoo"
	"modelc/runtime"
)

// layersOf returns a layer for each kind of work: a direct convolution, one with Winograd's
// algorithm, a dense layer that memory bounds, one on integers, and a pool.
func layersOf() []plan.Layer {
	return []plan.Layer{
		{Name: "direct", FLOPs: 200e6, Products: 200e6, Activations: 1e6, Work: plan.Work{Ops: 200e6, WeightBytes: 1e6}},
		{Name: "winograd", FLOPs: 410e6, Products: 400e6, Activations: 2e6, Work: plan.Work{Ops: 100e6, WeightBytes: 4e6}},
		{Name: "dense", FLOPs: 20e6, Products: 20e6, Activations: 1e4, Work: plan.Work{Ops: 20e6, WeightBytes: 40e6}},
		{Name: "integers", FLOPs: 200e6, Products: 200e6, Work: plan.Work{Ops: 200e6, WeightBytes: 1e6, Integers: true}},
		{Name: "pool", FLOPs: 1e6, Activations: 3e6},
	}
}

// All figures agree with each other, for any times: the layers sum up to the model, nothing
// exceeds a peak, and no layer is faster than its roofline.
func TestProfileAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		p := Profile{Peak: 100 * r.Float64(), Integer: 400 * r.Float64(), Stream: 20 * r.Float64()}
		layers := layersOf()
		runs := make([][]time.Duration, 1+r.IntN(12))
		for i := range runs {
			for range layers {
				runs[i] = append(runs[i], time.Duration(r.ExpFloat64()*1e6))
			}
		}
		p.set(layers, runs)
		sum, weights := 0.0, 0.0
		for i, l := range p.Layers {
			sum += l.Time
			weights += l.Weight
			if l.OfPeak > 1 || l.Best > l.Time+1e-9 || l.Roofline > l.Best || l.Bytes < int64(l.Weight) {
				t.Fatalf("%+v", l)
			}
			if l.Best >= shortest && (l.GFLOPS > *p.peak(&l)*1.000001 || l.Weight/l.Best/1e6 > p.Stream*1.000001) {
				t.Fatalf("%+v exceeds the rates of %+v", l, p)
			}
			if products := layers[i].Products > 0; products != (l.Ops > 0) {
				t.Fatalf("%+v", l)
			}
		}
		if math.Abs(sum-p.Time) > 1e-9*p.Time || p.Best > p.Time+1e-9 || p.OfPeak > 1 || p.Noise < -1e-9 {
			t.Fatalf("the layers take %g: %+v", sum, p)
		}
	}
}

// The middle half of the runs counts. The noise compares it with the shortest times.
func TestProfileFigures(t *testing.T) {
	const unit = time.Millisecond
	layers := layersOf()[:2]
	p := Profile{Peak: 100, Stream: 10}
	p.set(layers, [][]time.Duration{{5 * unit, 3 * unit}, {90 * unit, 9 * unit}, {4 * unit, 2 * unit}, {4 * unit, 6 * unit}})
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"time", p.Time, 9}, {"direct", p.Layers[0].Time, 4.5}, {"winograd", p.Layers[1].Time, 4.5},
		{"best", p.Best, 6}, {"90 %", p.P90, 99}, {"noise", p.Noise, 0.5},
		{"fewer", p.Layers[1].Fewer(), 4}, {"fewer of all", p.Fewer(), 2}, {"GFLOP/s", p.GFLOPS, 300 / 9.0},
		{"rate", p.Layers[0].GFLOPS, 200 / 4.5}, {"peak", p.Peak, 100}, {"of peak", p.Layers[0].OfPeak, 2 / 4.5},
		{"roofline", p.Layers[0].Roofline, 2}, {"bytes", float64(p.Layers[1].Bytes), 6e6},
	} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", c.what, c.got, c.want)
		}
	}
	if w := p.Warning(); !strings.Contains(w, "too noisy") || !strings.Contains(w, "50 %") {
		t.Errorf("warning %q", w)
	}
	if p.Noise = Noisy; p.Warning() != "" {
		t.Errorf("warning %q without noise", p.Warning())
	}
	p = Profile{Peak: 10, Stream: 1} // the loops were disturbed: the layers define the peak
	p.set(layers, [][]time.Duration{{4 * unit, 2 * unit}})
	if p.Peak != 50 || p.Stream != 2 || p.Layers[0].OfPeak != 1 || p.Layers[1].Roofline != 2 {
		t.Errorf("%+v", p)
	}
}

// No layer is counted to execute more than the processor can: the loop on registers measures
// its peak. The steps have the operations of the graph, and the weights of its constants.
func TestWorkIsPossible(t *testing.T) {
	for name, o := range map[string]zoo.Options{
		"lenet5": {}, "resnet18": {Size: 96, Width: 0.5}, "densenet121": {Size: 64, Width: 0.5}, "mobilenetv2": {Size: 96}, "vgg16": {Size: 64, Width: 0.25},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name+".onnx")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := zoo.Write(f, name, o); err != nil {
				t.Fatal(err)
			}
			c, err := modelc.Compile(path, modelc.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			p, err := Bench(c, 1, 5)
			if err != nil {
				t.Fatal(err)
			}
			// Peak is 0 on tiers without the measurement. Clocks and hosts vary a little.
			if loop := max(runtime.PeakGFLOPS(), runtime.PeakGFLOPS()); loop > 0 && p.Peak > 1.25*loop {
				t.Errorf("a layer runs at %.1f GFLOP/s, a loop on registers at %.1f", p.Peak, loop)
			}
			flops, weights := int64(0), 0.0
			for _, l := range p.Layers {
				flops += l.FLOPs
				weights += l.Weight
			}
			constants := 0
			for _, v := range c.Graph.Constants {
				constants += v.Type.Bytes()
			}
			if s := modelc.SizeOf(c.Model.Layers); flops != p.FLOPs || flops > s.FLOPs || 10*flops < 9*s.FLOPs {
				t.Errorf("%d FLOP in the layers, %d in the profile, %d in the model", flops, p.FLOPs, s.FLOPs)
			}
			if most := 1.05*float64(constants) + 3*float64(c.Program.Plan.PreparedBytes); weights < 0.99*float64(constants) || weights > most {
				t.Errorf("the layers read %.0f bytes of weights, the graph has %d", weights, constants)
			}
		})
	}
}
