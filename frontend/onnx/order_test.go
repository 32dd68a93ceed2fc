package onnx

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"modelc/frontend/source"
	"modelc/internal/onnxfile"
	"modelc/ir/eval"
	"modelc/ir/examples"
)

// randomNetwork returns a random graph as a decoded model, or nil if the graph has an op without
// an operator.
func randomNetwork(t *testing.T, seed uint64) *modelProto {
	t.Helper()
	g, err := examples.Random(seed)
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnxfile.FromGraph(g, "test")
	if err != nil {
		return nil
	}
	var file bytes.Buffer
	if err := m.Encode(&file); err != nil {
		t.Fatal(err)
	}
	p, err := decodeModel(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The order of the nodes in the file does not matter.
func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 21))
	models := 0
	for seed := range uint64(60) {
		p := randomNetwork(t, seed)
		if p == nil {
			continue
		}
		models++
		m, err := load("test.onnx", p, nil, "", source.Options{})
		if err != nil {
			t.Fatal(err)
		}
		in := eval.Inputs(m.Graph, seed)
		want, err := eval.Run(m.Graph, in)
		if err != nil {
			t.Fatal(err)
		}
		list := p.graph.nodes
		r.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
		if m, err = load("test.onnx", p, nil, "", source.Options{}); err != nil {
			t.Fatal(err)
		}
		got, err := eval.Run(m.Graph, in)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if d, err := eval.Compare(got[i], want[i]); err != nil || d.MaxAbs > 0 {
				t.Errorf("seed %d, output %d: %v %v", seed, i, d, err)
			}
		}
	}
	if models < 30 {
		t.Errorf("%d models", models)
	}
}

// A graph that defines a name twice, or whose values depend on themselves, is refused.
func TestDefinedTwice(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 21))
	refused := map[string]int{}
	for seed := range uint64(300) {
		p := randomNetwork(t, seed)
		if p == nil {
			continue
		}
		// The places that define names.
		var places []*string
		g := p.graph
		for _, v := range g.inputs {
			places = append(places, &v.name)
		}
		for _, c := range g.initializers {
			places = append(places, &c.name)
		}
		for _, n := range g.nodes {
			for i := range n.outputs {
				places = append(places, &n.outputs[i])
			}
		}
		if i := r.IntN(len(g.nodes)); r.IntN(4) == 0 {
			// The first operand depends on the result.
			last := g.nodes[len(g.nodes)-1]
			g.nodes[i].inputs[0] = last.outputs[0]
			last.inputs[0] = g.nodes[i].outputs[0]
		} else {
			i, k := r.IntN(len(places)), r.IntN(len(places))
			if i == k {
				continue
			}
			*places[i] = *places[k]
		}
		_, err := load("test.onnx", p, nil, "", source.Options{})
		if err == nil {
			t.Errorf("seed %d: accepted", seed)
			continue
		}
		for _, reason := range []string{"has the name of an input", "has the name of an initializer", "has the name of a result", "two inputs", "two initializers", "depends on itself"} {
			if strings.Contains(err.Error(), reason) {
				refused[reason]++
			}
		}
	}
	for _, reason := range []string{"has the name of an initializer", "has the name of a result", "two initializers", "depends on itself"} {
		if refused[reason] < 3 {
			t.Errorf("%d models were refused for %q: %v", refused[reason], reason, refused)
		}
	}
}

