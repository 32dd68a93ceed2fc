package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/cuda/roofline"
	"modelc/internal/files"
	"modelc/internal/measure"
	"modelc/internal/report"
	"modelc/internal/units"
)

func reportCommand() *cobra.Command {
	var f modelFlags
	var out, profile string
	var bench, verify bool
	var machine targetFlag
	var times measureFlags
	c := &cobra.Command{
		Use:   "report MODEL -o FILE.html",
		Short: "Write an HTML page about a model and its compilation",
		Long: `Write one HTML page about a model and its compilation: the graph before and after
the passes, a table of the compiled layers, the memory plan and the log of the
passes. The page loads no other file.

The page shows the error of each layer, compared with the reference interpreter.
This takes seconds for large networks; --verify=false omits it. With --bench, the
page shows the measured time of each layer. With --profile it shows the times in a
file that modelc bench --json wrote. With --target cuda, the page also shows the
kernels for an NVIDIA GPU and their rooflines on an H100.`,
		Args: exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return usageError{fmt.Errorf("-o FILE is missing: the page to write")}
			}
			switch filepath.Ext(out) {
			case ".html", ".htm":
			default:
				return usageError{fmt.Errorf("-o %q: the page is HTML: want a FILE.html; a browser prints it to PDF", out)}
			}
			if bench && profile != "" {
				return usageError{fmt.Errorf("--bench measures times, --profile reads them: choose one of them")}
			}
			if err := times.check(); err != nil {
				return err
			}
			o, err := f.options(c)
			if err == nil {
				err = machine.set(&o)
			}
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
			if m.CUDA != nil {
				r.CUDA = roofline.Analyse(m.CUDA, nvrtc.H100)
			}
			if bench {
				if r.Profile, err = measure.Bench(m, times.threads, times.runs); err != nil {
					return err
				}
				warnNoise(c, r.Profile)
			}
			err = files.Write(out, func(f *os.File) error {
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
	machine.add(c, "cpu, or cuda to show the kernels for an NVIDIA GPU, too")
	fl := c.Flags()
	fl.StringVarP(&out, "output", "o", "", "`FILE` to write, .html")
	fl.BoolVar(&verify, "verify", true, "compare each layer with the reference interpreter")
	fl.StringVar(&profile, "profile", "", "read the times of the layers from `FILE`, which modelc bench --json wrote")
	fl.BoolVar(&bench, "bench", false, "measure the times of the layers")
	times.add(c, 20, " of --bench")
	return c
}

// readProfile reads a file that modelc bench --json wrote.
func readProfile(path string) (*measure.Profile, error) {
	const command = "modelc bench --json"
	p := new(measure.Profile)
	if err := readJSON(path, command, p); err != nil {
		return nil, err
	}
	if p.SHA256 == "" {
		return nil, fmt.Errorf("%s was not written by %s", path, command)
	}
	return p, nil
}
