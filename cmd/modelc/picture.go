package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"modelc/backend/golang"
	"modelc/internal/imagenet"
	"modelc/ir"
	"modelc/runtime/vision"
)

// pictureFlags say how pictures become tensors and scores become answers.
type pictureFlags struct {
	preset, layout, labels string
	filter                 string
	mean, std              string
	scale                  float64
	bgr                    bool
	crop                   int
}

func (p *pictureFlags) add(fl *pflag.FlagSet, preset string) {
	fl.StringVar(&p.preset, "preprocess", preset, "values of pixels: unit (0 to 1), none (0 to 255), caffe, tf or torch")
	fl.StringVar(&p.labels, "labels", "", "names of the classes: imagenet, or a `FILE` with one a line, or JSON")
	fl.Float64Var(&p.scale, "scale", 0, "multiply pixel levels by this instead")
	fl.StringVar(&p.mean, "mean", "", "then subtract these `R,G,B`, in the order of the tensor")
	fl.StringVar(&p.std, "std", "", "then divide by these `R,G,B`")
	fl.BoolVar(&p.bgr, "bgr", false, "blue first")
	fl.IntVar(&p.crop, "crop", 0, "resize the short side to `N` pixels and crop the centre, instead of stretching")
	fl.StringVar(&p.filter, "filter", "bilinear", "how to resize: bilinear (as Pillow, averages), sampled (as tf.image.resize) or nearest (as Keras' load_img)")
	fl.StringVar(&p.layout, "layout", "auto", "of the input: nchw, nhwc, or auto from its shape")
}

// names reads the names of the classes, nil if none are wanted.
func (p *pictureFlags) names() ([]string, error) {
	switch p.labels {
	case "":
		return nil, nil
	case "imagenet":
		return imagenet.Names(), nil
	}
	return vision.OpenNames(p.labels)
}

// picture returns what the method Predict of a package needs.
func (p *pictureFlags) picture(inputs []*ir.Value) (*golang.Picture, error) {
	if len(inputs) != 1 {
		return nil, fmt.Errorf("the network has %d inputs; a picture is one", len(inputs))
	}
	v, err := p.preprocess(inputs[0].Type)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", inputs[0].Name, err)
	}
	names, err := p.names()
	if err != nil {
		return nil, err
	}
	return &golang.Picture{Preprocess: v, Labels: names}, nil
}

// recorded returns the flags that shape generated code. Paths are left out.
func (p *pictureFlags) recorded() []string {
	out := []string{"--preprocess", p.preset}
	if p.labels == "imagenet" {
		out = append(out, "--labels", p.labels)
	} else if p.labels != "" {
		out = append(out, "--labels")
	}
	for _, f := range []struct{ name, value, usual string }{{"--layout", p.layout, "auto"}, {"--filter", p.filter, "bilinear"}, {"--mean", p.mean, ""}, {"--std", p.std, ""}} {
		if f.value != f.usual {
			out = append(out, f.name, f.value)
		}
	}
	if p.scale != 0 {
		out = append(out, "--scale", strconv.FormatFloat(p.scale, 'g', -1, 64))
	}
	if p.bgr {
		out = append(out, "--bgr")
	}
	if p.crop > 0 {
		out = append(out, "--crop", strconv.Itoa(p.crop))
	}
	return out
}

// preprocess returns how a picture becomes a tensor of type t.
func (p *pictureFlags) preprocess(t ir.Type) (vision.Preprocess, error) {
	var v vision.Preprocess
	s := t.Shape
	if t.DType != ir.Float32 || len(s) != 4 || s[0] != 1 {
		return v, fmt.Errorf("it is %s; pictures fit float32 [1,C,H,W] or [1,H,W,C]", t)
	}
	picture := func(n int) bool { return n == 1 || n == 3 }
	nhwc := p.layout == "nhwc"
	switch p.layout {
	case "auto":
		if !picture(s[1]) && !picture(s[3]) {
			return v, fmt.Errorf("it is %s, which has neither 1 nor 3 channels", t)
		}
		nhwc = !picture(s[1])
	case "nchw", "nhwc":
	default:
		return v, usageError{fmt.Errorf("--layout %q: want nchw, nhwc or auto", p.layout)}
	}
	h, w, ch := s[2], s[3], s[1]
	if nhwc {
		h, w, ch = s[1], s[2], s[3]
	}
	v, err := vision.Preset(p.preset, w, h)
	if err != nil {
		return v, usageError{err}
	}
	v.Channels = ch
	if nhwc {
		v.Layout = vision.NHWC
	}
	switch p.filter {
	case "bilinear":
	case "sampled":
		v.Filter = vision.Sampled
	case "nearest":
		v.Filter = vision.Nearest
	default:
		return v, usageError{fmt.Errorf("--filter %q: want bilinear, sampled or nearest", p.filter)}
	}
	if p.scale != 0 {
		v.Scale = p.scale
	}
	if p.bgr {
		v.BGR = true
	}
	if err := triple(p.mean, "mean", &v.Mean); err != nil {
		return v, err
	}
	if err := triple(p.std, "std", &v.Std); err != nil {
		return v, err
	}
	if p.crop > 0 {
		v.Fit, v.ShortSide = vision.Crop, p.crop
	}
	return v, nil
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
