// Command denoise removes the noise of a photo.
//
//	go run . photo.jpg out.png
//
// The network is package unet, which `go generate` makes from a U-Net. The U-Net was
// trained on noise with a deviation of 5 to 40 (of 255). Its input has 192×192
// pixels. Photos of any size are divided into overlapping tiles.
package main

import (
	"fmt"
	"image"
	"os"

	"modelc/runtime/vision"

	"example.com/denoise/unet"
)

//go:generate go tool modelc compile ../../testdata/pictures/unet/model.onnx -o unet --shape picture=1,3,192,192

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: denoise PHOTO OUT\n\nReads PNG and JPEG, writes OUT.png or OUT.jpg.")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "denoise:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	img, err := vision.Open(from)
	if err != nil {
		return err
	}
	m, err := unet.New()
	if err != nil {
		return err
	}
	if img, err = denoise(m, img); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return vision.Save(to, img)
}

// tiles describes the tiles of a photo. The network's receptive field has a radius
// of 23 pixels, so the margin is larger. The network halves the resolution twice, so
// the inner part of a tile is a multiple of four.
var tiles = vision.Tiles{Channels: 3, Height: unet.InputShape[2], Width: unet.InputShape[3], Margin: 24}

// denoise returns img without its noise.
func denoise(m *unet.Model, img image.Image) (image.Image, error) {
	size := img.Bounds().Size()
	levels := vision.Preprocess{Width: size.X, Height: size.Y, Scale: 1. / 255}
	noisy, restored := make([]float32, levels.Len()), make([]float32, levels.Len())
	if err := levels.Apply(noisy, img); err != nil {
		return nil, err
	}
	s := m.NewSession()
	defer s.Close()
	in, out := unet.NewInput(), unet.NewOutput()
	err := tiles.Run(restored, noisy, size, in.Data, out.Data, func() error { return s.Run(in, out) })
	if err != nil {
		return nil, err
	}
	return levels.Image(restored)
}
