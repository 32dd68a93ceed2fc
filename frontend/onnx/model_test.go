package onnx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"modelc/frontend/source"
	"modelc/ir"
)

var (
	oneInput  = []message{tensorInput("x", 1, 2, 3)}
	oneOutput = []message{tensorInput("y", 1, 2, 3)}
)

// failure is the error of a model that must not load.
func failure(t *testing.T, model message, opts source.Options) string {
	t.Helper()
	_, err := Parse("test.onnx", model, "", opts)
	if err == nil {
		t.Fatal("the model loads")
	}
	if !strings.HasPrefix(err.Error(), "test.onnx: ") {
		t.Errorf("error %q does not name the file", err)
	}
	return err.Error()
}

func wantText(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q\nlacks %q", got, w)
		}
	}
}

func TestVersions(t *testing.T) {
	g := graphParts{nodes: []message{simple("Relu", "y", "x")}, inputs: oneInput, outputs: oneOutput}
	m := parse(t, modelMessage(8, 13, g.encode()), source.Options{})
	if m.Format != "ONNX, IR version 8, opset 13" || m.Metadata["producer"] != "test " || len(m.SHA256) != 64 {
		t.Errorf("%+v", m)
	}
	for ir := int64(1); ir < 4; ir++ {
		m = parse(t, message{}.int(1, ir).sub(7, g.encode()), source.Options{})
		if want := fmt.Sprintf("ONNX, IR version %d, opset 1", ir); m.Format != want || ir == 3 != (len(m.Notes) == 1) {
			t.Errorf("%s with notes %q, want %s", m.Format, m.Notes, want)
		}
	}
	wantText(t, failure(t, modelMessage(99, 13, g.encode()), source.Options{}), "IR version 99")
	wantText(t, failure(t, modelMessage(8, 99, g.encode()), source.Options{}), "opset 99")
	wantText(t, failure(t, message{}.int(1, 8).sub(7, g.encode()).sub(8, opsetMessage("local", 1)), source.Options{}), "does not declare its opset")
	wantText(t, failure(t, message{}.int(1, 8), source.Options{}), "no graph")
	wantText(t, failure(t, modelMessage(8, 13, graphParts{inputs: oneInput}.encode()), source.Options{}), "no outputs")
}

// Before IR version 4, every weight is also an input.
func TestWeightsListedAsInputs(t *testing.T) {
	g := graphParts{
		nodes:   []message{simple("Add", "y", "x", "w")},
		weights: []message{floatWeights("w", []int64{3}, 1, 2, 3)},
		inputs:  []message{oneInput[0], tensorInput("w", 1, 3)}, outputs: oneOutput,
	}
	m := parse(t, modelMessage(3, 7, g.encode()), source.Options{})
	if len(m.Graph.Inputs) != 1 || len(m.Graph.Constants) != 1 || m.Graph.Constants[0].Name != "w" {
		t.Errorf("inputs %v, constants %v", m.Graph.Inputs, m.Graph.Constants)
	}
	w := ir.TensorOf(ir.Shape{3}, float32(4), 5, 6)
	m = parse(t, modelMessage(3, 7, g.encode()), source.Options{Bind: map[string]*ir.Tensor{"w": w}})
	if m.Graph.Constants[0].Const.Float32s()[0] != 4 {
		t.Error("a bound weight keeps its own value")
	}
}

