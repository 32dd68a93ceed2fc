package onnx

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"modelc/backend/cpu"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/passes"
)

var hostileModels = flag.Int("hostile", 12_000, "how many models with extreme attributes to import")

// parameter is an attribute or a constant operand with integers or floats.
type parameter struct {
	name   string
	ints   []int64
	floats []float32
	list   bool // the attribute is a list, or the operand has an axis
}

func intParam(name string, x int64) parameter { return parameter{name: name, ints: []int64{x}} }

func intsParam(name string, x ...int64) parameter {
	return parameter{name: name, ints: x, list: true}
}

func floatsParam(name string, x ...float32) parameter {
	return parameter{name: name, floats: x, list: true}
}

func (p parameter) attr() message {
	switch {
	case p.floats != nil:
		return message{}.str(1, p.name).float(7, p.floats...).int(20, 6)
	case p.list:
		return intsAttr(p.name, p.ints...)
	}
	return intAttr(p.name, p.ints[0])
}

func (p parameter) weights(name string) message {
	switch {
	case p.floats != nil:
		return floatWeights(name, []int64{int64(len(p.floats))}, p.floats...)
	case p.list:
		return intWeights(name, p.ints...)
	}
	return message{}.int(2, 7).packed(7, p.ints...).str(8, name)
}

// computed is an operand that is an input of the graph.
type computed struct {
	elem int64
	dims []any
}

func floatsIn(dims ...any) computed { return computed{1, dims} }
func bytesIn(dims ...any) computed  { return computed{2, dims} }
func intsIn(dims ...any) computed   { return computed{7, dims} }

// stored is an operand that is a tensor of ones.
type stored struct {
	elem int64
	dims []int64
}

func (s stored) weights(name string) message {
	n := int64(1)
	for _, d := range s.dims {
		n *= d
	}
	m := message{}.packed(1, s.dims...).int(2, s.elem).str(8, name)
	if s.elem == 1 {
		return m.float(4, slices.Repeat([]float32{1}, int(n))...)
	}
	return m.packed(5, slices.Repeat([]int64{1}, int(n))...)
}

func ones(dims ...int64) stored        { return stored{1, dims} }
func byteOnes(dims ...int64) stored    { return stored{2, dims} }
func scale(v float32) parameter        { return floatsParam("scale", v) }
func text(name, s string) message      { return stringAttr(name, s) }
func attrs(p ...parameter) []parameter { return p }

// operatorCase is a small valid node of an operator.
type operatorCase struct {
	op    string // with the domain in front unless it is the default
	opset int64
	in    []any // computed, stored or parameter; nil is an absent operand
	attrs []parameter
	text  []message // attributes that are not changed
	outs  int       // number of outputs; 0 means 1
	then  []message // nodes that compute "y" from the result "r"
}

var window2 = attrs(intsParam("kernel_shape", 3, 3), intsParam("strides", 1, 2), intsParam("pads", 1, 1, 1, 1), intsParam("dilations", 1, 1))

func windowAnd(p ...parameter) []parameter { return append(slices.Clone(window2), p...) }

