package modelc

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"modelc/backend/inproc"
	"modelc/ir/eval"
	"modelc/runtime"
)

// Profile is what a model takes on one machine: times in milliseconds, rates in
// GFLOP/s.
type Profile struct {
	SHA256  string      `json:"sha256"` // of the model
	Model   string      `json:"model"`
	Threads int         `json:"threads"`
	Tier    string      `json:"tier"`
	Peak    float64     `json:"peak_gflops"` // of one core, 0 where it is not measured
	Stream  float64     `json:"stream_gbs"`  // GB/s that the threads read from memory
	Load    float64     `json:"load_ms"`     // weights packed and transformed
	Median  float64     `json:"median_ms"`
	Best    float64     `json:"best_ms"`
	P90     float64     `json:"p90_ms"`
	GFLOPS  float64     `json:"gflops"` // of the model's operations in the median time
	Layers  []LayerTime `json:"layers"`
}

// LayerTime is one step of the program.
type LayerTime struct {
	Name   string  `json:"name"`
	Doc    string  `json:"doc"`
	Kernel string  `json:"kernel"`
	Best   float64 `json:"best_ms"`
	FLOPs  int64   `json:"flops"`
	Bytes  int64   `json:"bytes"`
	GFLOPS float64 `json:"gflops"`
	// OfPeak is GFLOPS as a part of the multiply-add peak of the threads in
	// use. Winograd counts the operations it saves, so it may exceed 1.
	OfPeak float64 `json:"of_peak"`
	// Arithmetic and Memory are the milliseconds that the multiplications of the
	// layer's algorithm take at the peak and its weights, as they are read, from
	// memory. A layer takes at least the longer of them, unless a cache holds
	// the weights.
	Arithmetic float64 `json:"arithmetic_ms"`
	Memory     float64 `json:"memory_ms"`
}

// Bench times the compiled model on seeded random inputs: each layer by the
// shortest of its runs, the whole by its median, best and 90th percentile.
func Bench(c *Compiled, threads, runs int) (*Profile, error) {
	if err := c.Options.Report("measuring layers", 0, 1); err != nil {
		return nil, err
	}
	start := time.Now()
	e, err := inproc.New(c.Program, threads)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	e.Wait()
	p := &Profile{SHA256: c.Model.SHA256, Model: c.Graph.Name, Threads: threads, Tier: runtime.Tier(), Load: ms(time.Since(start)), Peak: runtime.PeakGFLOPS()}
	p.Stream = stream(threads)
	in := eval.Inputs(c.Before, 1)
	times, err := e.Profile(in, max(2, runs/4)) // warms up, too
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for i, l := range c.Program.Layers {
		x := LayerTime{Name: l.Name, Doc: l.Doc, Kernel: l.Kernel, Best: ms(times[i]), FLOPs: l.FLOPs, Bytes: l.Bytes}
		if times[i] > 0 {
			x.GFLOPS = float64(l.FLOPs) / float64(times[i].Nanoseconds())
		}
		if p.Peak > 0 {
			x.OfPeak = x.GFLOPS / p.Peak / float64(threads)
		}
		if p.Peak > 0 {
			x.Arithmetic = l.Work.Ops / p.Peak / float64(threads) / 1e6
		}
		x.Memory = l.Work.WeightBytes / p.Stream / 1e6
		total += l.FLOPs
		p.Layers = append(p.Layers, x)
	}
	var all []float64
	for i := range runs {
		if err := c.Options.Report("measuring runs", i, runs); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := e.Step(); err != nil {
			return nil, err
		}
		all = append(all, ms(time.Since(start)))
	}
	slices.Sort(all)
	p.Best, p.Median, p.P90 = all[0], all[len(all)/2], all[len(all)*9/10]
	p.GFLOPS = float64(total) / 1e6 / p.Median
	return p, nil
}

// stream returns the GB/s at which so many threads together read memory that
// no cache holds: the best of a few walks.
func stream(threads int) float64 {
	const size = 64 << 20
	b := make([]byte, size*threads)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 2 // pages that were never written are all the same one
	}
	best := time.Duration(1 << 62)
	for range 5 {
		start := time.Now()
		var wg sync.WaitGroup
		for t := range threads {
			wg.Go(func() { bytes.IndexByte(b[t*size:(t+1)*size], 1) })
		}
		wg.Wait()
		best = min(best, time.Since(start))
	}
	return float64(len(b)) / float64(best.Nanoseconds())
}