func TestOpenDimensions(t *testing.T) {
	g := graphParts{nodes: []message{simple("Relu", "y", "x")}, inputs: []message{tensorInput("x", 1, "N", 3, "H", "?")}, outputs: []message{tensorInput("y", 1)}}
	model := modelMessage(8, 13, g.encode())
	wantText(t, failure(t, model, source.Options{}), "--dim H=N", "--dim x.3=N")
	m := parse(t, model, source.Options{Dims: map[string]int{"H": 5, "x.3": 6}})
	if s := m.Graph.Inputs[0].Type.Shape; !s.Equal(ir.Shape{1, 3, 5, 6}) {
		t.Errorf("shape %v", s)
	}
	if len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "dimension N is open: compiled for 1") {
		t.Errorf("notes %q", m.Notes)
	}
	for _, opts := range []source.Options{
		{Shapes: map[string]ir.Shape{"x": {4, 3, 5, 6}}},
		{InputShapes: []ir.Shape{{4, 3, 5, 6}}},
		{Dims: map[string]int{"N": 4, "H": 5, "x.3": 6}},
	} {
		m := parse(t, model, opts)
		if s := m.Graph.Inputs[0].Type.Shape; !s.Equal(ir.Shape{4, 3, 5, 6}) || len(m.Notes) > 0 {
			t.Errorf("%+v: shape %v, notes %q", opts, s, m.Notes)
		}
	}
	wantText(t, failure(t, model, source.Options{Shapes: map[string]ir.Shape{"x": {4, 9, 5, 6}}}), `"x" has extent 3 along axis 1`)
	wantText(t, failure(t, model, source.Options{Shapes: map[string]ir.Shape{"x": {4}}}), "has 4 axes")
	for _, dims := range []map[string]int{{"h": 5, "H": 5, "x.3": 6}, {"h": 5}} {
		wantText(t, failure(t, model, source.Options{Dims: dims}), `no open dimension "h", did you mean "H"?`)
	}
}

// Some exporters call every open dimension "?".
func TestAnonymousDimensions(t *testing.T) {
	dim := func(n int64, param string) message {
		if param != "" {
			return message{}.str(2, param)
		}
		return message{}.int(1, n)
	}
	shape := message{}.sub(1, dim(0, "?")).sub(1, dim(3, "")).sub(1, dim(0, "?")).sub(1, dim(0, "?"))
	in := message{}.str(1, "x").sub(2, message{}.sub(1, message{}.int(1, 1).sub(2, shape)))
	model := modelMessage(8, 13, graphParts{nodes: []message{simple("Relu", "y", "x")}, inputs: []message{in}, outputs: oneOutput}.encode())
	for _, dims := range []map[string]int{nil, {"?": 32}} {
		wantText(t, failure(t, model, source.Options{Dims: dims}), "set them with --shape x=1,3,N,N")
	}
}

func TestBind(t *testing.T) {
	g := graphParts{nodes: []message{simple("Reshape", "y", "x", "shape")}, inputs: []message{oneInput[0], tensorInput("shape", 7, 1)}, outputs: []message{tensorInput("y", 1, 6)}}
	model := modelMessage(8, 13, g.encode())
	wantText(t, failure(t, model, source.Options{}), "shape", "computed at run time", "--bind")
	bind := func(t *ir.Tensor) source.Options { return source.Options{Bind: map[string]*ir.Tensor{"shape": t}} }
	m := parse(t, model, bind(ir.TensorOf(ir.Shape{1}, int64(6))))
	if len(m.Graph.Inputs) != 1 || !m.Graph.Outputs[0].Value.Type.Shape.Equal(ir.Shape{6}) {
		t.Error(ir.Format(m.Graph))
	}
	wantText(t, failure(t, model, bind(ir.TensorOf(ir.Shape{1}, float32(6)))), "the types differ")
	wantText(t, failure(t, model, bind(ir.TensorOf(ir.Shape{2}, int64(2), 3))), "the types differ")
	wantText(t, failure(t, model, source.Options{Bind: map[string]*ir.Tensor{"shap": nil, "shape": ir.TensorOf(ir.Shape{1}, int64(6))}}), `no input "shap"`)
}