// operatorCases lists each form of each operator that reads integers.
var operatorCases = []operatorCase{
	{op: "Conv", opset: 17, in: []any{floatsIn(1, 4, 8, 8), ones(6, 2, 3, 3)}, attrs: windowAnd(intParam("group", 2))},
	{op: "Conv", opset: 17, in: []any{floatsIn(1, 4, 8, 8), floatsIn(6, 2, 1, 1)}, attrs: attrs(intsParam("strides", 1, 2), intsParam("dilations", 1, 1), intParam("group", 2)), text: []message{text("auto_pad", "SAME_LOWER")}},
	{op: "ConvTranspose", opset: 17, in: []any{floatsIn(1, 4, 8, 8), ones(4, 3, 3, 3)}, attrs: windowAnd(intParam("group", 2), intsParam("output_padding", 0, 1))},
	{op: "ConvTranspose", opset: 17, in: []any{floatsIn(1, 4, 8, 8), ones(4, 3, 3, 3)}, attrs: windowAnd(intsParam("output_shape", 9, 15), intsParam("output_padding", 0, 0))},
	{op: "ConvTranspose", opset: 17, in: []any{floatsIn(1, 4, 8), ones(4, 3, 3)}, attrs: attrs(intsParam("strides", 2), intsParam("dilations", 1)), text: []message{text("auto_pad", "SAME_UPPER")}},
	{op: "MaxPool", opset: 17, in: []any{floatsIn(1, 4, 8, 8)}, attrs: windowAnd(intParam("ceil_mode", 1), intParam("storage_order", 1)), outs: 2},
	{op: "MaxPool", opset: 17, in: []any{floatsIn(1, 4, 8, 8)}, attrs: windowAnd()},
	{op: "MaxPool", opset: 17, in: []any{floatsIn(1, 4, 8, 8)}, attrs: attrs(intsParam("kernel_shape", 3, 3), intsParam("strides", 2, 2), intsParam("dilations", 1, 1)), text: []message{text("auto_pad", "SAME_UPPER")}},
	{op: "AveragePool", opset: 19, in: []any{floatsIn(1, 4, 8, 8)}, attrs: windowAnd(intParam("ceil_mode", 1), intParam("count_include_pad", 1))},
	{op: "LpPool", opset: 18, in: []any{floatsIn(1, 4, 8, 8)}, attrs: windowAnd(intParam("p", 2))},
	{op: "GlobalLpPool", opset: 17, in: []any{floatsIn(1, 4, 8, 8)}, attrs: attrs(intParam("p", 2))},
	{op: "MaxUnpool", opset: 17, in: []any{floatsIn(1, 1, 2, 2), intsIn(1, 1, 2, 2), intsParam("output_shape", 1, 1, 5, 5)}, attrs: attrs(intsParam("kernel_shape", 2, 2), intsParam("strides", 2, 2), intsParam("pads", 0, 0, 0, 0))},
	{op: "LRN", opset: 17, in: []any{floatsIn(1, 4, 8, 8)}, attrs: attrs(intParam("size", 5))},
	{op: "LayerNormalization", opset: 17, in: []any{floatsIn(2, 3, 4), ones(4)}, attrs: attrs(intParam("axis", -1))},
	{op: "RMSNormalization", opset: 23, in: []any{floatsIn(2, 3, 4), ones(4)}, attrs: attrs(intParam("axis", -1))},
	{op: "GroupNormalization", opset: 18, in: []any{floatsIn(2, 4, 3), ones(2), ones(2)}, attrs: attrs(intParam("num_groups", 2))},
	{op: "GroupNormalization", opset: 21, in: []any{floatsIn(2, 4, 3), ones(4), ones(4)}, attrs: attrs(intParam("num_groups", 2))},
	{op: "MeanVarianceNormalization", opset: 13, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intsParam("axes", 0, -1))},
	{op: "LpNormalization", opset: 13, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intParam("axis", 1), intParam("p", 1))},
	{op: "Softmax", opset: 11, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intParam("axis", 1))},
	{op: "LogSoftmax", opset: 13, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intParam("axis", 1))},
	{op: "Hardmax", opset: 11, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intParam("axis", 1))},
	{op: "Add", opset: 6, in: []any{floatsIn(2, 4, 3), ones(4)}, attrs: attrs(intParam("axis", 1), intParam("broadcast", 1))},
	{op: "Cast", opset: 13, in: []any{floatsIn(2, 3)}, attrs: attrs(intParam("to", 7))},
	{op: "IsInf", opset: 13, in: []any{floatsIn(2, 3)}, attrs: attrs(intParam("detect_negative", 1), intParam("detect_positive", 0))},
	{op: "ReduceMean", opset: 13, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intsParam("axes", 0, -1), intParam("keepdims", 1))},
	{op: "ReduceMax", opset: 18, in: []any{floatsIn(2, 4, 3), intsParam("axes", 0, -1)}},
	{op: "ArgMax", opset: 13, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intParam("axis", 1), intParam("select_last_index", 1))},
	{op: "CumSum", opset: 13, in: []any{floatsIn(2, 4, 3), intParam("axis", 1)}, attrs: attrs(intParam("exclusive", 1), intParam("reverse", 1))},
	{op: "TopK", opset: 9, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intParam("axis", 1), intParam("k", 2)), outs: 2},
	{op: "TopK", opset: 11, in: []any{floatsIn(2, 4, 3), intsParam("k", 2)}, attrs: attrs(intParam("axis", 1)), outs: 2},
	{op: "NonMaxSuppression", opset: 11, in: []any{floatsIn(1, 6, 4), floatsIn(1, 2, 6), intsParam("max_output_boxes_per_class", 2), floatsParam("iou_threshold", 0.5), floatsParam("score_threshold", 0.5)}},
	{op: "Reshape", opset: 4, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intsParam("shape", 0, -1))},
	{op: "Reshape", opset: 14, in: []any{floatsIn(2, 4, 3), intsParam("shape", 4, -1, 3)}, attrs: attrs(intParam("allowzero", 1))},
	{op: "Flatten", opset: 13, in: []any{floatsIn(2, 4, 3)}, attrs: attrs(intParam("axis", 1))},
	{op: "Squeeze", opset: 11, in: []any{floatsIn(2, 1, 3, 1)}, attrs: attrs(intsParam("axes", 1, -1))},
	{op: "Squeeze", opset: 13, in: []any{floatsIn(2, 1, 3, 1), intsParam("axes", 1, -1)}},
	{op: "Unsqueeze", opset: 11, in: []any{floatsIn(2, 3)}, attrs: attrs(intsParam("axes", 1, -1))},
	{op: "Unsqueeze", opset: 13, in: []any{floatsIn(2, 3), intsParam("axes", 1, -1)}},
	{op: "Transpose", opset: 13, in: []any{floatsIn(2, 3, 4)}, attrs: attrs(intsParam("perm", 2, 0, 1))},
	{op: "Concat", opset: 13, in: []any{floatsIn(2, 3), floatsIn(2, 4)}, attrs: attrs(intParam("axis", 1))},
	{op: "Split", opset: 11, in: []any{floatsIn(2, 7)}, attrs: attrs(intParam("axis", 1), intsParam("split", 3, 4)), outs: 2},
	{op: "Split", opset: 13, in: []any{floatsIn(2, 7), intsParam("split", 3, 4)}, attrs: attrs(intParam("axis", 1)), outs: 2},
	{op: "Split", opset: 18, in: []any{floatsIn(2, 7)}, attrs: attrs(intParam("axis", 1), intParam("num_outputs", 3)), outs: 3},
	{op: "Slice", opset: 9, in: []any{floatsIn(8, 7)}, attrs: attrs(intsParam("starts", 1, -3), intsParam("ends", 7, math.MaxInt64), intsParam("axes", 0, 1))},
	{op: "Slice", opset: 13, in: []any{floatsIn(8, 7), intsParam("starts", 1, -3), intsParam("ends", 7, math.MinInt64), intsParam("axes", 0, 1), intsParam("steps", 2, -1)}},
	{op: "Pad", opset: 1, in: []any{floatsIn(8, 7)}, attrs: attrs(intsParam("paddings", 1, 0, 0, 2))},
	{op: "Pad", opset: 2, in: []any{floatsIn(8, 7)}, attrs: attrs(intsParam("pads", 1, 0, 0, -2))},
	{op: "Pad", opset: 18, in: []any{floatsIn(8, 7), intsParam("pads", 1, -2), nil, intsParam("axes", -1)}, text: []message{text("mode", "reflect")}},
	{op: "Expand", opset: 13, in: []any{floatsIn(2, 1, 3), intsParam("shape", 2, 2, 4, 3)}},
	{op: "Tile", opset: 13, in: []any{floatsIn(2, 1, 3), intsParam("repeats", 2, 2, 1)}},
	{op: "Tile", opset: 13, in: []any{floatsIn(2, 1, 3, 1, 1), intsParam("repeats", 2, 2, 2, 2, 2)}},
	{op: "DepthToSpace", opset: 13, in: []any{floatsIn(1, 8, 2, 3)}, attrs: attrs(intParam("blocksize", 2))},
	{op: "DepthToSpace", opset: 13, in: []any{floatsIn(1, 0, 2, 3)}, attrs: attrs(intParam("blocksize", 2)), text: []message{text("mode", "CRD")}},
	{op: "SpaceToDepth", opset: 13, in: []any{floatsIn(1, 8, 2, 4)}, attrs: attrs(intParam("blocksize", 2))},
	{op: "SpaceToDepth", opset: 13, in: []any{floatsIn(1, 8, 0, 0)}, attrs: attrs(intParam("blocksize", 2))},
	{op: "Gather", opset: 13, in: []any{floatsIn(3, 4), intsParam("indices", 0, -1)}, attrs: attrs(intParam("axis", 1))},
	{op: "GatherElements", opset: 13, in: []any{floatsIn(3, 4), intsIn(2, 4)}, attrs: attrs(intParam("axis", 0))},
	{op: "GatherND", opset: 13, in: []any{floatsIn(3, 4, 5), intsIn(3, 2, 1)}, attrs: attrs(intParam("batch_dims", 1))},
	{op: "ScatterElements", opset: 18, in: []any{floatsIn(3, 4), intsIn(2, 4), floatsIn(2, 4)}, attrs: attrs(intParam("axis", 1)), text: []message{text("reduction", "max")}},
	{op: "ScatterND", opset: 18, in: []any{floatsIn(3, 4), intsIn(2, 1), floatsIn(2, 4)}, text: []message{text("reduction", "add")}},
	{op: "LSTM", opset: 14, in: []any{floatsIn(3, 2, 4), ones(2, 12, 4), ones(2, 12, 3), ones(2, 24), intsParam("sequence_lens", 3, 2)},
		attrs: attrs(intParam("hidden_size", 3), intParam("layout", 0), intParam("input_forget", 1), floatsParam("activation_alpha", 0.1)), text: []message{text("direction", "bidirectional")}, outs: 3},
	{op: "GRU", opset: 14, in: []any{floatsIn(2, 3, 4), ones(1, 9, 4), ones(1, 9, 3)}, attrs: attrs(intParam("hidden_size", 3), intParam("layout", 1), intParam("linear_before_reset", 1)), outs: 2},
	{op: "OneHot", opset: 11, in: []any{intsIn(2, 3), intParam("depth", 4), ones(2)}, attrs: attrs(intParam("axis", -1))},
	{op: "Resize", opset: 10, in: []any{floatsIn(1, 1, 2, 3), floatsParam("scales", 1, 1, 2, 0.5)}},
	{op: "Resize", opset: 13, in: []any{floatsIn(1, 1, 2, 3), nil, nil, intsParam("sizes", 1, 1, 4, 6)}},
	{op: "Resize", opset: 18, in: []any{floatsIn(1, 1, 2, 3), nil, nil, intsParam("sizes", 4, 6)}, attrs: attrs(intsParam("axes", 2, -1), intParam("antialias", 1)), text: []message{text("keep_aspect_ratio_policy", "not_larger"), text("mode", "cubic")}},
	{op: "Resize", opset: 18, in: []any{floatsIn(2, 3), floatsParam("roi", 0, 0, 1, 1), floatsParam("scales", 2, 3)}, attrs: attrs(intsParam("axes", 0, 1), intParam("antialias", 1)), text: []message{text("coordinate_transformation_mode", "tf_crop_and_resize"), text("mode", "linear")}},
	{op: "Upsample", opset: 9, in: []any{floatsIn(1, 1, 2, 3), floatsParam("scales", 1, 1, 2, 2)}},
	{op: "QuantizeLinear", opset: 21, in: []any{floatsIn(2, 4), ones(2, 2)}, attrs: attrs(intParam("axis", 1), intParam("block_size", 2), intParam("output_dtype", 3))},
	{op: "QuantizeLinear", opset: 13, in: []any{floatsIn(2, 4), ones(4)}, attrs: attrs(intParam("axis", 1))},
	{op: "DequantizeLinear", opset: 21, in: []any{bytesIn(2, 4), ones(2, 2)}, attrs: attrs(intParam("axis", 1), intParam("block_size", 2))},
	{op: "QLinearConv", opset: 13, in: []any{bytesIn(1, 4, 8, 8), scale(1), byteOnes(), byteOnes(6, 2, 3, 3), scale(1), byteOnes(), scale(1), byteOnes()}, attrs: windowAnd(intParam("group", 2))},
	{op: "QuantizeLinear", opset: 23, in: []any{floatsIn(2, 4), ones(4)}, attrs: attrs(intParam("axis", 1), intParam("precision", 11))},
	{op: "DequantizeLinear", opset: 23, in: []any{bytesIn(2, 4), ones(4)}, attrs: attrs(intParam("axis", 1), intParam("output_dtype", 11))},
	{op: "com.microsoft.QGemm", opset: 13, in: []any{bytesIn(2, 4), scale(1), byteOnes(), byteOnes(4, 3), scale(1), byteOnes(), nil, scale(1), byteOnes()}, attrs: attrs(intParam("transA", 0), intParam("transB", 0))},
	{op: "com.microsoft.QLinearAveragePool", opset: 13, in: []any{bytesIn(1, 4, 8, 8), scale(1), byteOnes(), scale(1), byteOnes()}, attrs: attrs(intsParam("kernel_shape", 3, 3), intsParam("strides", 1, 2), intsParam("pads", 1, 1, 1, 1), intParam("ceil_mode", 1), intParam("channels_last", 1))},
	{op: "com.microsoft.QLinearGlobalAveragePool", opset: 13, in: []any{bytesIn(1, 4, 8, 8), scale(1), byteOnes(), scale(1), byteOnes()}, attrs: attrs(intParam("channels_last", 1))},
	{op: "com.microsoft.QLinearReduceMean", opset: 13, in: []any{bytesIn(2, 4, 3), scale(1), byteOnes(), scale(1), byteOnes()}, attrs: attrs(intsParam("axes", 0, -1), intParam("keepdims", 1))},
	{op: "com.microsoft.QLinearSoftmax", opset: 13, in: []any{bytesIn(2, 4, 3), scale(1), byteOnes(), scale(1), byteOnes()}, attrs: attrs(intParam("axis", 1), intParam("opset", 11))},
	{op: "com.microsoft.QLinearConcat", opset: 13, in: []any{scale(1), byteOnes(), bytesIn(2, 4), scale(1), byteOnes(), bytesIn(2, 3), scale(1), byteOnes()}, attrs: attrs(intParam("axis", 1))},
	{op: "ConvInteger", opset: 13, in: []any{bytesIn(1, 4, 8, 8), byteOnes(6, 2, 3, 3)}, attrs: windowAnd(intParam("group", 2))},
	{op: "ConstantOfShape", opset: 13, in: []any{intsParam("shape", 2, 3)}},
	{op: "Shape", opset: 15, in: []any{floatsIn(2, 3, 4)}, attrs: attrs(intParam("start", 1), intParam("end", -1))},
	{op: "EyeLike", opset: 13, in: []any{floatsIn(3, 4)}, attrs: attrs(intParam("k", 1), intParam("dtype", 7))},
	{op: "Range", opset: 13, in: []any{intParam("start", 1), intParam("limit", 9), intParam("delta", 2)}},
	{op: "SplitToSequence", opset: 13, in: []any{floatsIn(2, 7), intParam("split", 3)}, attrs: attrs(intParam("axis", 1)), then: []message{simple("ConcatFromSequence", "y", "r").sub(5, intAttr("axis", 1))}},
	{op: "SplitToSequence", opset: 13, in: []any{floatsIn(2, 7), intsParam("split", 3, 4)}, attrs: attrs(intParam("axis", 1)), then: []message{simple("SequenceLength", "y", "r")}},
	{op: "SplitToSequence", opset: 13, in: []any{floatsIn(2, 7)}, attrs: attrs(intParam("axis", 1), intParam("keepdims", 0)), then: []message{simple("ConcatFromSequence", "y", "r").sub(5, intAttr("axis", -1), intAttr("new_axis", 1))}},
	{op: "SequenceAt", opset: 13, in: []any{nil, intParam("position", -1)}},
	{op: "ConcatFromSequence", opset: 13, in: []any{nil}, attrs: attrs(intParam("axis", 1), intParam("new_axis", 1))},
}

