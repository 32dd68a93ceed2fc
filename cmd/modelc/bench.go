package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/internal/measure"
)

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
needs fewer multiplications shows a rate above the peak. The roofline is the
longer of two times, and what it comes from: the multiplications that the
layer's algorithm does, at the measured peak, and its weights, as it reads
them, at the rate at which memory was read. Weights that stay in a cache come
faster.`,
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
			p, err := measure.Bench(m, threads, runs)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), p)
			}
			return printProfile(c.OutOrStdout(), p, top)
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.IntVar(&threads, "threads", 1, "goroutines per run")
	fl.IntVar(&runs, "runs", 20, "how often the model runs")
	fl.IntVar(&top, "top", 0, "print the `N` slowest layers alone, slowest first")
	jsonFlag(c, &asJSON)
	return c
}

func printProfile(out io.Writer, p *measure.Profile, top int) error {
	sum := 0.0
	for _, l := range p.Layers {
		sum += l.Best
	}
	layers := p.Layers
	if top > 0 {
		layers = slices.Clone(layers)
		slices.SortStableFunc(layers, func(a, b measure.LayerTime) int {
			if a.Best > b.Best {
				return -1
			}
			return 1
		})
		layers = layers[:min(top, len(layers))]
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "ms\tof time\tGFLOP/s\tof peak\troofline\t\t  \n")
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
		if least := max(l.Arithmetic, l.Memory); least == 0 || p.Peak == 0 {
			fmt.Fprint(w, "\t\t")
		} else if least == l.Arithmetic {
			fmt.Fprintf(w, "%.4f\tarithmetic\t", least)
		} else {
			fmt.Fprintf(w, "%.4f\tmemory\t", least)
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
	_, err := fmt.Fprintf(out, "\nmemory read at %.1f GB/s; load %.1f ms\n", p.Stream, p.Load)
	return err
}
