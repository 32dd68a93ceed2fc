package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelc/runtime/vision"

	"example.com/denoise/unet"
)

const testdata = "../../testdata/pictures/unet/"

func model(t *testing.T) *unet.Model {
	t.Helper()
	m, err := unet.New()
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
	in, out := unet.NewInput(), unet.NewOutput()
	levels := vision.Preprocess{Width: tiles.Width, Height: tiles.Height, Scale: 1. / 255}
	if err := levels.Apply(in.Data, open(t, testdata+"noisy.png")); err != nil {
		t.Fatal(err)
	}
	s := model(t).NewSession()
	defer s.Close()
	if err := s.Run(in, out); err != nil {
		t.Fatal(err)
	}
	largest, most := 0., 0.
	for i, want := range readNPY(t, testdata+"output_0.npy", unet.OutputLen) {
		largest = max(largest, math.Abs(float64(want)))
		most = max(most, math.Abs(float64(out.Data[i]-want)))
	}
	t.Logf("off by %.1e of the largest value", most/largest)
	if !(most <= 1e-4*largest) {
		t.Errorf("off by %g, the largest value is %g", most, largest)
	}
}

// psnr returns the peak signal-to-noise ratio of b relative to a in dB.
func psnr(t *testing.T, a, b image.Image) float64 {
	t.Helper()
	if a.Bounds().Size() != b.Bounds().Size() {
		t.Fatalf("pictures of %v and %v", a.Bounds(), b.Bounds())
	}
	p, q, sum := levels(t, a), levels(t, b), 0.
	for i := range p {
		d := float64(p[i] - q[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(p))/sum)
}

// levels returns the red, green and blue levels of each pixel.
func levels(t *testing.T, img image.Image) []float32 {
	t.Helper()
	p := vision.Preprocess{Width: img.Bounds().Dx(), Height: img.Bounds().Dy(), Layout: vision.NHWC}
	x := make([]float32, p.Len())
	if err := p.Apply(x, img); err != nil {
		t.Fatal(err)
	}
	return x
}

// The network reduces the noise of a held-out picture.
func TestGain(t *testing.T) {
	clean, noisy := open(t, testdata+"clean.png"), open(t, testdata+"noisy.png")
	restored, err := denoise(model(t), noisy)
	if err != nil {
		t.Fatal(err)
	}
	before, after := psnr(t, clean, noisy), psnr(t, clean, restored)
	t.Logf("%.2f dB became %.2f dB", before, after)
	if after < before+7 {
		t.Errorf("%.2f dB became %.2f dB", before, after)
	}
}

// noise returns a generated picture: gradients and bars with noise.
func noise(width, height int) *image.NRGBA {
	rng := rand.New(rand.NewPCG(1, 2))
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			for c := range 3 {
				level := 40 + float64(x*(c+1)+y)/6 + 60*float64((x/17+y/23)%2) + 20*rng.NormFloat64()
				img.Pix[img.PixOffset(x, y)+c] = uint8(min(max(level, 0), 255))
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
	img := noise(300, 250)
	whole, err := denoise(m, img)
	if err != nil {
		t.Fatal(err)
	}
	within := image.Rect(52, 36, 300, 250)
	part, err := denoise(m, img.SubImage(within))
	if err != nil {
		t.Fatal(err)
	}
	a, b := levels(t, part), levels(t, whole.(*image.NRGBA).SubImage(within))
	for y := tiles.Margin; y < within.Dy(); y++ {
		for i := 3 * (y*within.Dx() + tiles.Margin); i < 3*(y+1)*within.Dx(); i++ {
			if math.Abs(float64(a[i]-b[i])) > 1 { // allow for rounding
				t.Fatalf("level %d of row %d is %v, in the whole photo %v", i-3*y*within.Dx(), y, a[i], b[i])
			}
		}
	}
}

// The result has the size of the photo.
func TestSizes(t *testing.T) {
	m := model(t)
	for _, size := range []image.Point{{1, 1}, {3, 200}, {145, 2}, {192, 193}} {
		img, err := denoise(m, noise(size.X, size.Y))
		if err != nil || img.Bounds().Size() != size {
			t.Errorf("%v: %v", size, err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "out.png")
	if err := run(testdata+"noisy.png", to); err != nil {
		t.Fatal(err)
	}
	if size := open(t, to).Bounds().Size(); size != (image.Point{192, 192}) {
		t.Errorf("the result has %v pixels", size)
	}
	for _, test := range []struct{ from, to, want string }{
		{"nowhere.png", to, "nowhere.png"},
		{"main.go", to, "not a PNG or JPEG picture"},
		{testdata + "noisy.png", filepath.Join(dir, "out.gif"), "out.gif"},
	} {
		if err := run(test.from, test.to); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v", test, err)
		}
	}
}
