package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cpu"
)

func tuneCommand() *cobra.Command {
	var f modelFlags
	var threads, runs int
	var output string
	var asJSON bool
	c := &cobra.Command{
		Use:   "tune MODEL [-o FILE]",
		Short: "Measure the algorithms that each convolution could use",
		Long: `Measure, on this machine, the algorithms that each convolution could use, and
compare with what the cost model expects. With -o the fastest are written to
a file that "modelc compile --tune FILE" reads. Times hold for machines like
this one.`,
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
			t, err := modelc.Tune(m, threads, runs)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), t)
			} else {
				err = printTuning(c.OutOrStdout(), t)
			}
			if err != nil || output == "" {
				return err
			}
			return writeFile(output, func(f *os.File) error { return printJSON(f, t) })
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.IntVar(&threads, "threads", 1, "goroutines per run")
	fl.IntVar(&runs, "runs", 10, "how often each program runs; the shortest time counts")
	fl.StringVarP(&output, "output", "o", "", "write the choices to this `FILE`")
	jsonFlag(c, &asJSON)
	return c
}

func printTuning(out io.Writer, t *modelc.Tuning) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	measured := map[string]bool{}
	for _, l := range t.Layers {
		for a := range l.Ms {
			measured[a] = true
		}
	}
	algorithms := slices.DeleteFunc(cpu.Algorithms(), func(a string) bool { return !measured[a] })
	fmt.Fprint(w, "ms (estimate)\t")
	for _, a := range algorithms {
		fmt.Fprintf(w, "%s\t", a)
	}
	fmt.Fprint(w, "fastest\tmodel's\t\n")
	for _, l := range t.Layers {
		fmt.Fprintf(w, "%s\t", l.Name)
		for _, a := range algorithms {
			if l.Ms[a] > 0 {
				fmt.Fprintf(w, "%.3f (%.3f)", l.Ms[a], l.Estimates[a])
			}
			fmt.Fprint(w, "\t")
		}
		fmt.Fprintf(w, "%s\t%s\t\n", l.Algorithm, l.Model)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(t.Layers) == 0 {
		_, err := fmt.Fprintln(out, "no convolution has a choice")
		return err
	}
	tuned, model := t.TunedMs+t.RestMs, t.ModelMs+t.RestMs
	_, err := fmt.Fprintf(out, "total %.3f ms with the fastest, %.3f ms with the cost model's choices: %.1f %% more\n", tuned, model, 100*(model/tuned-1))
	return err
}

// readTuning reads what tune wrote.
func readTuning(path string) (*modelc.Tuning, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := new(modelc.Tuning)
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("%s is not what modelc tune writes: %w", path, err)
	}
	return t, nil
}
