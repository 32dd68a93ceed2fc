package modelc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelc/frontend/source"
	"modelc/ir"
	"modelc/runtime/vision"
)

// compileText compiles a graph in text form.
func compileText(t *testing.T, format, text string) *Compiled {
	t.Helper()
	g, err := ir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := CompileModel(&source.Model{Graph: g, Path: "net", Format: format}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pooled returns a network with an input of the given shape and the given number of
// scores.
func pooled(t *testing.T, format, shape string, elements int) *Compiled {
	return compileText(t, format, fmt.Sprintf("graph \"g\"\ninput %%x : f32%s\n%%y = Unary(%%x) fn=Relu\n%%z = Reshape(%%y) shape=[1,%d]\noutput \"z\" %%z\n", shape, elements))
}

func TestScalesLevels(t *testing.T) {
	for _, c := range []struct {
		layers string
		want   bool
	}{
		{"%a = Binary(%x, %k) fn=Mul", true}, // k is 1/255
		{"%a = Binary(%k, %x) fn=Mul", true},
		{"%a = Binary(%x, %n) fn=Div", true}, // n is 255
		{"%a = Binary(%n, %x) fn=Div", false},
		{"%a = Binary(%x, %n) fn=Mul", false},
		{"%a = Binary(%x, %n) fn=Sub", true},
		{"%a = Binary(%x, %k) fn=Sub", false},
		{"%b = Transpose(%x) perm=[0,2,3,1]\n%c = Binary(%b, %k) fn=Sub\n%a = Binary(%c, %k) fn=Mul", true},
		{"%b = Unary(%x) fn=Relu\n%a = Binary(%b, %k) fn=Mul", false},
		{"%b = Binary(%x, %k) fn=Mul\n%a = Binary(%x, %b) fn=Add", false}, // x has two uses
	} {
		m := compileText(t, "ONNX", "graph \"g\"\ninput %x : f32[1,3,4,4]\nconst %k : f32[] = {0.003921569}\nconst %n : f32[1] = {255}\n"+c.layers+"\n%y = Unary(%a) fn=Relu\noutput \"y\" %y\n")
		if got := m.ScalesLevels(); got != c.want {
			t.Errorf("%s: %v", c.layers, got)
		}
	}
}

func TestPreprocess(t *testing.T) {
	for _, test := range []struct {
		format, shape string
		elements      int
		want          vision.Preprocess
		err           string
	}{
		{"ONNX", "[1,3,4,5]", 60, vision.Preprocess{Width: 5, Height: 4, Channels: 3}, ""},
		{"ONNX", "[1,4,5,3]", 60, vision.Preprocess{Width: 5, Height: 4, Channels: 3, Layout: vision.NHWC}, ""},
		{"ONNX", "[1,1,4,5]", 20, vision.Preprocess{Width: 5, Height: 4, Channels: 1}, ""},
		{"Keras 3", "[1,4,5,1]", 20, vision.Preprocess{Width: 5, Height: 4, Channels: 1, Layout: vision.NHWC}, ""},
		{"Keras 3", "[1,3,4,5]", 60, vision.Preprocess{Width: 5, Height: 4, Channels: 3}, ""},
		{"ONNX", "[1,3,4,1]", 12, vision.Preprocess{Width: 1, Height: 4, Channels: 3}, ""},
		{"Keras 3", "[1,3,4,1]", 12, vision.Preprocess{Width: 4, Height: 3, Channels: 1, Layout: vision.NHWC}, ""},
		{"ONNX", "[1,4,5,6]", 120, vision.Preprocess{}, `net: input "x" is f32[1,4,5,6]; images need`},
		{"ONNX", "[1,3,5]", 15, vision.Preprocess{}, "images need f32[1,C,H,W]"},
		{"ONNX", "[2,3,4,5]", 120, vision.Preprocess{}, "a batch of 2"},
	} {
		c := pooled(t, test.format, test.shape, test.elements)
		got, err := c.Preprocess("none")
		switch {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", test.shape, err, test.err)
			}
		case err != nil || got != test.want:
			t.Errorf("%s of %s: %+v, %v; want %+v", test.shape, test.format, got, err, test.want)
		case got.Len() != c.Before.Inputs[0].Type.Shape.Len():
			t.Errorf("%s: %d elements", test.shape, got.Len())
		}
	}
	two := compileText(t, "ONNX", "graph \"g\"\ninput %x : f32[1,3,4,5]\ninput %y : f32[1,3,4,5]\n%z = Binary(%x, %y) fn=Add\noutput \"z\" %z\n")
	if _, err := two.Preprocess("none"); err == nil || !strings.Contains(err.Error(), "2 inputs") {
		t.Error(err)
	}
}

// Options that do not fit the model give an error, and nothing is written.
func TestPicturesMustFit(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module example.com/m\n\ngo 1.24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := pooled(t, "ONNX", "[1,3,2,2]", 12)
	good, err := c.Preprocess("tf")
	if err != nil {
		t.Fatal(err)
	}
	small, grey := good, good
	small.Width = 1
	grey.BGR, grey.Channels = true, 1
	for _, test := range []struct {
		c    *Compiled
		o    PackageOptions
		want string
	}{
		{c, PackageOptions{Preprocess: &good, Labels: []string{"a", "b"}}, "scores 12 classes, Labels names 2"},
		{c, PackageOptions{Preprocess: &small}, "makes 6 elements"},
		{c, PackageOptions{Preprocess: &grey}, "BGR (mode caffe) needs 3"},
		{c, PackageOptions{Labels: make([]string, 12)}, "Labels needs Preprocess"},
		{compileText(t, "ONNX", "graph \"g\"\ninput %x : f32[1,3,2,2]\n%z = Unary(%x) fn=Relu\noutput \"z\" %z\n"), PackageOptions{Preprocess: &good}, "one score per class"},
		{pooled(t, "ONNX", "[1,3,2,4]", 24), PackageOptions{Preprocess: &good}, "makes 12 elements"},
	} {
		if _, err := test.c.WritePackage(filepath.Join(root, "net"), test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.o, err, test.want)
		}
		if _, err := os.Stat(filepath.Join(root, "net")); err == nil {
			t.Fatal("an error left a package")
		}
	}
	if _, err := c.Labels("imagenet"); err == nil || err.Error() != "net: the model scores 12 classes, imagenet names 1000" {
		t.Error(err)
	}
}
