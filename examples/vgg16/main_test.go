package main

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const testdata = "../../testdata/"

// A small VGG trained with Keras classifies digits. The name of a picture starts
// with its digit.
func TestPredict(t *testing.T) {
	pictures, err := filepath.Glob(testdata + "digits/*.png")
	if err != nil || len(pictures) < 10 {
		t.Fatalf("%d pictures: %v", len(pictures), err)
	}
	for _, format := range []string{"keras", "h5", "onnx"} {
		var out strings.Builder
		if err := predict(&out, testdata+"keras/vgg/model."+format, "unit", "", pictures); err != nil {
			t.Fatal(err)
		}
		for _, p := range pictures {
			if want := fmt.Sprintf("%s\n  class %c ", p, filepath.Base(p)[0]); !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", format, want, &out)
			}
		}
	}
}

// A network with the structure of VGG16 classifies pictures in mode caffe into
// ImageNet's classes.
func TestVGG16(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vgg16.onnx")
	if msg, err := exec.Command("go", "tool", "modelc", "zoo", "vgg16", "--width", "0.125", "--size", "64", "-o", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	picture := "../../runtime/vision/testdata/jpeg_420.jpg"
	var out strings.Builder
	if err := predict(&out, path, "caffe", "imagenet", []string{picture}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 6 || lines[0] != picture || strings.Contains(out.String(), "class ") {
		t.Errorf("got\n%s", &out)
	}
	t.Log(out.String())
}

func TestErrors(t *testing.T) {
	digit := []string{testdata + "digits/3_0.png"}
	for _, test := range []struct{ model, mode, labels, want string }{
		{"nowhere.h5", "unit", "", "nowhere.h5"},
		{testdata + "keras/vgg/model.h5", "vgg", "", `unknown preprocessing "vgg"`},
		{testdata + "keras/vgg/model.h5", "caffe", "", "needs 3"},
		{testdata + "keras/vgg/model.h5", "unit", "imagenet", "scores 10 classes, imagenet names 1000"},
	} {
		if err := predict(io.Discard, test.model, test.mode, test.labels, digit); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v", test, err)
		}
	}
}
