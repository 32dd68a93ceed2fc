package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/internal/measure"
	"modelc/internal/report"
	"modelc/internal/units"
)

func reportCommand() *cobra.Command {
	var f modelFlags
	var out, profile string
	var bench, verify bool
	var threads, runs int
	c := &cobra.Command{
		Use:   "report MODEL -o FILE.html",
		Short: "Write all about a model and its compilation as one HTML page",
		Long: `Write one HTML page about a model and what the compiler made of it: the graph
before and after the passes, a table of the compiled layers, the memory plan
and the log of the passes. The page loads nothing else.

The error of each layer comes from a run of the reference interpreter, which
takes seconds for large networks; --verify=false leaves it out. The times of
the layers are in it with --bench, which measures them, or with --profile and
what modelc bench --json has written.`,
		Args: exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return usageError{fmt.Errorf("-o FILE is missing: the page to write")}
			}
			if bench && profile != "" {
				return usageError{fmt.Errorf("--bench measures, --profile reads what was measured: want one of them")}
			}
			if runs < 1 || threads < 1 {
				return usageError{fmt.Errorf("--runs and --threads must be at least 1")}
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			r := report.Options{Errors: verify}
			if profile != "" {
				if r.Profile, err = readProfile(profile); err != nil {
					return err
				}
			}
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			if bench {
				if r.Profile, err = measure.Bench(m, threads, runs); err != nil {
					return err
				}
			}
			err = writeFile(out, func(f *os.File) error {
				if err := report.Write(f, m, r); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				return nil
			})
			if err != nil {
				return err
			}
			st, err := os.Stat(out)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s, %d layers, %s\n", out, m.Graph.Name, len(m.Program.Layers), units.Bytes(st.Size()))
			return err
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVarP(&out, "output", "o", "", "`FILE` to write")
	fl.BoolVar(&verify, "verify", true, "compare each layer with the reference interpreter")
	fl.StringVar(&profile, "profile", "", "times of the layers: a `FILE` that modelc bench --json wrote")
	fl.BoolVar(&bench, "bench", false, "measure the times of the layers now")
	fl.IntVar(&threads, "threads", 1, "goroutines per run of --bench")
	fl.IntVar(&runs, "runs", 20, "how often --bench runs the model")
	return c
}

// readProfile reads what modelc bench --json wrote.
func readProfile(path string) (*measure.Profile, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var p measure.Profile
	if err := json.Unmarshal(b, &p); err != nil || p.SHA256 == "" {
		return nil, fmt.Errorf("%s is not what modelc bench --json writes", path)
	}
	return &p, nil
}
