package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/golang"
	"modelc/backend/schedule"
	"modelc/frontend/onnx"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/passes"

	"os"
)

// layerRow is a layer of the model as it was written.
type layerRow struct {
	Name       string `json:"name"`
	Op         string `json:"op"`
	Shape      string `json:"shape"`
	Parameters int64  `json:"parameters"`
	FLOPs      int64  `json:"flops"`
	Bytes      int64  `json:"bytes"`
}

type inspection struct {
	Name     string            `json:"name"`
	Format   string            `json:"format"`
	SHA256   string            `json:"sha256"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Notes    []string          `json:"notes,omitempty"`
	Inputs   []string          `json:"inputs"`
	Outputs  []string          `json:"outputs"`
	Layers   []layerRow        `json:"layers"`
	Total    layerRow          `json:"total"`
	Arena    int               `json:"arena_bytes"`
}

func inspectCommand() *cobra.Command {
	var f modelFlags
	var asJSON, text, optimised, steps bool
	c := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Show what a model consists of and costs",
		Args:  exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options(c)
			if err != nil {
				return err
			}
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			w := c.OutOrStdout()
			g := m.Before
			if optimised {
				g = m.Graph
			}
			switch {
			case text:
				fmt.Fprint(w, ir.Format(g))
				return nil
			case steps:
				fmt.Fprint(w, schedule.Format(m.Program))
				return nil
			}
			in := inspect(m, g)
			if asJSON {
				return printJSON(w, in)
			}
			fmt.Fprintf(w, "%s: %s\n", in.Name, in.Format)
			for _, s := range in.Inputs {
				fmt.Fprintf(w, "input  %s\n", s)
			}
			for _, s := range in.Outputs {
				fmt.Fprintf(w, "output %s\n", s)
			}
			for _, s := range in.Notes {
				fmt.Fprintf(w, "note: %s\n", s)
			}
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
			fmt.Fprintln(t, "op\tshape\tparameters\tMFLOP\tkB\t  name")
			for _, r := range append(in.Layers, in.Total) {
				fmt.Fprintf(t, "%s\t%s\t%d\t%.2f\t%.1f\t  %s\n", r.Op, r.Shape, r.Parameters, float64(r.FLOPs)/1e6, float64(r.Bytes)/1024, r.Name)
			}
			if err := t.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(w, "memory of a session: %s\n", golang.Size(in.Arena))
			return nil
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&text, "ir", false, "print the graph's text form")
	c.Flags().BoolVar(&optimised, "optimised", false, "after the passes instead of as written")
	c.Flags().BoolVar(&steps, "steps", false, "print the steps of the program and its memory plan")
	return c
}

func inspect(m *modelc.Compiled, g *ir.Graph) inspection {
	in := inspection{Name: g.Name, Format: m.Model.Format, SHA256: m.Model.SHA256, Metadata: m.Model.Metadata, Notes: m.Model.Notes, Arena: m.Program.Plan.ArenaBytes}
	for _, v := range g.Inputs {
		in.Inputs = append(in.Inputs, v.Name+" "+v.Type.String())
	}
	for _, o := range g.Outputs {
		in.Outputs = append(in.Outputs, o.Name+" "+o.Value.Type.String())
	}
	in.Total = layerRow{Op: "total"}
	for _, n := range g.Nodes {
		r := layerRow{Name: n.Name, Op: opLabel(n.Op), Shape: n.Out[0].Type.Shape.String(), FLOPs: ir.FLOPs(n)}
		for _, v := range n.In {
			if v == nil {
				continue
			}
			r.Bytes += int64(v.Type.Bytes())
			if v.Const != nil {
				r.Parameters += int64(v.Type.Shape.Len())
			}
		}
		for _, v := range n.Out {
			r.Bytes += int64(v.Type.Bytes())
		}
		in.Layers = append(in.Layers, r)
		in.Total.Parameters += r.Parameters
		in.Total.FLOPs += r.FLOPs
		in.Total.Bytes += r.Bytes
	}
	return in
}

// opLabel names the function of ops that are families.
func opLabel(op ir.Op) string {
	switch op := op.(type) {
	case ir.Unary:
		return op.Fn.String()
	case ir.Binary:
		return op.Fn.String()
	case ir.Reduce:
		return "Reduce " + op.Fn.String()
	case ir.Pool:
		return op.Kind.String() + " pool"
	}
	return op.Name()
}

func zooCommand() *cobra.Command {
	var out string
	var o zoo.Options
	c := &cobra.Command{
		Use:   "zoo [NAME -o FILE]",
		Short: "List the classic networks, or write one as ONNX with seeded weights",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				t := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
				for _, n := range zoo.Names() {
					i, err := zoo.Lookup(n)
					if err != nil {
						return err
					}
					fmt.Fprintf(t, "%s\t%.2f M parameters\t%s\n", n, float64(i.Parameters)/1e6, i.Title)
				}
				return t.Flush()
			}
			if len(args) != 1 || out == "" {
				return usageError{fmt.Errorf("want NAME -o FILE")}
			}
			return writeFile(out, func(f *os.File) error { return zoo.Write(f, args[0], o) })
		},
	}
	fl := c.Flags()
	fl.StringVarP(&out, "output", "o", "", "`FILE` to write")
	fl.Float64Var(&o.Width, "width", 1, "multiply channel counts")
	fl.IntVar(&o.Size, "size", 0, "height and width of the input; 0 means the published one")
	fl.IntVar(&o.Classes, "classes", 0, "outputs of the classifier; 0 means the published number")
	fl.IntVar(&o.Batch, "batch", 1, "images per run")
	fl.Uint64Var(&o.Seed, "seed", 0, "selects the weights")
	fl.BoolVar(&o.Logits, "logits", false, "leave out the final softmax")
	return c
}

// writeFile writes through a temporary file, so that path is whole or absent.
func writeFile(path string, write func(f *os.File) error) error {
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func passesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "passes",
		Short: "List the passes in the order they run",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			t := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, p := range passes.Pipeline {
				exact := ""
				if p.Exact {
					exact = "exact"
				}
				fmt.Fprintf(t, "%s\t%s\t%s\n", p.Name, exact, p.Doc)
			}
			return t.Flush()
		},
	}
}

func opsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ops",
		Short: "List the supported ONNX operators and the ops of the IR",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			w := c.OutOrStdout()
			family := ""
			for _, o := range onnx.Table() {
				if o.Family != family {
					family = o.Family
					fmt.Fprintf(w, "\n%s:", family)
				}
				fmt.Fprintf(w, " %s", o.Name)
				if o.Since > 1 {
					fmt.Fprintf(w, "(%d+)", o.Since)
				}
			}
			fmt.Fprintln(w, "\n\nThe IR:")
			for _, o := range ir.Ops() {
				fmt.Fprintf(w, "  %s(%s): %s\n", o.Op.Name(), strings.Join(o.Args, ", "), o.Doc)
			}
			return nil
		},
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "modelc", modelc.Version)
			return err
		},
	}
}
