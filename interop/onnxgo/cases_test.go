package onnxgo

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"github.com/owulveryck/onnx-go"
	"github.com/owulveryck/onnx-go/backend/testbackend"
	_ "github.com/owulveryck/onnx-go/backend/testbackend/onnx" // register the cases
	"gorgonia.org/tensor"

	"modelc"
	"modelc/backend/inproc"
	frontend "modelc/frontend/onnx"
	"modelc/frontend/source"
	"modelc/ir"
	"modelc/ir/eval"
)

var update = flag.Bool("update", false, "rewrite testdata/cases.txt")

// cnn lists the operators of convolutional networks. Their cases must pass
// through modelc's own decoder.
var cnn = strings.Fields(`Conv ConvTranspose BatchNormalization MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool GlobalLpPool
	MaxUnpool Relu LeakyRelu PRelu Clip Sigmoid HardSigmoid Elu Selu ThresholdedRelu Softplus Softsign Softmax LogSoftmax Hardmax Gemm
	MatMul Add Sub Mul Div Sum Mean Max Min Pow Sqrt Exp Log Neg Abs Reciprocal Floor Ceil Sign Erf Tanh Concat Flatten Reshape Transpose
	Pad Dropout LRN InstanceNormalization MeanVarianceNormalization LpNormalization ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1
	ReduceL2 ReduceProd ReduceLogSum ReduceLogSumExp ReduceSumSquare Squeeze Unsqueeze Shape Size Gather Slice Split Resize Upsample
	DepthToSpace SpaceToDepth Identity Constant ConstantOfShape Cast Expand Tile Where ArgMax ArgMin TopK Equal Less Greater And Or Not
	Xor EyeLike OneHot NonMaxSuppression`)

