package vision

import (
	"errors"
	"fmt"
	"image"
	"math"
)

// Image converts a tensor to a picture. It is the inverse of Apply. The tensor
// has the shape [Channels, Height, Width] or [Height, Width, Channels], according
// to Layout. Levels are rounded and clipped to the range 0 to 255. The picture
// has the size of the tensor; Fit and Filter are ignored. The result is an
// [image.Gray] or an opaque [image.NRGBA].
func (p Preprocess) Image(src []float32) (image.Image, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if len(src) != p.Len() {
		return nil, fmt.Errorf("vision: the tensor has %d elements, want %d×%d×%d = %d", len(src), p.channels(), p.Height, p.Width, p.Len())
	}
	bounds := image.Rect(0, 0, p.Width, p.Height)
	channels, step := p.plan()
	if len(channels) == 1 {
		img := image.NewGray(bounds)
		for i, v := range src {
			img.Pix[i] = p.level(0, v)
		}
		return img, nil
	}
	img := image.NewNRGBA(bounds)
	for _, c := range channels {
		from := c.offset
		for to := c.source; to < len(img.Pix); to += 4 {
			img.Pix[to] = p.level(c.index, src[from])
			from += step
		}
	}
	for to := 3; to < len(img.Pix); to += 4 {
		img.Pix[to] = 0xff
	}
	return img, nil
}

// level returns the rounded inverse of Value. NaN becomes 0.
func (p Preprocess) level(c int, v float32) uint8 {
	scale, std := p.factors(c)
	level := (float64(v)*std + p.Mean[c]) / scale
	if !(level > 0) {
		return 0
	}
	return uint8(min(math.Round(level), 255))
}

// Point returns the point of a picture with the given bounds that Apply maps to
// the point (x, y) of the tensor. Coordinates are in pixels from the left and
// upper edge. Point converts the boxes of a detector. The result is outside
// bounds if (x, y) is in a bar.
func (p Preprocess) Point(bounds image.Rectangle, x, y float64) (px, py float64, err error) {
	if err := p.Check(); err != nil {
		return 0, 0, err
	}
	if bounds.Empty() {
		return 0, 0, errors.New("vision: the image is empty")
	}
	across, down, err := p.axes(bounds.Size())
	if err != nil {
		return 0, 0, err
	}
	return float64(bounds.Min.X) + across.source(x), float64(bounds.Min.Y) + down.source(y), nil
}

// source converts a coordinate of the tensor to a coordinate of the picture.
func (a axis) source(x float64) float64 { return (x - float64(a.at) + float64(a.first)) * a.scale() }

// Resize returns img with width × height pixels. The result is bit-identical to
// that of Pillow's Image.resize for an RGB picture. The filter Sampled, which
// Pillow does not have, is an error.
func Resize(img image.Image, width, height int, filter Filter) (*image.NRGBA, error) {
	p := Preprocess{Width: width, Height: height, Filter: filter}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if filter == Sampled {
		return nil, errors.New("vision: Resize does not support Sampled, which does not round to levels")
	}
	if img == nil || img.Bounds().Empty() {
		return nil, errors.New("vision: the image is empty")
	}
	across, down, err := p.axes(img.Bounds().Size())
	if err != nil {
		return nil, err
	}
	src := newRows(img, 3).resample(across, down, filter)
	dst := image.NewNRGBA(image.Rect(0, 0, width, height))
	for from, to := 0, 0; from < len(src.pix); from, to = from+3, to+4 {
		copy(dst.Pix[to:], src.pix[from:from+3])
		dst.Pix[to+3] = 0xff
	}
	return dst, nil
}
