package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modelc/runtime/vision"

	"example.com/detect/yolo"
)

const testdata = "../../testdata/pictures/yolo/"

func model(t *testing.T) *yolo.Model {
	t.Helper()
	m, err := yolo.New()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t *testing.T, path string) image.Image {
	t.Helper()
	img, err := vision.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// readNPY returns the float32 elements of a .npy file.
func readNPY(t *testing.T, path string) []float32 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(b, []byte("\x93NUMPY")) || !bytes.Contains(b[:128], []byte("'<f4'")) {
		t.Fatalf("%s: not float32: %v", path, err)
	}
	x := make([]float32, (len(b)-128)/4)
	if _, err := binary.Decode(b[128:], binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// The package returns the boxes of ONNX Runtime in the same order, with the same
// numbers.
func TestONNXRuntime(t *testing.T) {
	in, out := yolo.NewInput(), yolo.NewOutput()
	if err := input.Apply(in.Data, open(t, testdata+"signs.png")); err != nil {
		t.Fatal(err)
	}
	s := model(t).NewSession()
	defer s.Close()
	if err := s.Run(in, out); err != nil {
		t.Fatal(err)
	}
	want := readNPY(t, testdata+"output_0.npy")
	if len(want) == 0 || int(out.DetectionsCount[0]) != len(want)/6 {
		t.Fatalf("%d boxes, want %d", out.DetectionsCount[0], len(want)/6)
	}
	largest, most := 0., 0.
	for i, w := range want {
		largest = max(largest, math.Abs(float64(w)))
		most = max(most, math.Abs(float64(out.Detections[i]-w)))
	}
	t.Logf("%d boxes, off by %.1e of the largest value", len(want)/6, most/largest)
	if !(most <= 1e-4*largest) {
		t.Errorf("off by %g, the largest value is %g", most, largest)
	}
}

// overlap returns the area of the intersection of a and b divided by that of their
// union.
func overlap(a, b image.Rectangle) float64 {
	area := func(r image.Rectangle) float64 { return float64(r.Dx() * r.Dy()) }
	inner := area(a.Intersect(b))
	return inner / (area(a) + area(b) - inner)
}

// match checks that signs contains each wanted sign once, and that all other signs
// have low scores.
func match(t *testing.T, signs, wanted []sign) {
	t.Helper()
	for _, w := range wanted {
		n := 0
		for _, s := range signs {
			if s.Class == w.Class && overlap(s.Box, w.Box) > 0.5 {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s at %v was found %d times", w.Class, w.Box, n)
		}
	}
	for _, s := range signs {
		if !slices.ContainsFunc(wanted, func(w sign) bool { return s.Class == w.Class && overlap(s.Box, w.Box) > 0.5 }) && s.Score > 0.5 {
			t.Errorf("%v is none", s)
		}
	}
}

// Each sign of a held-out picture is found once.
func TestFinds(t *testing.T) {
	var wanted []sign
	for b := readNPY(t, testdata+"boxes.npy"); len(b) > 0; b = b[5:] {
		box := image.Rect(int(b[1]), int(b[2]), int(b[3]), int(b[4]))
		wanted = append(wanted, sign{Class: classes[int(b[0])], Box: box})
	}
	signs, err := detect(model(t), open(t, testdata+"signs.png"))
	if err != nil {
		t.Fatal(err)
	}
	match(t, signs, wanted)
}

// photo returns a generated picture with four signs on a gradient. Functions report
// whether a point is inside a sign.
func photo(bounds image.Rectangle) (image.Image, []sign) {
	img := image.NewNRGBA(bounds)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			v := uint8(90 + 60*(x-bounds.Min.X)/bounds.Dx())
			img.SetNRGBA(x, y, color.NRGBA{v, v + 10, v + 20, 255})
		}
	}
	unit := float64(min(bounds.Dx(), bounds.Dy())) / 7
	var signs []sign
	for i, s := range []struct {
		class  string
		colour color.NRGBA
		inside func(x, y float64) bool
	}{
		{"circle", color.NRGBA{200, 30, 30, 255}, func(x, y float64) bool { return x*x+y*y < 1 }},
		{"ring", color.NRGBA{250, 240, 80, 255}, func(x, y float64) bool { r := x*x + y*y; return r < 1 && r > 0.3 }},
		{"square", color.NRGBA{20, 60, 160, 255}, func(x, y float64) bool { return math.Abs(x)+math.Abs(y) < 1 }},
		{"cross", color.NRGBA{240, 240, 240, 255}, func(x, y float64) bool { return math.Abs(x) < 0.3 || math.Abs(y) < 0.3 }},
	} {
		centre := bounds.Min.Add(image.Pt(bounds.Dx()*(1+2*(i%2))/4, bounds.Dy()*(1+2*(i/2))/4))
		box := image.Rect(-int(unit), -int(unit), int(unit), int(unit)).Add(centre)
		for y := box.Min.Y; y < box.Max.Y; y++ {
			for x := box.Min.X; x < box.Max.X; x++ {
				if s.inside((float64(x-centre.X)+0.5)/unit, (float64(y-centre.Y)+0.5)/unit) {
					img.SetNRGBA(x, y, s.colour)
				}
			}
		}
		signs = append(signs, sign{Class: s.class, Box: box})
	}
	return img, signs
}

// Boxes are in pixels of the photo for all sizes and origins.
func TestPhotos(t *testing.T) {
	m := model(t)
	for _, bounds := range []image.Rectangle{image.Rect(0, 0, 256, 256), image.Rect(0, 0, 1280, 960), image.Rect(-70, 30, 330, 530)} {
		img, wanted := photo(bounds)
		signs, err := detect(m, img)
		if err != nil {
			t.Fatal(err)
		}
		match(t, signs, wanted)
	}
	if signs, err := detect(m, image.NewGray(image.Rect(0, 0, 3, 500))); err != nil || len(signs) != 0 {
		t.Errorf("on an empty picture: %v, %v", signs, err)
	}
}

// Boxes are drawn around signs, and labels inside the picture.
func TestDrawn(t *testing.T) {
	bounds, white := image.Rect(10, 20, 210, 120), color.NRGBA{255, 255, 255, 255}
	img := image.NewNRGBA(bounds)
	draw.Draw(img, bounds, image.White, image.Point{}, draw.Src)
	for _, box := range []image.Rectangle{image.Rect(60, 60, 100, 90), image.Rect(190, 20, 210, 120), bounds, image.Rect(60, 60, 61, 60)} {
		out := drawn(img, []sign{{"star", 0.5, box}}).(*image.NRGBA)
		if out.Bounds() != bounds {
			t.Fatalf("the picture has %v", out.Bounds())
		}
		labels := 0
		for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
			for x := bounds.Min.X; x < bounds.Max.X; x++ {
				p, painted := image.Pt(x, y), out.NRGBAAt(x, y) == colours["star"]
				if edge := p.In(box) && !p.In(box.Inset(2)); painted && !edge {
					labels++
				}
			}
		}
		if labels < 300 {
			t.Errorf("box %v: the label has %d pixels", box, labels)
		}
		for _, corner := range []image.Point{box.Min, box.Max.Sub(image.Pt(1, 1)), {box.Min.X, box.Max.Y - 1}, {box.Max.X - 1, box.Min.Y}} {
			if corner.In(box) && out.NRGBAAt(corner.X, corner.Y) == white {
				t.Errorf("box %v: nothing at %v", box, corner)
			}
		}
	}
	if img.NRGBAAt(60, 60) != white {
		t.Error("the photo itself was drawn on")
	}
}

