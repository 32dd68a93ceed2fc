package vision

import (
	"encoding/binary"
	"encoding/json"
	"image"
	"image/color"
	"image/draw"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// open reads a picture of testdata.
func open(t *testing.T, name string) image.Image {
	t.Helper()
	img, err := Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func apply(t *testing.T, p Preprocess, img image.Image) []float32 {
	t.Helper()
	dst := make([]float32, p.Len())
	if err := p.Apply(dst, img); err != nil {
		t.Fatal(err)
	}
	return dst
}

// readPixels reads all pixels of a picture.
func readPixels(img image.Image, channels int) pixels {
	r := newRows(img, channels)
	p := newPixels(r.width, r.height, channels)
	for y := range r.height {
		r.read(p.row(y), y)
	}
	return p
}

// The pictures and arrays of testdata are made by make.py.

func TestResizeIsPillows(t *testing.T) {
	source := open(t, "source.png")
	check := func(name string, p Preprocess, img image.Image) {
		t.Run(name, func(t *testing.T) {
			want := open(t, name+".png")
			size := want.Bounds().Size()
			p.Width, p.Height, p.Layout = size.X, size.Y, NHWC
			levels := readPixels(want, p.channels()).pix
			for i, got := range apply(t, p, img) {
				if got != float32(levels[i]) {
					t.Fatalf("element %d is %v, Pillow has %d", i, got, levels[i])
				}
			}
			if p.Fit == Stretch && p.channels() == 3 {
				got, err := Resize(img, size.X, size.Y, p.Filter)
				if err != nil || !slices.Equal(readPixels(got, 3).pix, levels) {
					t.Fatalf("Resize makes another picture: %v", err)
				}
			}
		})
	}
	for _, size := range []string{"shrink", "enlarge", "mixed", "same", "dot"} {
		for f := range Sampled {
			check(f.String()+"_"+size, Preprocess{Filter: f}, source)
		}
	}
	part := source.(*image.RGBA).SubImage(image.Rect(0, 0, 48, 32))
	for f := range Sampled {
		check(f.String()+"_ties", Preprocess{Filter: f}, part)
	}
	check("crop_wide", Preprocess{Fit: Crop, ShortSide: 32}, source)
	check("crop_tall", Preprocess{Fit: Crop, ShortSide: 32}, transposed{source.(image.RGBA64Image)})
	check("grey", Preprocess{Channels: 1}, source)
}

func TestFilterNames(t *testing.T) {
	for f := range Filter(len(filters)) {
		if got, err := ParseFilter(f.String()); got != f || err != nil {
			t.Errorf("%s is %s: %v", f, got, err)
		}
	}
	if _, err := ParseFilter("area"); err == nil || !strings.Contains(err.Error(), "bilinear, nearest, bicubic, lanczos") {
		t.Errorf("unknown filter: %v", err)
	}
}

// transposed exchanges rows and columns.
type transposed struct{ image.RGBA64Image }

func (m transposed) Bounds() image.Rectangle {
	b := m.RGBA64Image.Bounds()
	return image.Rect(b.Min.Y, b.Min.X, b.Max.Y, b.Max.X)
}
func (m transposed) RGBA64At(x, y int) color.RGBA64 { return m.RGBA64Image.RGBA64At(y, x) }

func TestSampledIsTensorFlows(t *testing.T) {
	img := open(t, "source.png")
	for name, size := range map[string]image.Point{"shrink": {24, 20}, "enlarge": {66, 50}} {
		want := readNPY(t, filepath.Join("testdata", "sampled_"+name+".npy"))
		got := apply(t, Preprocess{Width: size.X, Height: size.Y, Layout: NHWC, Filter: Sampled}, img)
		if len(got) != len(want) {
			t.Fatalf("%s: %d elements, TensorFlow has %d", name, len(got), len(want))
		}
		for i := range want {
			if math.Abs(float64(got[i]-want[i])) > 1e-4 {
				t.Fatalf("%s: element %d is %v, TensorFlow has %v", name, i, got[i], want[i])
			}
		}
	}
}

// readNPY reads the float32 elements of a version 1 .npy file.
func readNPY(t *testing.T, path string) []float32 {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	header := 10 + int(binary.LittleEndian.Uint16(file[8:]))
	if !strings.Contains(string(file[:header]), "'<f4'") {
		t.Fatalf("%s does not hold float32", path)
	}
	values := make([]float32, (len(file)-header)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(file[header+4*i:]))
	}
	return values
}

func TestPresetsAreKeras(t *testing.T) {
	text, err := os.ReadFile("testdata/presets.json")
	if err != nil {
		t.Fatal(err)
	}
	var modes map[string][][3]float32
	if err := json.Unmarshal(text, &modes); err != nil {
		t.Fatal(err)
	}
	levels := modes["levels"]
	delete(modes, "levels")
	modes["none"] = levels
	modes["unit"] = make([][3]float32, len(levels))
	img := image.NewNRGBA(image.Rect(0, 0, len(levels), 1))
	for x, l := range levels {
		img.SetNRGBA(x, 0, color.NRGBA{uint8(l[0]), uint8(l[1]), uint8(l[2]), 255})
		for c := range l {
			modes["unit"][x][c] = l[c] / 255
		}
	}
	for mode, want := range modes {
		p, err := Preset(mode, len(levels), 1)
		if err != nil {
			t.Fatal(err)
		}
		planar := apply(t, p, img)
		p.Layout = NHWC
		interleaved := apply(t, p, img)
		for x := range want {
			for c, w := range want[x] {
				got := interleaved[3*x+c]
				if math.Abs(float64(got-w)) > 1e-5*max(1, math.Abs(float64(w))) {
					t.Errorf("%s: pixel %d channel %d is %v, Keras has %v", mode, x, c, got, w)
				}
				if planar[c*len(want)+x] != got {
					t.Errorf("%s: pixel %d channel %d differs between the layouts", mode, x, c)
				}
			}
		}
	}
	if _, err := Preset("vgg", 1, 1); err == nil || !strings.Contains(err.Error(), "caffe, tf, torch") {
		t.Errorf("unknown preset: %v", err)
	}
}

// TestImageTypes reads the same picture from every image type of the standard
// library that can represent it, with an origin that is not zero.
func TestImageTypes(t *testing.T) {
	src := open(t, "source.png")
	p := Preprocess{Width: 24, Height: 20}
	want := apply(t, p, src)
	b := image.Rect(-5, 3, 61-5, 47+3)
	for _, dst := range []draw.Image{image.NewRGBA(b), image.NewNRGBA(b), image.NewRGBA64(b), image.NewNRGBA64(b), plain{image.NewRGBA(b)}} {
		draw.Draw(dst, b, src, image.Point{}, draw.Src)
		for i, got := range apply(t, p, dst) {
			if got != want[i] {
				t.Fatalf("%T: element %d is %v, want %v", dst, i, got, want[i])
			}
		}
	}

	grey := image.NewGray(b)
	draw.Draw(grey, b, src, image.Point{}, draw.Src)
	one := apply(t, Preprocess{Width: 24, Height: 20, Channels: 1}, grey)
	three := apply(t, p, grey)
	for i := range three {
		if three[i] != one[i%len(one)] {
			t.Fatalf("grey picture: element %d is %v in colour and %v in grey", i, three[i], one[i%len(one)])
		}
	}
}

// Go and libjpeg round the cosine transform differently, by at most one level.
// The conversion from chroma multiplies this by up to 1.8 for red and blue.
func TestJPEGIsPillows(t *testing.T) {
	for _, name := range []string{"444", "422", "420"} {
		img := open(t, "jpeg_"+name+".jpg").(*image.YCbCr)
		got, want := readPixels(img, 3), readPixels(open(t, "jpeg_"+name+".png"), 3)
		worst, off := 0, 0
		for i, v := range got.pix {
			if d := max(int(v)-int(want.pix[i]), int(want.pix[i])-int(v)); d > 0 {
				worst, off = max(worst, d), off+1
			}
		}
		if worst > 3 || 20*off > len(got.pix) {
			t.Errorf("%s: %d of %d levels differ from Pillow's, by up to %d", name, off, len(got.pix), worst)
		}

		// A part of the picture is equal except at its edges, where it has no
		// neighbours.
		const left, top = 5, 3
		part := readPixels(img.SubImage(image.Rect(left, top, 50, 40)), 3)
		for y := 2; y < part.height-2; y++ {
			row, whole := part.row(y), got.row(top + y)[3*left:]
			for i := 6; i < len(row)-6; i++ {
				if row[i] != whole[i] {
					t.Fatalf("%s: a part has %d where the whole has %d, at %d,%d", name, row[i], whole[i], i/3, y)
				}
			}
		}
	}
}

// If the chroma is too coarse or the picture too narrow for libjpeg's
// interpolation, colours are those of image.YCbCr except for rounding. An origin
// that is not a multiple of a sample's size does not move pixels.
func TestColoursNotBlended(t *testing.T) {
	for _, test := range []struct {
		ratio image.YCbCrSubsampleRatio
		rect  image.Rectangle
	}{
		{image.YCbCrSubsampleRatio411, image.Rect(3, 1, 24, 9)},
		{image.YCbCrSubsampleRatio410, image.Rect(6, 3, 25, 10)},
		{image.YCbCrSubsampleRatio420, image.Rect(1, 1, 4, 8)},
		{image.YCbCrSubsampleRatio422, image.Rect(0, 0, 4, 8)},
	} {
		img := image.NewYCbCr(test.rect, test.ratio)
		for i := range img.Y {
			img.Y[i] = uint8(100 + i%50)
		}
		for i := range img.Cb {
			img.Cb[i], img.Cr[i] = uint8(110+i*13%40), uint8(110+i*29%40)
		}
		got := readPixels(img, 3)
		for y := range got.height {
			for x := range got.width {
				r, g, b, _ := img.At(test.rect.Min.X+x, test.rect.Min.Y+y).RGBA()
				for c, want := range []uint32{r >> 8, g >> 8, b >> 8} {
					if v := got.row(y)[3*x+c]; max(int(v)-int(want), int(want)-int(v)) > 1 {
						t.Fatalf("%v: channel %d at %d,%d is %d, want %d", test.ratio, c, x, y, v, want)
					}
				}
			}
		}
	}
}

// plain hides all methods of an image except those of draw.Image.
type plain struct{ draw.Image }

func TestTransparencyIsIgnored(t *testing.T) {
	p := Preprocess{Width: 24, Height: 20}
	want := apply(t, p, open(t, "source.png"))
	for i, got := range apply(t, p, open(t, "alpha.png")) {
		if got != want[i] {
			t.Fatalf("element %d is %v with transparency and %v without", i, got, want[i])
		}
	}
	half := image.NewRGBA(image.Rect(0, 0, 1, 1))
	half.SetRGBA(0, 0, color.RGBA{100, 50, 0, 128}) // the colour is 199, 99, 0
	got := apply(t, Preprocess{Width: 1, Height: 1}, half)
	if got[0] != 199 || got[1] != 99 || got[2] != 0 {
		t.Errorf("half transparent colour is %v, want 199 99 0", got)
	}
}

func TestAllocationsDoNotGrow(t *testing.T) {
	p, err := Preset("caffe", 32, 32)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, p.Len())
	b := image.Rect(0, 0, 200, 150)
	for _, img := range []image.Image{image.NewGray(b), image.NewNRGBA(b), image.NewRGBA(b), image.NewYCbCr(b, image.YCbCrSubsampleRatio420), image.NewPaletted(b, color.Palette{color.Black})} {
		for p.Filter = range Filter(len(filters)) {
			if n := testing.AllocsPerRun(3, func() { p.Apply(dst, img) }); n > 16 {
				t.Errorf("%T with filter %d: %v allocations", img, p.Filter, n)
			}
		}
	}
}

