package onnx

import (
	"testing"

	"modelc/frontend/source"
	"modelc/ir/eval"
)

// Operators of opsets below 7 mean what newer forms of them mean.
func TestLegacyForms(t *testing.T) {
	consumed := intsAttr("consumed_inputs", 0, 0, 0, 1, 1)
	vector := func(name string, x ...float32) message { return floatWeights(name, []int64{int64(len(x))}, x...) }
	norm := []message{vector("s", 1, 2, 3, 4), vector("b", 4, 3, 2, 1), vector("m", 0.5, -1, 2, 0), vector("v", 1, 2, 0.5, 3)}
	plane := make([]float32, 4*4*2)
	for i := range plane {
		plane[i] = 0.5 + float32(i%7)
	}
	activations := func(name string) message { return floatWeights(name, []int64{4, 4, 2}, plane...) }
	x := []any{2, 4, 4, 2}
	for _, c := range []struct {
		name     string
		old, now message // nodes that read x and write y
		opset    int64
		weights  []message
	}{
		{"Reshape", nodeMessage("Reshape", "", []string{"x"}, []string{"y"}, intsAttr("shape", 0, -1), intsAttr("consumed_inputs", 0)), simple("Reshape", "y", "x", "to"), 1, []message{intWeights("to", 0, -1)}},
		{"Dropout", nodeMessage("Dropout", "", []string{"x"}, []string{"y"}, intAttr("is_test", 1), intsAttr("consumed_inputs", 0)), simple("Identity", "y", "x"), 1, nil},
		{"BatchNormalization", nodeMessage("BatchNormalization", "", []string{"x", "s", "b", "m", "v"}, []string{"y"}, intAttr("is_test", 1), consumed), simple("BatchNormalization", "y", "x", "s", "b", "m", "v"), 1, norm},
		{"BatchNormalization of MXNet", nodeMessage("BatchNormalization", "", []string{"x", "s", "b", "m", "v"}, []string{"y"}, intAttr("spatial", 0)), simple("BatchNormalization", "y", "x", "s", "b", "m", "v"), 8, norm},
		{"InstanceNormalization", nodeMessage("InstanceNormalization", "", []string{"x", "s", "b"}, []string{"y"}, consumed), simple("InstanceNormalization", "y", "x", "s", "b"), 1, norm[:2]},
		{"Add along channels", nodeMessage("Add", "", []string{"x", "c"}, []string{"y"}, intAttr("broadcast", 1), intAttr("axis", 1), consumed), simple("Add", "y", "x", "apart"), 6,
			[]message{vector("c", 1, 2, 3, 4), floatWeights("apart", []int64{4, 1, 1}, 1, 2, 3, 4)}},
		{"Mul by a matrix", nodeMessage("Mul", "", []string{"x", "c"}, []string{"y"}, intAttr("broadcast", 1), intAttr("axis", 1)), simple("Mul", "y", "x", "apart"), 6,
			[]message{floatWeights("c", []int64{4, 4}, plane[:16]...), floatWeights("apart", []int64{4, 4, 1}, plane[:16]...)}},
		{"PRelu", simple("PRelu", "y", "x", "c"), simple("PRelu", "y", "x", "apart"), 6, []message{vector("c", 1, 2, 3, 4), floatWeights("apart", []int64{4, 1, 1}, 1, 2, 3, 4)}},
		{"Pad", nodeMessage("Pad", "", []string{"x"}, []string{"y"}, intsAttr("paddings", 0, 0, 1, 0, 0, 0, 0, 2), floatAttr("value", 3)), simple("Pad", "y", "x", "to", "c"), 1, []message{intWeights("to", 0, 0, 1, 0, 0, 0, 0, 2), vector("c", 3)}},
		{"Concat", simple("Concat", "y", "x", "x"), nodeMessage("Concat", "", []string{"x", "x"}, []string{"y"}, intAttr("axis", 1)), 3, nil},
		{"Cast", nodeMessage("Cast", "", []string{"x"}, []string{"y"}, stringAttr("to", "INT32")), nodeMessage("Cast", "", []string{"x"}, []string{"y"}, intAttr("to", 6)), 1, nil},
		{"Tile", simple("Tile", "y", "x", "n", "a"), simple("Tile", "y", "x", "to"), 1, []message{floatWeights("n", nil, 3), floatWeights("a", nil, 1), intWeights("to", 1, 3, 1, 1)}},
		{"Upsample", nodeMessage("Upsample", "", []string{"x"}, []string{"y"}, floatAttr("height_scale", 2), floatAttr("width_scale", 3), stringAttr("mode", "bilinear")),
			nodeMessage("Resize", "", []string{"x", "", "c"}, []string{"y"}, stringAttr("mode", "linear"), stringAttr("coordinate_transformation_mode", "asymmetric")), 1, []message{vector("c", 1, 1, 2, 3)}},
		{"LpPool", nodeMessage("LpPool", "", []string{"x"}, []string{"y"}, floatAttr("p", 3), intsAttr("kernel_shape", 2, 2)), nodeMessage("LpPool", "", []string{"x"}, []string{"y"}, intAttr("p", 3), intsAttr("kernel_shape", 2, 2)), 1, nil},
		{"GlobalLpPool", nodeMessage("GlobalLpPool", "", []string{"x"}, []string{"y"}, floatAttr("p", 1)), nodeMessage("GlobalLpPool", "", []string{"x"}, []string{"y"}, intAttr("p", 1)), 1, nil},
		{"Selu", simple("Selu", "y", "x"), nodeMessage("Selu", "", []string{"x"}, []string{"y"}, floatAttr("alpha", 1.6732), floatAttr("gamma", 1.0507)), 1, nil},
		{"Slice", nodeMessage("Slice", "", []string{"x"}, []string{"y"}, intsAttr("starts", 1, 0), intsAttr("ends", 9, -1), intsAttr("axes", 1, 2)), simple("Slice", "y", "x", "from", "to", "along"), 1,
			[]message{intWeights("from", 1, 0), intWeights("to", 9, -1), intWeights("along", 1, 2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := graphParts{nodes: []message{c.old}, weights: c.weights, inputs: []message{tensorInput("x", 1, x...)}, outputs: oneOutput}
			old := parse(t, modelMessage(3, c.opset, g.encode()), source.Options{})
			g.nodes[0] = c.now
			now := parse(t, modelMessage(8, 13, g.encode()), source.Options{})
			in := eval.Inputs(old.Graph, 1)
			got, err := eval.Run(old.Graph, in)
			if err != nil {
				t.Fatal(err)
			}
			want, err := eval.Run(now.Graph, in)
			if err != nil {
				t.Fatal(err)
			}
			if d, err := eval.Compare(got[0], want[0]); err != nil || !d.Within(1e-6) {
				t.Errorf("%v %v", d, err)
			}
		})
	}
	// Statistics of each activation.
	g := graphParts{nodes: []message{nodeMessage("BatchNormalization", "", []string{"x", "s", "b", "m", "v"}, []string{"y"}, intAttr("spatial", 0))},
		weights: []message{activations("s"), activations("b"), activations("m"), activations("v")}, inputs: []message{tensorInput("x", 1, x...)}, outputs: oneOutput}
	m := parse(t, modelMessage(3, 8, g.encode()), source.Options{})
	g.nodes = []message{simple("Sub", "d", "x", "m"), simple("Add", "w", "v", "e"), simple("Sqrt", "q", "w"), simple("Div", "n", "d", "q"), simple("Mul", "p", "n", "s"), simple("Add", "y", "p", "b")}
	g.weights = append(g.weights, floatWeights("e", nil, 1e-5))
	want := parse(t, modelMessage(3, 8, g.encode()), source.Options{})
	in := eval.Inputs(m.Graph, 1)
	a, err := eval.Run(m.Graph, in)
	if err != nil {
		t.Fatal(err)
	}
	b, err := eval.Run(want.Graph, in)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := eval.Compare(a[0], b[0]); err != nil || !d.Within(1e-6) {
		t.Errorf("%v %v", d, err)
	}
}
