package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/cuda/roofline"
	"modelc/backend/plan"
	"modelc/frontend/source"
	"modelc/internal/units"
	"modelc/ir"
	"modelc/passes/integer"
)

// nodeRow is a node of a graph.
type nodeRow struct {
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
	// Layers are those of the file, Nodes those of the graph that is compiled: one of them
	// is empty.
	Layers   []*source.Layer `json:"layers,omitempty"`
	Nodes    []nodeRow       `json:"nodes,omitempty"`
	Total    total           `json:"total"`
	Weights  int             `json:"weights_bytes"` // of the program, packed
	Arena    int             `json:"arena_bytes"`
	Integers *integer.Report `json:"integers,omitempty"`
}

// total has the sums of all layers or nodes.
type total struct {
	Trainable int64 `json:"trainable_parameters"`
	Fixed     int64 `json:"other_parameters"`
	FLOPs     int64 `json:"flops"`
	Bytes     int64 `json:"bytes,omitempty"` // of operands and results of nodes
}

func inspectCommand() *cobra.Command {
	var f modelFlags
	var machine targetFlag
	var asJSON, text, optimised, steps, nested bool
	c := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Show the layers of a model and their costs",
		Long: `Show the layers of a model as its author knows them: a row for each layer of Keras or
node of ONNX, with the shape of its result in the layout of the model, the options of its
window, its parameters, its floating-point operations, and the layers that it reads, if
they are not just the one before it. The totals of parameters are those of Keras'
summary().

The numbers of parameters and of floating-point operations, a multiply-add counted as
two, are those of the model before the passes; compile and report print the same.

--optimised shows the nodes of the graph that the passes leave, with the size of their
operands and results, --steps the steps of the program with its memory plan, and --ir
the graph as text.`,
		Args: exactly(1, "one model"),
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
			in := inspect(m)
			if optimised {
				in.setNodes(g)
			} else {
				in.setLayers(m.Model.Layers)
			}
			if asJSON {
				return printJSON(w, in)
			}
			return in.print(w, nested)
		},
	}
	f.add(c)
	jsonFlag(c, &asJSON)
	machine.add(c, "cpu, or cuda to show the kernels for an NVIDIA GPU and their rooflines on an H100")
	fl := c.Flags()
	fl.BoolVar(&nested, "nested", false, "show the layers of models and functions that are layers, too")
	fl.BoolVar(&text, "ir", false, "print the text form of the graph")
	fl.BoolVar(&optimised, "optimised", false, "show the graph after the passes")
	fl.BoolVar(&steps, "steps", false, "print the steps and the memory plan of the program")
	group(c, ofCompiler, "ir", "optimised", "steps")
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

// inspect describes a model without its layers.
func inspect(m *modelc.Compiled) *inspection {
	g := m.Before
	in := &inspection{Name: g.Name, Format: m.Model.Format, SHA256: m.Model.SHA256, Metadata: m.Model.Metadata, Notes: m.Model.Notes, Weights: m.Program.Plan.WeightsBytes, Arena: m.Program.Plan.ArenaBytes, Integers: m.Report.Integers}
	for _, v := range g.Inputs {
		in.Inputs = append(in.Inputs, v.Name+" "+v.Type.String())
	}
	for _, o := range g.Outputs {
		in.Outputs = append(in.Outputs, o.Name+" "+o.Value.Type.String())
	}
	return in
}

// setLayers adds the layers of the file.
func (in *inspection) setLayers(list []*source.Layer) {
	in.Layers = list
	s := modelc.SizeOf(list)
	in.Total = total{Trainable: s.Parameters - s.Fixed, Fixed: s.Fixed, FLOPs: s.FLOPs}
}

// setNodes adds the nodes of a graph.
func (in *inspection) setNodes(g *ir.Graph) {
	for _, n := range g.Nodes {
		r := nodeRow{Name: plan.NodeName(n), Op: ir.Label(n.Op), Shape: n.Out[0].Type.Shape.String(), FLOPs: ir.FLOPs(n), Bytes: ir.Traffic(n)}
		for _, v := range n.In {
			if v != nil && v.Const != nil {
				r.Parameters += int64(v.Type.Shape.Len())
			}
		}
		in.Nodes = append(in.Nodes, r)
		in.Total.Trainable += r.Parameters
		in.Total.FLOPs += r.FLOPs
		in.Total.Bytes += r.Bytes
	}
}

// print prints the description. nested shows the layers of layers.
func (in *inspection) print(w io.Writer, nested bool) error {
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
	fmt.Fprintln(w)
	table := in.printLayers
	if in.Nodes != nil {
		table = func(w io.Writer, _ bool) error { return in.printNodes(w) }
	}
	if err := table(w, nested); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t := in.Total
	fmt.Fprintf(w, "parameters: %d", t.Trainable+t.Fixed)
	if t.Fixed > 0 {
		fmt.Fprintf(w, ", trainable %d, others %d", t.Trainable, t.Fixed)
	}
	fmt.Fprintf(w, "; %s FLOP a run\n", units.Count(t.FLOPs))
	printIntegers(w, "", in.Integers)
	fmt.Fprintf(w, "weights: %s, memory of a session: %s\n", units.Bytes(in.Weights), units.Bytes(in.Arena))
	return nil
}

// longestName is the number of columns for the name of a layer. Longer names are cut in
// front, because the end tells them apart.
const longestName = 32

// short cuts a name to n columns.
func short(name string, n int) string {
	if utf8.RuneCountInString(name) <= n {
		return name
	}
	r := []rune(name)
	return "…" + string(r[len(r)-n+1:])
}

func (in *inspection) printLayers(w io.Writer, nested bool) error {
	var text strings.Builder
	parameters, flops := len("parameters"), len("MFLOP")
	for _, l := range in.Layers {
		parameters = max(parameters, len(fmt.Sprint(l.Trainable+l.Fixed)))
		flops = max(flops, len(fmt.Sprintf("%.2f", float64(l.FLOPs)/1e6)))
	}
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "layer\tclass\tshape of the result\twindow\t%*s\t%*s\treads\n", parameters, "parameters", flops, "MFLOP")
	before := ""
	for _, l := range in.Layers {
		if l.Depth > 0 && !nested {
			continue
		}
		var shapes []string
		for _, s := range l.Shapes {
			shapes = append(shapes, s.String())
		}
		reads := strings.Join(l.Inputs, ", ")
		if reads == before {
			reads = ""
		}
		before = l.Name
		fmt.Fprintf(t, "%s%s\t%s\t%s\t%s\t%*d\t%*.2f\t%s\n", strings.Repeat("  ", l.Depth), short(l.Name, longestName), l.Class, strings.Join(shapes, " "), &l.Window,
			parameters, l.Trainable+l.Fixed, flops, float64(l.FLOPs)/1e6, short(reads, 2*longestName))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (in *inspection) printNodes(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "op\tshape\tparameters\tMFLOP\tkB\t  name")
	for _, r := range in.Nodes {
		fmt.Fprintf(t, "%s\t%s\t%d\t%.2f\t%.1f\t  %s\n", r.Op, r.Shape, r.Parameters, float64(r.FLOPs)/1e6, float64(r.Bytes)/1024, r.Name)
	}
	fmt.Fprintf(t, "total\t\t%d\t%.2f\t%.1f\t\n", in.Total.Trainable, float64(in.Total.FLOPs)/1e6, float64(in.Total.Bytes)/1024)
	return t.Flush()
}
