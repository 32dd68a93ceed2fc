package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/runtime/kernel"
)

// modelFlags are the flags of every command that compiles.
type modelFlags struct {
	batches                   []int
	several                   bool // whether --batch takes more than one size
	dims, bind, shapes        []string
	limits                    []string
	exact, softmax, check     bool
	tune, compute             string
	maxError                  float64
	only, disable, printAfter []string
}

func (f *modelFlags) add(c *cobra.Command) {
	fl := c.Flags()
	if f.several {
		fl.IntSliceVar(&f.batches, "batch", nil, "number of examples per run, `N` or several sizes: 1,8")
	} else {
		fl.IntSliceVar(&f.batches, "batch", nil, "number of examples per run: `N`")
	}
	fl.StringArrayVar(&f.dims, "dim", nil, "bind an open dimension: `NAME=N` (repeatable)")
	fl.StringArrayVar(&f.shapes, "shape", nil, "give an input's shape: `NAME=1,3,224,224` (repeatable)")
	fl.StringArrayVar(&f.bind, "bind", nil, "make an input a constant: `NAME=FILE` (.npy or .pb, repeatable)")
	fl.StringArrayVar(&f.limits, "limit", nil, "set a limit of memory or work: `NAME=N` (repeatable; docs/limits.md lists them)")
	fl.BoolVar(&f.exact, "exact", false, "keep every rounding step of the model: no batch-norm folding, no Winograd or Strassen, sums in float64")
	fl.BoolVar(&f.softmax, "softmax", false, "make probabilities of the logits in the model's output")
	fl.StringVar(&f.compute, "compute", "f32", "`FORMAT` in which convolutions multiply: f32, or bf16 for activations and weights in bfloat16")
	fl.Float64Var(&f.maxError, "max-error", 0, "with --compute bf16, measure the error `E` of each layer, relative to its result, and compute layers with a larger one in f32; 0 measures none")
	fl.StringVar(&f.tune, "tune", "", "use the algorithms in `FILE`, which modelc tune -o wrote")
	fl.BoolVar(&f.check, "check", false, "after every pass, compare values with the reference interpreter")
	fl.StringSliceVar(&f.only, "passes", nil, "run only the passes in `LIST`")
	fl.StringSliceVar(&f.disable, "disable-pass", nil, "do not run the pass `NAME`")
	fl.StringSliceVar(&f.printAfter, "print-after", nil, "print the graph after the pass `NAME`, or after \"all\"")
	group(c, ofModel, "batch", "dim", "shape", "bind", "limit", "exact", "softmax", "compute", "max-error")
	group(c, ofCompiler, "tune", "check", "passes", "disable-pass", "print-after")
}

