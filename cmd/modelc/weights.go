package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/golang"
	"modelc/internal/units"
)

func weightsCommand() *cobra.Command {
	f := modelFlags{several: true}
	var weights weightsFlag
	var out string
	c := &cobra.Command{
		Use:   "weights MODEL DIR -o FILE",
		Short: "Write the weights of a retrained model for an existing package",
		Long: `Write the weights of a retrained model for the package in DIR. WithWeights(FILE)
of the package opens them. It is an error if the model differs in more than its
weights. The flags are read from the header of DIR/model.go. Repeat --bind and
--tune, because headers do not record paths.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 || out == "" {
				return usageError{fmt.Errorf("want a model, the folder of a package, and -o FILE; see --help")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			h, err := golang.ReadHeader(args[1])
			if err != nil {
				return err
			}
			if err := takeFlags(c, args[1], h); err != nil {
				return err
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			if err := weights.parse(); err != nil {
				return err
			}
			o.Weights = weights.format
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			if err := m.WriteWeights(out, args[1]); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %s of weights, for %s\n", out, units.Bytes(m.Program.Plan.WeightsBytes), args[1])
			return nil
		},
	}
	f.add(c)
	weights.add(c)
	c.Flags().StringVarP(&out, "output", "o", "", "weights `FILE` to write")
	return c
}
