package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cpu"
	"modelc/internal/columns"
	"modelc/internal/files"
	"modelc/internal/measure"
)

func tuneCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "tune MODEL [-o FILE]",
		Short: "Time the algorithms that each convolution could use",
		Long: `Time, on this machine, the algorithms that each convolution could use, and print
the times beside the estimates of the cost model. -o writes the fastest
algorithms to a file that "modelc compile --tune FILE" reads. The times are valid
for machines of the same kind.`,
	}
	c.Flags().StringVarP(&output, "output", "o", "", "write the fastest algorithms to `FILE`")
	return measurement[*modelc.Tuning]{
		runs:    10,
		measure: measure.Tune,
		print:   printTuning,
		save: func(t *modelc.Tuning) error {
			if output == "" {
				return nil
			}
			return files.Write(output, func(f *os.File) error { return printJSON(f, t) })
		},
	}.command(c)
}

// printTuning prints a table of the convolutions that have a choice.
func printTuning(out io.Writer, t *modelc.Tuning) error {
	measured := map[string]bool{}
	for _, l := range t.Layers {
		for a := range l.Ms {
			measured[a] = true
		}
	}
	algorithms := slices.DeleteFunc(cpu.Algorithms(), func(a string) bool { return !measured[a] })
	if len(t.Layers) == 0 {
		_, err := fmt.Fprintln(out, "no convolution has more than one algorithm")
		return err
	}
	w := columns.New("l"+strings.Repeat("r", len(algorithms))+"ll", slices.Concat([]string{"layer"}, algorithms, []string{"fastest", "cost model's"})...)
	for _, l := range t.Layers {
		row := []string{l.Name}
		for _, a := range algorithms {
			times := ""
			if l.Ms[a] > 0 {
				times = fmt.Sprintf("%.3f (%.3f)", l.Ms[a], l.Estimates[a])
			}
			row = append(row, times)
		}
		w.Row(append(row, l.Algorithm, l.Model)...)
	}
	fmt.Fprintln(out, "measured ms, and in parentheses the estimate of the cost model")
	if err := w.Print(out, ""); err != nil {
		return err
	}
	tuned, model := t.TunedMs+t.RestMs, t.ModelMs+t.RestMs
	_, err := fmt.Fprintf(out, "total %.3f ms with the fastest algorithms, %.3f ms with those of the cost model: %.1f %% more\n", tuned, model, 100*(model/tuned-1))
	return err
}
