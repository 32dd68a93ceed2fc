package modelc_test

import (
	"encoding/json"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelc"
	"modelc/backend/inproc"
	"modelc/frontend/source"
	"modelc/internal/npy"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime/vision"
)

func ExampleCompiled_Preprocess() {
	c, err := modelc.Compile("testdata/keras/vgg/model.keras", modelc.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	pre, err := c.Preprocess("unit")
	if err != nil {
		fmt.Println(err)
		return
	}
	img, err := vision.Open("testdata/digits/3_0.png")
	if err != nil {
		fmt.Println(err)
		return
	}
	x := make([]float32, pre.Len())
	if err := pre.Apply(x, img); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(pre.Width, pre.Height, pre.Channels, pre.Layout, len(x))

	// A package written with modelc.PackageOptions{Preprocess: &pre} has Predict.

	// Output: 28 28 1 NHWC 784
}

// The networks of testdata/keras give the outputs of Keras, which trained them, in
// every format, with the reference interpreter and with the kernels. The formats
// agree with one another. The number of digits that they recognise on the sheet of
// held-out digits is the number that Keras counted.
func TestKeras(t *testing.T) {
	const root = "testdata/keras"
	text, err := os.ReadFile(filepath.Join(root, "heldout.json"))
	if err != nil {
		t.Fatal(err)
	}
	var heldOut struct {
		Right  map[string]int
		Labels string
	}
	if err := json.Unmarshal(text, &heldOut); err != nil {
		t.Fatal(err)
	}
	sheet, err := vision.Open(filepath.Join(root, "heldout.png"))
	if err != nil {
		t.Fatal(err)
	}
	if len(heldOut.Right) != 5 || len(heldOut.Labels) != 359 {
		t.Fatalf("%d networks, %d digits", len(heldOut.Right), len(heldOut.Labels))
	}
	for name, right := range heldOut.Right {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(root, name)
			formatsAgree(t, dir)
			if got := countRight(t, filepath.Join(dir, "model.keras"), sheet.(*image.Gray), heldOut.Labels); got != right {
				t.Errorf("%d of %d digits are right, Keras counted %d", got, len(heldOut.Labels), right)
			}
		})
	}
}

// formatsAgree compares the outputs of all formats of the model in dir with those of
// Keras and with one another.
func formatsAgree(t *testing.T, dir string) {
	in, err := npy.Read(filepath.Join(dir, "input_0.npy"))
	if err != nil {
		t.Fatal(err)
	}
	keras, err := npy.Read(filepath.Join(dir, "output_0.npy"))
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got, want *ir.Tensor, tol float64) {
		t.Helper()
		if d, err := eval.Compare(got, want); err != nil || !d.Within(tol) {
			t.Errorf("%s: %v, %v; want within %g", what, d, err, tol)
		}
	}
	var first [2]*ir.Tensor
	for i, format := range []string{"keras", "h5", "onnx"} {
		c, err := modelc.Compile(filepath.Join(dir, "model."+format), modelc.Options{Source: source.Options{InputShapes: []ir.Shape{in.Shape}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := c.Graph.Inputs[0].Type.Shape; !got.Equal(in.Shape) {
			t.Errorf("%s takes %v, the model %v", format, got, in.Shape)
		}
		for _, l := range c.Program.Layers {
			if strings.Contains(l.Doc, "Transpose") || strings.Contains(l.Doc, "Unpack from NC16, channels last") {
				t.Errorf("%s: a step moves elements: %s", format, l.Doc)
			}
		}
		e, err := inproc.New(c.Program, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		exact, err := eval.Run(c.Before, []*ir.Tensor{in})
		if err != nil {
			t.Fatal(err)
		}
		fast, err := e.Run([]*ir.Tensor{in})
		if err != nil {
			t.Fatal(err)
		}
		near(format+" in the interpreter", exact[0], keras, 2e-6)
		near(format+" on the kernels", fast[0], keras, 1e-5)
		if i == 0 {
			first = [2]*ir.Tensor{exact[0], fast[0]}
		}
		near(format+" and .keras in the interpreter", exact[0], first[0], 1e-6)
		near(format+" and .keras on the kernels", fast[0], first[1], 1e-6)
	}
}

// countRight returns the number of digits of the sheet that the model at path
// recognises.
func countRight(t *testing.T, path string, sheet *image.Gray, labels string) (right int) {
	c, err := modelc.Compile(path, modelc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e, err := inproc.New(c.Program, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p, err := c.Preprocess("unit")
	if err != nil {
		t.Fatal(err)
	}
	in := ir.NewTensor(c.Graph.Inputs[0].Type)
	for i, label := range labels {
		at := image.Pt(i*p.Width%sheet.Rect.Dx(), i*p.Width/sheet.Rect.Dx()*p.Height)
		if err := p.Apply(in.Float32s(), sheet.SubImage(image.Rectangle{at, at.Add(image.Pt(p.Width, p.Height))})); err != nil {
			t.Fatal(err)
		}
		out, err := e.Run([]*ir.Tensor{in})
		if err != nil {
			t.Fatal(err)
		}
		if vision.Top(out[0].Float32s(), 1, nil)[0].Index == int(label-'0') {
			right++
		}
	}
	return right
}