// The error lists all nodes that cannot be compiled, but not the nodes that depend on
// them.
func TestReport(t *testing.T) {
	g := graphParts{
		nodes: []message{
			nodeMessage("Rulu", "first", []string{"x"}, []string{"a"}),
			nodeMessage("Softmax", "depends", []string{"a"}, []string{"b"}, intAttr("axis", 7)),
			nodeMessage("Det", "", []string{"b"}, []string{"c"}),
			nodeMessage("Conv", "third", []string{"x", "w"}, []string{"d"}),
			message{}.str(1, "x").str(2, "e").str(3, "fourth").str(4, "FusedConv").str(7, "com.example"),
			nodeMessage("Add", "fifth", []string{"x"}, []string{"f"}),
			nodeMessage("Relu", "sixth", []string{"x"}, []string{"g", "h"}),
			simple("Concat", "y", "a", "b", "c", "d", "e", "f", "g"),
		},
		weights: []message{floatWeights("w", []int64{1, 3, 1, 1}, 1, 2, 3)},
		inputs:  []message{oneInput[0], message{}.str(1, "s").sub(2, message{}.sub(4, message{}))}, outputs: oneOutput,
	}
	_, err := Parse("test.onnx", modelMessage(8, 13, g.encode()).sub(8, opsetMessage("com.example", 2)), "", source.Options{})
	var u *source.Unsupported
	if !errors.As(err, &u) {
		t.Fatal(err)
	}
	want := []string{
		`input "s": a sequence cannot be an input`,
		`Rulu-13 "first": this op is not supported; operands f32[2,3]`,
		`Det-13 "c": this op is not supported`,
		`Conv-13 "third": weights f32[1,3,1,1] do not fit x f32[2,3]; operands f32[2,3], f32[1,3,1,1]`,
		`com.example.FusedConv-2 "fourth": this op of domain "com.example" is not supported`,
		`Add-13 "fifth": 2 operands are required, number 1 is missing`,
		`Relu-13 "sixth": output "h" is not supported`,
	}
	for i, p := range u.Problems {
		if i >= len(want) || !strings.HasPrefix(p.String(), want[i]) {
			t.Errorf("problem %d: %s", i, p)
		}
	}
	if len(u.Problems) != len(want) {
		t.Errorf("%d problems, want %d", len(u.Problems), len(want))
	}
}

// Values keep the names of the file, and other values never have such a name.
func TestNames(t *testing.T) {
	g := graphParts{
		nodes: []message{
			// The node has three values, and its name is another node's output.
			nodeMessage("DepthToSpace", "b", []string{"x"}, []string{"a"}, intAttr("blocksize", 2)),
			simple("Relu", "b", "a"),
			simple("Identity", "alias", "b"),
			simple("Relu", "x2", "alias"),
		},
		inputs: []message{tensorInput("x", 1, 1, 4, 2, 2)}, outputs: []message{tensorInput("b", 1), tensorInput("alias", 1), tensorInput("x2", 1)},
	}
	m := parse(t, modelMessage(8, 13, g.encode()), source.Options{})
	var names []string
	for _, n := range m.Graph.Nodes {
		names = append(names, n.Out[0].Name)
	}
	if want := []string{"a.reshape", "a.transpose", "a", "b", "x2"}; !slices.Equal(names, want) {
		t.Errorf("values %q, want %q", names, want)
	}
	if o := m.Graph.Outputs; o[0].Name != "b" || o[1].Name != "alias" || o[0].Value != o[1].Value || m.Graph.Nodes[0].Name != "b" {
		t.Errorf("outputs %v", o)
	}
}

func function(name string, in, out []string, nodes ...message) message {
	return message{}.str(1, name).str(4, in...).str(5, out...).sub(7, nodes...).sub(9, opsetMessage("", 13)).str(10, "local")
}

func call(name, out string, in ...string) message { return simple(name, out, in...).str(7, "local") }

func TestFunctions(t *testing.T) {
	// f(x, bound?) = LeakyRelu(Clip(x, bound), alpha = slope)
	f := function("f", []string{"v", "lo"}, []string{"r"},
		simple("Clip", "c", "v", "lo"),
		nodeMessage("LeakyRelu", "leak", []string{"c"}, []string{"r"}, refAttr("alpha", "slope"))).
		sub(11, floatAttr("slope", 0.5))
	g := graphParts{
		nodes: []message{
			nodeMessage("f", "call", []string{"x"}, []string{"a"}).str(7, "local"),
			call("f", "b", "x", "lo").sub(5, floatAttr("slope", 0.25)),
		},
		weights: []message{floatWeights("lo", nil, -2)},
		inputs:  oneInput, outputs: []message{tensorInput("a", 1), tensorInput("b", 1)},
	}
	m := parse(t, modelMessage(8, 13, g.encode()).sub(25, f), source.Options{})
	var acts []string
	for _, n := range m.Graph.Nodes {
		acts = append(acts, n.Name+" "+n.Op.(ir.Unary).Fn.String())
	}
	if want := []string{"call/leak LeakyRelu(0.5)", "/ Clip(-2,+Inf)", "/leak LeakyRelu(0.25)"}; !slices.Equal(acts, want) {
		t.Errorf("%q, want %q", acts, want)
	}
	g.nodes = []message{call("f", "a", "x"), call("missing", "b", "x")}
	wantText(t, failure(t, modelMessage(8, 13, g.encode()).sub(25, f), source.Options{}), `local.missing "b"`)
}

