package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/golang"
)

func compileCommand() *cobra.Command {
	var f modelFlags
	var dir, name, weights string
	var asJSON, standalone bool
	c := &cobra.Command{
		Use:   "compile MODEL -o DIR",
		Short: "Write the Go package of a model",
		Args:  exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			if dir == "" {
				return usageError{fmt.Errorf("-o DIR is missing: the folder of the package")}
			}
			if weights != "embed" && weights != "file" {
				return usageError{fmt.Errorf("--weights %q: want embed or file", weights)}
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			if weights != "embed" {
				o.Flags = append(o.Flags, "--weights", weights)
			}
			if standalone {
				o.Flags = append(o.Flags, "--standalone")
			}
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			s, err := m.WritePackage(dir, modelc.PackageOptions{Package: name, Sidecar: weights == "file", Standalone: standalone})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), s)
			}
			printSummary(c.OutOrStdout(), dir, s)
			return nil
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVarP(&dir, "output", "o", "", "folder of the package `DIR`")
	fl.StringVar(&name, "package", "", "name of the package; default: from the folder's")
	fl.StringVar(&weights, "weights", "embed", "embed the weights, or keep them in a `file` beside the package")
	fl.BoolVar(&standalone, "standalone", false, "copy the runtime beside the package, so that it needs no other module")
	fl.BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return c
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printSummary(w io.Writer, dir string, s *modelc.Summary) {
	fmt.Fprintf(w, "%s: package %s, from %s (%s)\n", dir, s.Package, s.Model, s.Format)
	fmt.Fprintf(w, "  %d nodes became %d steps; %s parameters, %s FLOP a run\n", s.ModelNodes, s.Layers, golang.Count(float64(s.ModelParameters)), golang.Count(float64(s.ModelFLOPs)))
	if s.BatchNorms > 0 {
		fmt.Fprintf(w, "  %d of %d batch normalisations folded into weights\n", s.Folded, s.BatchNorms)
	}
	var done []string
	for name, n := range s.Passes {
		if name != "choose_padding" {
			done = append(done, fmt.Sprintf("%s %d", name, n))
		}
	}
	slices.Sort(done)
	if len(done) > 0 {
		fmt.Fprintf(w, "  passes: %s\n", strings.Join(done, ", "))
	}
	fmt.Fprintf(w, "  memory: %s a session (lower bound %s), weights %s", golang.Size(s.Arena), golang.Size(s.LowerBound), golang.Size(s.Weights))
	if s.Prepared > 0 {
		fmt.Fprintf(w, ", transformed at load %s", golang.Size(s.Prepared))
	}
	fmt.Fprintln(w)
	var files []string
	for name, n := range s.FileBytes {
		if strings.HasPrefix(name, golang.RuntimeDir) {
			continue
		}
		files = append(files, fmt.Sprintf("%s %s", name, golang.Size(n)))
	}
	slices.Sort(files)
	fmt.Fprintf(w, "  files: %s\n", strings.Join(files, ", "))
	if s.Runtime != "modelc/runtime" {
		fmt.Fprintf(w, "  the runtime was copied beside it: %s\n", s.Runtime)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
}
