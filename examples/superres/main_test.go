package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelc/runtime/vision"

	"example.com/superres/espcn"
)

const testdata = "../../testdata/pictures/espcn/"

func model(t *testing.T) *espcn.Model {
	t.Helper()
	m, err := espcn.New()
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

// readNPY returns the n float32 elements of a .npy file.
func readNPY(t *testing.T, path string, n int) []float32 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(b, []byte("\x93NUMPY")) || !bytes.Contains(b[:128], []byte("'<f4'")) || len(b) != 128+4*n {
		t.Fatalf("%s: not %d float32: %v", path, n, err)
	}
	x := make([]float32, n)
	if _, err := binary.Decode(b[128:], binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// The outputs of the package are those of ONNX Runtime.
func TestONNXRuntime(t *testing.T) {
	in, out := espcn.NewInput(), espcn.NewOutput()
	grey := vision.Preprocess{Width: tiles.Width, Height: tiles.Height, Channels: 1, Scale: 1. / 255}
	if err := grey.Apply(in.Data, open(t, testdata+"small.png")); err != nil {
		t.Fatal(err)
	}
	s := model(t).NewSession()
	defer s.Close()
	if err := s.Run(in, out); err != nil {
		t.Fatal(err)
	}
	largest, most := 0., 0.
	for i, want := range readNPY(t, testdata+"output_0.npy", espcn.OutputLen) {
		largest = max(largest, math.Abs(float64(want)))
		most = max(most, math.Abs(float64(out.Data[i]-want)))
	}
	t.Logf("off by %.1e of the largest value", most/largest)
	if !(most <= 1e-4*largest) {
		t.Errorf("off by %g, the largest value is %g", most, largest)
	}
}

// psnr returns the peak signal-to-noise ratio of the brightness of b relative to a
// in dB.
func psnr(t *testing.T, a, b image.Image) float64 {
	t.Helper()
	if a.Bounds().Size() != b.Bounds().Size() {
		t.Fatalf("pictures of %v and %v", a.Bounds(), b.Bounds())
	}
	p, q, sum := levels(t, a, 1), levels(t, b, 1), 0.
	for i := range p {
		d := float64(p[i] - q[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(p))/sum)
}

// levels returns the levels of each pixel: red, green and blue, or grey.
func levels(t *testing.T, img image.Image, channels int) []float32 {
	t.Helper()
	p := vision.Preprocess{Width: img.Bounds().Dx(), Height: img.Bounds().Dy(), Channels: channels, Layout: vision.NHWC}
	x := make([]float32, p.Len())
	if err := p.Apply(x, img); err != nil {
		t.Fatal(err)
	}
	return x
}

// For a held-out picture the network is more accurate than bicubic interpolation.
func TestGain(t *testing.T) {
	large, small := open(t, testdata+"large.png"), open(t, testdata+"small.png")
	got, err := enlarge(model(t), small)
	if err != nil {
		t.Fatal(err)
	}
	bicubic, err := vision.Resize(small, large.Bounds().Dx(), large.Bounds().Dy(), vision.Bicubic)
	if err != nil {
		t.Fatal(err)
	}
	before, after := psnr(t, large, bicubic), psnr(t, large, got)
	t.Logf("%.2f dB with bicubic interpolation, %.2f dB", before, after)
	if after < before+1.5 {
		t.Errorf("%.2f dB, bicubic interpolation has %.2f dB", after, before)
	}
}

// scene returns a generated picture: gradients and bars.
func scene(width, height int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			for c := range 3 {
				level := 20 + (x*(c+1)+y)/6 + 60*((x/7+y/5)%2)
				img.Pix[img.PixOffset(x, y)+c] = uint8(min(level, 255))
			}
			img.Pix[img.PixOffset(x, y)+3] = 0xff
		}
	}
	return img
}

// Tiles have no seams: a part of a photo, which has other tiles, has the same
// result except for pixels near the part's edge.
func TestNoSeams(t *testing.T) {
	m := model(t)
	img := scene(150, 120)
	whole, err := enlarge(m, img)
	if err != nil {
		t.Fatal(err)
	}
	within := image.Rect(31, 17, 150, 120)
	part, err := enlarge(m, img.SubImage(within))
	if err != nil {
		t.Fatal(err)
	}
	grown := image.Rectangle{within.Min.Mul(factor), within.Max.Mul(factor)}
	a, b := levels(t, part, 3), levels(t, whole.(*image.NRGBA).SubImage(grown), 3)
	edge, width := factor*tiles.Margin, grown.Dx()
	for y := edge; y < grown.Dy(); y++ {
		for i := 3 * (y*width + edge); i < 3*(y+1)*width; i++ {
			if math.Abs(float64(a[i]-b[i])) > 2 { // rounding: one level of brightness, two of a colour
				t.Fatalf("level %d of row %d is %v, in the whole photo %v", i-3*y*width, y, a[i], b[i])
			}
		}
	}
}

// A picture of one colour is enlarged to a picture of this colour.
func TestColour(t *testing.T) {
	want := color.NRGBA{200, 90, 30, 255}
	img := image.NewNRGBA(image.Rect(0, 0, 40, 30))
	draw.Draw(img, img.Bounds(), image.NewUniform(want), image.Point{}, draw.Src)
	got, err := enlarge(model(t), img)
	if err != nil {
		t.Fatal(err)
	}
	c := got.(*image.NRGBA).NRGBAAt(60, 45)
	for _, d := range []int{int(c.R) - 200, int(c.G) - 90, int(c.B) - 30} {
		if d < -4 || d > 4 {
			t.Fatalf("%v, want %v", c, want)
		}
	}
}

// The result has three times the width and height of the photo.
func TestSizes(t *testing.T) {
	m := model(t)
	for _, size := range []image.Point{{1, 1}, {3, 60}, {57, 2}, {64, 65}} {
		img, err := enlarge(m, scene(size.X, size.Y))
		if err != nil || img.Bounds().Size() != size.Mul(3) {
			t.Errorf("%v: %v", size, err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "out.png")
	if err := run(testdata+"small.png", to); err != nil {
		t.Fatal(err)
	}
	if size := open(t, to).Bounds().Size(); size != (image.Point{192, 192}) {
		t.Errorf("the result has %v pixels", size)
	}
	for _, test := range []struct{ from, to, want string }{
		{"nowhere.png", to, "nowhere.png"},
		{"main.go", to, "not a PNG or JPEG picture"},
		{testdata + "small.png", filepath.Join(dir, "out.gif"), "out.gif"},
	} {
		if err := run(test.from, test.to); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v", test, err)
		}
	}
}
