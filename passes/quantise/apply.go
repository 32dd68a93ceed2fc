package quantise

import (
	"fmt"
	"slices"

	"modelc/ir"
)

// Options selects how tensors are quantised.
type Options struct {
	// Activations is the type of activations, Uint8 or Int8.
	Activations ir.DType
	// PerTensor gives all channels of weights the same scale.
	PerTensor bool
	// Correct adds the mean error that quantised weights cause to the bias.
	Correct bool
}

// Ranges returns the scales of p.Tensors by name, for activations of type d. stats has the
// statistics of each tensor by name. Tensors with a common scale get that of the widest range
// among them.
func (p *Plan) Ranges(d ir.DType, m Method, stats map[string]*Stats) (map[string]Scale, error) {
	widest := map[*ir.Value]*Stats{}
	for _, v := range p.Tensors {
		s := stats[v.Name]
		if s == nil || s.examples == 0 {
			return nil, fmt.Errorf("tensor %q was not measured", v.Name)
		}
		if w := widest[p.find(v)]; w == nil || extent(s) > extent(w) {
			widest[p.find(v)] = s
		}
	}
	scales := map[string]Scale{}
	for _, v := range p.Tensors {
		lo, hi := m.bounds(widest[p.find(v)])
		scales[v.Name] = scaleOf(d, lo, hi)
	}
	return scales, nil
}

func extent(s *Stats) float64 { return max(s.Max, 0) - min(s.Min, 0) }

// Apply returns the quantised graph. The plan's graph does not change.
func (p *Plan) Apply(o Options, scales map[string]Scale, stats map[string]*Stats) (*ir.Graph, error) {
	g := p.g.Clone()
	a := applier{g: g, o: o, scales: scales}
	value := map[string]*ir.Value{}
	for v := range g.Values() {
		value[v.Name] = v
	}
	copies := map[*ir.Node]*ir.Node{} // of the nodes of p.g
	for _, n := range g.Nodes {
		copies[n.Origins[0]] = n
	}
	for _, old := range p.Layers {
		n := copies[old]
		x := scales[n.In[0].Name]
		switch p.roles[old] {
		case weigh:
			var means []float64
			if s := stats[n.In[0].Name]; o.Correct && s != nil {
				means = s.means()
			}
			if err := a.weights(n, weightsOf(n, x, o.PerTensor, means), x); err != nil {
				return nil, err
			}
		case layer:
			for i, v := range n.In {
				if v.Const != nil {
					if err := a.constant(n, i); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	for _, v := range p.Tensors {
		if err := a.pair(value[v.Name]); err != nil {
			return nil, err
		}
	}
	g.Prune()
	return g, ir.Verify(g)
}

// applier edits a graph.
type applier struct {
	g      *ir.Graph
	o      Options
	scales map[string]Scale
}

// pair quantises and dequantises v in front of all its readers.
func (a applier) pair(v *ir.Value) error {
	s, ok := a.scales[v.Name]
	if !ok {
		return fmt.Errorf("no scale for tensor %q", v.Name)
	}
	step, zero := s.constants(a.g, v.Name, a.o.Activations)
	uses := slices.Clone(v.Uses())
	insert := func(name string, op ir.Op, in ...*ir.Value) (*ir.Node, error) {
		if d := in[0].Def(); d != nil {
			return a.g.InsertAfter(d, name, op, in...)
		}
		return a.g.InsertBefore(a.g.Nodes[0], name, op, in...)
	}
	q, err := insert(v.Name+"_QuantizeLinear", ir.Quantize{To: a.o.Activations}, v, step, zero)
	if err != nil {
		return err
	}
	d, err := insert(v.Name+"_DequantizeLinear", ir.Dequantize{}, q.Out[0], step, zero)
	if err != nil {
		return err
	}
	for _, u := range uses {
		if u.Node == nil {
			a.g.SetOutput(u.Index, d.Out[0])
		} else {
			a.g.SetInput(u.Node, u.Index, d.Out[0])
		}
	}
	return nil
}

// constant quantises the constant operand i of n.
func (a applier) constant(n *ir.Node, i int) error {
	v := n.In[i]
	x := v.Const.Float64s()
	s := scaleOf(a.o.Activations, slices.Min(x), slices.Max(x))
	step, zero := s.constants(a.g, v.Name, a.o.Activations)
	q := a.g.AddConst(v.Name+"_quantized", s.quantise(a.o.Activations, x, v.Type.Shape))
	return a.dequantised(n, i, q, step, zero)
}

// weights replaces the weights and the bias of n.
func (a applier) weights(n *ir.Node, w weights, x Scale) error {
	v := n.In[ir.Weights]
	d := dimsOf(n)
	q := a.g.AddConst(v.Name+"_quantized", w.w)
	step := a.steps(v.Name, w.steps, v.Type.Rank()-d.axis)
	zero := a.g.AddConst(v.Name+"_zero_point", ir.NewTensor(ir.Type{DType: ir.Int8, Shape: step.Type.Shape}))
	if err := a.dequantised(n, ir.Weights, q, step, zero); err != nil {
		return err
	}
	if n.Input(ir.Bias) == nil && !slices.ContainsFunc(w.bias, func(b float64) bool { return b != 0 }) {
		return nil
	}
	name := n.Out[0].Name + "_bias"
	if b := n.Input(ir.Bias); b != nil {
		name = b.Name
	}
	b, list := w.biasOf(x)
	qb := a.g.AddConst(name+"_quantized", b)
	return a.dequantised(n, ir.Bias, qb, a.steps(name, list, 1), nil)
}

// steps adds scales that broadcast along the first of the last rank axes.
func (a applier) steps(name string, list []float32, rank int) *ir.Value {
	shape := ir.Shape{}
	if len(list) > 1 {
		for range rank {
			shape = append(shape, 1)
		}
		shape[0] = len(list)
	}
	return a.g.AddConst(name+"_scale", ir.TensorOf(shape, list...))
}

// dequantised makes operand i of n the dequantised constant q.
func (a applier) dequantised(n *ir.Node, i int, q, step, zero *ir.Value) error {
	d, err := a.g.InsertBefore(n, q.Name+"_DequantizeLinear", ir.Dequantize{}, q, step, zero)
	if err != nil {
		return err
	}
	a.g.SetInput(n, i, d.Out[0])
	return nil
}
