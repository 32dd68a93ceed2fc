package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/backend/golang"
	"modelc/internal/units"
	"modelc/runtime"
)

// weightsFlag is --weights: where the weights of a package are, and how they
// are stored.
type weightsFlag struct {
	words   []string
	sidecar bool
	format  runtime.Format
}

func (f *weightsFlag) add(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.words, "weights", []string{"embed"}, "`WHERE,HOW`: embed the weights or keep them in a file beside the package; store them as f32, f16 or bf16, half the size")
}

// parse reads the words of the flag: of each kind at most one.
func (f *weightsFlag) parse() error {
	var where, how string
	for _, w := range f.words {
		kind := &how
		switch w {
		case "embed", "file":
			kind, f.sidecar = &where, w == "file"
		case "f32":
			f.format = runtime.F32
		case "f16":
			f.format = runtime.F16
		case "bf16":
			f.format = runtime.BF16
		default:
			return usageError{fmt.Errorf("--weights %q: want embed or file, and f32, f16 or bf16", w)}
		}
		if *kind != "" && *kind != w {
			return usageError{fmt.Errorf("--weights %s: %s or %s?", strings.Join(f.words, ","), *kind, w)}
		}
		*kind = w
	}
	return nil
}

// recorded returns the flag as the header of a package has it, in one spelling.
func (f *weightsFlag) recorded() []string {
	var words []string
	if f.sidecar {
		words = append(words, "file")
	}
	if f.format != runtime.F32 {
		words = append(words, f.format.String())
	}
	if words == nil {
		return nil
	}
	return []string{"--weights", strings.Join(words, ",")}
}

func weightsCommand() *cobra.Command {
	f := modelFlags{several: true}
	var weights weightsFlag
	var out string
	c := &cobra.Command{
		Use:   "weights MODEL DIR -o FILE",
		Short: "Write the weights of a retrained model for a package that exists",
		Long: `Write the weights of a retrained model for the package in DIR, which opens
them with WithWeights(FILE). A model that differs in more than weights is
refused. The flags are those in the header of DIR/model.go; --bind and --tune
must be given again, since headers hold no paths.`,
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
	c.Flags().StringVarP(&out, "output", "o", "", "`FILE` of weights")
	return c
}
