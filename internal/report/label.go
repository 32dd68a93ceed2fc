package report

import (
	"fmt"
	"strings"

	"modelc/frontend/source"
	"modelc/ir"
)

// family is a group of ops with one colour. It names a CSS class.
type family struct {
	class string
	light string // colour in DOT; that of graph.css
	doc   string
}

var (
	convFamily   = family{"conv", "#2f6fd0", "convolution"}
	denseFamily  = family{"dense", "#7a4fd0", "dense, product"}
	normFamily   = family{"norm", "#0f8f86", "normalisation"}
	actFamily    = family{"act", "#d0453f", "activation"}
	poolFamily   = family{"pool", "#2f8f3f", "pool, reduction"}
	arithFamily  = family{"arith", "#b8730a", "arithmetic"}
	shapeFamily  = family{"shape", "#6b7280", "shape, data movement"}
	portFamily   = family{"port", "#374151", "input, output"}
	legend       = []family{convFamily, denseFamily, normFamily, actFamily, poolFamily, arithFamily, shapeFamily, portFamily}
	familyOfName = map[string]family{
		"Conv": convFamily, "ConvTranspose": convFamily,
		"Dense": denseFamily, "MatMul": denseFamily,
		"BatchNorm": normFamily, "Affine": normFamily, "LRN": normFamily, "Normalize": normFamily,
		"Unary": actFamily, "PRelu": actFamily, "Softmax": actFamily,
		"Pool": poolFamily, "MaxUnpool": poolFamily, "Reduce": poolFamily, "ArgReduce": poolFamily, "TopK": poolFamily, "NonMaxSuppression": poolFamily,
		"Binary": arithFamily, "Where": arithFamily, "Cast": arithFamily,
		"Quantize": arithFamily, "Dequantize": arithFamily, "DynamicQuantize": arithFamily, "QBinary": arithFamily,
		"Lookup": actFamily, "QAveragePool": poolFamily,
	}
)

// familyOf returns the family of an op. Ops that only move data are of family
// shape.
func familyOf(op ir.Op) family {
	if f, ok := familyOfName[op.Name()]; ok {
		return f
	}
	return shapeFamily
}

// familyOfCall returns the family of the node that does most of a layer's work. Of nodes with
// equal work the first counts that does more than move data.
func familyOfCall(c *source.Call) family {
	if c.Layer.Class == "InputLayer" {
		return portFamily
	}
	best, most := shapeFamily, int64(-1)
	for _, n := range c.Nodes {
		f := familyOf(n.Op)
		if work := ir.FLOPs(n); f != shapeFamily && work > most {
			best, most = f, work
		}
	}
	return best
}

// label returns a short name of a node.
func label(op ir.Op) string {
	s := ir.Label(op)
	return strings.ToUpper(s[:1]) + s[1:]
}

// title returns label with the extents that distinguish layers.
func title(n *ir.Node) string {
	s := label(n.Op)
	switch op := n.Op.(type) {
	case ir.Conv:
		w := n.In[ir.Weights].Type.Shape
		s = "Conv "
		if op.Groups > 1 && op.Groups == n.In[0].Type.Shape[1] {
			s = "Depthwise "
		}
		s += window(w[2:], op.Strides) + fmt.Sprintf(" %d→%d", n.In[0].Type.Shape[1], w[0])
	case ir.ConvTranspose:
		w := n.In[ir.Weights].Type.Shape
		s = "Transposed conv " + window(w[2:], op.Strides) + fmt.Sprintf(" %d→%d", w[0], w[1]*op.Groups)
	case ir.Dense:
		k, m := op.KM(n.In[ir.Weights].Type.Shape)
		s += fmt.Sprintf(" %d→%d", k, m)
	case ir.Pool:
		s += " " + window(op.Kernel, op.Strides)
	case ir.Concat:
		s += fmt.Sprintf(" of %d", len(n.In))
	}
	return s
}

// shortTitle returns label with the window, if the layer has one.
func shortTitle(n *ir.Node) string {
	switch op := n.Op.(type) {
	case ir.Conv:
		return "Conv " + window(n.In[ir.Weights].Type.Shape[2:], op.Strides)
	case ir.Concat:
		return title(n)
	case ir.Reduce:
		s := op.Fn.String()
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return label(n.Op)
}

// abbreviated shortens names of classes for small drawings.
var abbreviated = strings.NewReplacer("InputLayer", "Input", "Normalization", "Norm", "Padding", "Pad", "Pooling", "Pool", "Average", "Avg", "Separable", "Sep", "Transpose", "Transp")

// window formats a window as 3×3, or with a stride as 3×3/2.
func window(kernel, strides []int) string {
	s := dims(kernel)
	for i, d := range strides {
		if d != strides[0] {
			return s + "/" + dims(strides)
		}
		if i == len(strides)-1 && d != 1 {
			s += fmt.Sprintf("/%d", d)
		}
	}
	return s
}

func dims(list []int) string {
	parts := make([]string, len(list))
	for i, d := range list {
		parts[i] = fmt.Sprint(d)
	}
	return strings.Join(parts, "×")
}

// typeLabel formats a type as 1×64×56×56, with the element type unless it is f32.
func typeLabel(t ir.Type) string {
	s := dims(t.Shape)
	if s == "" {
		s = "scalar"
	}
	if t.DType != ir.Float32 {
		s = t.DType.String() + " " + s
	}
	return s
}

// typesLabel formats the types of a node's results.
func typesLabel(list []*ir.Value) string {
	var parts []string
	for _, v := range list {
		if v != nil {
			parts = append(parts, typeLabel(v.Type))
		}
	}
	return strings.Join(parts, ", ")
}

// clip shortens s to n letters. It drops the middle, because names of layers
// differ at both ends. Control characters become spaces.
func clip(s string, n int) string {
	r := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
	if len(r) <= n {
		return string(r)
	}
	head := (n - 1) / 2
	return string(r[:head]) + "…" + string(r[len(r)-(n-1-head):])
}
