package vision

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Image is the inverse of Apply for every level, in every mode, layout and order.
func TestImageUndoesApply(t *testing.T) {
	want := image.NewNRGBA(image.Rect(0, 0, 16, 48))
	for i := range want.Pix {
		want.Pix[i] = uint8(i / 4 * (1 + i%4))
		if i%4 == 3 {
			want.Pix[i] = 0xff
		}
	}
	for _, mode := range []string{"caffe", "tf", "torch", "unit", "none"} {
		for _, layout := range []Layout{NCHW, NHWC} {
			p, err := Preset(mode, 16, 48)
			if err != nil {
				t.Fatal(err)
			}
			p.Layout = layout
			got, err := p.Image(apply(t, p, want))
			if err != nil {
				t.Fatal(err)
			}
			if got := got.(*image.NRGBA); string(got.Pix) != string(want.Pix) {
				t.Errorf("%s, %v: the picture has changed", mode, layout)
			}
		}
	}
}

func TestImageRounds(t *testing.T) {
	nan := float32(math.NaN())
	p := Preprocess{Width: 8, Height: 1, Channels: 1, Scale: 1. / 255}
	img, err := p.Image([]float32{-0.1, 0, 0.49 / 255, 0.51 / 255, 1, 1.1, float32(math.Inf(1)), nan})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := img.(*image.Gray).Pix, "[0 0 0 1 255 255 255 0]"; fmt.Sprint(got) != want {
		t.Errorf("levels %v, want %s", got, want)
	}
	if _, err := p.Image(make([]float32, 7)); err == nil || !strings.Contains(err.Error(), "7 elements, want 1×1×8 = 8") {
		t.Errorf("error %v", err)
	}
}

// A letterboxed picture is in the centre, the rest are bars, and Point returns
// the original points.
func TestLetterbox(t *testing.T) {
	for _, test := range []struct {
		size image.Point
		part image.Rectangle // part of the tensor that contains the picture
	}{
		{image.Pt(64, 32), image.Rect(0, 8, 32, 24)},
		{image.Pt(10, 20), image.Rect(8, 0, 24, 32)},
		{image.Pt(32, 31), image.Rect(0, 0, 32, 31)},
		{image.Pt(32, 32), image.Rect(0, 0, 32, 32)},
		{image.Pt(1000, 3), image.Rect(0, 15, 32, 16)},
	} {
		white := image.NewNRGBA(image.Rectangle{Max: test.size}.Add(image.Pt(7, -3)))
		for i := range white.Pix {
			white.Pix[i] = 0xff
		}
		for _, filter := range []Filter{Bilinear, Nearest, Sampled} {
			for _, layout := range []Layout{NCHW, NHWC} {
				p := Preprocess{Width: 32, Height: 32, Layout: layout, Fit: Letterbox, Bars: 114, Filter: filter}
				got := apply(t, p, white)
				for y := range 32 {
					for x := range 32 {
						want := float32(114)
						if (image.Point{x, y}).In(test.part) {
							want = 255
						}
						for c := range 3 {
							i := (c*32+y)*32 + x
							if layout == NHWC {
								i = (y*32+x)*3 + c
							}
							if got[i] != want {
								t.Fatalf("%v, %v, %v: channel %d at (%d,%d) is %v, want %v", test.size, filter, layout, c, x, y, got[i], want)
							}
						}
					}
				}
			}
		}
		p := Preprocess{Width: 32, Height: 32, Fit: Letterbox}
		b := white.Bounds()
		for _, corner := range [][2]image.Point{{test.part.Min, b.Min}, {test.part.Max, b.Max}} {
			x, y, err := p.Point(b, float64(corner[0].X), float64(corner[0].Y))
			if err != nil || math.Abs(x-float64(corner[1].X)) > 1e-9 || math.Abs(y-float64(corner[1].Y)) > 1e-9 {
				t.Errorf("%v: %v leads to (%v, %v), %v, want %v", test.size, corner[0], x, y, err, corner[1])
			}
		}
	}
}

// Point finds a dot of the picture from its position in the tensor.
func TestPoint(t *testing.T) {
	img := image.NewGray(image.Rect(-5, 3, 85, 53))
	img.SetGray(40, 20, color.Gray{255})
	for _, p := range []Preprocess{
		{Width: 180, Height: 200, Channels: 1, Filter: Nearest},
		{Width: 120, Height: 90, Channels: 1, Filter: Nearest, Fit: Crop, ShortSide: 100},
		{Width: 200, Height: 300, Channels: 1, Filter: Nearest, Fit: Letterbox},
	} {
		x, y, n := 0., 0., 0.
		for i, v := range apply(t, p, img) {
			if v == 255 {
				x, y, n = x+float64(i%p.Width)+0.5, y+float64(i/p.Width)+0.5, n+1
			}
		}
		px, py, err := p.Point(img.Bounds(), x/n, y/n)
		if err != nil || math.Abs(px-40.5) > 0.3 || math.Abs(py-20.5) > 0.3 {
			t.Errorf("%v: the dot is at (%v, %v), want (40.5, 20.5): %v", p.Fit, px, py, err)
		}
	}
}

func TestResizeErrors(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 4, 4))
	for want, try := range map[string]func() (*image.NRGBA, error){
		"0×4 pixels":           func() (*image.NRGBA, error) { return Resize(img, 0, 4, Bilinear) },
		"Sampled":              func() (*image.NRGBA, error) { return Resize(img, 4, 4, Sampled) },
		"Preprocess.Filter":    func() (*image.NRGBA, error) { return Resize(img, 4, 4, 99) },
		"the image is empty":   func() (*image.NRGBA, error) { return Resize(nil, 4, 4, Box) },
		"the image is empty\n": func() (*image.NRGBA, error) { return Resize(&image.Gray{}, 4, 4, Box) },
	} {
		if _, err := try(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	img := image.NewGray(image.Rect(0, 0, 9, 5))
	img.Pix[7] = 200
	for _, name := range []string{"a.png", "b.JPG", "c.jpeg"} {
		path := filepath.Join(dir, name)
		if err := Save(path, img); err != nil {
			t.Fatal(err)
		}
		if back, err := Open(path); err != nil || back.Bounds() != img.Bounds() {
			t.Errorf("%s: %v, %v", name, back, err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "d.gif"), filepath.Join(dir, "nowhere", "e.png")} {
		if err := Save(path, img); err == nil {
			t.Errorf("%s was written", path)
		}
	}
	if err := Save(filepath.Join(dir, "f.jpg"), image.NewGray(image.Rect(0, 0, 70000, 1))); err == nil {
		t.Error("a JPEG of 70000 pixels was written")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 3 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}
