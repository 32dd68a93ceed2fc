package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/cuda/roofline"
	"modelc/internal/columns"
	"modelc/internal/measure"
	"modelc/internal/units"
	"modelc/ir/eval"
)

// measureFlags are the flags of commands that time a model.
type measureFlags struct{ threads, runs int }

func (f *measureFlags) add(c *cobra.Command, runs int, of string) {
	c.Flags().IntVar(&f.threads, "threads", 1, "number `N` of goroutines per run"+of)
	c.Flags().IntVar(&f.runs, "runs", runs, "number `N` of runs"+of)
}

func (f *measureFlags) check() error {
	if f.runs < 1 || f.threads < 1 {
		return usageError{errors.New("--runs and --threads must be at least 1")}
	}
	return nil
}

// measurement describes a command that compiles a model, measures it and prints
// the result.
type measurement[T any] struct {
	runs    int // default of --runs
	measure func(m *modelc.Compiled, threads, runs int) (T, error)
	print   func(w io.Writer, result T) error
	save    func(result T) error // called at the end, unless nil
}

// command makes c a command that measures one model.
func (m measurement[T]) command(c *cobra.Command) *cobra.Command {
	var model modelFlags
	var flags measureFlags
	var asJSON bool
	model.add(c)
	flags.add(c, m.runs, "")
	jsonFlag(c, &asJSON)
	c.Args = exactly(1, "one model")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := flags.check(); err != nil {
			return err
		}
		o, err := model.options(c)
		if err != nil {
			return err
		}
		compiled, err := modelc.Compile(args[0], o)
		if err != nil {
			return err
		}
		defer compiled.Close()
		result, err := m.measure(compiled, flags.threads, flags.runs)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(c.OutOrStdout(), result)
		} else {
			err = prose(c, func(w io.Writer) error { return m.print(w, result) })
		}
		if err != nil {
			return err
		}
		if p, ok := any(result).(*measure.Profile); ok {
			warnNoise(c, p)
		}
		if m.save == nil {
			return nil
		}
		return m.save(result)
	}
	return c
}

// warnNoise warns if the machine was too noisy for p.
func warnNoise(c *cobra.Command, p *measure.Profile) {
	if text := p.Warning(); text != "" {
		t := terminalOf(c)
		t.remark(t.paint(t.err, warn, "warning:") + " " + text)
	}
}

func benchCommand() *cobra.Command {
	var top int
	var engine string
	var gpu targetFlag
	c := &cobra.Command{
		Use:   "bench MODEL",
		Short: "Time a model, layer by layer",
		Long: `Time a model on seeded random inputs, with the kernels of its generated package.

` + measure.Definitions + `

With --engine cuda, time the kernels for an NVIDIA GPU instead: whole runs of their
graph, and each kernel alone. In a graph kernels overlap, so that the kernels' times
do not sum up to the run. The roofline is then that of the GPU, at its highest clock
rates.`,
	}
	c.Flags().IntVar(&top, "top", 0, "print only the `N` slowest layers, the slowest first")
	c.Flags().StringVar(&engine, "engine", "inproc", "`ENGINE`: inproc (the CPU), cuda (an NVIDIA GPU) or cuda-emulated (to test the command)")
	gpu.addPrecision(c)
	return measurement[any]{
		runs: 20,
		measure: func(m *modelc.Compiled, threads, runs int) (any, error) {
			cfg, err := gpu.config()
			switch {
			case err != nil:
				return nil, err
			case engine == "inproc" && cfg.Precision != cuda.Float32:
				return nil, usageError{errors.New("--precision is about GPUs: add --engine cuda")}
			case top < 0:
				return nil, usageError{fmt.Errorf("--top %d: want N ≥ 0", top)}
			case engine == "inproc":
				return measure.Bench(m, threads, runs)
			case engine == "cuda" || engine == "cuda-emulated":
				return benchCUDA(c.Context(), engine, m, cfg, runs)
			}
			return nil, usageError{fmt.Errorf("--engine %q: want inproc, cuda or cuda-emulated", engine)}
		},
		print: func(w io.Writer, result any) error {
			if r, ok := result.(*roofline.Report); ok {
				return r.Print(w, top)
			}
			return printProfile(w, result.(*measure.Profile), top)
		},
	}.command(c)
}

// benchCUDA times m on a GPU.
func benchCUDA(ctx context.Context, engine string, m *modelc.Compiled, cfg cuda.Config, runs int) (*roofline.Report, error) {
	e, err := newCUDA(ctx, engine, m, cfg)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	all, kernels, err := e.Profile(eval.Inputs(m.Before, 1), runs)
	if err != nil {
		return nil, err
	}
	r := roofline.Analyse(e.Program(), nvrtc.Of(e.Device()))
	r.Time(all, kernels)
	return r, nil
}

// printProfile prints a table of the layers, and the time of the model. If top is
// not 0, the table has only the top slowest layers.
func printProfile(out io.Writer, p *measure.Profile, top int) error {
	layers := p.Layers
	if top > 0 {
		layers = slices.Clone(layers)
		slices.SortStableFunc(layers, func(a, b measure.LayerTime) int { return cmp.Compare(b.Time, a.Time) })
		layers = layers[:min(top, len(layers))]
	}
	t := columns.New("rrrrrrrll", "ms", "of time", "MFLOP", "fewer", "GFLOP/s", "of peak", "roofline ms", "bound by", "layer")
	for _, l := range layers {
		var rate, peak, roof, bound string
		if l.Ops > 0 {
			rate = fmt.Sprintf("%.1f", l.GFLOPS)
		}
		if l.Ops > 0 && p.Peak > 0 {
			peak = fmt.Sprintf("%.0f %%", 100*l.OfPeak)
		}
		if l.Roofline > 0 {
			roof, bound = fmt.Sprintf("%.4f", l.Roofline), "arithmetic"
		}
		if l.Memory {
			bound = "memory"
		}
		t.Row(fmt.Sprintf("%.4f", l.Time), fmt.Sprintf("%.1f %%", 100*l.Time/p.Time), millions(l.FLOPs), fewer(l.Work), rate, peak, roof, bound, l.Name+": "+l.Doc)
	}
	if err := t.Print(out, ""); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s, %d thread(s), %s: %.3f ms a run, the mean of the middle half of %d runs; best %.3f ms, 90 %% below %.3f ms\n", p.Model, p.Threads, p.Tier, p.Time, p.Runs, p.Best, p.P90)
	fmt.Fprintf(out, "%s, %.1f GFLOP/s executed", units.FLOP(p.FLOPs), p.GFLOPS)
	if f := fewer(p.Work); f != "" {
		fmt.Fprintf(out, " after algorithms with %s fewer", f)
	}
	if p.Peak > 0 {
		fmt.Fprintf(out, ", %.0f %% of the peak of %.0f, or %.0f on integers", 100*p.OfPeak, p.Peak, p.Integer)
	}
	_, err := fmt.Fprintf(out, "\nweights read at up to %.1f GB/s; load %.1f ms; noise %.0f %%\n", p.Stream, p.Load, 100*p.Noise)
	return err
}

// fewer returns the factor by which algorithms reduce the operations, or "" if they do not.
func fewer(w measure.Work) string {
	if f := fmt.Sprintf("%.2f ×", w.Fewer()); w.Ops > 0 && f != "1.00 ×" {
		return f
	}
	return ""
}
