package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/inproc"
	"modelc/ir/eval"
	"modelc/runtime"
)

// profile is what bench measures: times in milliseconds, rates in GFLOP/s.
type profile struct {
	Model   string  `json:"model"`
	Threads int     `json:"threads"`
	Tier    string  `json:"tier"`
	Peak    float64 `json:"peak_gflops"` // of one core, 0 where it is not measured
	Load    float64 `json:"load_ms"`     // weights packed and transformed
	Median  float64 `json:"median_ms"`
	Best    float64 `json:"best_ms"`
	P90     float64 `json:"p90_ms"`
	GFLOPS  float64 `json:"gflops"` // of the model's operations in the median time
	Layers  []layer `json:"layers"`
}

// layer is one step of the program.
type layer struct {
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
}

func benchCommand() *cobra.Command {
	var f modelFlags
	var threads, runs, top int
	var asJSON bool
	c := &cobra.Command{
		Use:   "bench MODEL",
		Short: "Time a model, layer by layer",
		Long: `Time a model on seeded random inputs with the kernels that its generated
package would use. Each layer's time is the shortest of all runs, the model's
is their median. FLOPs are those of the model as written: an algorithm that
needs fewer multiplications shows a rate above the peak.`,
		Args: exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			if runs < 1 || threads < 1 {
				return usageError{fmt.Errorf("--runs and --threads must be at least 1")}
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			p, err := measure(m, threads, runs)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), p)
			}
			return p.print(c.OutOrStdout(), top)
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.IntVar(&threads, "threads", 1, "goroutines per run")
	fl.IntVar(&runs, "runs", 20, "how often the model runs")
	fl.IntVar(&top, "top", 0, "print the `N` slowest layers alone, slowest first")
	fl.BoolVar(&asJSON, "json", false, "print the profile as JSON")
	return c
}

func measure(m *modelc.Compiled, threads, runs int) (*profile, error) {
	ms := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
	start := time.Now()
	e, err := inproc.New(m.Program, threads)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	p := &profile{Model: m.Graph.Name, Threads: threads, Tier: runtime.Tier(), Load: ms(time.Since(start)), Peak: runtime.PeakGFLOPS()}
	in := eval.Inputs(m.Before, 1)
	times, err := e.Profile(in, max(2, runs/4)) // warms up, too
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for i, l := range m.Program.Layers {
		x := layer{Name: l.Name, Doc: l.Doc, Kernel: l.Kernel, Best: ms(times[i]), FLOPs: l.FLOPs, Bytes: l.Bytes}
		if times[i] > 0 {
			x.GFLOPS = float64(l.FLOPs) / float64(times[i].Nanoseconds())
		}
		if p.Peak > 0 {
			x.OfPeak = x.GFLOPS / p.Peak / float64(threads)
		}
		total += l.FLOPs
		p.Layers = append(p.Layers, x)
	}
	var all []float64
	for range runs {
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

func (p *profile) print(out io.Writer, top int) error {
	sum := 0.0
	for _, l := range p.Layers {
		sum += l.Best
	}
	layers := p.Layers
	if top > 0 {
		layers = slices.Clone(layers)
		slices.SortStableFunc(layers, func(a, b layer) int {
			if a.Best > b.Best {
				return -1
			}
			return 1
		})
		layers = layers[:min(top, len(layers))]
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "ms\tof time\tGFLOP/s\tof peak\t  \n")
	for _, l := range layers {
		fmt.Fprintf(w, "%.4f\t%.1f %%\t", l.Best, 100*l.Best/sum)
		switch {
		case l.FLOPs == 0:
			fmt.Fprint(w, "\t\t")
		case p.Peak == 0:
			fmt.Fprintf(w, "%.1f\t\t", l.GFLOPS)
		default:
			fmt.Fprintf(w, "%.1f\t%.0f %%\t", l.GFLOPS, 100*l.OfPeak)
		}
		fmt.Fprintf(w, "  %s: %s\n", l.Name, l.Doc)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s, %d thread(s), %s: median %.3f ms, best %.3f ms, 90 %% below %.3f ms; %.1f GFLOP/s", p.Model, p.Threads, p.Tier, p.Median, p.Best, p.P90, p.GFLOPS)
	if p.Peak > 0 {
		fmt.Fprintf(out, ", %.0f %% of the measured peak of %.0f", 100*p.GFLOPS/p.Peak/float64(p.Threads), p.Peak*float64(p.Threads))
	}
	_, err := fmt.Fprintf(out, "\nload %.1f ms\n", p.Load)
	return err
}
