package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/internal/columns"
	"modelc/internal/files"
	"modelc/internal/units"
	"modelc/ir"
	"modelc/passes/quantise"
)

// quantizeFlags are the flags of quantize, and of compile --quantize.
type quantizeFlags struct {
	data                     []string
	samples                  int
	calibration, activations string
	percentile, maxDrop      float64
	perTensor, keepBias      bool
	exclude, excludeOps      []string
	sensitivity              bool
}

var calibrations = map[string]quantise.Kind{"minmax": quantise.MinMax, "percentile": quantise.Percentile, "entropy": quantise.Entropy}

func (f *quantizeFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringArrayVar(&f.data, "calibrate", nil, "examples for calibration: a folder, FILE.npy, FILE.csv or an idx file (`PATH`, repeatable)")
	fl.IntVar(&f.samples, "samples", 500, "use at most `N` of the examples, evenly spaced; 0 means all")
	fl.StringVar(&f.calibration, "calibration", "minmax", "`METHOD` that selects ranges of activations: minmax, percentile or entropy")
	fl.Float64Var(&f.percentile, "percentile", 99.999, "percentage `P` of the elements inside the range, for --calibration percentile")
	fl.StringVar(&f.activations, "activations", "u8", "`TYPE` of activations: u8 or i8")
	fl.BoolVar(&f.perTensor, "per-tensor", false, "use one scale for all channels of a layer's weights")
	fl.BoolVar(&f.keepBias, "no-bias-correction", false, "do not correct biases by the mean error of quantised weights")
	fl.StringArrayVar(&f.exclude, "exclude", nil, "keep layers in float32 whose names match `PATTERN`, such as 'conv1*' (repeatable)")
	fl.StringSliceVar(&f.excludeOps, "exclude-op", nil, "keep layers with these ops in float32: `LIST` such as Conv,Add")
	fl.Float64Var(&f.maxDrop, "max-drop", 0, "keep the most sensitive layers in float32 until the accuracy drops by at most `POINTS`: top-1, or agreement with the float model if examples have no labels")
	group(c, ofIntegers, "calibrate", "samples", "calibration", "percentile", "activations", "per-tensor", "no-bias-correction", "exclude", "exclude-op", "max-drop")
}

// recorded returns the flags that are set, for the header of a package.
func (f *quantizeFlags) recorded(c *cobra.Command) []string {
	var list []string
	for _, name := range []string{"samples", "calibration", "percentile", "activations", "per-tensor", "no-bias-correction", "exclude-op", "max-drop"} {
		if fl := c.Flags().Lookup(name); fl.Changed {
			list = append(list, "--"+name+"="+strings.Trim(fl.Value.String(), "[]"))
		}
	}
	for _, e := range f.exclude {
		list = append(list, "--exclude", e)
	}
	for _, p := range f.data {
		list = append(list, "--calibrate", withoutFolder("calibrate", p))
	}
	return list
}

// options returns the options of the quantisation.
func (f *quantizeFlags) options(c *cobra.Command) (modelc.QuantizeOptions, error) {
	o := modelc.QuantizeOptions{PerTensor: f.perTensor, NoCorrection: f.keepBias, Exclude: f.exclude, ExcludeOps: f.excludeOps, Sensitivity: f.sensitivity}
	kind, ok := calibrations[f.calibration]
	switch {
	case len(f.data) == 0:
		return o, usageError{errors.New("--calibrate PATH is missing: a folder of examples, or a file")}
	case !ok:
		return o, usageError{fmt.Errorf("--calibration %q: want minmax, percentile or entropy", f.calibration)}
	case kind == quantise.Percentile && !(f.percentile >= 50 && f.percentile <= 100):
		return o, usageError{fmt.Errorf("--percentile %g: want 50 to 100", f.percentile)}
	case f.samples < 0:
		return o, usageError{fmt.Errorf("--samples %d: want N ≥ 0", f.samples)}
	}
	o.Calibration = quantise.Method{Kind: kind, Percentile: f.percentile}
	switch f.activations {
	case "u8":
		o.Activations = ir.Uint8
	case "i8":
		o.Activations = ir.Int8
	default:
		return o, usageError{fmt.Errorf("--activations %q: want u8 or i8", f.activations)}
	}
	if c.Flags().Changed("max-drop") {
		if !(f.maxDrop >= 0) {
			return o, usageError{fmt.Errorf("--max-drop %g: want at least 0", f.maxDrop)}
		}
		o.MaxDrop = &f.maxDrop
	}
	return o, nil
}

// quantize quantises a compiled float model.
func (f *quantizeFlags) quantize(c *cobra.Command, m *modelc.Compiled, p *pictureFlags) (*modelc.Quantized, error) {
	o, err := f.options(c)
	if err != nil {
		return nil, err
	}
	data, err := p.examples(c, m, f.data...)
	if err != nil {
		return nil, err
	}
	return m.Quantize(data.Sample(f.samples), o)
}