// model encodes a model with the case as its only node.
func (c operatorCase) model() message {
	var g graphParts
	for _, o := range c.add(&g, "", func(operand computed) string { return "" }) {
		g.outputs = append(g.outputs, tensorInput(o, 1))
	}
	return modelMessage(8, c.opset, g.encode())
}

// add adds the nodes of the case to g and returns the names of their results. Names
// start with prefix. A computed operand is the value that choose names, or a new
// input of g if that is "". If an operand is a sequence, SplitToSequence computes it.
func (c operatorCase) add(g *graphParts, prefix string, choose func(computed) string) []string {
	var in []string
	for i, o := range c.in {
		name := fmt.Sprintf("%sin%d", prefix, i)
		switch o := o.(type) {
		case computed:
			if chosen := choose(o); chosen != "" {
				name = chosen
			} else {
				g.inputs = append(g.inputs, tensorInput(name, o.elem, o.dims...))
			}
		case stored:
			g.weights = append(g.weights, o.weights(name))
		case parameter:
			g.weights = append(g.weights, o.weights(name))
		case nil:
			name = ""
			if sequence := c.op == "SequenceAt" || c.op == "ConcatFromSequence"; sequence {
				name = prefix + "s"
				g.inputs = append(g.inputs, tensorInput(prefix+"x", 1, 2, 7))
				g.nodes = append(g.nodes, simple("SplitToSequence", name, prefix+"x"))
			}
		}
		in = append(in, name)
	}
	out := []string{prefix + "y"}
	if c.then != nil {
		out = []string{"r"}
	}
	for i := 1; i < c.outs; i++ {
		out = append(out, fmt.Sprintf("%sy%d", prefix, i))
	}
	list := slices.Clone(c.text)
	for _, p := range c.attrs {
		list = append(list, p.attr())
	}
	domain, op := "", c.op
	if i := strings.LastIndex(op, "."); i >= 0 {
		domain, op = op[:i], op[i+1:]
	}
	g.nodes = append(g.nodes, nodeMessage(op, "", in, out, list...).str(7, domain))
	g.nodes = append(g.nodes, c.then...)
	if c.then != nil {
		out = []string{"y"}
	}
	return out
}

