package plan

import "modelc/ir"

// Tensor is a value, or a part of one, in memory. Machines embed it in a type
// that adds their layout.
type Tensor struct {
	Buffer *Buffer
	// Off is the distance in bytes from the start of Buffer.
	Off int
	// Type is the element type and shape of the value.
	ir.Type
}

// Recorder collects the description of a program while a machine lowers its
// nodes.
type Recorder struct {
	// Node is the node being lowered. Steps are named after it. It is nil for
	// steps that belong to no node.
	Node    *ir.Node
	Layers  []Layer
	Buffers []*Buffer
	// Weights is the Buffer.Space of weights that are operands of steps.
	Weights int

	completed map[*ir.Value]int // the step after which each value is complete
}

// NewBuffer returns a new buffer of the arena.
func (r *Recorder) NewBuffer(name string, bytes int) *Buffer {
	b := &Buffer{Name: name, Bytes: bytes, First: -1}
	r.Buffers = append(r.Buffers, b)
	return b
}

// Step adds a step that reads and writes the given tensors, and extends the
// lifetimes of their buffers to it.
func (r *Recorder) Step(doc string, reads, writes []*Tensor) *Layer {
	l := Layer{Doc: doc}
	for _, list := range [][]*Tensor{reads, writes} {
		for _, t := range list {
			t.Buffer.Touch(len(r.Layers))
			if t.Buffer.Space == r.Weights {
				l.Work.WeightBytes += float64(t.Type.Bytes())
			} else {
				l.Activations += int64(t.Type.Bytes())
			}
		}
	}
	if len(writes) > 0 {
		l.Out = writes[0].Shape
	}
	if r.Node != nil {
		l.Name, l.Node, l.Nodes = NodeName(r.Node), r.Node, []*ir.Node{r.Node}
	} else if len(writes) > 0 {
		l.Name = writes[0].Buffer.Name
	}
	r.Layers = append(r.Layers, l)
	return r.Last()
}

// Last returns the description of the last step.
func (r *Recorder) Last() *Layer { return &r.Layers[len(r.Layers)-1] }

// Complete records that v is complete after the last step. If several steps
// write parts of v, the last of them must call Complete last.
func (r *Recorder) Complete(v *ir.Value) {
	if i, ok := r.completed[v]; ok && r.Layers[i].Value == v {
		r.Layers[i].Value, r.Layers[i].FLOPs = nil, 0
	}
	if r.completed == nil {
		r.completed = map[*ir.Value]int{}
	}
	r.completed[v] = len(r.Layers) - 1
	l := r.Last()
	l.Value, l.FLOPs = v, ir.FLOPs(v.Def())
}

// Include records that the last step also computes node.
func (r *Recorder) Include(node *ir.Node) {
	l := r.Last()
	l.Nodes = append([]*ir.Node{node}, l.Nodes...)
	l.FLOPs += ir.FLOPs(node)
}

// Program returns the description of all steps. The buffers must have offsets:
// arena and bound are the results of Place.
func (r *Recorder) Program(g *ir.Graph, loads []Layer, arena, bound int) Program {
	p := Program{Graph: g, Layers: r.Layers, Loads: loads, Arena: arena, LowerBound: bound}
	for i := range p.Layers {
		l := &p.Layers[i]
		if l.FLOPs == 0 {
			continue // another step of the node has its operations
		}
		l.Products, l.Work.Integers = products(l.Nodes)
		if l.Work.Ops == 0 {
			l.Work.Ops = float64(l.Products)
		}
	}
	for _, b := range r.Buffers {
		if b.InArena() {
			p.Buffers = append(p.Buffers, b)
		}
	}
	byOffset(p.Buffers)
	return p
}
