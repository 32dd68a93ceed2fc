package modelc

import (
	"errors"
	"fmt"
	"slices"

	"modelc/internal/classes"
	"modelc/ir"
)

// The kinds of scores that a classifier computes.
const (
	Probability    = "probability"     // the result of a softmax, whose sum is 1, or of a sigmoid
	LogProbability = "log-probability" // the logarithm of a probability
	Logit          = "logit"           // what a softmax reads: any number, the largest is the best
)

// kindOf returns the kind of scores, which the op that computes them determines.
func kindOf(v *ir.Value) string {
	for n := v.Def(); n != nil; n = n.In[0].Def() {
		switch op := n.Op.(type) {
		case ir.Softmax:
			if op.Log {
				return LogProbability
			}
			return Probability
		case ir.Unary:
			switch op.Fn.Fn {
			case ir.Sigmoid, ir.HardSigmoid:
				return Probability
			}
			return Logit
		case ir.Binary: // a softmax written as exp(x)/Σexp(x)
			if x := n.In[0].Def(); op.Fn == ir.Div && x != nil {
				if u, ok := x.Op.(ir.Unary); ok && u.Fn.Fn == ir.Exp {
					return Probability
				}
			}
			return Logit
		case ir.Reshape, ir.Transpose, ir.Cast, ir.Quantize, ir.Dequantize, ir.Slice:
		default:
			return Logit
		}
	}
	return Logit
}

// addSoftmax makes probabilities of the logits in the only output of g.
func addSoftmax(g *ir.Graph) error {
	if len(g.Outputs) != 1 {
		return fmt.Errorf("--softmax needs a model with one output, this one has %d", len(g.Outputs))
	}
	o := g.Outputs[0]
	t := o.Value.Type
	one := t // of one example
	if t.Rank() > 1 {
		one.Shape = slices.Clone(t.Shape)
		one.Shape[0] = 1
	}
	switch kind := kindOf(o.Value); {
	case !classes.AreScores(one):
		return fmt.Errorf("--softmax needs an output with one score per class, f32[N,C]; output %q is %s", o.Name, t)
	case kind != Logit:
		return errors.New("--softmax is for logits, and the scores of this model are of the kind " + kind)
	}
	axis := 0
	for i, d := range one.Shape {
		if d > 1 {
			axis = i
		}
	}
	v, err := g.Emit(o.Name+" softmax", ir.Softmax{Axes: []int{axis}}, o.Value)
	if err != nil {
		return err
	}
	g.SetOutput(0, v)
	return nil
}
