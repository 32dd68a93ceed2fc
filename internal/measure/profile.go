package measure

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"modelc/backend/plan"
)

// Profile holds the run times of a model on one machine, and the figures that follow from
// them. Everything that shows such a figure reads it from here. [Definitions] explains the
// figures to users. Times are in milliseconds.
type Profile struct {
	SHA256  string `json:"sha256"` // of the model
	Model   string `json:"model"`
	Threads int    `json:"threads"`
	Tier    string `json:"tier"`
	Runs    int    `json:"runs"`
	// Peak is the highest rate of multiply-adds of all threads together, in GFLOP/s: that
	// of a loop on registers, or of a layer if one was faster. It is 0 if the tier has no
	// measurement. Integer is the same for 8-bit integers.
	Peak    float64 `json:"peak_gflops"`
	Integer float64 `json:"integer_peak_gops"`
	// Stream is the highest rate at which all threads together read the weights, in GB/s:
	// that of a loop over as many bytes as the program has of weights, or of a layer if
	// one was faster.
	Stream float64 `json:"stream_gbs"`
	Load   float64 `json:"load_ms"` // time to prepare the weights

	Time float64 `json:"ms"` // mean of the middle half of the runs
	Best float64 `json:"best_ms"`
	P90  float64 `json:"p90_ms"` // 90th percentile of the runs
	// Noise is the part by which Time exceeds the sum of the shortest times of the layers.
	Noise float64 `json:"noise"`

	FLOPs  int64   `json:"flops"`  // of all layers
	GFLOPS float64 `json:"gflops"` // Ops divided by Time
	Work
	// OfPeak is the time of the operations of all layers at their peaks, as a fraction of
	// Time.
	OfPeak float64     `json:"of_peak"`
	Layers []LayerTime `json:"layers"`
}

// LayerTime holds the run time of one step of the program.
type LayerTime struct {
	Name   string  `json:"name"`
	Doc    string  `json:"doc"`
	Kernel string  `json:"kernel"`
	Time   float64 `json:"ms"`      // mean of the same runs as Profile.Time, so that the layers sum up to it
	Best   float64 `json:"best_ms"` // shortest time of all runs
	FLOPs  int64   `json:"flops"`   // operations of the layer, as the graph defines it
	Bytes  int64   `json:"bytes"`   // size of its operands and results, with the weights
	Work
	Weight float64 `json:"weight_bytes"` // size of the weights that the algorithm reads
	GFLOPS float64 `json:"gflops"`       // Ops divided by Time
	OfPeak float64 `json:"of_peak"`      // GFLOPS divided by the peak for the type of the layer; at most 1
	// Roofline is a lower bound of Time: the time of Ops at the peak, or of reading the
	// weights at Profile.Stream. Memory reports which of the two is larger. Roofline is 0
	// if the layer has neither.
	Roofline float64 `json:"roofline_ms"`
	Memory   bool    `json:"memory"`
	Integers bool    `json:"integers,omitempty"` // whether its peak is that of integers
}

// Work is the number of operations in products of matrices: convolutions, dense layers,
// products and recurrent layers. The peak rate of multiply-adds bounds no others.
type Work struct {
	Products int64   `json:"products"` // as the graph defines them
	Ops      float64 `json:"ops"`      // that the algorithms execute
}

// Fewer returns the factor by which the algorithms reduce the operations, or 0 if there are
// no products.
func (w Work) Fewer() float64 {
	if w.Ops == 0 {
		return 0
	}
	return float64(w.Products) / w.Ops
}

