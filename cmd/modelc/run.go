package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/internal/npy"
	"modelc/ir"
	"modelc/runtime/vision"
)

// runFlags say how pictures become tensors and scores become answers.
type runFlags struct {
	engine, preset, layout, labels, output string
	mean, std                              string
	scale                                  float64
	bgr                                    bool
	crop, top                              int
}

func runCommand() *cobra.Command {
	var f modelFlags
	var r runFlags
	c := &cobra.Command{
		Use:   "run MODEL IMAGE|FILE.npy|FILE.pb …",
		Short: "Run a model on pictures or tensors",
		Long: `Run a model on pictures (PNG, JPEG) or stored tensors. The model is
compiled to a Go package, built with the Go toolchain and run; the build is
cached. Of an output with one score per class the best are printed.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("want a model and at least one picture or tensor")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options(c)
			if err != nil {
				return err
			}
			var names []string
			if r.labels != "" {
				if names, err = vision.OpenNames(r.labels); err != nil {
					return err
				}
			}
			files := args[1:]
			if t, err := firstTensor(files); err != nil {
				return err
			} else if t != nil {
				o.Source.InputShapes = append(o.Source.InputShapes, t.Shape)
			}
			m, err := modelc.Compile(args[0], o)
			if err != nil {
				return err
			}
			defer m.Close()
			if n := len(m.Before.Inputs); n != 1 {
				return fmt.Errorf("%s has %d inputs; `modelc verify --data` runs models with several", args[0], n)
			}
			e, err := newEngine(c.Context(), r.engine, m)
			if err != nil {
				return err
			}
			for _, file := range files {
				in, err := r.input(c, file, m.Before.Inputs[0])
				if err != nil {
					return err
				}
				out, err := e.run(c.Context(), []*ir.Tensor{in})
				if err != nil {
					return err
				}
				if err := r.print(c.OutOrStdout(), file, m.Before, out, names); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f.add(c)
	fl := c.Flags()
	engineFlag(c, &r.engine)
	fl.IntVar(&r.top, "top", 5, "how many classes to print")
	fl.StringVar(&r.labels, "labels", "", "names of the classes: `FILE` with one a line, or JSON")
	fl.StringVar(&r.preset, "preprocess", "unit", "values of pixels: unit (0 to 1), none (0 to 255), caffe, tf or torch")
	fl.Float64Var(&r.scale, "scale", 0, "multiply pixel levels by this instead")
	fl.StringVar(&r.mean, "mean", "", "then subtract these `R,G,B`, in the order of the tensor")
	fl.StringVar(&r.std, "std", "", "then divide by these `R,G,B`")
	fl.BoolVar(&r.bgr, "bgr", false, "blue first")
	fl.IntVar(&r.crop, "crop", 0, "resize the short side to `N` pixels and crop the centre, instead of stretching")
	fl.StringVar(&r.layout, "layout", "auto", "of the input: nchw, nhwc, or auto from its shape")
	fl.StringVar(&r.output, "output", "", "write the outputs as .npy files to this folder `DIR` instead")
	return c
}

// firstTensor returns the first file if it is a tensor, whose shape binds the
// model's open dimensions.
func firstTensor(files []string) (*ir.Tensor, error) {
	switch strings.ToLower(filepath.Ext(files[0])) {
	case ".npy", ".pb":
		return readTensor(files[0])
	}
	return nil, nil
}

// input makes the model's input of a file.
func (r *runFlags) input(c *cobra.Command, file string, v *ir.Value) (*ir.Tensor, error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".npy", ".pb":
		t, err := readTensor(file)
		if err != nil {
			return nil, err
		}
		if t, err = fit(t, v.Type); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return t, nil
	}
	p, err := r.preprocess(c, v.Type)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", v.Name, err)
	}
	img, err := vision.Open(file)
	if err != nil {
		return nil, err
	}
	t := ir.NewTensor(v.Type)
	return t, p.Apply(t.Float32s(), img)
}

// preprocess returns how a picture becomes a tensor of type t.
func (r *runFlags) preprocess(c *cobra.Command, t ir.Type) (vision.Preprocess, error) {
	var p vision.Preprocess
	s := t.Shape
	if t.DType != ir.Float32 || len(s) != 4 || s[0] != 1 {
		return p, fmt.Errorf("it is %s; pictures fit float32 [1,C,H,W] or [1,H,W,C]", t)
	}
	picture := func(n int) bool { return n == 1 || n == 3 }
	nhwc := r.layout == "nhwc"
	switch r.layout {
	case "auto":
		if !picture(s[1]) && !picture(s[3]) {
			return p, fmt.Errorf("it is %s, which has neither 1 nor 3 channels", t)
		}
		nhwc = !picture(s[1])
	case "nchw", "nhwc":
	default:
		return p, usageError{fmt.Errorf("--layout %q: want nchw, nhwc or auto", r.layout)}
	}
	h, w, ch := s[2], s[3], s[1]
	if nhwc {
		h, w, ch = s[1], s[2], s[3]
	}
	p, err := vision.Preset(r.preset, w, h)
	if err != nil {
		return p, usageError{err}
	}
	p.Channels = ch
	if nhwc {
		p.Layout = vision.NHWC
	}
	if c.Flags().Changed("scale") {
		p.Scale = r.scale
	}
	if r.bgr {
		p.BGR = true
	}
	if err := triple(r.mean, "mean", &p.Mean); err != nil {
		return p, err
	}
	if err := triple(r.std, "std", &p.Std); err != nil {
		return p, err
	}
	if r.crop > 0 {
		p.Fit, p.ShortSide = vision.Crop, r.crop
	}
	return p, nil
}

// triple reads one number for all channels, or three.
func triple(s, flag string, to *[3]float64) error {
	if s == "" {
		return nil
	}
	f := strings.Split(s, ",")
	if len(f) != 1 && len(f) != 3 {
		return usageError{fmt.Errorf("--%s %q: want one number or three", flag, s)}
	}
	for i := range to {
		x, err := strconv.ParseFloat(strings.TrimSpace(f[i%len(f)]), 64)
		if err != nil {
			return usageError{fmt.Errorf("--%s %q: want one number or three", flag, s)}
		}
		to[i] = x
	}
	return nil
}

// print shows the best classes of a file, or writes its outputs.
func (r *runFlags) print(w io.Writer, file string, g *ir.Graph, out []*ir.Tensor, names []string) error {
	if r.output != "" {
		if err := os.MkdirAll(r.output, 0o755); err != nil {
			return err
		}
		base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		for i, t := range out {
			path := filepath.Join(r.output, fmt.Sprintf("%s.output_%d.npy", base, i))
			if err := npy.Write(path, t); err != nil {
				return err
			}
			fmt.Fprintf(w, "%s: %s %s\n", path, g.Outputs[i].Name, t.Type)
		}
		return nil
	}
	fmt.Fprintln(w, file)
	for i, t := range out {
		if !classes(t.Type) {
			fmt.Fprintf(w, "  %s: %s (write it with --output DIR)\n", g.Outputs[i].Name, t.Type)
			continue
		}
		for _, c := range vision.Top(t.Float32s(), r.top, names) {
			fmt.Fprintf(w, "  %s\n", c)
		}
	}
	return nil
}

// classes reports whether a tensor holds one score per class of one picture.
func classes(t ir.Type) bool {
	return t.DType == ir.Float32 && len(t.Shape) > 0 && t.Shape.Len() > 1 && slices.Max(t.Shape) == t.Shape.Len()
}
