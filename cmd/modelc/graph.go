package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"modelc/frontend"
	"modelc/internal/files"
	"modelc/internal/report"
	"modelc/passes"
)

func graphCommand() *cobra.Command {
	var f modelFlags
	var out, after string
	var optimised, nodes bool
	c := &cobra.Command{
		Use:   "graph MODEL -o FILE.svg|FILE.dot",
		Short: "Draw a model's graph",
		Long: `Draw a model's graph as an image (.svg), or write it as text for Graphviz (.dot).
It has a box for each layer of the model as its author knows it, as the table of modelc
inspect. --ir draws the nodes of the compiler before the passes, --optimised and --after
after passes. The nodes of an optimised graph list the nodes of the model that were merged
into them.`,
		Args: exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			var write func(p *report.Picture, w io.Writer) error
			switch filepath.Ext(out) {
			case ".svg":
				write = (*report.Picture).WriteSVG
			case ".dot":
				write = (*report.Picture).WriteDOT
			default:
				return usageError{fmt.Errorf("-o %q: want a FILE.svg or FILE.dot", out)}
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			m, err := frontend.Load(args[0], o.Source)
			if err != nil {
				return err
			}
			defer m.Release()
			if !optimised && after == "" && !nodes {
				return files.Write(out, func(f *os.File) error { return write(report.DrawModel(m), f) })
			}
			g := m.Graph
			if optimised || after != "" {
				cfg := o.Passes
				cfg.Exact = o.Exact
				if after != "" {
					if cfg.Only, err = upTo(after, cfg.Only); err != nil {
						return err
					}
				}
				g = g.Clone()
				if _, err := passes.Run(g, &cfg); err != nil {
					return err
				}
			}
			return files.Write(out, func(f *os.File) error { return write(report.Draw(g), f) })
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVarP(&out, "output", "o", "", "`FILE` to write, .svg or .dot")
	fl.BoolVar(&nodes, "ir", false, "draw the nodes of the compiler before the passes")
	fl.BoolVar(&optimised, "optimised", false, "draw the graph after all passes")
	fl.StringVar(&after, "after", "", "draw the graph after the pass `NAME` and those before it")
	group(c, ofCompiler, "ir", "optimised", "after")
	return c
}

// upTo returns the passes up to and including the named one. If only is not empty,
// upTo leaves out other passes that are not in it.
func upTo(name string, only []string) ([]string, error) {
	var list []string
	for _, p := range passes.Pipeline {
		if len(only) == 0 || slices.Contains(only, p.Name) || p.Name == name {
			list = append(list, p.Name)
		}
		if p.Name == name {
			return list, nil
		}
	}
	return nil, usageError{fmt.Errorf("--after %q: no such pass; `modelc passes` lists them", name)}
}
