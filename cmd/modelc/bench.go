package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/cuda/roofline"
	"modelc/internal/measure"
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
			err = m.print(c.OutOrStdout(), result)
		}
		if err != nil || m.save == nil {
			return err
		}
		return m.save(result)
	}
	return c
}

func benchCommand() *cobra.Command {
	var top int
	var engine string
	var gpu targetFlag
	c := &cobra.Command{
		Use:   "bench MODEL",
		Short: "Time a model, layer by layer",
		Long: `Time a model on seeded random inputs, with the kernels of its generated package.
The time of a layer is the shortest of all runs. The time of the model is the
median.

FLOPs are the operations of the layer as the model defines it. A layer can exceed
the peak if its algorithm does fewer multiplications. Operations of layers on
integers count as FLOPs, and their peak is that of multiplications of 8 bits.

The roofline is a lower bound of the layer's time. It is the larger of two times:
the multiplications of the algorithm at the measured peak ("arithmetic"), and
reading the weights at the measured memory bandwidth ("memory"). Reading weights
from a cache takes less time.

With --engine cuda, time the kernels for an NVIDIA GPU instead, in their graph and one
by one. The roofline is then that of the GPU, at its highest clock rates.`,
	}
	c.Flags().IntVar(&top, "top", 0, "print only the `N` slowest layers, the slowest first")
	c.Flags().StringVar(&engine, "engine", "inproc", "`ENGINE`: inproc (the CPU), cuda (an NVIDIA GPU) or cuda-emulated (to test the command)")
	gpu.addPrecision(c)
	return measurement[any]{
		runs: 20,
		measure: func(m *modelc.Compiled, threads, runs int) (any, error) {
			switch engine {
			case "inproc":
				return measure.Bench(m, threads, runs)
			case "cuda", "cuda-emulated":
				cfg, err := gpu.config()
				if err != nil {
					return nil, err
				}
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
	sum := 0.0
	for _, l := range p.Layers {
		sum += l.Best
	}
	layers := p.Layers
	if top > 0 {
		layers = slices.Clone(layers)
		slices.SortStableFunc(layers, func(a, b measure.LayerTime) int { return cmp.Compare(b.Best, a.Best) })
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
		all := float64(p.Threads)
		fmt.Fprintf(out, ", %.0f %% of the measured peak of %.0f, or %.0f on integers", 100*p.OfPeak, p.Peak*all, p.Integer*all)
	}
	_, err := fmt.Fprintf(out, "\nmemory read at %.1f GB/s; load %.1f ms\n", p.Stream, p.Load)
	return err
}
