package onnx

import (
	"fmt"
	"slices"

	"modelc/frontend/source"
	"modelc/ir"
)

// useOf identifies a use of a node of the file: functions and branches are expanded at each
// place.
type useOf struct {
	p      *nodeProto
	prefix string
}

// begin adds the node to the layers of the model.
func (im *importer) begin(n *node) {
	l := source.Layer{Name: n.label(), Class: n.p.opType, Window: windowOf(n)}
	for i, name := range n.p.inputs {
		v := n.in[i]
		if v == nil || v.Const != nil {
			continue
		}
		if from, ok := im.madeBy[v]; ok {
			name = from
		}
		l.Read(name)
	}
	im.layers.Begin(useOf{n.p, n.scope.prefix}, l)
}

// end ends the node that begin began, and counts its parameters. out are its results, made the
// nodes of the IR.
func (im *importer) end(n *node, made []*ir.Node, out []*ir.Value) {
	for i, name := range n.p.inputs {
		t := n.scope.initializer(name)
		if t == nil || n.in[i] == nil || im.counted[t] || t.dataType == typeInt64 || slices.Contains(n.quantising, i) { // those of i64 are shapes and indices
			continue
		}
		if im.counted == nil {
			im.counted = map[*tensorProto]bool{}
		}
		im.counted[t] = true
		average := n.p.opType == "BatchNormalization" && i >= 3
		im.layers.Count(int64(n.in[i].Type.Shape.Len()), !average)
	}
	if im.madeBy == nil {
		im.madeBy = map[*ir.Value]string{}
	}
	for _, v := range out {
		if v != nil && v.Const == nil {
			im.madeBy[v] = n.label()
		}
	}
	im.layers.End(made, out, n.p.reads(), n.p.outputs)
}

const typeInt64 = 7 // TensorProto.INT64

// initializer returns the constant of the file with a name, or nil.
func (s *scope) initializer(name string) *tensorProto {
	for e := s; e != nil; e = e.outer {
		if t, ok := e.pending[name]; ok {
			return t
		}
		if _, ok := e.values[name]; ok {
			return nil
		}
	}
	return nil
}

// windowOf returns the attributes of a convolution or pool. The extents of a kernel are those
// of the weights if the attribute is absent.
func windowOf(n *node) (w source.Window) {
	list := func(name string) (list []int) {
		if a := n.attr(name); a != nil {
			for _, x := range a.ints {
				list = append(list, int(x))
			}
		}
		return list
	}
	w.Kernel, w.Strides, w.Dilations = list("kernel_shape"), list("strides"), list("dilations")
	switch n.p.opType {
	case "Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv":
		at := 1
		if n.p.opType == "QLinearConv" {
			at = 3
		}
		if w.Kernel == nil && at < len(n.in) && n.in[at] != nil && n.in[at].Type.Rank() > 2 {
			w.Kernel = slices.Clone(n.in[at].Type.Shape[2:])
		}
		if a := n.attr("group"); a != nil {
			w.Groups = int(a.i)
		}
	}
	if w.Kernel == nil {
		return source.Window{}
	}
	if a := n.attr("auto_pad"); a != nil && a.s != "NOTSET" && a.s != "" {
		w.Padding = a.s
	} else if p := list("pads"); slices.ContainsFunc(p, func(x int) bool { return x != 0 }) {
		w.Padding = "pads " + pads(p)
	}
	return w
}

// pads returns equal paddings once.
func pads(p []int) string {
	if !slices.ContainsFunc(p, func(x int) bool { return x != p[0] }) {
		return fmt.Sprint(p[0])
	}
	return fmt.Sprint(p)
}
