package drawing

import (
	"image"
	"image/color"
	"path/filepath"
	"testing"

	"modelc/runtime/vision"

	"example.com/browser/digits"
)

// A digit is recognised wherever it stands on a canvas and however large it is.
func TestFit(t *testing.T) {
	m, err := digits.New()
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession()
	defer s.Close()
	files, err := filepath.Glob("../../../testdata/digits/*.png")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d pictures: %v", len(files), err)
	}
	for _, f := range files {
		scan, err := vision.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, side := range []int{56, 140} {
			large, err := vision.Resize(scan, side, side, vision.Bilinear)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []image.Point{{}, {140, 20}, {100, 140}} {
				canvas := image.NewGray(image.Rect(0, 0, 280, 280))
				for y := range side {
					for x := range side {
						canvas.Set(at.X+x, at.Y+y, large.At(x, y))
					}
				}
				img, err := Fit(canvas)
				if err != nil {
					t.Fatal(err)
				}
				classes, err := s.Predict(img)
				if err != nil {
					t.Fatal(err)
				}
				if want := int(filepath.Base(f)[0] - '0'); classes[0].Index != want {
					t.Errorf("%s, %d pixels at %v: %v", f, side, at, classes)
				}
			}
		}
	}
}

func TestFitExtremes(t *testing.T) {
	canvas := image.NewGray(image.Rect(0, 0, 280, 280))
	if _, err := Fit(canvas); err == nil {
		t.Error("an empty canvas is no error")
	}
	canvas.SetGray(279, 0, color.Gray{255})
	img, err := Fit(canvas)
	if err != nil || img.Bounds() != image.Rect(0, 0, 28, 28) {
		t.Errorf("a single pixel: %v, %v", img, err)
	}
	for x := range 280 { // a line of one pixel's height
		canvas.SetGray(x, 0, color.Gray{255})
	}
	if _, err := Fit(canvas); err != nil {
		t.Error(err)
	}
}
