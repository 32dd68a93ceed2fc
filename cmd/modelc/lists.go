package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/frontend/keras"
	"modelc/frontend/onnx"
	"modelc/ir"
	"modelc/passes"
)

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
		Short: "List the supported ONNX operators, Keras layers and operations, and the ops of the IR",
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
			fmt.Fprintln(w)
			family = ""
			for _, l := range keras.Table() {
				if f := l.Namespace + ", " + l.Family; f != family {
					family = f
					fmt.Fprintf(w, "\n%s:", family)
				}
				fmt.Fprintf(w, " %s", l.Name)
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