// Functions that call themselves or expand exponentially are an error after a short
// time.
func TestFunctionsWithoutEnd(t *testing.T) {
	g := graphParts{nodes: []message{call("f0", "y", "x")}, inputs: oneInput, outputs: oneOutput}
	model := modelMessage(8, 13, g.encode())
	self := function("f0", []string{"v"}, []string{"r"}, call("f0", "r", "v"))
	wantText(t, failure(t, model.sub(25, self), source.Options{}), "exceeds the limit of ")
	for i := range 12 {
		name, next := "f"+string(rune('0'+i)), "f"+string(rune('1'+i))
		var body []message
		for k := range 16 {
			body = append(body, call(next, fmt.Sprint("r", k), "v"))
		}
		model = model.sub(25, function(name, []string{"v"}, []string{"r0"}, body...))
	}
	model = model.sub(25, function("f"+string(rune('0'+12)), []string{"v"}, []string{"r"}, simple("Identity", "r", "v")))
	wantText(t, failure(t, model, source.Options{}), "exceeds the limit of ")
}

func TestIf(t *testing.T) {
	branch := func(op string) message {
		return graphParts{
			nodes:   []message{simple(op, "r", "x", "w")},
			weights: []message{floatWeights("w", nil, 2)}, outputs: []message{tensorInput("r", 1)},
		}.encode()
	}
	g := graphParts{
		nodes: []message{
			simple("Shape", "s", "x"), simple("Gather", "d", "s", "zero"), simple("Equal", "cond", "d", "two"),
			nodeMessage("If", "", []string{"cond"}, []string{"y"}, graphAttr("then_branch", branch("Mul")), graphAttr("else_branch", branch("Rulu"))),
		},
		weights: []message{intWeights("zero", 0), intWeights("two", 2)},
		inputs:  oneInput, outputs: oneOutput,
	}
	m := parse(t, modelMessage(8, 13, g.encode()), source.Options{})
	if n := m.Graph.Nodes; len(n) != 1 || n[0].Op != (ir.Binary{Fn: ir.Mul}) || n[0].Out[0].Name != "y" {
		t.Error(ir.Format(m.Graph))
	}
}

// The trip count of a loop is constant, or becomes so by binding an input. The body is repeated
// up to the limit.
func TestLoop(t *testing.T) {
	body := graphParts{
		nodes:  []message{simple("Identity", "go", "c"), simple("Add", "b", "s", "w")},
		inputs: []message{tensorInput("i", 7), tensorInput("c", 9), tensorInput("s", 1)}, outputs: []message{tensorInput("go", 9), tensorInput("b", 1)},
		weights: []message{floatWeights("w", nil, 2)},
	}
	loop := func(trips, condition string) message {
		return graphParts{
			nodes:   []message{nodeMessage("Loop", "the loop", []string{trips, condition, "x"}, []string{"y"}, graphAttr("body", body.encode()))},
			inputs:  []message{oneInput[0], tensorInput("n", 7), tensorInput("k", 9)},
			weights: []message{message{}.int(2, 9).int(5, 1).str(8, "true"), message{}.int(2, 7).int(7, 5000).str(8, "many")},
			outputs: oneOutput,
		}.encode()
	}
	model := func(trips, condition string) message { return modelMessage(8, 13, loop(trips, condition)) }
	bind := func(n int64) source.Options {
		return source.Options{Bind: map[string]*ir.Tensor{"n": ir.Scalar(n)}}
	}
	for trips := range int64(4) {
		m := parse(t, model("n", "true"), bind(trips))
		if n := m.Graph.Nodes; int64(len(n)) != trips || trips > 1 && n[1].In[1] != n[0].In[1] {
			t.Errorf("%d iterations: %s", trips, ir.Format(m.Graph))
		}
	}
	wantText(t, failure(t, model("n", "true"), source.Options{}), `Loop-13 "the loop": the trip count ("n") is computed at run time`, "--bind")
	wantText(t, failure(t, model("n", "k"), bind(3)), `the condition ("k") is computed at run time`)
	for _, trips := range []string{"", "many"} {
		wantText(t, failure(t, model(trips, "true"), source.Options{}), `Loop-13 "the loop": iteration 1025: 1025 exceeds the limit of 1024 iterations; raise it with --limit iterations=N`)
	}
	opts := source.Options{}
	opts.Bounds[ir.BoundIterations] = 5000
	if m := parse(t, model("many", ""), opts); len(m.Graph.Nodes) != 5000 {
		t.Errorf("%d nodes", len(m.Graph.Nodes))
	}
}