// Messages name the two definitions of a name, and a value of a cycle.
func TestDefinitions(t *testing.T) {
	relu := func(name, out, in string) message { return nodeMessage("Relu", name, []string{in}, []string{out}) }
	body := graphParts{nodes: []message{simple("Relu", "r", "later")}, outputs: []message{tensorInput("r", 1)}}
	for _, c := range []struct {
		name  string
		parts graphParts
		want  string
	}{
		{"result twice", graphParts{nodes: []message{relu("a", "y", "x"), relu("b", "y", "x")}}, `Relu-13 "b": result "y" has the name of a result of Relu "a"`},
		{"node twice", graphParts{nodes: []message{relu("a", "y", "x"), relu("a", "y", "x")}}, ""},
		{"node twice, with another operand", graphParts{nodes: []message{relu("a", "y", "x"), relu("a", "y", "w")}, weights: []message{floatWeights("w", []int64{1}, 1)}}, `Relu-13 "a": result "y" has the name of a result of Relu "a"`},
		{"node twice, with another attribute", graphParts{nodes: []message{
			nodeMessage("LeakyRelu", "a", []string{"x"}, []string{"y"}, floatAttr("alpha", 1)),
			nodeMessage("LeakyRelu", "a", []string{"x"}, []string{"y"}, floatAttr("alpha", 2)),
		}}, `LeakyRelu-13 "a": result "y" has the name of a result of LeakyRelu "a"`},
		{"one name for two results", graphParts{nodes: []message{nodeMessage("Split", "a", []string{"x"}, []string{"y", "y"})}}, `Split-13 "a": result "y" has the name of a result of Split "a"`},
		{"result as input", graphParts{nodes: []message{relu("a", "x", "x")}}, `Relu-13 "a": result "x" has the name of an input`},
		{"result as initializer", graphParts{nodes: []message{relu("a", "w", "x")}, weights: []message{floatWeights("w", []int64{1}, 1)}}, `Relu-13 "a": result "w" has the name of an initializer`},
		{"inputs", graphParts{nodes: []message{relu("a", "y", "x")}, inputs: slices.Concat(oneInput, oneInput)}, `two inputs have the name "x"`},
		{"initializers", graphParts{nodes: []message{relu("a", "y", "x")}, weights: []message{floatWeights("w", []int64{1}, 1), floatWeights("w", []int64{1}, 2)}}, `two initializers have the name "w"`},
		{"cycle", graphParts{nodes: []message{relu("a", "y", "z"), relu("b", "z", "y")}}, `Relu-13 "a": result "y" depends on itself`},
		{"missing", graphParts{nodes: []message{relu("a", "y", "z")}}, `Relu-13 "a": input "z" is not defined`},
		{"branch before its operand", graphParts{nodes: []message{
			nodeMessage("If", "if", []string{"c"}, []string{"y"}, graphAttr("then_branch", body.encode()), graphAttr("else_branch", body.encode())),
			relu("a", "later", "x"),
		}, weights: []message{message{}.int(2, 9).int(5, 1).str(8, "c")}}, ""},
		{"cycle through a branch", graphParts{nodes: []message{
			nodeMessage("If", "if", []string{"c"}, []string{"y"}, graphAttr("then_branch", body.encode()), graphAttr("else_branch", body.encode())),
			relu("a", "later", "y"),
		}, weights: []message{message{}.int(2, 9).int(5, 1).str(8, "c")}}, `If-13 "if": result "y" depends on itself`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.parts.inputs == nil {
				c.parts.inputs = oneInput
			}
			c.parts.outputs = oneOutput
			if c.want == "" {
				parse(t, modelMessage(8, 13, c.parts.encode()), source.Options{})
				return
			}
			wantText(t, failure(t, modelMessage(8, 13, c.parts.encode()), source.Options{}), c.want)
		})
	}
}

// The message of a shape of floats names its type.
func TestFloatShape(t *testing.T) {
	for _, op := range []string{"Reshape", "Expand", "Tile", "ConstantOfShape"} {
		in := []string{"x", "s"}
		if op == "ConstantOfShape" {
			in = in[1:]
		}
		g := graphParts{nodes: []message{simple(op, "y", in...)}, inputs: oneInput, weights: []message{floatWeights("s", []int64{2}, 2, 3)}, outputs: oneOutput}
		wantText(t, failure(t, modelMessage(8, 13, g.encode()), source.Options{}), op, "f32[2]", "want integers")
	}
}
