package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"modelc/backend/cpu"
	"modelc/backend/inproc"
	"modelc/frontend"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
	"modelc/runtime/kernel"
)

// result is a row of the table. Times are medians of single runs.
type result struct {
	Model               string
	Threads             int
	Ms, OrtMs           float64
	Ratio               float64 // median of OrtMs/Ms over pairs of runs
	RatioLow, RatioHigh float64 // quartiles of OrtMs/Ms
	LoadMs, OrtLoadMs   float64
	GFLOP               float64 // of the model as written, per run
	Error               float64 // max |modelc − ORT| / max |ORT|
}

// engines is a model loaded by both engines.
type engines struct {
	ours              *inproc.Engine
	theirs            *ort.AdvancedSession
	in                *ir.Tensor
	out, theirOut     []float32 // outputs of the first run
	loadMs, ortLoadMs float64
	gflop             float64 // of the model as written, per run
	inName, outName   string
	outShape          ir.Shape
}

func open(path string, o options, threads int) (*engines, error) {
	m, err := frontend.Load(path, o.source)
	if err != nil {
		return nil, err
	}
	defer m.Release()
	g := m.Graph
	if len(g.Inputs) != 1 || len(g.Outputs) != 1 || g.Inputs[0].Type.DType != ir.Float32 {
		return nil, fmt.Errorf("want a model with one float32 input and one output")
	}
	b := &engines{in: eval.Inputs(g, 1)[0]}
	for _, n := range g.Nodes {
		b.gflop += float64(ir.FLOPs(n)) / 1e9
	}
	b.inName, b.outName = g.Inputs[0].Name, g.Outputs[0].Name
	b.outShape = g.Outputs[0].Value.Type.Shape
	if _, err := passes.Run(g, &passes.Config{}); err != nil {
		return nil, err
	}
	cfg := cpu.Config{}
	if o.bf16 {
		cfg.Compute = kernel.BF16
		if err := cpu.NarrowLayers(g, func(*ir.Node) bool { return false }); err != nil {
			return nil, err
		}
	}
	p, err := cpu.Build(g, cfg)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if b.ours, err = inproc.New(p, threads); err != nil {
		return nil, err
	}
	b.ours.Wait()
	b.loadMs = ms(time.Since(start))
	b.theirOut = make([]float32, b.outShape.Len())
	start = time.Now()
	if b.theirs, err = ortSession(path, threads, b.inName, b.outName, b.in, b.outShape, b.theirOut); err != nil {
		return nil, err
	}
	b.ortLoadMs = ms(time.Since(start))
	out, err := b.ours.Run([]*ir.Tensor{b.in})
	if err != nil {
		return nil, err
	}
	b.out = out[0].Float32s()
	return b, b.theirs.Run()
}

func (b *engines) close() {
	b.ours.Close()
	b.theirs.Destroy()
}

// compare runs both engines on a model until the time is over.
func compare(path string, o options, threads int, budget time.Duration) (result, error) {
	r := result{Threads: threads}
	b, err := open(path, o, threads)
	if err != nil {
		return r, err
	}
	defer b.close()
	r.LoadMs, r.OrtLoadMs, r.GFLOP = b.loadMs, b.ortLoadMs, b.gflop
	r.Error = relError(b.out, b.theirOut)

	var ours, others, ratios []float64
	for end := time.Now().Add(budget); len(ratios) < 7 || time.Now().Before(end); {
		a := turn(threads, func() { b.ours.Step() })
		b := turn(threads, func() { b.theirs.Run() })
		ours, others, ratios = append(ours, a), append(others, b), append(ratios, b/a)
	}
	// The first pairs warm up caches and clock rates.
	warm := min(3, len(ratios)/4)
	ours, others, ratios = ours[warm:], others[warm:], ratios[warm:]
	slices.Sort(ours)
	slices.Sort(others)
	slices.Sort(ratios)
	n := len(ratios)
	r.Ms, r.OrtMs = ours[n/2], others[n/2]
	r.Ratio, r.RatioLow, r.RatioHigh = ratios[n/2], ratios[n/4], ratios[3*n/4]
	return r, nil
}

// ortOptions returns the options of sessions of ONNX Runtime. The caller must destroy them.
func ortOptions(threads int) (*ort.SessionOptions, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	o.SetIntraOpNumThreads(threads)
	o.SetInterOpNumThreads(1)
	o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll)
	return o, nil
}

func ortSession(path string, threads int, inName, outName string, in *ir.Tensor, outShape ir.Shape, out []float32) (*ort.AdvancedSession, error) {
	o, err := ortOptions(threads)
	if err != nil {
		return nil, err
	}
	defer o.Destroy()
	x, err := ort.NewTensor(ortShape(in.Shape), in.Float32s())
	if err != nil {
		return nil, err
	}
	y, err := ort.NewTensor(ortShape(outShape), out)
	if err != nil {
		return nil, err
	}
	return ort.NewAdvancedSession(path, []string{inName}, []string{outName}, []ort.Value{x}, []ort.Value{y}, o)
}

func ortShape(s ir.Shape) ort.Shape {
	out := make(ort.Shape, len(s))
	for i, d := range s {
		out[i] = int64(d)
	}
	return out
}

// settle is the time between the runs of two engines with several threads. ONNX
// Runtime's threads spin for about 60 ms after a run and would occupy a processor
// during the next run.
const settle = 100 * time.Millisecond

// turn measures a run of an engine. If it has several threads, turn wakes them first.
func turn(threads int, f func()) float64 {
	if threads > 1 {
		time.Sleep(settle)
		for start := time.Now(); time.Since(start) < settle/3; {
			f()
		}
	}
	return timed(f)
}

func timed(f func()) float64 {
	start := time.Now()
	f()
	return ms(time.Since(start))
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

func relError(got, want []float32) float64 {
	diff, top := 0.0, 0.0
	for i, w := range want {
		diff = max(diff, math.Abs(float64(got[i])-float64(w)))
		top = max(top, math.Abs(float64(w)))
	}
	return diff / top
}