// Weights in raw form are slices of the file for every alignment.
func TestWeightsAreShared(t *testing.T) {
	w := message{}.packed(1, 3).int(2, 1).str(8, "w").bytes(9, make([]byte, 12))
	g := graphParts{nodes: []message{simple("Add", "y", "x", "w")}, weights: []message{w}, inputs: oneInput, outputs: oneOutput}
	model := modelMessage(8, 13, g.encode())
	m := parse(t, model, source.Options{})
	p := uintptr(unsafe.Pointer(unsafe.SliceData(m.Graph.Constants[0].Const.Bytes())))
	first := uintptr(unsafe.Pointer(unsafe.SliceData(model)))
	if p < first || p >= first+uintptr(len(model)) {
		t.Error("the weights were copied")
	}
}

func TestExternalData(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "w.data"), []byte("\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40"), 0o644); err != nil {
		t.Fatal(err)
	}
	load := func(entries ...string) (*source.Model, error) {
		w := message{}.packed(1, 3).int(2, 1).str(8, "w").int(14, 1)
		for i := 0; i < len(entries); i += 2 {
			w = w.sub(13, message{}.str(1, entries[i]).str(2, entries[i+1]))
		}
		g := graphParts{nodes: []message{simple("Add", "y", "x", "w")}, weights: []message{w}, inputs: oneInput, outputs: oneOutput}
		path := filepath.Join(dir, "m.onnx")
		if err := os.WriteFile(path, modelMessage(8, 13, g.encode()), 0o644); err != nil {
			t.Fatal(err)
		}
		return Load(path, source.Options{})
	}
	m, err := load("location", "w.data", "offset", "4", "length", "12")
	if err != nil {
		t.Fatal(err)
	}
	if w := m.Graph.Constants[0].Const.Float32s(); !slices.Equal(w, []float32{1, 2, 3}) {
		t.Errorf("weights %v", w)
	}
	if err := m.Release(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		entries []string
		want    string
	}{
		{[]string{"location", "../w.data"}, "outside the model's folder"},
		{[]string{"location", "/etc/passwd"}, "outside the model's folder"},
		{[]string{"location", ""}, "without a location"},
		{[]string{"location", "gone.data"}, `"gone.data" does not exist`},
		{[]string{"location", "w.data", "offset", "8"}, "has 16 bytes, the tensor lies at 8+12"},
		{[]string{"location", "w.data", "offset", "-4"}, `offset "-4"`},
		{[]string{"location", "w.data", "offset", "9223372036854775807"}, "the tensor lies at"},
		{[]string{"location", "w.data", "length", "16"}, "16 bytes for 12"},
	} {
		_, err := load(c.entries...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.entries, err, c.want)
		}
	}
}

