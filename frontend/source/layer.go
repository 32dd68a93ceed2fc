package source

import (
	"fmt"
	"slices"
	"strings"

	"modelc/ir"
)

// Layer is a layer of a model as its author knows it: a Keras layer or an ONNX node.
type Layer struct {
	Name  string `json:"name"`
	Class string `json:"class"` // of Keras, or the operator of ONNX
	// Depth is the number of models and functions that the layer is part of. A layer that
	// is a model comes before its own layers, and its numbers include theirs.
	Depth int `json:"depth,omitempty"`
	// Shapes are those of the results, in the layout of the model.
	Shapes []ir.Shape `json:"shapes"`
	// Inputs are the names of the layers, inputs and values that the layer reads, without
	// constants, at most MaxInputs.
	Inputs []string `json:"inputs,omitempty"`
	Window
	// Trainable and Fixed are the numbers of parameters that training changes, and of
	// others such as moving averages. Parameters that layers share count once.
	Trainable int64 `json:"trainable_parameters"`
	Fixed     int64 `json:"other_parameters,omitempty"`
	// FLOPs are the floating-point operations of all calls of the layer.
	FLOPs int64 `json:"flops"`
}

// Call is a use of a layer of depth 0. The calls of a model are a graph that has no cycles, even
// if the model uses a layer several times.
type Call struct {
	Layer *Layer
	// Reads are the names of the tensors that the call reads. Tensors that no call makes are
	// inputs of the model or constants.
	Reads []string
	Makes []string    // the names of its results, "" for a result that nothing reads
	Out   []*ir.Value // its results, in the order of Makes
	Nodes []*ir.Node  // the nodes that compute them; none for a layer that changes nothing
}

// MaxInputs is the maximum number of names in Layer.Inputs.
const MaxInputs = 64

// Read adds a name to Inputs.
func (l *Layer) Read(name string) {
	if len(l.Inputs) < MaxInputs && !slices.Contains(l.Inputs, name) {
		l.Inputs = append(l.Inputs, name)
	}
}

// Window has the options of convolutions and pools, as the file writes them.
type Window struct {
	Kernel    []int  `json:"kernel,omitempty"`
	Strides   []int  `json:"strides,omitempty"`
	Dilations []int  `json:"dilations,omitempty"`
	Padding   string `json:"padding,omitempty"` // "same", "valid", "SAME_UPPER", or the sizes at all sides
	Groups    int    `json:"groups,omitempty"`  // 0 and 1 mean one group
}

// String returns the options in the form "3×3, stride 2, same, dilation 2, 4 groups". Strides and
// dilations of 1 are left out.
func (w *Window) String() string {
	if len(w.Kernel) == 0 {
		return ""
	}
	s := extents(w.Kernel)
	if !all(w.Strides, 1) {
		s += ", stride " + short(w.Strides)
	}
	if w.Padding != "" {
		s += ", " + w.Padding
	}
	if !all(w.Dilations, 1) {
		s += ", dilation " + short(w.Dilations)
	}
	if w.Groups > 1 {
		s += fmt.Sprintf(", %d groups", w.Groups)
	}
	return s
}

func all(list []int, x int) bool {
	return !slices.ContainsFunc(list, func(y int) bool { return y != x })
}

// short returns equal numbers once.
func short(list []int) string {
	if all(list, list[0]) {
		list = list[:1]
	}
	return extents(list)
}

func extents(list []int) string {
	var parts []string
	for _, x := range list {
		parts = append(parts, fmt.Sprint(x))
	}
	return strings.Join(parts, "×")
}

// Layers collects the layers of a model while it is imported.
type Layers struct {
	list  []*Layer
	calls []*Call
	open  []*Layer       // the layers that are being imported, the innermost last
	seen  map[any]*Layer // by the front end's key
}

// Begin begins a call of the layer that the front end knows by key. A layer that is called
// again keeps its place.
func (s *Layers) Begin(key any, l Layer) {
	old, again := s.seen[key]
	if !again {
		l.Depth = len(s.open)
		old = &l
		if s.seen == nil {
			s.seen = map[any]*Layer{}
		}
		s.seen[key] = old
		s.list = append(s.list, old)
	} else {
		for _, name := range l.Inputs {
			old.Read(name)
		}
	}
	s.open = append(s.open, old)
}

// Count adds parameters to the layer that is being imported, and to those that it is part
// of.
func (s *Layers) Count(n int64, trainable bool) {
	for _, l := range s.open {
		if trainable {
			l.Trainable += n
		} else {
			l.Fixed += n
		}
	}
}

// End ends the call of a layer. nodes are those that the call made, out its results. reads and
// makes are the names of its operands and results, see [Call]. A call whose results are
// constants computes nothing.
func (s *Layers) End(nodes []*ir.Node, out []*ir.Value, reads, makes []string) {
	l := s.open[len(s.open)-1]
	s.open = s.open[:len(s.open)-1]
	constant := func(v *ir.Value) bool { return v == nil || v.Const != nil }
	if len(out) > 0 && !slices.ContainsFunc(out, func(v *ir.Value) bool { return !constant(v) }) {
		return
	}
	for _, n := range nodes {
		l.FLOPs += ir.FLOPs(n)
	}
	if len(s.open) == 0 {
		s.calls = append(s.calls, &Call{Layer: l, Reads: reads, Makes: makes, Out: out, Nodes: slices.Clone(nodes)})
	}
	if l.Shapes != nil {
		return
	}
	for _, v := range out {
		if v != nil {
			l.Shapes = append(l.Shapes, slices.Clone(v.Type.Shape))
		}
	}
}

// All returns the layers in the order of their first calls, without those that every call
// made a constant.
func (s *Layers) All() []*Layer {
	return slices.DeleteFunc(slices.Clone(s.list), func(l *Layer) bool { return l.Shapes == nil })
}

// Calls returns the calls of the layers of depth 0 in their order.
func (s *Layers) Calls() []*Call { return s.calls }
