package modelc_test

import (
	"image"
	"math"
	"os"
	"path/filepath"
	"testing"

	"modelc"
	"modelc/backend/inproc"
	"modelc/frontend/source"
	"modelc/internal/npy"
	"modelc/ir"
	"modelc/ir/eval"
	"modelc/runtime/vision"
)

// The networks of testdata/pictures give the outputs of ONNX Runtime for a picture,
// with and without Exact. The tests of the examples check their packages.
func TestPictures(t *testing.T) {
	for _, test := range []struct {
		name, picture string
		channels      int
	}{
		{"unet", "noisy.png", 3}, {"espcn", "small.png", 1}, {"yolo", "signs.png", 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join("testdata", "pictures", test.name)
			in := pictureTensor(t, filepath.Join(dir, test.picture), test.channels)
			want, err := npy.Read(filepath.Join(dir, "output_0.npy"))
			if err != nil {
				t.Fatal(err)
			}
			for _, exact := range []bool{false, true} {
				tol := 1e-4
				if exact {
					tol = 2e-6
				}
				c, err := modelc.Compile(filepath.Join(dir, "model.onnx"), modelc.Options{Exact: exact, Source: source.Options{InputShapes: []ir.Shape{in.Shape}}})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				engine, err := inproc.New(c.Program, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer engine.Close()
				got, err := engine.Run([]*ir.Tensor{in})
				if err != nil {
					t.Fatal(err)
				}
				d, err := eval.Compare(eval.Cut(c.Before, got, []*ir.Tensor{want})[0], want)
				if err != nil || !d.Within(tol) {
					t.Errorf("exact %t: %v, %v", exact, d, err)
				}
				t.Logf("exact %t: %v", exact, d)
			}
		})
	}
}

// pictureTensor returns a picture as an input, with levels from 0 to 1.
func pictureTensor(t *testing.T, path string, channels int) *ir.Tensor {
	t.Helper()
	img, err := vision.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	p := vision.Preprocess{Width: img.Bounds().Dx(), Height: img.Bounds().Dy(), Channels: channels, Scale: 1. / 255}
	in := ir.NewTensor(ir.T(ir.Float32, 1, channels, p.Height, p.Width))
	if err := p.Apply(in.Float32s(), img); err != nil {
		t.Fatal(err)
	}
	return in
}

// The super-resolution network of the corpus enlarges the photo of the corpus. The
// result has sharper edges than bicubic interpolation, and its reduction to the
// original size is close to the photo.
func TestCorpusSuperResolution(t *testing.T) {
	root := os.Getenv("MODELC_CORPUS")
	if root == "" {
		t.Skip("MODELC_CORPUS is not set: models from outside are not tested")
	}
	path := filepath.Join(root, "images", "super-resolution", "cat_224x224.png")
	in := pictureTensor(t, path, 1)
	c, err := modelc.Compile(filepath.Join(root, "models", "onnx", "super-resolution", "model.onnx"), modelc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	engine, err := inproc.New(c.Program, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	out, err := engine.Run([]*ir.Tensor{in})
	if err != nil {
		t.Fatal(err)
	}
	grey := vision.Preprocess{Width: 672, Height: 672, Channels: 1, Scale: 1. / 255}
	large, err := grey.Image(out[0].Float32s())
	if err != nil {
		t.Fatal(err)
	}
	photo, err := vision.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	bicubic, err := vision.Resize(photo, 672, 672, vision.Bicubic)
	if err != nil {
		t.Fatal(err)
	}

	grey.Width, grey.Height, grey.Filter = 224, 224, vision.Bicubic
	back := make([]float32, grey.Len())
	if err := grey.Apply(back, large); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, v := range in.Float32s() {
		sum += math.Pow(float64(v-back[i]), 2)
	}
	psnr := -10 * math.Log10(sum/float64(len(back)))
	got, smooth := edges(t, large), edges(t, bicubic)
	t.Logf("shrunk again it is %.1f dB from the photo; edges %.4f, of bicubic interpolation %.4f", psnr, got, smooth)
	if psnr < 30 || got < 1.1*smooth {
		t.Error("the photo has not become a larger one")
	}
}

// edges returns the mean square of the difference between neighbours in a row, with
// levels from 0 to 1.
func edges(t *testing.T, img image.Image) float64 {
	t.Helper()
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	p := vision.Preprocess{Width: w, Height: h, Channels: 1, Scale: 1. / 255}
	x := make([]float32, p.Len())
	if err := p.Apply(x, img); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i := 1; i < len(x); i++ {
		if i%w != 0 {
			sum += math.Pow(float64(x[i]-x[i-1]), 2)
		}
	}
	return sum / float64(h*(w-1))
}
