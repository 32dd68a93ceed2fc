package modelc

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"modelc/frontend/onnx"
	"modelc/frontend/source"
	"modelc/internal/onnxfile"
	"modelc/ir"
	"modelc/passes"
	"modelc/passes/quantise"
)

// Examples are inputs of a model with one input.
type Examples interface {
	// Len returns the number of examples.
	Len() int
	// Input returns example i, of the type of the model's input.
	Input(i int) (*ir.Tensor, error)
	// Label returns the class of example i, -1 if it is unknown.
	Label(i int) int
	// Name describes example i in messages.
	Name(i int) string
}

// QuantizeOptions configures [Compiled.Quantize]. The zero value is the default.
type QuantizeOptions struct {
	// Activations is the type of activations: ir.Uint8, the default, or ir.Int8.
	Activations ir.DType
	// Calibration selects the ranges of activations.
	Calibration quantise.Method
	// PerTensor gives all channels of a layer's weights the same scale.
	PerTensor bool
	// NoCorrection keeps biases as they are. By default the mean error that the
	// quantised weights cause is subtracted from them.
	NoCorrection bool
	// Exclude are patterns, as in [path.Match], of the names of layers that stay in
	// float32. ExcludeOps are the names of ops.
	Exclude, ExcludeOps []string
	// Sensitivity measures the error that each layer alone causes.
	Sensitivity bool
	// MaxDrop, unless nil, is the largest drop of accuracy, in percentage points. The
	// layers that cause the largest errors stay in float32 until it holds. The accuracy
	// is top-1 if all examples have labels, otherwise the agreement with the float model.
	MaxDrop *float64
}

// Quantized is a quantised model: an ONNX model whose tensors are quantised and dequantised
// between layers (QDQ), from which engines make integer layers.
type Quantized struct {
	QuantizedReport
	source *source.Model // of the float model
	file   []byte
}

// QuantizedReport describes a quantised model.
type QuantizedReport struct {
	// Examples is the number of examples for calibration.
	Examples int `json:"examples"`
	// Layers has the layers that can be quantised, in the order of the model.
	Layers []QuantizedLayer `json:"layers"`
	// Float counts the nodes of the file that stay in float32, by op.
	Float map[string]int `json:"float,omitempty"`
	// Tensors is the number of quantised activations.
	Tensors int `json:"tensors"`
	// FloatWeights and Weights are the sizes of the constants of the float model, and of
	// the quantised one, in bytes.
	FloatWeights int `json:"float_weights"`
	Weights      int `json:"weights"`
	// Accuracy compares the quantised model with the float one.
	Accuracy Accuracy `json:"accuracy"`
	// Tried are the attempts to hold the maximum drop, in order. It is empty if the first
	// one succeeded.
	Tried []Attempt `json:"tried,omitempty"`
}

// QuantizedLayer is a layer of a quantised model.
type QuantizedLayer struct {
	Name string `json:"name"`
	Op   string `json:"op"`
	// Float is the reason why the layer stays in float32, "" if it is quantised.
	Float string `json:"float,omitempty"`
	// Alone is the accuracy of a model in which only this layer is quantised. It is nil
	// if it was not measured.
	Alone *Accuracy `json:"alone,omitempty"`

	node *ir.Node
}

// Attempt is a model in which the most sensitive layers stay in float32.
type Attempt struct {
	Float    int      `json:"float"` // the number of these layers
	Accuracy Accuracy `json:"accuracy"`
}

// Quantize quantises the model to 8 bits. It runs the model on data to measure the ranges of
// activations, and compares the quantised model with the float one on the same data. c must
// have been compiled from a float model for one example per run.
func (c *Compiled) Quantize(data Examples, o QuantizeOptions) (*Quantized, error) {
	if o.Activations == ir.Invalid {
		o.Activations = ir.Uint8
	}
	z := &quantizer{c: c, o: o, data: data}
	if err := z.prepare(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Model.Path, err)
	}
	if err := z.calibrate(); err != nil {
		return nil, err
	}
	q := &Quantized{source: c.Model}
	var err error
	if q.file, err = z.choose(&q.QuantizedReport); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Model.Path, err)
	}
	q.Examples, q.Layers, q.FloatWeights = data.Len(), z.layers, constantBytes(c.Before)
	return q, nil
}

// prepare runs passes on the float model and finds its layers.
func (z *quantizer) prepare() error {
	before := z.c.Before
	if len(before.Inputs) != 1 {
		return fmt.Errorf("the model has %d inputs; only models with one input can be quantised", len(before.Inputs))
	}
	if z.data.Len() == 0 {
		return errors.New("no examples for calibration")
	}
	for _, n := range before.Nodes {
		switch n.Op.(type) {
		case ir.Quantize, ir.Dequantize, ir.DynamicQuantize:
			return fmt.Errorf("%s: the model is quantised already; quantise the float model", n)
		}
	}
	z.g = before.Clone()
	if _, err := passes.Run(z.g, &passes.Config{Only: quantise.Passes}); err != nil {
		return err
	}
	if err := quantise.Prepare(z.g); err != nil {
		return err
	}
	return z.list()
}