func TestElementTypes(t *testing.T) {
	tensor := func(elem int64, rest message) message {
		return append(message{}.packed(1, 2).int(2, elem).str(8, "t"), rest...)
	}
	for _, c := range []struct {
		name string
		t    message
		want *ir.Tensor
	}{
		{"float raw", tensor(1, message{}.bytes(9, []byte("\x00\x00\x80\x3f\x00\x00\x00\xc0"))), ir.TensorOf(ir.Shape{2}, float32(1), -2)},
		{"float packed", tensor(1, message{}.bytes(4, []byte("\x00\x00\x80\x3f\x00\x00\x00\xc0"))), ir.TensorOf(ir.Shape{2}, float32(1), -2)},
		{"float", tensor(1, message{}.float(4, 1, -2)), ir.TensorOf(ir.Shape{2}, float32(1), -2)},
		{"double packed", tensor(11, message{}.bytes(10, []byte("\x00\x00\x00\x00\x00\x00\xf0\x3f\x00\x00\x00\x00\x00\x00\x00\xc0"))), ir.TensorOf(ir.Shape{2}, float64(1), -2)},
		{"half raw", tensor(10, message{}.bytes(9, []byte("\x00\x3c\x00\xc0"))), ir.TensorOf(ir.Shape{2}, float32(1), -2)},
		{"half bits", tensor(10, message{}.packed(5, 0x3c00, 0xc000)), ir.TensorOf(ir.Shape{2}, float32(1), -2)},
		{"bfloat16 bits", tensor(16, message{}.int(5, 0x3f80, 0xc000)), ir.TensorOf(ir.Shape{2}, float32(1), -2)},
		{"int64", tensor(7, message{}.int(7, 1, -2)), ir.TensorOf(ir.Shape{2}, int64(1), -2)},
		{"int32", tensor(6, message{}.packed(5, 1, -2)), ir.TensorOf(ir.Shape{2}, int32(1), -2)},
		{"int8", tensor(3, message{}.packed(5, 1, -2)), ir.TensorOf(ir.Shape{2}, int8(1), -2)},
		{"uint8", tensor(2, message{}.packed(5, 1, 254)), ir.TensorOf(ir.Shape{2}, uint8(1), 254)},
		{"uint64", tensor(13, message{}.packed(11, 1, -2)), ir.TensorOf(ir.Shape{2}, uint64(1), 1<<64-2)},
		{"bool raw", tensor(9, message{}.bytes(9, []byte{0, 7})), ir.TensorOf(ir.Shape{2}, false, true)},
		{"bool", tensor(9, message{}.packed(5, 0, 1)), ir.TensorOf(ir.Shape{2}, false, true)},
	} {
		got, name, err := ParseTensor(c.t)
		if err != nil || name != "t" || !got.Type.Equal(c.want.Type) || string(got.Bytes()) != string(c.want.Bytes()) {
			t.Errorf("%s: %v %q %v", c.name, got, name, err)
		}
	}
	for _, c := range []struct {
		t    message
		want string
	}{
		{tensor(8, message{}.str(6, "a", "b")), "type string"},
		{tensor(17, message{}.packed(5, 0, 1)), "type float8e4m3fn"},
		{tensor(99, nil), "element type 99"},
		{tensor(1, message{}.float(4, 1)), "with 1 elements"},
		{tensor(1, message{}.packed(7, 1, 2)), "as integers"},
		{tensor(7, message{}.float(4, 1, 2)), "a field of another type"},
		{tensor(1, message{}.bytes(9, make([]byte, 7))), "needs 8 bytes, got 7"},
		{tensor(1, message{}.bytes(4, make([]byte, 7))), "7 bytes of packed floats"},
		{message{}.packed(1, 1<<40, 1<<40).int(2, 1), "has dimensions"},
		{message{}.packed(1, -1).int(2, 1), "has dimensions"},
	} {
		if _, _, err := ParseTensor(c.t); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// Half-precision models are computed in float32 and have float32 outputs.
func TestHalfPrecision(t *testing.T) {
	g := graphParts{
		nodes:   []message{simple("Add", "a", "x", "w"), nodeMessage("Cast", "", []string{"a"}, []string{"y"}, intAttr("to", 10))},
		weights: []message{message{}.packed(1, 3).int(2, 10).str(8, "w").bytes(9, make([]byte, 6))},
		inputs:  []message{tensorInput("x", 10, 2, 3)}, outputs: []message{tensorInput("y", 10, 2, 3)},
	}
	m := parse(t, modelMessage(8, 13, g.encode()), source.Options{})
	if in, out := m.Graph.Inputs[0].Type, m.Graph.Outputs[0].Value.Type; in.DType != ir.Float32 || out.DType != ir.Float32 || len(m.Graph.Nodes) != 1 {
		t.Error(ir.Format(m.Graph))
	}
	if len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "computed in float32") {
		t.Errorf("notes %q", m.Notes)
	}
}

// Only unsupported operators have a remedy.
func TestNearest(t *testing.T) {
	im := &importer{operators: operators}
	for name, advice := range instead {
		if operators[name] != nil {
			t.Errorf("%s is supported", name)
		}
		if got := im.nearest(name); !strings.Contains(got, advice) {
			t.Errorf("%s: %s", name, got)
		}
	}
	wantText(t, im.nearest("QLinearConvTranspose"), "ConvTranspose", "QLinearConv")
}

// An operand that the opset does not have is an error: the bounds of a Clip, the sizes
// of a Resize, the ratio of a Dropout.
func TestOperandsOfAnotherOpset(t *testing.T) {
	for _, c := range []struct {
		node  message
		since int64
	}{
		{simple("Clip", "y", "x", "k"), 11},
		{simple("Resize", "y", "x", "", "k"), 11},
		{simple("Dropout", "y", "x", "k"), 12},
		{simple("ReduceSum", "y", "x", "k"), 13},
		{simple("ReduceMax", "y", "x", "k"), 18},
		{simple("Relu", "y", "x", "k"), maxOpset + 1},
	} {
		g := graphParts{nodes: []message{c.node}, weights: []message{floatWeights("k", nil, 1)}, inputs: oneInput, outputs: oneOutput}
		const text = "has no meaning in opset"
		wantText(t, failure(t, modelMessage(8, c.since-1, g.encode()), source.Options{}), text, "correct its opset_import")
		if c.since > maxOpset {
			continue
		}
		if _, err := Parse("m", modelMessage(8, c.since, g.encode()), "", source.Options{}); err != nil && strings.Contains(err.Error(), text) {
			t.Errorf("opset %d: %v", c.since, err)
		}
	}
	// An omitted operand is absent.
	g := graphParts{nodes: []message{simple("Clip", "y", "x", "", "")}, inputs: oneInput, outputs: oneOutput}
	parse(t, modelMessage(8, 10, g.encode()), source.Options{})
}

// The count of the boxes of a NonMaxSuppression is named after the only output with a
// row per box, or otherwise after the rows.
func TestCountOfBoxes(t *testing.T) {
	boxes, rows, which := tensorInput("boxes", 1, 1, 8, 4), tensorInput("rows", 7, "n", 3), tensorInput("which", 7, "n", 1)
	nodes := []message{
		simple("NonMaxSuppression", "rows", "boxes", "scores", "most"),
		simple("Slice", "which", "rows", "two", "three", "one"),
		simple("Transpose", "across", "which"),
	}
	weights := []message{intWeights("one", 1), intWeights("two", 2), intWeights("three", 3), message{}.int(2, 7).packed(7, 5).str(8, "most")}
	for _, test := range []struct {
		outputs []message
		want    string
	}{
		{[]message{rows}, "rows.count"},
		{[]message{which}, "which.count"},
		{[]message{tensorInput("across", 7, 1, "n")}, "rows.count"},
		{[]message{which, rows}, "rows.count"},
	} {
		m := parse(t, modelMessage(8, 13, graphParts{nodes: nodes, weights: weights,
			inputs: []message{boxes, tensorInput("scores", 1, 1, 2, 8)}, outputs: test.outputs}.encode()), source.Options{})
		last := m.Graph.Outputs[len(m.Graph.Outputs)-1]
		if last.Name != test.want || !last.Value.Type.Shape.Equal(ir.Shape{1}) {
			t.Errorf("%s %s, want %s", last.Name, last.Value.Type, test.want)
		}
	}
}
