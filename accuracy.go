package modelc

import (
	"fmt"
	"math"

	"modelc/backend/inproc"
	"modelc/frontend/onnx"
	"modelc/frontend/source"
	"modelc/internal/classes"
	"modelc/ir"
)

// Accuracy compares a quantised model with the float model.
type Accuracy struct {
	// Examples is the number of examples on which the models were compared.
	Examples int `json:"examples"`
	// Error is the root of the mean squared difference of the first output, divided by
	// the root of the mean square of the float model's.
	Error float64 `json:"error"`
	// Classifier reports whether the first output has one score per class. Otherwise the
	// other fields are zero.
	Classifier bool `json:"classifier"`
	// Agreement is the percentage of examples for which both models choose the same class.
	Agreement float64 `json:"agreement"`
	// Labelled reports whether all examples have labels. FloatTop1 and Top1 are the
	// percentages for which the float and the quantised model choose the right class.
	Labelled  bool    `json:"labelled"`
	FloatTop1 float64 `json:"float_top1"`
	Top1      float64 `json:"top1"`
}

// Drop returns the loss of accuracy in percentage points: of labelled top-1 accuracy, or of
// agreement.
func (a Accuracy) Drop() float64 {
	if a.Labelled {
		return a.FloatTop1 - a.Top1
	}
	return 100 - a.Agreement
}

// engine compiles g for this process.
func (z *quantizer) engine(g *ir.Graph) (*inproc.Engine, error) {
	m := &source.Model{Graph: g, Path: z.c.Model.Path, Format: z.c.Model.Format, Release: func() error { return nil }}
	c, err := CompileModel(m, Options{})
	if err != nil {
		return nil, err
	}
	return inproc.New(c.Program, 0)
}

// progress returns a function that reports i of total units of a stage, after the first ones.
func (z *quantizer) progress(stage string, first, total int) func(i int) error {
	return func(i int) error { return z.c.Options.Progress.Update(stage, first+i, total) }
}

// run runs e on the first n examples, and calls tick before each.
func (z *quantizer) run(e *inproc.Engine, tick func(i int) error, n int, visit func(i int, in *ir.Tensor, out []*ir.Tensor) error) error {
	for i := range n {
		if err := tick(i); err != nil {
			return err
		}
		in, err := z.data.Input(i)
		if err != nil {
			return err
		}
		out, err := e.Run([]*ir.Tensor{in})
		if err != nil {
			return fmt.Errorf("%s: %w", z.data.Name(i), err)
		}
		if err := visit(i, in, out); err != nil {
			return fmt.Errorf("%s: %w", z.data.Name(i), err)
		}
	}
	return nil
}

// measure compares the model in file with the float model.
func (z *quantizer) measure(file []byte, tick func(i int) error) (Accuracy, error) {
	m, err := onnx.Parse(z.c.Model.Path, file, "", source.Options{})
	if err != nil {
		return Accuracy{}, err
	}
	e, err := z.engine(m.Graph)
	if err != nil {
		return Accuracy{}, err
	}
	defer e.Close()
	a := Accuracy{Examples: len(z.want), Classifier: classes.AreScores(z.want[0].Type), Labelled: true}
	var agree, right, rightFloat int
	var wrong, all float64
	err = z.run(e, tick, len(z.want), func(i int, _ *ir.Tensor, out []*ir.Tensor) error {
		x, y := z.want[i].Float64s(), out[0].Float64s()
		for k := range x {
			wrong += (x[k] - y[k]) * (x[k] - y[k])
			all += x[k] * x[k]
		}
		if !a.Classifier {
			return nil
		}
		f, q := classes.Best(z.want[i].Float32s()), classes.Best(out[0].Float32s())
		label := z.data.Label(i)
		a.Labelled = a.Labelled && label >= 0
		for _, k := range []struct {
			same bool
			n    *int
		}{{f == q, &agree}, {q == label, &right}, {f == label, &rightFloat}} {
			if k.same {
				*k.n++
			}
		}
		return nil
	})
	if err != nil {
		return a, err
	}
	a.Error = math.Sqrt(wrong / max(all, math.SmallestNonzeroFloat64))
	percent := func(n int) float64 { return 100 * float64(n) / float64(a.Examples) }
	if a.Labelled = a.Labelled && a.Classifier; a.Classifier {
		a.Agreement = percent(agree)
	}
	if a.Labelled {
		a.Top1, a.FloatTop1 = percent(right), percent(rightFloat)
	}
	return a, nil
}