// constantBytes returns the size of the constants of g.
func constantBytes(g *ir.Graph) (n int) {
	for _, v := range g.Constants {
		n += v.Type.Bytes()
	}
	return n
}

// quantizer is the work on one model.
type quantizer struct {
	c      *Compiled
	o      QuantizeOptions
	g      *ir.Graph // prepared
	data   Examples
	layers []QuantizedLayer
	stats  map[string]*quantise.Stats
	want   []*ir.Tensor // outputs of the float model for the first examples
}

// Reasons why layers stay in float32.
const (
	excluded = "excluded"
	fellBack = "fallback"
)

// list finds the layers that can be quantised, and those that the user excludes.
func (z *quantizer) list() error {
	used := map[string]bool{}
	for _, n := range quantise.NewPlan(z.g, nil).Layers {
		l := QuantizedLayer{Name: layerName(n), Op: ir.Label(n.Op), node: n}
		for _, pattern := range z.o.Exclude {
			ok, err := path.Match(pattern, l.Name)
			if err != nil {
				return fmt.Errorf("pattern %q: %w", pattern, err)
			}
			if ok || pattern == l.Name {
				l.Float = excluded
				used[pattern] = true
			}
		}
		for _, op := range z.o.ExcludeOps {
			if strings.EqualFold(op, l.Op) {
				l.Float = excluded
				used[op] = true
			}
		}
		z.layers = append(z.layers, l)
	}
	if len(z.layers) == 0 {
		return errors.New("no layer can be quantised: the model has no convolution or dense layer with constant float32 weights")
	}
	for _, e := range slices.Concat(z.o.Exclude, z.o.ExcludeOps) {
		if !used[e] {
			return fmt.Errorf("no layer to exclude matches %q; the layers are %s", e, z.names())
		}
	}
	return nil
}

// names lists the first layers.
func (z *quantizer) names() string {
	const most = 8
	var list []string
	for i, l := range z.layers {
		if i == most && len(z.layers) > most+1 {
			list = append(list, fmt.Sprintf("and %d more", len(z.layers)-most))
			break
		}
		list = append(list, fmt.Sprintf("%s (%s)", l.Name, l.Op))
	}
	return strings.Join(list, ", ")
}

// layerName returns the name of n in the model, or that of its result.
func layerName(n *ir.Node) string {
	if n.Name != "" {
		return n.Name
	}
	return n.Out[0].Name
}

// plan returns the plan in which the layers that are marked, and those of keep, stay in
// float32.
func (z *quantizer) plan(keep func(l *QuantizedLayer) bool) *quantise.Plan {
	float := map[*ir.Node]bool{}
	for i := range z.layers {
		l := &z.layers[i]
		float[l.node] = keep(l)
	}
	return quantise.NewPlan(z.g, func(n *ir.Node) bool { return float[n] })
}

func (l *QuantizedLayer) isFloat() bool { return l.Float != "" }

// calibrate measures all tensors that any plan quantises, and keeps the outputs of the float
// model.
func (z *quantizer) calibrate() error {
	p := quantise.NewPlan(z.g, nil)
	g := z.g.Clone()
	z.stats = p.NewStats()
	outputs := len(g.Outputs)
	var names []string
	for _, v := range p.Tensors {
		if v.Def() != nil {
			g.AddOutput(v.Name, g.Lookup(v.Name))
			names = append(names, v.Name)
		}
	}
	e, err := z.engine(g)
	if err != nil {
		return err
	}
	defer e.Close()
	keep := max(1, mostKept/max(1, g.Outputs[0].Value.Type.Bytes()))
	each := func(stage string, visit func(s *quantise.Stats, t *ir.Tensor) error, done func(out []*ir.Tensor)) error {
		return z.run(e, z.progress(stage, 0, z.data.Len()), z.data.Len(), func(i int, in *ir.Tensor, out []*ir.Tensor) error {
			observed := append([]*ir.Tensor{in}, out[outputs:]...)
			for k, name := range append([]string{g.Inputs[0].Name}, names...) {
				if s := z.stats[name]; s != nil {
					if err := visit(s, observed[k]); err != nil {
						return fmt.Errorf("tensor %q: %w", name, err)
					}
				}
			}
			if done != nil {
				done(out)
			}
			return nil
		})
	}
	err = each("calibration", (*quantise.Stats).Add, func(out []*ir.Tensor) {
		if len(z.want) < keep {
			z.want = append(z.want, out[0])
		}
	})
	if err != nil || z.o.Calibration.Passes() == 1 {
		return err
	}
	return each("histograms", func(s *quantise.Stats, t *ir.Tensor) error { s.Count(t); return nil }, nil)
}