// options returns the compiler's options.
func (f *modelFlags) options(c *cobra.Command) (modelc.Options, error) {
	o := modelc.Options{Exact: f.exact, Softmax: f.softmax, Source: source.Options{Dims: map[string]int{}, Bind: map[string]*ir.Tensor{}, Shapes: map[string]ir.Shape{}}}
	if len(f.batches) > 1 && !f.several {
		return o, usageError{fmt.Errorf("--batch %s: want one size", join(f.batches))}
	}
	for _, n := range f.batches {
		if n < 1 {
			return o, usageError{fmt.Errorf("--batch %s: want N ≥ 1", join(f.batches))}
		}
	}
	o.Batches = f.batches
	for _, d := range f.dims {
		name, value, ok := cut(d)
		n, err := strconv.Atoi(value)
		if !ok || err != nil || n < 1 {
			return o, usageError{fmt.Errorf("--dim %q: want NAME=N with N ≥ 1", d)}
		}
		o.Source.Dims[name] = n
	}
	for _, s := range f.shapes {
		name, value, ok := cut(s)
		var shape ir.Shape
		for _, x := range strings.Split(value, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(x))
			if !ok || err != nil || n < 0 {
				return o, usageError{fmt.Errorf("--shape %q: want NAME=1,3,224,224", s)}
			}
			shape = append(shape, n)
		}
		o.Source.Shapes[name] = shape
	}
	for _, b := range f.bind {
		name, path, ok := cut(b)
		if !ok {
			return o, usageError{fmt.Errorf("--bind %q: want NAME=FILE", b)}
		}
		t, err := readTensor(path)
		if err != nil {
			return o, err
		}
		o.Source.Bind[name] = t
	}
	for _, l := range f.limits {
		if err := o.Source.Bounds.Set(l); err != nil {
			return o, usageError{fmt.Errorf("--limit %w", err)}
		}
	}
	if f.maxError < 0 || f.maxError > 0 && f.compute != "bf16" {
		return o, usageError{fmt.Errorf("--max-error %g: want E ≥ 0, with --compute bf16", f.maxError)}
	}
	switch f.compute {
	case "f32":
	case "bf16":
		if f.exact {
			return o, usageError{errors.New("--compute bf16 rounds, --exact keeps every rounding step of the model: choose one of them")}
		}
		o.Compute, o.MaxError = kernel.BF16, f.maxError
	default:
		return o, usageError{fmt.Errorf("--compute %q: want f32 or bf16", f.compute)}
	}
	if f.tune != "" {
		o.Tuning = new(modelc.Tuning)
		if err := readJSON(f.tune, "modelc tune -o", o.Tuning); err != nil {
			return o, err
		}
	}
	o.Passes.Only, o.Passes.Disable, o.Passes.PrintAfter, o.Passes.Check = f.only, f.disable, f.printAfter, f.check
	o.Passes.Log = c.ErrOrStderr()
	o.Progress = progressOf(c)
	o.Flags = f.recorded()
	return o, nil
}

// join formats sizes as a value of --batch.
func join(sizes []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(sizes), " ", ","), "[]")
}

// cut splits NAME=VALUE at the last equals sign, because names of dimensions may
// contain equals signs.
func cut(s string) (name, value string, ok bool) {
	i := strings.LastIndex(s, "=")
	if i < 1 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// recorded returns the flags that change generated code, for its header. Limits do not.
func (f *modelFlags) recorded() []string {
	var out []string
	if len(f.batches) > 0 {
		out = append(out, "--batch", join(slices.Compact(slices.Sorted(slices.Values(f.batches)))))
	}
	for _, d := range slices.Sorted(slices.Values(f.dims)) {
		out = append(out, "--dim", d)
	}
	for _, s := range slices.Sorted(slices.Values(f.shapes)) {
		out = append(out, "--shape", s)
	}
	for _, b := range slices.Sorted(slices.Values(f.bind)) {
		out = append(out, "--bind", withoutFolder("bind", b))
	}
	if f.exact {
		out = append(out, "--exact")
	}
	if f.softmax {
		out = append(out, "--softmax")
	}
	if f.compute != "f32" {
		out = append(out, "--compute", f.compute)
	}
	if f.maxError > 0 {
		out = append(out, "--max-error", strconv.FormatFloat(f.maxError, 'g', -1, 64))
	}
	if f.tune != "" {
		out = append(out, "--tune", withoutFolder("tune", f.tune))
	}
	if len(f.only) > 0 {
		out = append(out, "--passes", strings.Join(f.only, ","))
	}
	for _, d := range f.disable {
		out = append(out, "--disable-pass", d)
	}
	return out
}

// pathIn returns the path in the value of a flag and the text before it. path is
// empty if the value has no path.
func pathIn(flag, value string) (prefix, path string) {
	switch flag {
	case "output", "runtime", "tune", "calibrate":
		return "", value
	case "labels":
		if value != "imagenet" {
			return "", value
		}
	case "bind":
		if name, path, ok := cut(value); ok {
			return name + "=", path
		}
	}
	return "", ""
}

// withoutFolder returns the value of a flag for a header. It keeps only the last
// element of a path, so that headers are equal on all machines.
func withoutFolder(flag, value string) string {
	if prefix, path := pathIn(flag, value); path != "" {
		return prefix + filepath.Base(path)
	}
	return value
}