// parameters returns the parameters of the operands, then those of the attributes.
func (c operatorCase) parameters() []parameter {
	var list []parameter
	for _, o := range c.in {
		if p, ok := o.(parameter); ok {
			list = append(list, p)
		}
	}
	return append(list, c.attrs...)
}

// change sets element k of a parameter to an extreme value. If the parameter has no
// element k, change sets all elements.
func (c *operatorCase) change(at, k, value int) {
	c.in, c.attrs = slices.Clone(c.in), slices.Clone(c.attrs)
	for i, o := range c.in {
		if p, ok := o.(parameter); ok {
			if at == 0 {
				c.in[i] = p.changed(k, value)
			}
			at--
		}
	}
	if at >= 0 {
		c.attrs[at] = c.attrs[at].changed(k, value)
	}
}

// extremeInts lists the ends of the ranges of attributes and of machine integers.
var extremeInts = []int64{
	0, 1, -1, 2, -2, 3, 7, 8, 9, -8, -9, 17, 255, 1 << 12, 1<<12 + 1, 1 << 16,
	ir.MaxStep - 1, ir.MaxStep, ir.MaxStep + 1, -ir.MaxStep, -ir.MaxStep - 1,
	ir.MaxExtent - 1, ir.MaxExtent, ir.MaxExtent + 1, -ir.MaxExtent, -ir.MaxExtent - 1,
	1<<31 - 2, 1<<31 - 1, 1 << 31, 1<<31 + 1, -1 << 31, -1<<31 - 1, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1<<32 + 2, -1 << 32, 1<<33 + 1,
	1 << 53, 1 << 60, 1<<62 - 1, 1 << 62, 1<<62 + 1, -1 << 62, 1<<63 - 10, 1<<63 - 2, 1<<63 - 1, -1 << 63, -1<<63 + 1,
}