func TestApplyErrors(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 30, 20))
	for want, p := range map[string]Preprocess{
		"set Width and Height": {Width: 8},
		"has 4 channels":       {Width: 8, Height: 8, Channels: 4},
		"needs 3":              {Width: 8, Height: 8, Channels: 1, BGR: true},
		"ShortSide is -1":      {Width: 8, Height: 8, ShortSide: -1},
		"set a larger":         {Width: 8, Height: 8, Fit: Crop, ShortSide: 7},
		"want bilinear":        {Width: 8, Height: 8, Filter: Sampled + 1},
	} {
		if err := p.Apply(make([]float32, max(0, p.Len())), img); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", p, err, want)
		}
	}
	p := Preprocess{Width: 8, Height: 8}
	if err := p.Apply(make([]float32, 191), img); err == nil || !strings.Contains(err.Error(), "191 elements, want 3×8×8 = 192") {
		t.Errorf("short tensor: %v", err)
	}
	if err := p.Apply(make([]float32, 192), image.NewGray(image.Rectangle{})); err == nil {
		t.Error("an empty image is no error")
	}
	if err := p.Apply(make([]float32, 192), nil); err == nil {
		t.Error("no image is no error")
	}
}

func BenchmarkApply(b *testing.B) {
	p, err := Preset("torch", 224, 224)
	if err != nil {
		b.Fatal(err)
	}
	img := image.NewYCbCr(image.Rect(0, 0, 1024, 768), image.YCbCrSubsampleRatio420)
	dst := make([]float32, p.Len())
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Apply(dst, img); err != nil {
			b.Fatal(err)
		}
	}
}
