// Command superres enlarges a photo three times along each side.
//
//	go run . photo.jpg out.png
//
// The network is package espcn, which `go generate` makes from a trained ESPCN. It
// computes the brightness, to which the eye is most sensitive. Colours are enlarged
// by bicubic interpolation. The network's input has 64×64 pixels. Photos of any size
// are divided into overlapping tiles.
package main

import (
	"fmt"
	"image"
	"image/color"
	"os"

	"modelc/runtime/vision"

	"example.com/superres/espcn"
)

//go:generate go tool modelc compile ../../testdata/pictures/espcn/model.onnx -o espcn --dim height=64 --dim width=64

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: superres PHOTO OUT\n\nReads PNG and JPEG, writes OUT.png or OUT.jpg.")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "superres:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	img, err := vision.Open(from)
	if err != nil {
		return err
	}
	m, err := espcn.New()
	if err != nil {
		return err
	}
	if img, err = enlarge(m, img); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return vision.Save(to, img)
}

// factor is the ratio of the result's width to the photo's.
var factor = espcn.OutputShape[3] / espcn.InputShape[3]

// tiles describes the tiles of a photo. The network's receptive field has a radius
// of 4 pixels.
var tiles = vision.Tiles{Channels: 1, Height: espcn.InputShape[2], Width: espcn.InputShape[3], Margin: 4, Scale: factor}

// enlarge returns img with factor times the width and height.
func enlarge(m *espcn.Model, img image.Image) (image.Image, error) {
	size := img.Bounds().Size()
	grey := vision.Preprocess{Width: size.X, Height: size.Y, Channels: 1, Scale: 1. / 255}
	small := make([]float32, grey.Len())
	if err := grey.Apply(small, img); err != nil {
		return nil, err
	}
	s := m.NewSession()
	defer s.Close()
	in, out := espcn.NewInput(), espcn.NewOutput()
	luma := make([]float32, tiles.Len(size))
	err := tiles.Run(luma, small, size, in.Data, out.Data, func() error { return s.Run(in, out) })
	if err != nil {
		return nil, err
	}

	grey.Width, grey.Height = factor*size.X, factor*size.Y
	bright, err := grey.Image(luma)
	if err != nil {
		return nil, err
	}
	large, err := vision.Resize(img, grey.Width, grey.Height, vision.Bicubic)
	if err != nil {
		return nil, err
	}
	for i, y := range bright.(*image.Gray).Pix {
		p := large.Pix[4*i:][:3]
		_, cb, cr := color.RGBToYCbCr(p[0], p[1], p[2])
		p[0], p[1], p[2] = color.YCbCrToRGB(y, cb, cr)
	}
	return large, nil
}
