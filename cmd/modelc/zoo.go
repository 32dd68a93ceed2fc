package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"modelc/internal/files"
	"modelc/internal/zoo"
)

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
			if len(args) != 1 {
				return usageError{fmt.Errorf("want one network, got %q; see modelc zoo --help", args)}
			}
			if out == "" {
				return usageError{fmt.Errorf("-o FILE is missing: the ONNX file to write")}
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
