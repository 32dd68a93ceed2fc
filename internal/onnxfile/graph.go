package onnxfile

import (
	"errors"
	"fmt"

	"modelc/ir"
)

// The versions that [FromGraph] writes, unless an operator needs later ones. Opset 20 is the
// first one with all activations.
const (
	graphIRVersion = 9
	graphOpset     = 20
)

// FromGraph returns g as an ONNX model. Inputs, outputs and most values and nodes keep their
// names. Epilogues become nodes. It fails if g has something that ONNX does not have, such as a
// residual or an interleaving: passes that make them must not have run.
func FromGraph(g *ir.Graph, producer string) (*Model, error) {
	w := &writer{
		m:     &Model{IRVersion: graphIRVersion, Opset: graphOpset, Producer: producer, Name: g.Name},
		names: map[*ir.Value]string{}, taken: map[string]bool{}, nodes: map[string]bool{},
	}
	for _, v := range g.Inputs {
		w.names[v] = w.unique(v.Name)
		w.m.Inputs = append(w.m.Inputs, Value{w.names[v], v.Type})
	}
	rename := w.outputs(g)
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if w.names[v] == "" {
				w.names[v] = w.unique(v.Name)
			}
		}
		if err := w.node(n); err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
	}
	for _, o := range rename {
		w.add("Identity", []string{w.name(o.Value)}, []string{o.Name})
	}
	return w.m, nil
}

// outputs adds the outputs of g. An output gives its name to the value that a node computes
// for it. It returns the outputs for which a value of another name must be copied.
func (w *writer) outputs(g *ir.Graph) (rename []ir.Output) {
	for _, o := range g.Outputs {
		if o.Value.Def() == nil && w.names[o.Value] == o.Name { // an input
			w.m.Outputs = append(w.m.Outputs, Value{o.Name, o.Value.Type})
			continue
		}
		o.Name = w.unique(o.Name)
		w.m.Outputs = append(w.m.Outputs, Value{o.Name, o.Value.Type})
		if o.Value.Def() != nil && w.names[o.Value] == "" {
			w.names[o.Value] = o.Name
		} else {
			rename = append(rename, o)
		}
	}
	return rename
}

// writer collects the parts of a model.
type writer struct {
	m     *Model
	names map[*ir.Value]string // the name of each value in the file
	taken map[string]bool      // names of values
	nodes map[string]bool      // names of nodes

	n      *ir.Node // the node that is written
	before string   // the name of its first result before the epilogue, "" without one
}

// unique returns name, with a suffix if a value of the file has that name.
func (w *writer) unique(name string) string { return unique(w.taken, name) }

func unique(taken map[string]bool, name string) string {
	u := name
	for i := 1; taken[u] || u == ""; i++ {
		u = fmt.Sprintf("%s.%d", name, i)
	}
	taken[u] = true
	return u
}

// add appends a node.
func (w *writer) add(op string, in, out []string, attrs ...Attribute) {
	for len(in) > 0 && in[len(in)-1] == "" {
		in = in[:len(in)-1]
	}
	name := ""
	if w.n != nil && w.n.Name != "" {
		name = unique(w.nodes, w.n.Name)
	}
	w.m.Nodes = append(w.m.Nodes, Node{Op: op, Name: name, Inputs: in, Outputs: out, Attributes: attrs})
}

// step appends a node whose result the same IR node reads, and returns the result's name.
func (w *writer) step(op string, in []string, attrs ...Attribute) string {
	out := w.unique(w.out(0) + "." + op)
	w.add(op, in, []string{out}, attrs...)
	return out
}

// last appends the node that computes the first result.
func (w *writer) last(op string, in []string, attrs ...Attribute) {
	w.add(op, in, []string{w.out(0)}, attrs...)
}

// name returns the name of v in the file. It adds constants when they are first used.
func (w *writer) name(v *ir.Value) string {
	if w.names[v] == "" {
		w.names[v] = w.unique(v.Name)
		w.m.Weights = append(w.m.Weights, Constant(w.names[v], v.Const))
	}
	return w.names[v]
}

// in returns the name of operand i, "" if it is absent.
func (w *writer) in(i int) string {
	if v := w.n.Input(i); v != nil {
		return w.name(v)
	}
	return ""
}

// operands returns the names of all operands.
func (w *writer) operands() []string {
	list := make([]string, len(w.n.In))
	for i := range list {
		list[i] = w.in(i)
	}
	return list
}

// out returns the name of result i.
func (w *writer) out(i int) string {
	if i == 0 && w.before != "" {
		return w.before
	}
	return w.names[w.n.Out[i]]
}

