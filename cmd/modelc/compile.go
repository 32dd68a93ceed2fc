package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/golang"
	"modelc/internal/columns"
	"modelc/internal/units"
	"modelc/passes"
	"modelc/passes/integer"
)

func compileCommand() *cobra.Command {
	var f packageFlags
	var asJSON bool
	var file string
	c := &cobra.Command{
		Use:   "compile [MODEL -o DIR]",
		Short: "Write the Go package of a model",
		Long: `Write the Go package of a model. With --preprocess, sessions of the package have
the method Predict(image.Image) ([]Class, error). --labels gives the names of the
classes.

Without a model, compile all models in the list ` + listFile + ` of the current folder,
or in the list that -f names. The keys of a list are flags:

  [
    {"model": "digits.onnx", "output": "internal/digits", "preprocess": "unit"},
    {"model": "faces.onnx", "output": "internal/faces", "dim": ["N=4"]}
  ]

Paths in a list are relative to its folder.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("want one model, got %d arguments; see --help", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			jobs, err := jobsOf(c, args, &f, file)
			if err != nil {
				return err
			}
			if f.output == "" && len(args) == 1 {
				return usageError{errors.New("-o DIR is missing: the folder of the package")}
			}
			var all []*modelc.Summary
			var failed []error
			for _, j := range jobs {
				s, err := j.write()
				if err != nil {
					failed = append(failed, j.named(err))
					continue
				}
				all = append(all, s)
				if !asJSON && !terminalOf(c).quiet {
					failed = append(failed, prose(c, func(w io.Writer) error { return printSummary(w, j.flags.output, s) }))
				}
			}
			if asJSON {
				var v any = all
				if len(args) == 1 && len(all) == 1 {
					v = all[0]
				}
				failed = append(failed, printJSON(c.OutOrStdout(), v))
			}
			return errors.Join(failed...)
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVarP(&file, "file", "f", "", "compile the models of the list in `FILE`")
	jsonFlag(c, &asJSON)
	return c
}

// printSummary prints the cost of a package and the work of the compiler.
func printSummary(w io.Writer, dir string, s *modelc.Summary) error {
	fmt.Fprintf(w, "%s: package %s, from %s (%s)\n", dir, s.Package, s.Model, s.Format)
	fmt.Fprintf(w, "  %d nodes became %d steps; %s parameters, %s a run\n", s.ModelNodes, s.Layers, units.Count(s.ModelSize.Parameters), units.FLOP(s.ModelSize.FLOPs))
	if s.Quantized != nil {
		printQuantized(w, s.Quantized, false)
	}
	printFused(w, s.Fused)
	printIntegers(w, "  ", s.Integers)
	printPasses(w, s.Passes)
	fmt.Fprintf(w, "  memory: %s a session (lower bound %s)", units.Bytes(s.Arena), units.Bytes(s.LowerBound))
	for _, b := range s.Sessions {
		fmt.Fprintf(w, ", %s for batches of %d", units.Bytes(b.Arena), b.Batch)
	}
	fmt.Fprintf(w, ", weights %s", units.Bytes(s.Weights))
	if s.Prepared > 0 {
		fmt.Fprintf(w, ", transformed at load %s", units.Bytes(s.Prepared))
	}
	fmt.Fprintln(w)
	if g := s.CUDA; g != nil {
		fmt.Fprintf(w, "  on a GPU: %d kernels a run, memory %s a session, weights %s\n", g.Kernels, units.Bytes(g.Arena), units.Bytes(g.Weights))
		if g.Products != nil {
			fmt.Fprintf(w, "  %s\n", g.Products.Products())
		}
	}
	var files []string
	for name, n := range s.FileBytes {
		if strings.HasPrefix(name, golang.RuntimeDir) || strings.HasPrefix(name, golang.LauncherDir) {
			continue
		}
		files = append(files, fmt.Sprintf("%s %s", name, units.Bytes(n)))
	}
	slices.Sort(files)
	fmt.Fprintf(w, "  files: %s\n", strings.Join(files, ", "))
	if s.Rounding != nil {
		fmt.Fprintf(w, "  %s\n", s.Rounding)
	}
	for _, line := range layerErrors(s.LayerErrors) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	if s.Predict != "" {
		fmt.Fprintf(w, "  Predict takes pictures: %s\n", s.Predict)
	}
	if c := s.Copied; c != nil {
		what := "the part of the runtime that it uses"
		if c.Shared {
			what = "a runtime to share"
		}
		fmt.Fprintf(w, "  %s was copied: %s, %d files, %d lines, %s\n", what, s.Runtime, c.Files, c.Lines, units.Bytes(c.Bytes))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
	return nil
}

// printIntegers prints which layers of a quantised model compute on integers, and why the
// others do not. r is nil for other models.
func printIntegers(w io.Writer, indent string, r *integer.Report) {
	if r == nil {
		return
	}
	fmt.Fprintf(w, "%sin integers: %s\n", indent, r)
	for _, l := range r.Reasons(8) {
		fmt.Fprintf(w, "%sin float32: %s\n", indent, l)
	}
}

// printFused prints the numbers of nodes that other steps compute, and the steps
// that remain.
func printFused(w io.Writer, f modelc.Fused) {
	var parts []string
	for _, k := range []struct {
		name string
		modelc.Count
	}{{"batch normalisations", f.BatchNorms}, {"activations", f.Activations}, {"sums", f.Sums}, {"pools", f.Pools}, {"transpositions", f.Transposes}} {
		if k.Of == 0 {
			continue
		}
		part := fmt.Sprintf("%d of %d %s", max(0, k.Of-k.Left), k.Of, k.name)
		if read := k.Of - k.Left - f.Folded; k.name == "batch normalisations" && read > 0 {
			part += fmt.Sprintf(" (%d into weights, %d into readers)", f.Folded, read)
		}
		parts = append(parts, part)
	}
	if len(parts) > 0 {
		fmt.Fprintf(w, "  fused: %s\n", strings.Join(parts, ", "))
	}
	if f.Concats.Of > 0 {
		fmt.Fprintf(w, "  %d concatenations in place, %d operands copied\n", f.Concats.Of, f.Concats.Left)
	}
	const most = 8
	for i, s := range f.Steps {
		if i == most && len(f.Steps) > most+1 {
			fmt.Fprintf(w, "    and %d more: modelc inspect --steps\n", len(f.Steps)-most)
			break
		}
		fmt.Fprintf(w, "    its own step: %s\n", s)
	}
}

func printPasses(out io.Writer, list []passes.Stat) {
	if len(list) == 0 {
		return
	}
	t := columns.New("lrrrrr", "pass", "changed", "nodes", "MFLOP", "MB moved", "ms")
	for _, p := range list {
		change := func(format string, before, after any) string {
			return fmt.Sprintf(format+" → "+format, before, after)
		}
		t.Row(p.Name, strconv.Itoa(p.Changed), change("%d", p.Before.Nodes, p.After.Nodes),
			change("%.1f", float64(p.Before.FLOPs)/1e6, float64(p.After.FLOPs)/1e6),
			change("%.2f", float64(p.Before.Bytes)/(1<<20), float64(p.After.Bytes)/(1<<20)), fmt.Sprintf("%.1f", float64(p.Time.Nanoseconds())/1e6))
	}
	t.Print(out, "  ")
}

// layerErrors describes the errors of convolutions on bfloat16: those that stay in float32,
// and the largest ones of the others.
func layerErrors(list []modelc.LayerError) (lines []string) {
	const most = 5
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b modelc.LayerError) int { return cmp.Compare(b.Error, a.Error) })
	n := 0
	for _, l := range list {
		switch {
		case l.Kept:
			lines = append(lines, fmt.Sprintf("%s stays in float32: its error in bf16 is %.1e", l.Name, l.Error))
		case n < most:
			n++
			lines = append(lines, fmt.Sprintf("%s has an error of %.1e", l.Name, l.Error))
		}
	}
	return lines
}