// Definitions explains the figures of a profile to users.
const Definitions = `The time of the model is the mean of the middle half of the runs: the fastest
quarter and the slowest quarter do not count. The time of a layer is the mean of
the same runs, so that the layers sum up to the model. Runs that warm up come first.

FLOPs are the operations of a layer as the compiled graph defines it, a multiply-add
counted as two. Fast algorithms execute fewer operations for convolutions and dense
layers; "fewer" is the factor. GFLOP/s is the rate of the operations that are
executed, of convolutions, dense and recurrent layers. The peak is the highest rate
of multiply-adds that was measured, in a loop on registers or in a layer, so that no
layer exceeds it. That of layers on integers is for multiplications of 8 bits.

The roofline is a lower bound of a layer's time. It is the larger of two times: the
executed operations at the peak ("arithmetic"), and reading the weights at the
highest rate that was measured, in a loop over as many bytes or in a layer
("memory").

The noise is the part by which the time of the model exceeds the sum of the shortest
times of its layers. Other programs on the machine cause it. Above 20 % the figures
are not reliable.`

// Noisy is the noise above which figures are not reliable.
const Noisy = 0.2

// Warning says that the machine was too noisy, or is empty.
func (p *Profile) Warning() string {
	if p.Noise <= Noisy {
		return ""
	}
	return fmt.Sprintf("the machine is too noisy to measure: a run takes %.0f %% longer than its layers at their fastest. Other programs use the processors: end them, or measure again with more --runs or fewer --threads", 100*p.Noise)
}

// shortest is the minimum time in milliseconds at which the clock is exact enough for a layer
// to define the peak.
const shortest = 0.01

// set computes the figures of layers from the times of each layer in each run. Peak, Integer
// and Stream have the rates of the loops.
func (p *Profile) set(layers []plan.Layer, runs [][]time.Duration) {
	p.Runs = len(runs)
	total := func(run []time.Duration) (sum time.Duration) {
		for _, d := range run {
			sum += d
		}
		return sum
	}
	runs = slices.Clone(runs)
	slices.SortStableFunc(runs, func(a, b []time.Duration) int { return cmp.Compare(total(a), total(b)) })
	p.Best, p.P90 = ms(total(runs[0])), ms(total(runs[len(runs)*9/10]))
	middle := runs[len(runs)/4 : len(runs)-len(runs)/4]
	undisturbed := 0.0
	for i, l := range layers {
		x := LayerTime{Name: l.Name, Doc: l.Doc, Kernel: l.Kernel, FLOPs: l.FLOPs, Bytes: l.Bytes(),
			Work: Work{l.Products, l.Work.Ops}, Weight: l.Work.WeightBytes, Integers: l.Work.Integers, Best: ms(runs[0][i])}
		for _, run := range runs {
			x.Best = min(x.Best, ms(run[i]))
		}
		for _, run := range middle {
			x.Time += ms(run[i]) / float64(len(middle))
		}
		if x.Best >= shortest {
			if peak := p.peak(&x); *peak > 0 {
				*peak = max(*peak, x.Ops/x.Best/1e6)
			}
			p.Stream = max(p.Stream, x.Weight/x.Best/1e6)
		}
		p.Time += x.Time
		undisturbed += x.Best
		p.FLOPs += x.FLOPs
		p.Ops += x.Ops
		p.Products += x.Products
		p.Layers = append(p.Layers, x)
	}
	atPeak := 0.0
	for i := range p.Layers {
		x := &p.Layers[i]
		arithmetic, memory := 0.0, 0.0
		if peak := *p.peak(x); peak > 0 {
			arithmetic = min(x.Ops/peak/1e6, x.Best)
		}
		if p.Stream > 0 {
			memory = min(x.Weight/p.Stream/1e6, x.Best)
		}
		x.Roofline, x.Memory = max(arithmetic, memory), memory > arithmetic
		if x.Time > 0 {
			x.GFLOPS, x.OfPeak = x.Ops/x.Time/1e6, arithmetic/x.Time
		}
		atPeak += arithmetic
	}
	if p.Time > 0 {
		p.GFLOPS, p.OfPeak = p.Ops/p.Time/1e6, atPeak/p.Time
		p.Noise = p.Time/max(undisturbed, 1e-6) - 1
	}
}

// peak returns the peak for the type of the layer.
func (p *Profile) peak(l *LayerTime) *float64 {
	if l.Integers {
		return &p.Integer
	}
	return &p.Peak
}
