package modelc

import (
	"fmt"
	"math"
	"strings"

	"modelc/backend/golang"
	"modelc/internal/classes"
	"modelc/internal/files"
	"modelc/ir"
	"modelc/runtime/vision"
)

// Preprocess returns the preprocessing that turns an image into the model's
// input. The levels are those of a mode of [vision.Preset]. The preprocessing
// stretches the image to the input's size, and converts it to grey if the input
// has one channel. The caller may change its fields.
//
// The model must have one input, float32 [1,C,H,W] or [1,H,W,C], with 1 or 3
// channels. If a shape fits both layouts, Keras models are taken to be NHWC and
// others NCHW.
func (c *Compiled) Preprocess(mode string) (vision.Preprocess, error) {
	v, err := c.picture()
	if err != nil {
		return vision.Preprocess{}, err
	}
	colours := func(n int) bool { return n == 1 || n == 3 }
	s := v.Type.Shape
	first, last := colours(s[1]), colours(s[3])
	if last && (!first || strings.HasPrefix(c.Model.Format, "Keras")) {
		p, err := vision.Preset(mode, s[2], s[1])
		p.Layout, p.Channels = vision.NHWC, s[3]
		return p, err
	}
	p, err := vision.Preset(mode, s[3], s[2])
	p.Channels = s[1]
	return p, err
}

// ScalesLevels reports whether the model itself makes small numbers of the levels 0 to 255 of a
// picture, as Keras' layers Rescaling and Normalization do: the first arithmetic on its input
// multiplies by less than 1/32, divides by more than 32, or subtracts more than 16.
func (c *Compiled) ScalesLevels() bool {
	if len(c.Before.Inputs) != 1 {
		return false
	}
	for v := c.Before.Inputs[0]; ; {
		n := v.OnlyUse()
		if n == nil {
			return false
		}
		switch op := n.Op.(type) {
		case ir.Transpose, ir.Reshape, ir.Cast:
		case ir.Binary:
			by := n.In[1]
			if by == v {
				by = n.In[0]
			}
			if by.Const == nil || !by.Const.DType.IsFloat() {
				return false
			}
			least, most := math.Inf(1), 0.0
			for _, x := range by.Const.Float64s() {
				least, most = min(least, math.Abs(x)), max(most, math.Abs(x))
			}
			switch {
			case op.Fn == ir.Mul && most < 1.0/32, op.Fn == ir.Div && n.In[0] == v && least > 32, (op.Fn == ir.Add || op.Fn == ir.Sub) && least > 16:
				return true
			}
		default:
			return false
		}
		v = n.Out[0]
	}
}

// picture returns the model's input if it can hold one image.
func (c *Compiled) picture() (*ir.Value, error) {
	g := c.Before
	if len(g.Inputs) != 1 {
		return nil, fmt.Errorf("%s has %d inputs; images need a model with one input", c.Model.Path, len(g.Inputs))
	}
	v := g.Inputs[0]
	s := v.Type.Shape
	switch {
	case v.Type.DType != ir.Float32 || len(s) != 4 || s[1] != 1 && s[1] != 3 && s[3] != 1 && s[3] != 3:
		return nil, fmt.Errorf("%s: input %q is %s; images need f32[1,C,H,W] or f32[1,H,W,C] with 1 or 3 channels", c.Model.Path, v.Name, v.Type)
	case s[0] != 1:
		return nil, fmt.Errorf("%s: input %q is %s, a batch of %d; images need a batch of 1", c.Model.Path, v.Name, v.Type, s[0])
	}
	return v, nil
}

// Labels returns the names of the model's classes by index. If name is
// "imagenet", they are ImageNet's. Otherwise name is a file that
// [vision.ReadNames] can read. It is an error if their number differs from the
// number of scores in the model's only output.
func (c *Compiled) Labels(name string) ([]string, error) {
	labels := classes.ImageNet()
	if name != "imagenet" {
		if err := files.Check(name); err != nil {
			return nil, err
		}
		var err error
		if labels, err = vision.OpenNames(name); err != nil {
			return nil, err
		}
	}
	return labels, c.checkLabels(name, labels)
}

// checkLabels returns an error unless there is a label for each class.
func (c *Compiled) checkLabels(name string, labels []string) error {
	n, err := c.numClasses()
	if err == nil && len(labels) != n {
		err = fmt.Errorf("%s: the model scores %d classes, %s names %d", c.Model.Path, n, name, len(labels))
	}
	return err
}

// numClasses returns the number of classes that the model scores.
func (c *Compiled) numClasses() (int, error) {
	g := c.Before
	if len(g.Outputs) != 1 {
		return 0, fmt.Errorf("%s has %d outputs; a classifier has one output", c.Model.Path, len(g.Outputs))
	}
	if o := g.Outputs[0]; !classes.AreScores(o.Value.Type) {
		return 0, fmt.Errorf("%s: output %q is %s; a classifier has one score per class, f32[1,N]", c.Model.Path, o.Name, o.Value.Type)
	}
	return g.Outputs[0].Value.Type.Shape.Len(), nil
}

// Scores returns the kind of the scores in the model's only output: [Probability],
// [LogProbability] or [Logit]. It is an error if the output does not have one score per class.
func (c *Compiled) Scores() (string, error) {
	if _, err := c.numClasses(); err != nil {
		return "", err
	}
	return kindOf(c.Before.Outputs[0].Value), nil
}

// pictures returns the parameters of the method Predict.
func (c *Compiled) pictures(o PackageOptions) (*golang.Pictures, error) {
	v, err := c.picture()
	if err != nil {
		return nil, err
	}
	if err := o.Preprocess.Check(); err != nil {
		return nil, err
	}
	if n := v.Type.Shape.Len(); o.Preprocess.Len() != n {
		return nil, fmt.Errorf("%s: input %q is %s; the preprocessing makes %d elements", c.Model.Path, v.Name, v.Type, o.Preprocess.Len())
	}
	if _, err := c.numClasses(); err != nil {
		return nil, err
	}
	if o.Labels != nil {
		if err := c.checkLabels("Labels", o.Labels); err != nil {
			return nil, err
		}
	}
	kind, err := c.Scores()
	if err != nil {
		return nil, err
	}
	return &golang.Pictures{Preprocess: *o.Preprocess, Labels: o.Labels, Scores: kind}, nil
}