// constant adds a constant that the node needs and returns its name.
func (w *writer) constant(what string, t *ir.Tensor) string {
	name := w.unique(w.out(0) + "." + what)
	w.m.Weights = append(w.m.Weights, Constant(name, t))
	return name
}

// ints adds a list of integers as a constant.
func (w *writer) ints(what string, list ...int) string {
	v := make([]int64, len(list))
	for i, x := range list {
		v[i] = int64(x)
	}
	return w.constant(what, ir.TensorOf(ir.Shape{len(v)}, v...))
}

// number adds a scalar with the element type d as a constant.
func (w *writer) number(what string, d ir.DType, x float64) string {
	return w.constant(what, ir.FromFloat64s(ir.T(d), []float64{x}))
}

// node writes n.
func (w *writer) node(n *ir.Node) error {
	w.n = n
	defer func() { w.n = nil }()
	if n.HasPrologue() {
		return errors.New("ONNX has no prologues")
	}
	if a, ok := ir.Epilogue(n.Op); ok && !a.IsIdentity() {
		// The op computes another value, of which the epilogue is a function.
		w.before = w.unique(w.out(0) + ".before")
		if err := w.op(ir.WithEpilogue(n.Op, ir.Act{})); err != nil {
			return err
		}
		x := w.before
		w.before = ""
		return w.function(a, x)
	}
	return w.op(n.Op)
}

// op writes n as an op without an epilogue.
func (w *writer) op(op ir.Op) error {
	switch op := op.(type) {
	case ir.Conv:
		return w.conv(op)
	case ir.ConvTranspose:
		return w.convTranspose(op)
	case ir.Dense:
		if !op.Integer.IsZero() {
			return errNoOperator
		}
		w.last("Gemm", w.operands(), Int("transB", truth(op.TransW)))
	case ir.MatMul:
		w.last("MatMul", w.operands())
	case ir.Pool:
		return w.pool(op)
	case ir.BatchNorm:
		w.last("BatchNormalization", w.operands(), Float("epsilon", float32(op.Epsilon)))
	case ir.Affine:
		w.affine()
	case ir.LRN:
		w.last("LRN", w.operands(), Int("size", op.Size), Float("alpha", float32(op.Alpha)), Float("beta", float32(op.Beta)), Float("bias", float32(op.Bias)))
	case ir.Normalize:
		w.normalize(op)
	case ir.Unary:
		return w.function(op.Fn, w.in(0))
	case ir.Binary:
		return w.binary(op)
	case ir.PRelu:
		w.last("PRelu", w.operands())
	case ir.Where:
		w.last("Where", w.operands())
	case ir.Cast:
		w.last("Cast", w.operands(), Int("to", int(elementTypes[op.To])))
	case ir.Quantize:
		return w.quantize(op)
	case ir.Dequantize:
		return w.dequantize()
	case ir.DynamicQuantize:
		w.add("DynamicQuantizeLinear", w.operands(), []string{w.out(0), w.out(1), w.out(2)})
	case ir.Softmax:
		return w.softmax(op)
	case ir.Reduce:
		return w.reduce(op)
	case ir.ArgReduce:
		w.argReduce(op)
	case ir.TopK:
		w.add("TopK", []string{w.in(0), w.ints("k", op.K)}, []string{w.out(0), w.out(1)}, Int("axis", op.Axis), Int("largest", truth(!op.Smallest)))
	case ir.Reshape:
		w.last("Reshape", []string{w.in(0), w.ints("shape", op.Shape...)}, Int("allowzero", 1))
	case ir.Transpose:
		w.last("Transpose", w.operands(), Ints("perm", op.Perm...))
	case ir.Concat:
		w.last("Concat", w.operands(), Int("axis", op.Axis))
	case ir.Slice:
		w.slice(op)
	case ir.Pad:
		return w.pad(op)
	case ir.Expand:
		w.last("Expand", []string{w.in(0), w.ints("shape", op.Shape...)})
	case ir.Gather:
		w.last("Gather", w.operands(), Int("axis", op.Axis))
	case ir.Recurrent:
		return w.recurrent(op)
	case ir.Scatter:
		w.scatter(op)
	case ir.Resize:
		return w.resize(op)
	case ir.GridSample:
		w.last("GridSample", w.operands(), String("mode", op.Mode.String()), String("padding_mode", op.Border.String()), Int("align_corners", truth(op.AlignCorners)))
	default:
		return errNoOperator
	}
	return nil
}

var errNoOperator = errors.New("modelc does not write this op as ONNX")

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
