package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelc/internal/npy"
	"modelc/ir"
)

// grey returns a picture of one pixel as PNG.
func grey(t *testing.T, level uint8) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 1, 1))
	img.SetGray(0, 0, color.Gray{level})
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree writes files, by their paths below a folder.
func tree(t *testing.T, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, b := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// onePixel converts a picture to its level.
var onePixel = Options{Input: ir.T(ir.Float32, 1, 1), Apply: func(dst []float32, img image.Image) error {
	dst[0] = float32(color.GrayModel.Convert(img.At(0, 0)).(color.Gray).Y)
	return nil
}}

// list formats the inputs and labels of a set.
func format(t *testing.T, s *Set) string {
	t.Helper()
	var b strings.Builder
	for i := range s.Len() {
		x, err := s.Input(i)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%g:%d ", x.Float32s()[0], s.Label(i))
	}
	return strings.TrimSpace(b.String())
}

func TestFormats(t *testing.T) {
	dir := tree(t, map[string][]byte{
		"classes/cat/1.png": grey(t, 1), "classes/cat/2.PNG": grey(t, 2), "classes/ant/3.png": grey(t, 3), "classes/.git/config": nil, "classes/notes.txt": nil,
		"numbers/10/1.png": grey(t, 1), "numbers/2/2.png": grey(t, 2),
		"flat/1.png": grey(t, 1), "flat/2.png": grey(t, 2),
		"list.csv":            []byte("file, label\nflat/2.png, dog\nflat/1.png,ant\nclasses/cat/1.png,dog\n"),
		"x-images-idx3-ubyte": {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7, 8},
		"x-labels-idx1-ubyte": {0, 0, 8, 1, 0, 0, 0, 2, 3, 4},
		"y-images-idx3-ubyte": {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9},
	})
	for name, x := range map[string]*ir.Tensor{
		"one.npy": ir.TensorOf(ir.Shape{1, 1}, float32(5)), "bare.npy": ir.TensorOf(ir.Shape{1}, 6.5),
		"three.npy": ir.TensorOf(ir.Shape{3, 1}, float32(1), 2, 3), "three_labels.npy": ir.TensorOf(ir.Shape{3}, int64(2), 0, 1),
	} {
		if err := npy.Write(filepath.Join(dir, name), x); err != nil {
			t.Fatal(err)
		}
	}
	named := onePixel
	named.Classes = []string{"dog", "cat", "ant"}
	for _, c := range []struct {
		o     Options
		paths string
		want  string
		names string
	}{
		{onePixel, "classes", "3:0 1:1 2:1", "ant cat"},
		{named, "classes", "3:2 1:1 2:1", "dog cat ant"},
		{onePixel, "numbers", "1:10 2:2", ""},
		{onePixel, "flat", "1:-1 2:-1", ""},
		{onePixel, "list.csv", "2:1 1:0 1:1", "ant dog"},
		{onePixel, "x-images-idx3-ubyte", "7:3 8:4", ""},
		{onePixel, "y-images-idx3-ubyte", "9:-1", ""},
		{onePixel, "one.npy bare.npy", "5:-1 6.5:-1", ""},
		{onePixel, "three.npy flat/1.png", "1:2 2:0 3:1 1:-1", ""},
	} {
		var paths []string
		for _, p := range strings.Fields(c.paths) {
			paths = append(paths, filepath.Join(dir, filepath.FromSlash(p)))
		}
		s, err := Open(c.o, paths...)
		if err != nil {
			t.Errorf("%s: %v", c.paths, err)
			continue
		}
		for range 2 { // read, and from memory
			if got := format(t, s); got != c.want || strings.Join(s.Classes, " ") != c.names {
				t.Errorf("%s: %s, classes %q; want %s, %q", c.paths, got, s.Classes, c.want, c.names)
			}
		}
		if s.Labelled() == strings.Contains(c.want, "-1") {
			t.Errorf("%s: Labelled is %v", c.paths, s.Labelled())
		}
	}
	// Folders with other classes have other numbers.
	if _, err := Open(onePixel, filepath.Join(dir, "classes"), filepath.Join(dir, "list.csv")); err == nil || !strings.Contains(err.Error(), "--labels") {
		t.Errorf("sets with different classes: %v", err)
	}
	named.Classes = []string{"dog", "cat"}
	if _, err := Open(named, filepath.Join(dir, "classes")); err == nil || !strings.Contains(err.Error(), `"ant" is not the name of a class`) {
		t.Errorf("an unknown class: %v", err)
	}
	s, err := Open(Options{Input: onePixel.Input, Why: errors.New("no pictures")}, filepath.Join(dir, "flat"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Input(0); err == nil || !strings.Contains(err.Error(), "no pictures") {
		t.Errorf("a picture without a conversion: %v", err)
	}
}

func TestSample(t *testing.T) {
	s := &Set{items: make([]item, 10)}
	for i := range s.items {
		s.items[i].label = i
	}
	for n, want := range map[int]string{3: "0 3 6", 10: "0 1 2 3 4 5 6 7 8 9", 0: "0 1 2 3 4 5 6 7 8 9", 99: "0 1 2 3 4 5 6 7 8 9"} {
		part := s.Sample(n)
		var got []string
		for i := range part.Len() {
			got = append(got, fmt.Sprint(part.Label(i)))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%d: %v, want %s", n, got, want)
		}
	}
	if err := s.CheckLabels(9); err == nil {
		t.Error("label 9 of 9 classes was accepted")
	}
}
