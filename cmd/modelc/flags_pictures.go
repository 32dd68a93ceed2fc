package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"modelc"
	"modelc/internal/dataset"
	"modelc/ir"
	"modelc/runtime/vision"
)

// pictureFlags are the flags about images: the preprocessing and the names of the
// classes.
type pictureFlags struct {
	mode, labels, interpolation, mean, std string
	scale                                  float64
	bgr                                    bool
	crop                                   int
	guesses                                bool // what the levels are, without --preprocess
}

// add adds the flags to c. If guesses is not set, pictures need --preprocess.
func (f *pictureFlags) add(c *cobra.Command, guesses bool) {
	f.guesses = guesses
	usage := "`MODE` of the levels: unit (0 to 1), none (0 to 255), or caffe, tf or torch as in keras.applications"
	if guesses {
		usage += "; by default unit, or none if the model itself scales levels from 0 to 255"
	}
	fl := c.Flags()
	fl.StringVar(&f.mode, "preprocess", "", usage)
	fl.StringVar(&f.labels, "labels", "", "names of the classes: imagenet, or a `FILE` of names, one per line or as JSON")
	fl.StringVar(&f.interpolation, "interpolation", vision.Bilinear.String(), "`FILTER` that resizes images: "+vision.FilterNames())
	fl.Float64Var(&f.scale, "scale", 0, "multiply the levels by `NUMBER` instead of the mode's factor")
	fl.StringVar(&f.mean, "mean", "", "subtract `R,G,B` from the scaled levels, in the order of the tensor's channels")
	fl.StringVar(&f.std, "std", "", "divide the scaled levels, less --mean, by `R,G,B`")
	fl.BoolVar(&f.bgr, "bgr", false, "order the channels blue, green, red")
	fl.IntVar(&f.crop, "crop", 0, "resize the short side of an image to `N` pixels and crop the centre, instead of stretching")
	group(c, ofPictures, "preprocess", "labels", "interpolation", "scale", "mean", "std", "bgr", "crop")
}

// recorded returns the flags that are set, for the header of generated code.
func (f *pictureFlags) recorded(c *cobra.Command) []string {
	var list []string
	for _, name := range []string{"preprocess", "labels", "interpolation", "scale", "mean", "std", "bgr", "crop"} {
		fl := c.Flags().Lookup(name)
		switch {
		case !fl.Changed:
		case name == "bgr":
			list = append(list, "--bgr="+fl.Value.String())
		default:
			list = append(list, "--"+name, withoutFolder(name, fl.Value.String()))
		}
	}
	return list
}

// preprocess returns the preprocessing that turns an image into the input of m.
func (f *pictureFlags) preprocess(c *cobra.Command, m *modelc.Compiled) (vision.Preprocess, error) {
	mode := f.mode
	if mode == "" && f.guesses {
		mode = "unit"
		if m.ScalesLevels() {
			mode = "none"
		}
	}
	if _, err := vision.Preset(mode, 1, 1); err != nil {
		return vision.Preprocess{}, usageError{err}
	}
	p, err := m.Preprocess(mode)
	if err != nil {
		return p, err
	}
	if t := terminalOf(c); f.mode != "" && f.mode != "none" && !t.quiet && m.ScalesLevels() {
		t.remark(fmt.Sprintf("%s the model itself scales levels from 0 to 255, and --preprocess %s changes them before that; --preprocess none does not", t.paint(t.err, warn, "warning:"), f.mode))
	}
	if p.Filter, err = vision.ParseFilter(f.interpolation); err != nil {
		return p, usageError{err}
	}
	if c.Flags().Changed("scale") && f.scale == 0 {
		return p, usageError{errors.New("--scale 0: all inputs would be equal")}
	}
	if c.Flags().Changed("scale") {
		p.Scale = f.scale
	}
	if c.Flags().Changed("bgr") {
		p.BGR = f.bgr
	}
	if err := triple(c, "mean", &p.Mean); err != nil {
		return p, err
	}
	if err := triple(c, "std", &p.Std); err != nil {
		return p, err
	}
	if f.std != "" && slices.Contains(p.Std[:], 0) {
		return p, usageError{fmt.Errorf("--std %q: want numbers that are not 0", f.std)}
	}
	if c.Flags().Changed("crop") {
		if f.crop < 1 {
			return p, usageError{fmt.Errorf("--crop %d: want N ≥ 1", f.crop)}
		}
		p.Fit, p.ShortSide = vision.Crop, f.crop
	}
	if err := p.Check(); err != nil {
		return p, fmt.Errorf("%s: %w", m.Model.Path, err)
	}
	return p, nil
}

// examples opens the examples in paths as inputs of m.
func (f *pictureFlags) examples(c *cobra.Command, m *modelc.Compiled, paths ...string) (*dataset.Set, error) {
	if n := len(m.Before.Inputs); n != 1 {
		return nil, fmt.Errorf("%s has %d inputs, want a model with one input", m.Model.Path, n)
	}
	v := m.Before.Inputs[0]
	if v.Type.DType != ir.Float32 || v.Type.Rank() < 1 || v.Type.Shape[0] != 1 {
		return nil, fmt.Errorf("%s: input %q is %s, want f32 with a batch of 1", m.Model.Path, v.Name, v.Type)
	}
	o := dataset.Options{Input: v.Type}
	var err error
	if o.Classes, err = f.names(m); err != nil {
		return nil, err
	}
	if f.mode == "" && !f.guesses {
		o.Why = errors.New("a picture needs --preprocess MODE")
	} else if p, err := f.preprocess(c, m); err == nil {
		o.Apply = p.Apply
	} else {
		o.Why = err
	}
	return dataset.Open(o, paths...)
}

// names returns the names of the classes of m, or nil without --labels.
func (f *pictureFlags) names(m *modelc.Compiled) ([]string, error) {
	if f.labels == "" {
		return nil, nil
	}
	return m.Labels(f.labels)
}

// triple reads a flag of one number for all channels, or one for each of three. Without the
// flag it leaves the numbers as they are.
func triple(c *cobra.Command, flag string, to *[3]float64) error {
	s := c.Flags().Lookup(flag).Value.String()
	if !c.Flags().Changed(flag) {
		return nil
	}
	f := strings.Split(s, ",")
	if len(f) != 1 && len(f) != 3 {
		return usageError{fmt.Errorf("--%s %q: want one number or three", flag, s)}
	}
	for i := range to {
		x, err := strconv.ParseFloat(strings.TrimSpace(f[i%len(f)]), 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return usageError{fmt.Errorf("--%s %q: want one number or three", flag, s)}
		}
		to[i] = x
	}
	return nil
}
