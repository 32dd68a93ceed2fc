package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"modelc"
)

func compileCommand() *cobra.Command {
	f := modelFlags{several: true}
	var pictures pictureFlags
	var dir, name string
	var weights weightsFlag
	var asJSON, standalone bool
	c := &cobra.Command{
		Use:   "compile MODEL -o DIR",
		Short: "Write the Go package of a model",
		Long: `Write the Go package of a model. With --preprocess its sessions take
pictures too, Predict(image.Image) ([]Class, error), whose classes have the
names that --labels gives.`,
		Args: exactly(1, "one model"),
		RunE: func(c *cobra.Command, args []string) error {
			if dir == "" {
				return usageError{fmt.Errorf("-o DIR is missing: the folder of the package")}
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			if err := weights.parse(); err != nil {
				return err
			}
			o.Weights = weights.format
			o.Flags = append(o.Flags, weights.recorded()...)
			if standalone {
				o.Flags = append(o.Flags, "--standalone")
			}
			recorded := pictures.recorded(c)
			if len(recorded) > 0 && pictures.mode == "" {
				return usageError{fmt.Errorf("%s is for pictures: add --preprocess MODE", recorded[0])}
			}
			o.Flags = append(o.Flags, recorded...)
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			p := modelc.PackageOptions{Package: name, Sidecar: weights.sidecar, Standalone: standalone}
			if pictures.mode != "" {
				pre, err := pictures.preprocess(c, m)
				if err != nil {
					return err
				}
				p.Preprocess = &pre
				if p.Labels, err = pictures.names(m); err != nil {
					return err
				}
			}
			s, err := m.WritePackage(dir, p)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), s)
			}
			printSummary(c.OutOrStdout(), dir, s)
			return nil
		},
	}
	f.add(c)
	pictures.add(c, "")
	fl := c.Flags()
	fl.StringVarP(&dir, "output", "o", "", "folder of the package `DIR`")
	fl.StringVar(&name, "package", "", "name of the package; default: from the folder's")
	weights.add(c)
	fl.BoolVar(&standalone, "standalone", false, "copy the runtime beside the package, so that it needs no other module")
	fl.BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return c
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
