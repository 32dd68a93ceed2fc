package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/cpu/support"
	"modelc/frontend/keras"
	"modelc/frontend/onnx"
	"modelc/internal/columns"
	"modelc/internal/files"
	"modelc/internal/units"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/passes"
)

// The pages of documentation that are made from tables.
//
//go:generate go test -run ^Test(Readme|CommandsDoc|OpsDoc|KerasDoc)$ -update

func passesCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "passes",
		Short: "List the passes in the order they run",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				type pass struct {
					Name  string `json:"name"`
					Exact bool   `json:"exact"`
					Doc   string `json:"doc"`
				}
				var list []pass
				for _, p := range passes.Pipeline {
					list = append(list, pass{p.Name, p.Exact, p.Doc})
				}
				return printJSON(c.OutOrStdout(), list)
			}
			t := columns.New("lll", "pass", "with --exact", "what it does")
			for _, p := range passes.Pipeline {
				exact := ""
				if p.Exact {
					exact = "yes"
				}
				t.Row(p.Name, exact, p.Doc)
			}
			return t.Print(c.OutOrStdout(), "")
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func opsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "ops",
		Short: "List the supported ONNX operators, Keras layers and kernels",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			tables, err := opTables()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string][]map[string]string{"onnx": records(tables[0]), "keras": records(tables[1]), "ir": records(tables[2])})
			}
			for _, rows := range tables {
				t := columns.New(strings.Repeat("l", len(rows[0])), rows[0]...)
				for _, r := range rows[1:] {
					t.Row(r...)
				}
				t.Row()
				if err := t.Print(c.OutOrStdout(), ""); err != nil {
					return err
				}
			}
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

// records returns the rows of a table as maps from the names in its heading.
func records(table [][]string) []map[string]string {
	var list []map[string]string
	for _, row := range table[1:] {
		m := map[string]string{}
		for i, name := range table[0] {
			m[name] = row[i]
		}
		list = append(list, m)
	}
	return list
}

// opTables returns the tables of ONNX operators, of Keras layers and operations,
// and of the IR's ops and their kernels. The first row of a table is its heading.
func opTables() (tables [3][][]string, err error) {
	operators := [][]string{{"operator", "opsets", "becomes", "limits"}}
	for _, o := range onnx.Table() {
		opsets := fmt.Sprintf("%d–%d", o.Since, onnx.Newest)
		if strings.Contains(o.Name, ".") {
			opsets = "any" // the operator's domain has versions of its own
		}
		operators = append(operators, []string{o.Name, opsets, o.IR, o.Limits})
	}
	layers := [][]string{{"family", "Keras layers and operations"}}
	for _, l := range keras.Table() {
		f := l.Namespace + ", " + l.Family
		if last := layers[len(layers)-1]; last[0] == f {
			last[1] += ", " + l.Name
		} else {
			layers = append(layers, []string{f, l.Name})
		}
	}
	ops := [][]string{{"op", "element types", "kernels", "meaning"}}
	kernels, err := support.Ops()
	if err != nil {
		return tables, err
	}
	for i, o := range ir.Ops() {
		var types []string
		for _, d := range kernels[i].Types {
			types = append(types, d.String())
		}
		ops = append(ops, []string{fmt.Sprintf("%s(%s)", o.Op.Name(), strings.Join(o.Args, ", ")),
			strings.Join(types, " "), strings.Join(kernels[i].Names, ", "), o.Doc})
	}
	return [3][][]string{operators, layers, ops}, nil
}

// opsDoc returns the text of docs/ops.md.
func opsDoc() (string, error) {
	tables, err := opTables()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	table := func(rows [][]string) {
		for i, r := range rows {
			if i == 1 {
				b.WriteString(strings.Repeat("| --- ", len(r)) + "|\n")
			}
			b.WriteString("| " + strings.ReplaceAll(strings.Join(r, "\x00"), "|", "\\|") + " |\n")
		}
	}
	b.WriteString("# Operators\n\n`go test ./cmd/modelc -run TestOpsDoc -update` writes this page from the tables of the front ends and of the IR, and compiles an example of each op to find its kernels. `modelc ops` prints the same tables.\n\n## ONNX\n\nThe front end converts each operator, in all its forms in the given opsets, to ops of the IR.\n\n")
	table(tables[0])
	b.WriteString("\n## Keras\n\n")
	table(tables[1])
	b.WriteString("\n## The IR\n\nThe reference interpreter (`--engine eval`) computes every op on every element type that it is defined for. The kernels run in generated packages (`--engine go`) and in the process of modelc (`--engine inproc`). Kernels with the prefix `plain.` run on dense tensors of any rank, those with the prefix `integer.` on images of bytes, the others on images in NC16. The front ends widen half precision to f32.\n\n")
	table(tables[2])
	return strings.ReplaceAll(b.String(), "\x00", " | "), nil
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]string{"version": modelc.Version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "modelc", modelc.Version)
			return err
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func zooCommand() *cobra.Command {
	var out string
	var o zoo.Options
	var asJSON bool
	c := &cobra.Command{
		Use:   "zoo [NAME -o FILE]",
		Short: "List the classic networks, or write one as ONNX",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				if asJSON {
					return printZoo(c.OutOrStdout())
				}
				t := columns.New("lrl", "network", "parameters", "description")
				for _, n := range zoo.Names() {
					i, err := zoo.Lookup(n)
					if err != nil {
						return err
					}
					t.Row(n, units.Count(i.Parameters), i.Title)
				}
				return t.Print(c.OutOrStdout(), "")
			}
			if len(args) != 1 {
				return usageError{fmt.Errorf("want one network, got %q; see modelc zoo --help", args)}
			}
			if out == "" {
				return usageError{fmt.Errorf("-o FILE is missing: the ONNX file to write")}
			}
			if o.Width < 0 || min(o.Size, o.Classes, o.Batch) < 0 {
				return usageError{errors.New("--width, --size, --classes and --batch must not be negative")}
			}
			return files.Write(out, func(f *os.File) error { return zoo.Write(f, args[0], o) })
		},
	}
	fl := c.Flags()
	fl.StringVarP(&out, "output", "o", "", "`FILE` to write")
	fl.Float64Var(&o.Width, "width", 1, "factor `F` of all channel counts")
	fl.IntVar(&o.Size, "size", 0, "height and width `N` of the input; 0 means the published size")
	fl.IntVar(&o.Classes, "classes", 0, "number `N` of classes; 0 means the published number")
	fl.IntVar(&o.Batch, "batch", 1, "number `N` of images per run")
	fl.Uint64Var(&o.Seed, "seed", 0, "seed `N` of the weights")
	fl.BoolVar(&o.Logits, "logits", false, "omit the final softmax")
	fl.BoolVar(&asJSON, "json", false, "print the list as JSON")
	return c
}

// printZoo prints the list as JSON.
func printZoo(w io.Writer) error {
	type network struct {
		Name       string `json:"name"`
		Title      string `json:"title"`
		Channels   int    `json:"channels"`
		Size       int    `json:"size"`
		Classes    int    `json:"classes"`
		Parameters int64  `json:"parameters"`
		MACs       int64  `json:"macs"`
	}
	var list []network
	for _, name := range zoo.Names() {
		i, err := zoo.Lookup(name)
		if err != nil {
			return err
		}
		list = append(list, network(i))
	}
	return printJSON(w, list)
}
