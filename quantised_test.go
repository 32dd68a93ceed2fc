package modelc

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc/frontend"
	"modelc/frontend/source"
	"modelc/internal/npy"
	"modelc/internal/zoo"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/passes"
)

// quantisedNetworks are the networks that TestONNXRuntimeIntegers quantises.
var quantisedNetworks = []struct {
	name string
	zoo.Options
}{
	{"resnet18", zoo.Options{}},
	{"mobilenetv2", zoo.Options{}},
	{"resnet18", zoo.Options{Size: 64, Width: 0.5}},
	{"resnet50", zoo.Options{Size: 64, Width: 0.5}},
	{"mobilenetv2", zoo.Options{Size: 64, Width: 0.5}},
	{"squeezenet1.1", zoo.Options{Size: 64, Width: 0.5}},
	{"densenet121", zoo.Options{Size: 64, Width: 0.5}},
	{"vgg16", zoo.Options{Size: 64, Width: 0.25}},
}

// steps counts the integers of operators of ONNX Runtime.
type steps struct{ tensors, equal, one, more int }

// inFloats lists the operators that ONNX Runtime computes in floats, or in another order
// than docs/quantisation.md defines. Their integers may differ by one step.
var inFloats = []string{"QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearSoftmax", "QLinearAveragePool", "QLinearLeakyRelu", "QuantizeLinear"}

// The integers between the layers of quantised networks are those of ONNX Runtime. Each node
// reads the integers of ONNX Runtime, so that a difference of one step does not become many.
// MODELC_ORT names a Python with onnx and onnxruntime. With -v the test prints the table of
// docs/quantisation.md.
func TestONNXRuntimeIntegers(t *testing.T) {
	python := os.Getenv("MODELC_ORT")
	if python == "" {
		t.Skip("MODELC_ORT is not set: it names a Python with onnx and onnxruntime, which quantises networks")
	}
	all := map[string]*steps{}
	for _, n := range quantisedNetworks {
		if n.Size == 0 && !*long {
			continue
		}
		t.Run(fmt.Sprint(n.name, "-", n.Size), func(t *testing.T) {
			dir := t.TempDir()
			float := filepath.Join(dir, "float.onnx")
			f, err := os.Create(float)
			if err != nil {
				t.Fatal(err)
			}
			o := n.Options
			o.Classes = 10
			if err := zoo.Write(f, n.name, o); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), python, "testdata/quantised/quantise.py", float, dir).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			folders, err := filepath.Glob(filepath.Join(dir, "q*-*-*"))
			if err != nil || len(folders) != 12 {
				t.Fatalf("%d folders, %v", len(folders), err)
			}
			for _, folder := range folders {
				t.Run(filepath.Base(folder), func(t *testing.T) { compareIntegers(t, folder, all) })
			}
		})
	}
	var table strings.Builder
	for _, op := range slices.Sorted(maps.Keys(all)) {
		s := all[op]
		fmt.Fprintf(&table, "| %s | %d | %d | %d | %d |\n", op, s.tensors, s.equal, s.one, s.more)
	}
	t.Logf("| operator of ONNX Runtime | tensors | equal | off by one | by more |\n| --- | --- | --- | --- | --- |\n%s", &table)
}

// compareIntegers compares a network in a folder that quantise.py wrote, and adds to all.
func compareIntegers(t *testing.T, folder string, all map[string]*steps) {
	m, err := frontend.Load(filepath.Join(folder, "model.onnx"), source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	// Without fuse_residual the integers between a convolution and a sum exist.
	r, err := passes.Run(m.Graph, &passes.Config{Disable: []string{"fuse_residual"}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Integers == nil || r.Integers.Integer < r.Integers.Layers {
		t.Errorf("not all layers compute on integers: %+v", r.Integers)
	}
	input, err := npy.Read(filepath.Join(folder, "input.npy"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile(filepath.Join(folder, "integers.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	type result struct{ op, file string }
	theirs := map[string]result{}
	for row := range strings.Lines(string(rows)) {
		f := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		theirs[f[2]] = result{f[1], f[0]}
	}
	compared := 0
	_, err = eval.Replace(m.Graph, []*ir.Tensor{input}, func(v *ir.Value, got *ir.Tensor) (*ir.Tensor, error) {
		at, ok := theirs[v.Name]
		if !ok {
			return got, nil
		}
		want, err := npy.Read(filepath.Join(folder, at.file))
		if err != nil {
			return nil, err
		}
		if !want.Type.Equal(got.Type) {
			t.Errorf("%s is %s, in ONNX Runtime %s", v, got.Type, want.Type)
			return got, nil
		}
		one, more := eval.CountSteps(got, want)
		s := all[at.op]
		if s == nil {
			s = &steps{}
			all[at.op] = s
		}
		s.tensors++
		s.equal += want.Shape.Len() - one - more
		s.one += one
		s.more += more
		compared++
		if more > 0 || one > 0 && !slices.Contains(inFloats, at.op) {
			t.Errorf("%s, %s in ONNX Runtime: of %d integers, %d differ by one, %d by more", v.Def(), at.op, want.Shape.Len(), one, more)
		}
		return want, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Tables that replace several nodes compute fewer tensors.
	if compared*10 < len(theirs)*9 {
		t.Errorf("%d of ONNX Runtime's %d tensors compared", compared, len(theirs))
	}
}
