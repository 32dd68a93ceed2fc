package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/cuda/roofline"
	"modelc/backend/plan"
	"modelc/internal/units"
	"modelc/ir"
	"modelc/passes/integer"
)

// layerRow is a layer of a graph.
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
	Weights  int               `json:"weights_bytes"` // of the program, packed
	Arena    int               `json:"arena_bytes"`
	Integers *integer.Report   `json:"integers,omitempty"`
}

func inspectCommand() *cobra.Command {
	var f modelFlags
	var machine targetFlag
	var asJSON, text, optimised, steps bool
	c := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Show the layers of a model and their costs",
		Args:  exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options(c)
			if err == nil {
				err = machine.set(&o)
			}
			if err != nil {
				return err
			}
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			w := c.OutOrStdout()
			if m.CUDA != nil {
				return inspectCUDA(w, m.CUDA, asJSON, steps)
			}
			g := m.Before
			if optimised {
				g = m.Graph
			}
			switch {
			case text:
				fmt.Fprint(w, ir.Format(g))
				return nil
			case steps:
				fmt.Fprint(w, m.Program.Format())
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
			printIntegers(w, "", in.Integers)
			fmt.Fprintf(w, "weights: %s, memory of a session: %s\n", units.Bytes(in.Weights), units.Bytes(in.Arena))
			return nil
		},
	}
	f.add(c)
	jsonFlag(c, &asJSON)
	machine.add(c, "cpu, or cuda to show the kernels for an NVIDIA GPU and their rooflines on an H100")
	c.Flags().BoolVar(&text, "ir", false, "print the text form of the graph")
	c.Flags().BoolVar(&optimised, "optimised", false, "show the graph after the passes")
	c.Flags().BoolVar(&steps, "steps", false, "print the steps and the memory plan of the program")
	return c
}

// inspectCUDA prints the kernels of p with their costs on an H100, or with steps the memory
// plan.
func inspectCUDA(w io.Writer, p *cuda.Program, asJSON, steps bool) error {
	if steps {
		_, err := fmt.Fprint(w, p.Steps.Format())
		return err
	}
	r := roofline.Analyse(p, nvrtc.H100)
	if asJSON {
		return printJSON(w, r)
	}
	return r.Print(w, 0)
}

// inspect describes the graph g of m.
func inspect(m *modelc.Compiled, g *ir.Graph) inspection {
	in := inspection{Name: g.Name, Format: m.Model.Format, SHA256: m.Model.SHA256, Metadata: m.Model.Metadata, Notes: m.Model.Notes, Weights: m.Program.Plan.WeightsBytes, Arena: m.Program.Plan.ArenaBytes, Integers: m.Report.Integers}
	for _, v := range g.Inputs {
		in.Inputs = append(in.Inputs, v.Name+" "+v.Type.String())
	}
	for _, o := range g.Outputs {
		in.Outputs = append(in.Outputs, o.Name+" "+o.Value.Type.String())
	}
	in.Total = layerRow{Op: "total"}
	for _, n := range g.Nodes {
		r := layerRow{Name: plan.NodeName(n), Op: ir.Label(n.Op), Shape: n.Out[0].Type.Shape.String(), FLOPs: ir.FLOPs(n), Bytes: ir.Traffic(n)}
		for _, v := range n.In {
			if v != nil && v.Const != nil {
				r.Parameters += int64(v.Type.Shape.Len())
			}
		}
		in.Layers = append(in.Layers, r)
		in.Total.Parameters += r.Parameters
		in.Total.FLOPs += r.FLOPs
		in.Total.Bytes += r.Bytes
	}
	return in
}
