package onnxfile_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"modelc/frontend/onnx"
	"modelc/frontend/source"
	"modelc/internal/npy"
	"modelc/internal/onnxfile"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/ir/examples"
)

// graphs are written beside the examples of all ops.
const graphs = `
-- every function --
input %x: f32[2,3]
%a = Unary(%x) fn=FN
output "y" %a
-- an epilogue --
input %x: f32[1,3,5,5]
const %w: f32[4,3,3,3] = seed=1
const %b: f32[4] = seed=2
%y = Conv(%x, %w, %b) strides=[2,1] pads=[1,0,1,2] dilations=[1,2] groups=1 epilogue=LeakyRelu(0.1)
output "y" %y
-- names: an input as output, one value twice --
input %x: f32[2,3]
%y = Unary(%x) fn=Relu
output "z" %y
output "y" %y
output "x" %x
-- softmax over several axes --
input %x: f32[2,3,4,1]
%y = Softmax(%x) axes=[1,2,3] log=true
output "y" %y
-- softmax over one axis and axes of one element --
input %x: f32[2,3,1,1]
%y = Softmax(%x) axes=[1,2,3]
output "y" %y
-- ceil --
input %x: f32[1,2,6,7]
%y = Pool(%x) kind=max kernel=[3,3] strides=[2,2] pads=[0,0,0,0] extra=[1,0] dilations=[1,1]
output "y" %y
-- average --
input %x: f32[1,2,6,7]
%y = Pool(%x) kind=avg kernel=[3,3] strides=[2,2] pads=[1,1,1,1] dilations=[1,1] countPad=true
output "y" %y
-- reversed --
input %x: f32[4,5]
%y = Slice(%x) start=[3,1] count=[4,2] step=[-1,2]
output "y" %y
-- odd scales --
input %x: f32[1,1,5,5]
%y = Resize(%x) mode=linear coord=half_pixel nearest=round_prefer_floor shape=[1,1,7,12] scales=[1,1,1.5,2.5] cubicA=-0.75
output "y" %y
-- quantised --
input %x: f32[1,3,5,5]
const %s: f32[] = {0.03}
const %z: u8[] = {120}
const %t: f32[] = {0.0317}
const %w: i8[4,3,1,1] = seed=4
const %ws: f32[4,1,1,1] = {0.01, 0.02, 0.03, 0.04}
%q = Quantize(%x, %s, %z) to=u8
%d = Dequantize(%q, %s, %z)
%v = Dequantize(%w, %ws)
%c = Conv(%d, %v) strides=[1,1] pads=[0,0,0,0] dilations=[1,1] groups=1
%r = Quantize(%c, %t) to=i8
%y = Dequantize(%r, %t)
output "y" %y
`

// absent has the examples that cannot be written, with a part of the reason.
var absent = map[string]string{
	"MaxUnpool": "does not write", "NonMaxSuppression": "does not write", "Interleave": "does not write",
	"Interleave of images": "negative pads", // a part of a transposed convolution
}

// all returns the graphs to write, by name.
func all(t *testing.T) map[string]*ir.Graph {
	t.Helper()
	list, err := examples.All()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]*ir.Graph{}
	for _, e := range list {
		if e.DType == ir.Float32 { // half of the operators are defined on floats only
			m[e.Name] = e.Graph
		}
	}
	for _, f := range txtar.Parse([]byte(graphs)).Files {
		texts := map[string]string{f.Name: string(f.Data)}
		if f.Name == "every function" {
			delete(texts, f.Name)
			for fn := ir.Identity; fn <= ir.Shrink; fn++ {
				a, err := ir.Act{Fn: fn, Alpha: 0.25, Beta: 0.5}.MarshalText()
				if err != nil {
					t.Fatal(err)
				}
				texts[fn.String()] = strings.ReplaceAll(string(f.Data), "FN", string(a))
			}
		}
		for name, text := range texts {
			g, err := ir.Parse("graph \"test\"\n" + text)
			if err == nil {
				err = ir.Verify(g)
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			m[name] = g
		}
	}
	return m
}

// written returns g as a file, or nil if it cannot be written, for the right reason.
func written(t *testing.T, name string, g *ir.Graph) []byte {
	t.Helper()
	m, err := onnxfile.FromGraph(g, "test")
	reason, ok := absent[name]
	if ok || err != nil {
		if err == nil || !ok || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: want an error with %q, got %v", name, reason, err)
		}
		return nil
	}
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A graph that is written and read again has the same interface and computes the same values.
func TestRoundTrip(t *testing.T) {
	for name, g := range all(t) {
		t.Run(name, func(t *testing.T) {
			b := written(t, name, g)
			if b == nil {
				return
			}
			r, err := onnx.Parse("written.onnx", b, "", source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for i, o := range g.Outputs {
				if got := r.Graph.Outputs[i]; got.Name != o.Name || !got.Value.Type.Equal(o.Value.Type) {
					t.Errorf("output %q %s became %q %s", o.Name, o.Value.Type, got.Name, got.Value.Type)
				}
			}
			in := eval.Inputs(g, 1)
			got, err := eval.Run(r.Graph, in)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, g, in, got, 1e-6)
		})
	}
}

// compare compares outputs with those of g on the same inputs.
func compare(t *testing.T, g *ir.Graph, in, got []*ir.Tensor, tol float64) {
	t.Helper()
	want, err := eval.Run(g, in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if d, err := eval.Compare(got[i], want[i]); err != nil || !d.Within(tol) {
			t.Errorf("output %q: %v %v", g.Outputs[i].Name, d, err)
		}
	}
}

// ONNX Runtime loads the files and computes the same values. MODELC_ORT names a Python with
// ONNX Runtime.
func TestONNXRuntime(t *testing.T) {
	python := os.Getenv("MODELC_ORT")
	if python == "" {
		t.Skip("MODELC_ORT names no Python with ONNX Runtime")
	}
	dir := t.TempDir()
	inputs := map[string][]*ir.Tensor{}
	folder := func(name string) string { return filepath.Join(dir, strings.ReplaceAll(name, " ", "_")) }
	for name, g := range all(t) {
		b := written(t, name, g)
		if b == nil || name == "Unary Not" { // of a float here
			continue
		}
		if err := os.MkdirAll(folder(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder(name), "model.onnx"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		inputs[name] = eval.Inputs(g, 1)
		for i, x := range inputs[name] {
			if err := npy.Write(filepath.Join(folder(name), fmt.Sprintf("input_%d.npy", i)), x); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := exec.Command(python, "testdata/ort.py", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) {
			if b, err := os.ReadFile(filepath.Join(folder(name), "error.txt")); err == nil {
				t.Fatalf("%s", b)
			}
			g := all(t)[name]
			var got []*ir.Tensor
			for i := range g.Outputs {
				y, err := npy.Read(filepath.Join(folder(name), fmt.Sprintf("output_%d.npy", i)))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, y)
			}
			compare(t, g, in, got, 1e-5)
		})
	}
}