var extremeFloats = []float32{0, -1, 1, 1e-30, 1e-7, 3, 1e6, 1e9, 1e20, 3e38, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}

func (p parameter) changed(k, value int) parameter {
	p.ints, p.floats = slices.Clone(p.ints), slices.Clone(p.floats)
	for i := range p.ints {
		if i == k || k >= len(p.ints) {
			p.ints[i] = extremeInts[value%len(extremeInts)]
		}
	}
	for i := range p.floats {
		if i == k || k >= len(p.floats) {
			p.floats[i] = extremeFloats[value%len(extremeFloats)]
		}
	}
	return p
}

// For any numbers in a file, the import returns an error or a valid graph. Unless
// its tensors are large, the graph also goes through passes and cpu.
func TestExtremeAttributes(t *testing.T) {
	count, accepted := 0, 0
	load := func(c operatorCase) {
		count++
		begin := time.Now()
		defer func() {
			if r := recover(); r != nil {
				t.Fatalf("%s: %v\n%+v", c.op, r, c)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("%s took %v: %+v", c.op, took, c)
			}
		}()
		m, err := Parse("hostile", c.model(), "", source.Options{})
		if err != nil {
			return
		}
		defer m.Release()
		if err := ir.Verify(m.Graph); err != nil {
			t.Errorf("%s: %v", c.op, err)
		}
		accepted++
		for v := range m.Graph.Values() {
			if v.Type.Shape.Len() > 1<<18 {
				return // legal, but slow
			}
		}
		if _, err := passes.Run(m.Graph, &passes.Config{}); err != nil {
			t.Errorf("%s: %v\n%+v", c.op, err, c)
			return
		}
		if err := ir.Verify(m.Graph); err != nil {
			t.Errorf("%s after the passes: %v", c.op, err)
		}
		if p, err := cpu.Build(m.Graph, cpu.Config{}); err == nil && (p.Plan.ArenaBytes < 0 || p.Plan.WeightsBytes < 0) {
			t.Errorf("%s: a plan of %d bytes, weights of %d", c.op, p.Plan.ArenaBytes, p.Plan.WeightsBytes)
		}
	}
	for _, c := range operatorCases {
		m, err := Parse("valid", c.model(), "", source.Options{})
		if err != nil {
			t.Errorf("%s-%d: %v", c.op, c.opset, err)
			continue
		}
		m.Release()
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range operatorCases {
		for at, p := range c.parameters() {
			n, values := len(p.ints), len(extremeInts)
			if p.floats != nil {
				n, values = len(p.floats), len(extremeFloats)
			}
			for value := range values {
				one := c
				one.change(at, r.IntN(n+1), value)
				if count < *hostileModels {
					load(one)
				}
			}
		}
	}
	// Change several parameters at once.
	for count < *hostileModels {
		c := operatorCases[r.IntN(len(operatorCases))]
		list := c.parameters()
		for range min(len(list), 2+r.IntN(2)) {
			at := r.IntN(len(list))
			c.change(at, r.IntN(max(len(list[at].ints), len(list[at].floats))+1), r.IntN(1000))
		}
		load(c)
	}
	t.Logf("%d of %d models accepted", accepted, count)
}

// Every name of integers that a builder reads has a range and a case above.
func TestAttributeNames(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range operatorCases {
		for _, p := range c.parameters() {
			tested[p.name] = true
		}
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	// The methods that read integers, with the index of the argument that is the
	// name.
	readers := map[string]int{"int": 0, "ints": 0, "clampedInt": 0, "attrOrList": 0, "clampedList": 0,
		"list": 1, "integers": 1, "integer": 1, "legal": 0, "legals": 0, "clamped": 0}
	read := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") || f.Name() == "node.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(x ast.Node) bool {
			call, ok := x.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			at, isReader := readers[sel.Sel.Name]
			if recv, ok := sel.X.(*ast.Ident); !isReader || !ok || recv.Name != "n" || at >= len(call.Args) {
				return true
			}
			lit, ok := call.Args[at].(*ast.BasicLit)
			if !ok {
				return true // a constant, as in nonMaxSuppression
			}
			name, _ := strconv.Unquote(lit.Value)
			name = strings.TrimPrefix(name, "the ")
			read++
			if _, ok := ir.LimitOf(name); !ok {
				t.Errorf("%s: %q has no range in the table of limits", f.Name(), name)
			}
			if derived := sel.Sel.Name == "legal" || sel.Sel.Name == "legals"; !derived && !tested[name] {
				t.Errorf("%s: %q is not tested: give it a row in operatorCases", f.Name(), name)
			}
			return true
		})
	}
	if read < 50 {
		t.Errorf("%d names found", read)
	}
}

// The error for an attribute names the attribute, the value and the range.
func TestAttributeRefused(t *testing.T) {
	for _, c := range []struct {
		attr message
		want string
	}{
		{intsAttr("dilations", 1<<63-10, 1), "dilations: 9223372036854775798 is outside the range from 1 to 16777216"},
		{intsAttr("strides", 0, 1), "strides: 0 is outside the range from 1 to 16777216"},
		{intsAttr("pads", -1<<63, 0, 0, 0), "pads: -9223372036854775808 is outside the range from -16777216 to 16777216"},
		{intAttr("group", 1<<32+1), "group: 4294967297 is outside the range from 1 to"},
	} {
		g := graphParts{
			nodes:   []message{nodeMessage("Conv", "first", []string{"x", "w"}, []string{"y"}, c.attr)},
			weights: []message{floatWeights("w", []int64{1, 1, 1, 1}, 1)},
			inputs:  []message{tensorInput("x", 1, 1, 1, 4, 4)}, outputs: []message{tensorInput("y", 1)},
		}
		_, err := Parse("model", modelMessage(8, 17, g.encode()), "", source.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"first"`) {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}
