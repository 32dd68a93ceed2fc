package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cuda"
	"modelc/backend/cuda/nvrtc"
	"modelc/backend/cuda/roofline"
	"modelc/backend/plan"
	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/internal/columns"
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
	// Fused are the names of other nodes of the model that the node computes. Transpositions
	// are left out.
	Fused []string `json:"fused,omitempty"`
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
	Weights  int             `json:"weights_bytes"` // of the program, packed; 0 if there is none
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
operands and results, and the names of the nodes that were fused into them. --steps
shows the steps of the program with its memory plan, and --ir the graph as text.`,
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
				if !text && !steps && !optimised && o.CUDA == nil {
					showRefused(c, args[0], o, asJSON, nested)
				}
				return err
			}
			defer m.Close()
			w := c.OutOrStdout()
			if m.CUDA != nil {
				return inspectCUDA(c, m.CUDA, asJSON, steps)
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
			in := inspect(m.Model)
			in.Weights, in.Arena, in.Integers = m.Program.Plan.WeightsBytes, m.Program.Plan.ArenaBytes, m.Report.Integers
			if optimised {
				in.setNodes(g)
			} else {
				in.setLayers(m.Model.Layers)
			}
			return in.show(c, asJSON, nested)
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
func inspectCUDA(c *cobra.Command, p *cuda.Program, asJSON, steps bool) error {
	w := c.OutOrStdout()
	if steps {
		_, err := fmt.Fprint(w, p.Steps.Format())
		return err
	}
	r := roofline.Analyse(p, nvrtc.H100)
	if asJSON {
		return printJSON(w, r)
	}
	return prose(c, func(w io.Writer) error { return r.Print(w, 0) })
}

// showRefused shows the layers of a model that cannot be compiled, if it can be read.
func showRefused(c *cobra.Command, path string, o modelc.Options, asJSON, nested bool) {
	m, err := frontend.Load(path, o.Source)
	if err != nil {
		return // the compiler's error says why
	}
	defer m.Release()
	in := inspect(m)
	in.setLayers(m.Layers)
	in.show(c, asJSON, nested)
}

// inspect describes a model without its layers.
func inspect(m *source.Model) *inspection {
	g := m.Graph
	in := &inspection{Name: g.Name, Format: m.Format, SHA256: m.SHA256, Metadata: m.Metadata, Notes: m.Notes}
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
		for _, o := range n.Origins {
			if _, layout := o.Op.(ir.Transpose); layout {
				continue
			}
			if name := plan.NodeName(o); name != r.Name && !slices.Contains(r.Fused, name) {
				r.Fused = append(r.Fused, name)
			}
		}
		in.Nodes = append(in.Nodes, r)
		in.Total.Trainable += r.Parameters
		in.Total.FLOPs += r.FLOPs
		in.Total.Bytes += r.Bytes
	}
}

// show prints the description for a command.
func (in *inspection) show(c *cobra.Command, asJSON, nested bool) error {
	if asJSON {
		return printJSON(c.OutOrStdout(), in)
	}
	return prose(c, func(w io.Writer) error { return in.print(w, nested) })
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
	fmt.Fprintf(w, "; %s a run\n", units.FLOP(t.FLOPs))
	printIntegers(w, "", in.Integers)
	if in.Weights > 0 {
		fmt.Fprintf(w, "weights: %s, memory of a session: %s\n", units.Bytes(in.Weights), units.Bytes(in.Arena))
	}
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
	t := columns.New("llllrrl", "layer", "class", "shape of the result", "window", "parameters", "MFLOP", "reads")
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
		t.Row(strings.Repeat("  ", l.Depth)+short(l.Name, longestName), l.Class, strings.Join(shapes, " "), l.Window.String(),
			strconv.FormatInt(l.Trainable+l.Fixed, 10), millions(l.FLOPs), short(reads, 2*longestName))
	}
	return t.Print(w, "")
}

// millions formats a number of operations for a column of MFLOP.
func millions(n int64) string { return fmt.Sprintf("%.2f", float64(n)/1e6) }

func (in *inspection) printNodes(w io.Writer) error {
	t := columns.New("llrrrll", "op", "shape", "parameters", "MFLOP", "kB", "name", "fused")
	row := func(op, shape string, parameters, flops, bytes int64, name, fused string) {
		t.Row(op, shape, strconv.FormatInt(parameters, 10), millions(flops), fmt.Sprintf("%.1f", float64(bytes)/1024), name, fused)
	}
	for _, r := range in.Nodes {
		row(r.Op, r.Shape, r.Parameters, r.FLOPs, r.Bytes, r.Name, strings.Join(r.Fused, ", "))
	}
	row("total", "", in.Total.Trainable, in.Total.FLOPs, in.Total.Bytes, "", "")
	return t.Print(w, "")
}