func quantizeCommand() *cobra.Command {
	var model modelFlags
	var pictures pictureFlags
	var f quantizeFlags
	var out string
	var asJSON bool
	c := &cobra.Command{
		Use:   "quantize MODEL -o FILE.onnx --calibrate PATH …",
		Short: "Write a model in 8 bits, calibrated on examples",
		Long: `Quantise a float model to 8 bits and write it as ONNX, in the form that is called
QDQ: weights are stored in 8 bits, and activations are quantised and dequantised
between layers. modelc and ONNX Runtime compute the layers on integers.

--calibrate names examples: a folder of pictures, a folder with a folder per class,
a .csv list of files and labels, a .npy array of inputs, or MNIST's idx files. The
model runs on them to measure the ranges of activations, and again to compare the
accuracy of both models. Labels are optional.

--sensitivity quantises each layer alone and prints the error that it causes.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("want a model; see modelc quantize --help")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return usageError{errors.New("-o FILE is missing: the ONNX file to write")}
			}
			if len(f.data) > 0 {
				f.data = append(f.data, args[1:]...) // a shell expands --calibrate *.npy to several arguments
			}
			if _, err := f.options(c); err != nil {
				return err
			}
			o, err := model.options(c)
			if err != nil {
				return err
			}
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			q, err := f.quantize(c, m, &pictures)
			if err != nil {
				return err
			}
			if err := files.Write(out, func(f *os.File) error { return q.WriteONNX(f) }); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), q.QuantizedReport)
			}
			if terminalOf(c).quiet {
				return nil
			}
			return prose(c, func(w io.Writer) error {
				fmt.Fprintf(w, "%s: %s in 8 bits\n", out, args[0])
				printQuantized(w, &q.QuantizedReport, f.sensitivity)
				return nil
			})
		},
	}
	model.add(c)
	pictures.add(c, true)
	f.add(c)
	fl := c.Flags()
	fl.StringVarP(&out, "output", "o", "", "ONNX `FILE` to write")
	fl.BoolVar(&f.sensitivity, "sensitivity", false, "measure and print the error that each layer alone causes")
	jsonFlag(c, &asJSON)
	return c
}

// printQuantized prints the decisions and the accuracy. With all, it prints the sensitivity of
// all layers.
func printQuantized(out io.Writer, r *modelc.QuantizedReport, all bool) {
	in8, ops := 0, map[string]int{}
	for _, l := range r.Layers {
		if l.Float == "" {
			in8++
			ops[l.Op]++
		}
	}
	fmt.Fprintf(out, "  %d of %d layers in 8 bits: %s\n", in8, len(r.Layers), counts(ops))
	if len(r.Float) > 0 {
		fmt.Fprintf(out, "  in float32: %s\n", counts(r.Float))
	}
	for _, l := range r.Layers {
		if l.Float != "" {
			fmt.Fprintf(out, "    %s (%s): %s\n", l.Name, l.Op, l.Float)
		}
	}
	fmt.Fprintf(out, "  %d tensors calibrated on %d examples\n", r.Tensors, r.Examples)
	fmt.Fprintf(out, "  constants: %s, %s in float32\n", units.Bytes(r.Weights), units.Bytes(r.FloatWeights))
	fmt.Fprintf(out, "  %s\n", accuracyText(r.Accuracy))
	for _, t := range r.Tried {
		fmt.Fprintf(out, "    with %d layers in float32 by fallback, the accuracy drops by %.2f points\n", t.Float, t.Accuracy.Drop())
	}
	printSensitivity(out, r.Layers, all)
}

// counts formats a map of numbers by name.
func counts(m map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%d %s", m[name], name))
	}
	return strings.Join(list, ", ")
}

// accuracyText describes a comparison with the float model.
func accuracyText(a modelc.Accuracy) string {
	text := fmt.Sprintf("error of the output %.2f %%", 100*a.Error)
	if a.Classifier {
		text = fmt.Sprintf("same class as in float32 for %.2f %%, %s", a.Agreement, text)
	}
	if a.Labelled {
		text = fmt.Sprintf("top-1 %.2f %%, in float32 %.2f %%; %s", a.Top1, a.FloatTop1, text)
	}
	return fmt.Sprintf("%s; %d examples", text, a.Examples)
}

// printSensitivity prints a table of the errors of single layers, the largest first. If all is
// not set, it prints only the first rows.
func printSensitivity(out io.Writer, layers []modelc.QuantizedLayer, all bool) {
	layers = slices.DeleteFunc(slices.Clone(layers), func(l modelc.QuantizedLayer) bool { return l.Alone == nil })
	if len(layers) == 0 {
		return
	}
	slices.SortStableFunc(layers, func(a, b modelc.QuantizedLayer) int {
		switch {
		case a.Alone.Error > b.Alone.Error:
			return -1
		case a.Alone.Error < b.Alone.Error:
			return 1
		}
		return 0
	})
	const most = 10
	left := 0
	if !all && len(layers) > most+1 {
		left = len(layers) - most
		layers = layers[:most]
	}
	t := columns.New("rrll", "error alone", "agreement", "stays in", "layer")
	for _, l := range layers {
		agreement := ""
		if l.Alone.Classifier {
			agreement = fmt.Sprintf("%.2f %%", l.Alone.Agreement)
		}
		kept := ""
		if l.Float != "" {
			kept = "float32"
		}
		t.Row(fmt.Sprintf("%.3f %%", 100*l.Alone.Error), agreement, kept, fmt.Sprintf("%s (%s)", l.Name, l.Op))
	}
	t.Print(out, "  ")
	if left > 0 {
		fmt.Fprintf(out, "  and %d more: --sensitivity\n", left)
	}
}
