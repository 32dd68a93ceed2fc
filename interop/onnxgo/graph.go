// Package onnxgo runs models of github.com/owulveryck/onnx-go with modelc's
// kernels. A program changes one line:
//
//	backend := onnxgo.New() // was gorgonnx.NewGraph()
//	model := onnx.NewModel(backend)
//	err := model.UnmarshalBinary(b)
//	err = model.SetInput(0, input)
//	err = backend.Run()
//	output, err := model.GetOutputTensors()
//
// The first Run compiles the model for the shapes of its inputs, as does a Run
// after a shape has changed. Other runs only call the kernels, in this process.
// docs/onnx-go.md lists the differences from Gorgonia's backend.
package onnxgo

import (
	"fmt"
	"math"
	"slices"

	"github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gorgonia.org/tensor"

	frontend "modelc/frontend/onnx"
	"modelc/ir"
)

// Graph is a backend of onnx-go for one model. It is not safe for concurrent
// use.
type Graph struct {
	// Edges point from a result to its operands.
	*simple.WeightedDirectedGraph
	opsets    []int // the first that fits is used
	threads   int
	nodes     []*Node
	operands  map[*Node][]*Node // of the operation that is applied next
	decoded   bool              // set if all tensors are known, and operations follow
	malformed error
	ops       []operation
	engine    *compiled // engine of the last Run; nil before it
}

var _ backend.ComputationBackend = (*Graph)(nil)

// operation is a node of the model.
type operation struct {
	onnx.Operation
	in, out []*Node
}

// Option configures a backend.
type Option func(*Graph)

// Opset sets the version of ONNX's operators that the model uses, because onnx-go
// does not pass it on. The default is the first of 10, 9, 11, 13, 18 and the newest
// that has the forms of all nodes.
func Opset(n int) Option { return func(g *Graph) { g.opsets = []int{n} } }

// Threads makes Run use n goroutines instead of GOMAXPROCS.
func Threads(n int) Option { return func(g *Graph) { g.threads = n } }

// New returns a backend for one model.
func New(options ...Option) *Graph {
	g := &Graph{WeightedDirectedGraph: simple.NewWeightedDirectedGraph(math.MaxFloat64, -1), opsets: []int{10, 9, 11, 13, 18, frontend.Newest}, operands: map[*Node][]*Node{}}
	for _, set := range options {
		set(g)
	}
	return g
}

// Node is a tensor of the model.
type Node struct {
	graph.Node
	g        *Graph
	name     string
	t        tensor.Tensor
	given    int  // tensors that the decoder set: a graph input's declaration, a weight's value
	declared bool // by the model's inputs, outputs, weights or value infos
	produced bool // by an operation
	read     bool // by an operation
	asked    bool // whether the caller asked for it as an output, though operations read it
}

// NewNode implements graph.NodeAdder.
func (g *Graph) NewNode() graph.Node {
	n := &Node{Node: g.WeightedDirectedGraph.NewNode(), g: g, declared: !g.decoded}
	g.nodes = append(g.nodes, n)
	return n
}

// SetWeightedEdge implements graph.WeightedEdgeAdder. The weight is the position
// of the operand.
func (g *Graph) SetWeightedEdge(e graph.WeightedEdge) {
	g.decoded = true
	from, to := e.From().(*Node), e.To().(*Node)
	i := int(e.Weight())
	in := g.operands[from]
	for len(in) <= i {
		in = append(in, nil)
	}
	in[i] = to
	g.operands[from] = in
	to.read = true
	if from == to { // gonum panics
		if from.name != "" {
			g.malformed = fmt.Errorf("onnxgo: %q is its own operand", from.name)
		}
		return
	}
	g.WeightedDirectedGraph.SetWeightedEdge(e)
}

// ApplyOperation implements onnx.OperationCarrier. The nodes are the results;
// SetWeightedEdge has set their operands.
func (g *Graph) ApplyOperation(o onnx.Operation, results ...graph.Node) error {
	op := operation{Operation: o}
	for _, r := range results {
		n := r.(*Node)
		op.out = append(op.out, n)
		op.in = g.operands[n]
		n.produced = true
	}
	clear(g.operands)
	g.ops = append(g.ops, op)
	return g.malformed
}

// absent reports whether n is no tensor: an omitted operand, or one that onnx-go
// adds to an operation without operands.
func (n *Node) absent() bool { return n.name == "" || !n.produced && n.given == 0 && n.t == nil }

// SetName implements onnx.Namer.
func (n *Node) SetName(name string) { n.name = name }

// GetName implements onnx.Namer.
func (n *Node) GetName() string { return n.name }

// SetTensor implements onnx.DataCarrier. The next Run reads t.
func (n *Node) SetTensor(t tensor.Tensor) error {
	if !n.g.decoded {
		n.given++
	}
	n.t = t
	return nil
}

// GetTensor implements onnx.DataCarrier. After Run it returns an output of the
// model as a new tensor, which no later Run changes.
//
// An output that operations also read looks like an inner tensor. When it is asked
// for, the model is compiled and run again. GetTensor returns nil if that fails.
func (n *Node) GetTensor() tensor.Tensor {
	if n.g.engine != nil && n.declared && n.produced && n.read && !n.asked {
		n.asked = true
		n.g.engine = nil
		if err := n.g.Run(); err != nil {
			return nil
		}
	}
	return n.t
}

// inputs returns the inputs of the graph and its weights, whose values the model
// holds. onnx-go does not distinguish them. But it declares inputs first, then
// results, then weights, and it sets the tensor of a weight that is listed as an
// input twice.
func (g *Graph) inputs() (inputs, weights []*Node) {
	first := slices.IndexFunc(g.nodes, func(n *Node) bool { return n.produced })
	for i, n := range g.nodes {
		switch {
		case n.produced || n.absent():
		case i < first && n.given < 2:
			inputs = append(inputs, n)
		default:
			weights = append(weights, n)
		}
	}
	return inputs, weights
}

// outputs returns the graph's outputs.
func (g *Graph) outputs() []*Node {
	var list []*Node
	for _, n := range g.nodes {
		if n.declared && n.produced && n.name != "" && (!n.read || n.asked) {
			list = append(list, n)
		}
	}
	return list
}

// Run computes the outputs from the tensors of the inputs. If modelc cannot compile
// the model, the error is an *onnx.ErrNotImplemented.
func (g *Graph) Run() error {
	inputs, _ := g.inputs()
	var in []*ir.Tensor
	for _, n := range inputs {
		t, err := fromDense(n.t)
		if err != nil {
			return fmt.Errorf("onnxgo: input %q: %w", n.name, err)
		}
		in = append(in, t)
	}
	if !g.engine.fits(in) {
		g.Close()
		e, err := g.compile(in)
		if err != nil {
			return err
		}
		g.engine = e
	}
	out, err := g.engine.run(in)
	if err != nil {
		return fmt.Errorf("onnxgo: %w", err)
	}
	for i, n := range g.outputs() {
		n.t = toDense(out[i])
	}
	return nil
}

// Close ends the goroutines of the last Run. The next Run starts them again. The
// garbage collector ends them too, when nothing uses the backend.
func (g *Graph) Close() {
	if g.engine != nil {
		g.engine.Close()
		g.engine = nil
	}
}
