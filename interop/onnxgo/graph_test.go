package onnxgo

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/owulveryck/onnx-go"
	"google.golang.org/protobuf/encoding/protowire"
	"gorgonia.org/tensor"

	"modelc/ir"
)

// file describes an ONNX model by the names of its inputs and outputs and by its
// nodes. An input has one open axis. A node has the form "op operand… = result…".
func file(weights map[string][]float32, inputs, outputs string, nodes ...string) []byte {
	var g []byte
	for _, n := range nodes {
		left, right, _ := strings.Cut(n, " = ")
		operands := strings.Fields(left)
		var b []byte
		for _, o := range operands[1:] {
			b = appendString(b, 1, o)
		}
		for _, r := range strings.Fields(right) {
			b = appendString(b, 2, r)
		}
		g = appendMessage(g, 1, appendString(b, 4, operands[0]))
	}
	for name, w := range weights {
		g = appendMessage(g, 5, encodeTensor(name, ir.TensorOf(ir.Shape{len(w)}, w...)))
	}
	open := appendMessage(nil, 1, appendString(nil, 2, "n"))
	typ := appendMessage(nil, 1, appendMessage(appendVarint(nil, 1, 1), 2, open))
	for i, names := range []string{inputs, outputs} {
		for _, name := range strings.Fields(names) {
			g = appendMessage(g, []protowire.Number{11, 12}[i], appendMessage(appendString(nil, 1, name), 2, typ))
		}
	}
	m := appendVarint(nil, 1, 4)
	m = appendMessage(m, 8, appendVarint(nil, 2, 9))
	return appendMessage(m, 7, g)
}

func vector(x ...float32) tensor.Tensor {
	return tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x))
}

func run(t *testing.T, u user, in ...tensor.Tensor) [][]float32 {
	t.Helper()
	for i, x := range in {
		if err := u.model.SetInput(i, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.backend.Run(); err != nil {
		t.Fatal(err)
	}
	out, err := u.model.GetOutputTensors()
	if err != nil {
		t.Fatal(err)
	}
	var list [][]float32
	for _, o := range out {
		list = append(list, o.Data().([]float32))
	}
	return list
}

// expect checks the outputs of a run.
func expect(t *testing.T, got [][]float32, want ...[]float32) {
	t.Helper()
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Weights may be listed as inputs, as in old files. A node may read an input
// twice.
func TestRun(t *testing.T) {
	for _, inputs := range []string{"x", "x w"} {
		u := newUser(t, New(), file(map[string][]float32{"w": {1, 2}}, inputs, "y", "Mul x x = s", "Add s w = y"))
		first := run(t, u, vector(3, -1))
		expect(t, first, []float32{10, 3})
		expect(t, run(t, u, vector(0, 1)), []float32{1, 3})
		expect(t, first, []float32{10, 3}) // a later Run does not change it
	}
}

// The model is compiled again for an input of another shape.
func TestShapes(t *testing.T) {
	u := newUser(t, New(), file(nil, "x", "y", "Relu x = y"))
	expect(t, run(t, u, vector(-1, 2)), []float32{0, 2})
	expect(t, run(t, u, vector(-1, 2, 3)), []float32{0, 2, 3})
	u.backend.(*Graph).Close()
	expect(t, run(t, u, vector(-1, 4)), []float32{0, 4})
}

// An output may also be an operand. onnx-go does not report this.
func TestInnerOutput(t *testing.T) {
	u := newUser(t, New(), file(nil, "x", "s y", "Relu x = s", "Neg s = y"))
	expect(t, run(t, u, vector(-1, 2)), []float32{0, 2}, []float32{0, -2})
	expect(t, run(t, u, vector(1, -2)), []float32{1, 0}, []float32{-1, 0})
}

// An input that must be constant is compiled in. A change compiles the model again.
func TestBoundInput(t *testing.T) {
	u := newUser(t, New(), file(nil, "x scales", "y", "Upsample x scales = y"))
	expect(t, run(t, u, vector(1, 2), vector(2)), []float32{1, 1, 2, 2})
	engine := u.backend.(*Graph).engine
	expect(t, run(t, u, vector(3, 4), vector(2)), []float32{3, 3, 4, 4})
	if u.backend.(*Graph).engine != engine {
		t.Error("compiled again for the same scales")
	}
	expect(t, run(t, u, vector(1, 2), vector(3)), []float32{1, 1, 1, 2, 2, 2})
}

// A form that opset 10 does not have is read in a later opset.
func TestLaterOpsets(t *testing.T) {
	w := map[string][]float32{"lo": {-1}, "hi": {6}}
	u := newUser(t, New(), file(w, "x", "y", "Clip x lo hi = y"))
	expect(t, run(t, u, vector(-3, 2, 9)), []float32{-1, 2, 6})
	u = newUser(t, New(), file(nil, "x", "y", "HardSwish x = y"))
	expect(t, run(t, u, vector(-4, 3, 6)), []float32{0, 3, 6})
	u = newUser(t, New(Opset(10)), file(w, "x", "y", "Clip x lo hi = y"))
	if err := u.model.SetInput(0, vector(1)); err != nil {
		t.Fatal(err)
	}
	if err := u.backend.Run(); err == nil || !strings.Contains(err.Error(), "has no meaning in opset 10") {
		t.Errorf("a Clip of opset 11 said to be of 10 gives %v", err)
	}
}

func TestErrors(t *testing.T) {
	u := newUser(t, New(), file(nil, "x", "y", "NoSuchOp x = y"))
	if err := u.model.SetInput(0, vector(1)); err != nil {
		t.Fatal(err)
	}
	var n *onnx.ErrNotImplemented
	if err := u.backend.Run(); !errors.As(err, &n) || !strings.Contains(err.Error(), "NoSuchOp") {
		t.Errorf("an unknown operator gives %v", err)
	}
	view, err := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float32{1, 2, 3, 4})).Slice(nil, column{})
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]tensor.Tensor{"nothing": nil, "a view": view, "strings": tensor.New(tensor.WithBacking([]string{"a"}))} {
		u := newUser(t, New(), file(nil, "x", "y", "Relu x = y"))
		if err := u.model.SetInput(0, x); err != nil {
			t.Fatal(err)
		}
		if err := u.backend.Run(); err == nil || !strings.Contains(err.Error(), `"x"`) {
			t.Errorf("%s as an input gives %v", name, err)
		}
	}
	b := New()
	if err := onnx.NewModel(b).UnmarshalBinary(file(nil, "x", "y", "Add x y = y")); err == nil {
		t.Error("a cycle is accepted")
	}
}

// column is the slice [1:2].
type column struct{}

func (column) Start() int { return 1 }
func (column) End() int   { return 2 }
func (column) Step() int  { return 1 }