// mostKept is the maximum size of the outputs of the float model that are kept.
const mostKept = 256 << 20

// build returns the file of the model in which the layers that keep reports stay in float32.
func (z *quantizer) build(keep func(l *QuantizedLayer) bool) (*ir.Graph, *quantise.Plan, []byte, error) {
	p := z.plan(keep)
	scales, err := p.Ranges(z.o.Activations, z.o.Calibration, z.stats)
	if err != nil {
		return nil, nil, nil, err
	}
	g, err := p.Apply(quantise.Options{Activations: z.o.Activations, PerTensor: z.o.PerTensor, Correct: !z.o.NoCorrection}, scales, z.stats)
	if err != nil {
		return nil, nil, nil, err
	}
	m, err := onnxfile.FromGraph(g, "modelc")
	if err != nil {
		return nil, nil, nil, err
	}
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		return nil, nil, nil, err
	}
	return g, p, b.Bytes(), nil
}

// choose finds the layers that stay in float32, and returns the file.
func (z *quantizer) choose(r *QuantizedReport) ([]byte, error) {
	try := func() ([]byte, error) {
		g, p, file, err := z.build((*QuantizedLayer).isFloat)
		if err != nil {
			return nil, err
		}
		if r.Accuracy, err = z.measure(file, z.progress("accuracy", 0, len(z.want))); err != nil {
			return nil, err
		}
		r.Tensors, r.Weights, r.Float = len(p.Tensors), constantBytes(g), floatNodes(z.g, p)
		return file, nil
	}
	file, err := try()
	if err != nil {
		return nil, err
	}
	misses := func() bool { return z.o.MaxDrop != nil && r.Accuracy.Drop() > *z.o.MaxDrop }
	if misses() && !r.Accuracy.Classifier {
		return nil, errors.New("a maximum drop needs a classifier, with one score per class")
	}
	if !z.o.Sensitivity && !misses() {
		return file, nil
	}
	order, err := z.sensitivity()
	if err != nil || !misses() {
		return file, err
	}
	r.Tried = []Attempt{{0, r.Accuracy}}
	fallBack := func(n int) error {
		for i, l := range order {
			if l.Float = ""; i < n {
				l.Float = fellBack
			}
		}
		if file, err = try(); err == nil {
			r.Tried = append(r.Tried, Attempt{n, r.Accuracy})
		}
		return err
	}
	// Find the smallest number of layers that suffices, as if more layers never did harm.
	last, few, enough := 0, 0, len(order)
	for enough-few > 1 {
		last = (few + enough) / 2
		if err := fallBack(last); err != nil {
			return nil, err
		}
		if misses() {
			few = last
		} else {
			enough = last
		}
	}
	if last != enough {
		err = fallBack(enough)
	}
	if err == nil && misses() {
		err = fmt.Errorf("the accuracy drops by %.2f points even if all layers stay in float32", r.Accuracy.Drop())
	}
	return file, err
}

// sensitivity measures the error of each layer alone. It returns the layers that are not
// excluded, the one with the largest error first.
func (z *quantizer) sensitivity() ([]*QuantizedLayer, error) {
	var order []*QuantizedLayer
	for i := range z.layers {
		if l := &z.layers[i]; !l.isFloat() {
			order = append(order, l)
		}
	}
	for i, l := range order {
		_, _, file, err := z.build(func(other *QuantizedLayer) bool { return other != l })
		if err != nil {
			return nil, err
		}
		a, err := z.measure(file, z.progress("layers alone", i*len(z.want), len(order)*len(z.want)))
		if err != nil {
			return nil, err
		}
		l.Alone = &a
	}
	slices.SortStableFunc(order, func(a, b *QuantizedLayer) int { return cmp.Compare(b.Alone.Error, a.Alone.Error) })
	return order, nil
}

// floatNodes counts the nodes of g that stay in float32 and are no movements.
func floatNodes(g *ir.Graph, p *quantise.Plan) map[string]int {
	m := map[string]int{}
	for _, n := range g.Nodes {
		if p.IsFloat(n) && ir.InfoOf(n.Op).Moves == ir.Computes {
			m[ir.Label(n.Op)]++
		}
	}
	return m
}

// WriteONNX writes the quantised model as an ONNX file.
func (q *Quantized) WriteONNX(w io.Writer) error {
	_, err := w.Write(q.file)
	return err
}

// Compile compiles the quantised model. It ignores o.Source and o.Batches.
func (q *Quantized) Compile(o Options) (*Compiled, error) {
	m, err := onnx.Parse(q.source.Path, q.file, "", source.Options{})
	if err != nil {
		return nil, err
	}
	m.Format = q.source.Format + ", quantised"
	m.Notes = q.source.Notes
	m.Metadata = q.source.Metadata
	o.Softmax = false // the file has it
	c, err := CompileModel(m, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	c.Quantized = &q.QuantizedReport
	return c, nil
}