// TestCases runs the 348 node tests of onnx-go through modelc's decoder, and
// through onnx-go's decoder and the adapter. testdata/cases.txt lists the cases
// that do not pass, with the reason.
func TestCases(t *testing.T) {
	roads := []struct {
		name string
		run  func(*testbackend.TestCase) ([]*ir.Tensor, error)
	}{{"decoder", throughDecoder}, {"adapter", throughAdapter}}
	var cases []*testbackend.TestCase
	for _, c := range testbackend.GetAllRegisteredTests() {
		cases = append(cases, c())
	}
	slices.SortFunc(cases, func(a, b *testbackend.TestCase) int { return strings.Compare(a.Title, b.Title) })
	list := "# onnx-go's cases that do not pass: through modelc's decoder, through the adapter.\n"
	all, passed, passedCNN := 0, map[string]int{}, map[string]int{}
	for _, tc := range cases {
		restore(tc) // if onnx-go cannot decode the case, the adapter reports it
		want, err := convert(tc.ExpectedOutput)
		if err != nil {
			t.Fatalf("%s: %v", tc.Title, err)
		}
		isCNN := slices.Contains(cnn, tc.OpType)
		if isCNN {
			all++
		}
		for _, road := range roads {
			got, err := road.run(tc)
			if err == nil {
				err = agree(got, want)
			}
			if err == nil {
				passed[road.name]++
				if isCNN {
					passedCNN[road.name]++
				}
				continue
			}
			if isCNN && road.name == "decoder" {
				t.Errorf("%s: %v", tc.Title, err)
			}
			list += fmt.Sprintf("%s\t%s\t%s\n", tc.Title, road.name, reason(err))
		}
	}
	for _, road := range roads {
		t.Logf("%s: %d of %d cases pass, %d of the %d with operators of convolutional networks", road.name, passed[road.name], len(cases), passedCNN[road.name], all)
	}
	if len(cases) != 348 {
		t.Errorf("%d cases", len(cases))
	}
	const path = "testdata/cases.txt"
	if *update {
		if err := os.WriteFile(path, []byte(list), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(strings.Split(string(old), "\n"), strings.Split(list, "\n")); d != "" {
		t.Errorf("%s is not current (-update writes it):\n%s", path, d)
	}
}

// reason returns an error as one line.
func reason(err error) string {
	if u := new(source.Unsupported); errors.As(err, &u) {
		err = errors.New(u.Problems[0].Op + ": " + u.Problems[0].Reason)
	}
	if n := new(onnx.ErrNotImplemented); errors.As(err, &n) {
		err = fmt.Errorf("not implemented: %s", cmp.Or(n.Operator, n.Message))
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// restore sets the type of data with one element to the type that the model
// declares. onnx-go's cases have such data as float32 of shape [1].
func restore(tc *testbackend.TestCase) (err error) {
	backend := New()
	model := onnx.NewModel(backend)
	if err := model.UnmarshalBinary(tc.ModelB); err != nil {
		return err // the adapter cannot run it either
	}
	fix := func(list []tensor.Tensor, ids []int64) error {
		for i, t := range list {
			if t.Shape().TotalSize() != 1 {
				continue
			}
			data, err := fromDense(t)
			if err != nil {
				return err
			}
			declared, err := fromDense(backend.Node(ids[i]).(*Node).t)
			if err != nil {
				return err
			}
			list[i] = toDense(ir.FromFloat64s(declared.Type, data.Float64s()))
		}
		return nil
	}
	return errors.Join(fix(tc.Input, model.Input), fix(tc.ExpectedOutput, model.Output))
}

func convert(dense []tensor.Tensor) ([]*ir.Tensor, error) {
	var list []*ir.Tensor
	for _, o := range dense {
		t, err := fromDense(o)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// agree compares outputs. Floats may differ by 1e-5 + 1e-3·|x|.
func agree(got, want []*ir.Tensor) error {
	if len(got) < len(want) {
		return fmt.Errorf("%d outputs, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if !g.Type.Equal(w.Type) {
			return fmt.Errorf("output %d is %s, want %s", i, g.Type, w.Type)
		}
		x, y := g.Float64s(), w.Float64s()
		for k := range y {
			if x[k] == y[k] || math.IsNaN(x[k]) && math.IsNaN(y[k]) {
				continue
			}
			if d := math.Abs(x[k] - y[k]); !w.DType.IsFloat() || !(d <= 1e-5+1e-3*math.Abs(y[k])) {
				return fmt.Errorf("output %d: element %d is %g, want %g", i, k, x[k], y[k])
			}
		}
	}
	return nil
}

// throughDecoder compiles the case's file. It first binds no inputs, then all
// except the first, then all, because some operators need constant inputs.
func throughDecoder(tc *testbackend.TestCase) ([]*ir.Tensor, error) {
	names, err := frontend.InputNames(tc.ModelB)
	if err != nil {
		return nil, err
	}
	in := map[string]*ir.Tensor{}
	for i, t := range tc.Input {
		if in[names[i]], err = fromDense(t); err != nil {
			return nil, err
		}
	}
	for _, free := range []int{len(names), 1, 0} {
		var got []*ir.Tensor
		if got, err = compileAndRun(tc, names, in, min(free, len(names))); err == nil {
			return got, nil
		}
	}
	return nil, err
}

func compileAndRun(tc *testbackend.TestCase, names []string, in map[string]*ir.Tensor, free int) ([]*ir.Tensor, error) {
	o := source.Options{Bind: map[string]*ir.Tensor{}}
	for _, name := range names[free:] {
		o.Bind[name] = in[name]
	}
	m, err := frontend.Parse("model", tc.ModelB, "", o)
	if err != nil {
		return nil, err
	}
	c, err := modelc.CompileModel(m, modelc.Options{})
	if err != nil {
		return nil, err
	}
	e, err := inproc.New(c.Program, 1)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	var args []*ir.Tensor
	for _, v := range m.Graph.Inputs {
		args = append(args, in[v.Name])
	}
	got, err := e.Run(args)
	if err != nil {
		return nil, err
	}
	want, err := convert(tc.ExpectedOutput)
	return eval.Cut(m.Graph, got, want), err
}

// throughAdapter runs the case like a user of onnx-go. onnx-go's decoder panics
// for some models.
func throughAdapter(tc *testbackend.TestCase) (_ []*ir.Tensor, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("onnx-go panics: %v", r)
		}
	}()
	backend := New()
	defer backend.Close()
	model := onnx.NewModel(backend)
	if err := model.UnmarshalBinary(tc.ModelB); err != nil {
		return nil, fmt.Errorf("onnx-go: %w", err)
	}
	for i, t := range tc.Input {
		if err := model.SetInput(i, t); err != nil {
			return nil, fmt.Errorf("onnx-go: %w", err)
		}
	}
	if err := backend.Run(); err != nil {
		return nil, err
	}
	got, err := model.GetOutputTensors()
	if err != nil {
		return nil, err
	}
	return convert(got)
}