// No label is on another, whatever the boxes are.
func TestLabels(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		bounds := image.Rect(-20, 10, 300+r.IntN(300), 240+r.IntN(300))
		size := image.Pt(60+r.IntN(20), 14)
		var taken []image.Rectangle
		centre := image.Pt(r.IntN(280), 20+r.IntN(200))
		for range 12 { // a crowd
			box := image.Rect(0, 0, 5+r.IntN(80), 5+r.IntN(80)).Add(centre).Add(image.Pt(r.IntN(30), r.IntN(30))).Intersect(bounds)
			at := place(box, size, bounds, taken, nil)
			if !at.In(bounds) || at.Size() != size {
				t.Fatalf("a label at %v is not in %v", at, bounds)
			}
			if i := slices.IndexFunc(taken, at.Overlaps); i >= 0 {
				t.Fatalf("a label at %v is on that at %v", at, taken[i])
			}
			taken = append(taken, at)
		}
	}
	// A single label is above its box, or below it at the upper edge.
	bounds := image.Rect(0, 0, 300, 200)
	if at := place(image.Rect(50, 60, 90, 90), image.Pt(60, 14), bounds, nil, nil); at != image.Rect(50, 46, 110, 60) {
		t.Error(at)
	}
	if at := place(image.Rect(50, 0, 90, 90), image.Pt(60, 14), bounds, nil, nil); at != image.Rect(50, 90, 110, 104) {
		t.Error(at)
	}
	// It avoids the boxes of others.
	if at := place(image.Rect(50, 60, 90, 90), image.Pt(60, 14), bounds, nil, []sign{{Box: image.Rect(50, 40, 120, 50)}}); at != image.Rect(50, 90, 110, 104) {
		t.Error(at)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "out.png")
	if err := run(testdata+"signs.png", to); err != nil {
		t.Fatal(err)
	}
	if size := open(t, to).Bounds().Size(); size != (image.Point{256, 256}) {
		t.Errorf("the result has %v pixels", size)
	}
	for _, test := range []struct{ from, to, want string }{
		{"nowhere.png", to, "nowhere.png"},
		{"main.go", to, "not a PNG or JPEG picture"},
		{testdata + "signs.png", filepath.Join(dir, "out.gif"), "out.gif"},
	} {
		if err := run(test.from, test.to); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v", test, err)
		}
	}
}
