package vision

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"
)

// FuzzDecode reads pictures and prepares them for a network.
func FuzzDecode(f *testing.F) {
	for _, img := range []image.Image{
		image.NewGray(image.Rect(0, 0, 3, 5)), image.NewNRGBA(image.Rect(0, 0, 9, 2)), image.NewRGBA64(image.Rect(0, 0, 2, 2)),
		image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Black, color.White}),
	} {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b.Bytes()))
		b.Reset()
		if err := jpeg.Encode(&b, img, nil); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := Decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		size := img.Bounds().Size()
		if size.X*size.Y > 1<<20 {
			return // legal, but slow
		}
		p, err := Preset("caffe", 8, 6)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]float32, p.Len())
		if err := p.Apply(dst, img); err != nil && size.X > 0 && size.Y > 0 {
			t.Errorf("%v: %v", size, err)
		}
	})
}

// FuzzReadNames reads the names of classes.
func FuzzReadNames(f *testing.F) {
	for _, s := range []string{"tench\ngoldfish\n", `["tench", "goldfish"]`, `{"0": "tench", "1": "goldfish"}`, `{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := ReadNames(bytes.NewReader(b))
		if err == nil && len(names) > maxNames+len(b) {
			t.Errorf("%d names in %d bytes", len(names), len(b))
		}
	})
}
