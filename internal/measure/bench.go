// Package measure measures the run times of compiled models on this machine.
package measure

import (
	"slices"
	"time"

	"modelc"
	"modelc/backend/inproc"
	"modelc/internal/machine"
	"modelc/ir/eval"
	"modelc/runtime"
)

// Profile holds the run times of a model on one machine. Times are in milliseconds, rates in
// GFLOP/s.
type Profile struct {
	SHA256  string  `json:"sha256"` // of the model
	Model   string  `json:"model"`
	Threads int     `json:"threads"`
	Tier    string  `json:"tier"`
	Peak    float64 `json:"peak_gflops"`       // of one core; 0 if the tier has no measurement
	Integer float64 `json:"integer_peak_gops"` // of one core, on 8-bit integers
	Stream  float64 `json:"stream_gbs"`        // rate at which all threads together read memory, in GB/s
	Load    float64 `json:"load_ms"`           // time to prepare the weights
	Median  float64 `json:"median_ms"`
	Best    float64 `json:"best_ms"`
	P90     float64 `json:"p90_ms"` // 90th percentile
	GFLOPS  float64 `json:"gflops"` // operations of the model divided by the median time
	// OfPeak is the time of the operations of all layers at their peaks, those of
	// LayerTime.OfPeak, divided by the median time.
	OfPeak float64     `json:"of_peak"`
	Layers []LayerTime `json:"layers"`
}

// LayerTime holds the run time of one step of the program.
type LayerTime struct {
	Name   string  `json:"name"`
	Doc    string  `json:"doc"`
	Kernel string  `json:"kernel"`
	Best   float64 `json:"best_ms"` // shortest time of all runs
	FLOPs  int64   `json:"flops"`   // operations of the layer, as the graph defines it
	Bytes  int64   `json:"bytes"`   // size of its operands and results
	GFLOPS float64 `json:"gflops"`
	// OfPeak is GFLOPS as a fraction of the multiply-add peak of all threads, on
	// integers if the layer computes on integers. It may exceed 1 if the layer's algorithm does fewer operations than FLOPs.
	OfPeak float64 `json:"of_peak"`
	// Arithmetic is the time of the operations of the algorithm at the peak rate.
	// Memory is the time to read the weights from memory. The larger of the two is a
	// lower bound of Best, unless a cache holds the weights.
	Arithmetic float64 `json:"arithmetic_ms"`
	Memory     float64 `json:"memory_ms"`
}

// streamed is the number of bytes that each thread reads to measure Stream. It must exceed
// the caches.
const streamed = 64 << 20

// Bench measures the compiled model on seeded random inputs. It runs it the given number of
// times on the given number of threads.
func Bench(c *modelc.Compiled, threads, runs int) (*Profile, error) {
	if err := c.Options.Progress.Update("measuring layers", 0, 1); err != nil {
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
	p.Stream = machine.ReadBandwidth(threads, threads*streamed)
	in := eval.Inputs(c.Before, 1)
	times, err := e.Profile(in, max(2, runs/4)) // this also warms up
	if err != nil {
		return nil, err
	}
	var all []float64
	for i := range runs {
		if err := c.Options.Progress.Update("measuring runs", i, runs); err != nil {
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
	// Other programs may have slowed one of the measurements.
	p.Peak = max(p.Peak, runtime.PeakGFLOPS())
	p.Integer = p.Peak * runtime.ByteRate()
	total, atPeak := int64(0), 0.0
	for i, l := range c.Program.Layers {
		x := LayerTime{Name: l.Name, Doc: l.Doc, Kernel: l.Kernel, Best: ms(times[i]), FLOPs: l.FLOPs, Bytes: l.Bytes}
		if times[i] > 0 {
			x.GFLOPS = float64(l.FLOPs) / float64(times[i].Nanoseconds())
		}
		peak := p.Peak
		if l.Work.Integers {
			peak = p.Integer
		}
		if peak > 0 {
			x.OfPeak = x.GFLOPS / peak / float64(threads)
			atPeak += float64(l.FLOPs) / peak / float64(threads) / 1e6
			x.Arithmetic = l.Work.Ops / peak / float64(threads) / 1e6
		}
		x.Memory = l.Work.WeightBytes / p.Stream / 1e6
		total += l.FLOPs
		p.Layers = append(p.Layers, x)
	}
	p.GFLOPS, p.OfPeak = float64(total)/1e6/p.Median, atPeak/p.Median
	return p, nil
}
