package vision

import (
	"errors"
	"fmt"
	"image"
	"math"
)

// Image is the way back: it makes a picture of a tensor that a network
// computed, of shape [Channels, Height, Width] or [Height, Width, Channels] by
// Layout. Levels are rounded and kept from 0 to 255. Fit and Filter have no
// meaning here; the picture has the tensor's size, and is an [image.Gray] or an
// opaque [image.NRGBA].
func (p Preprocess) Image(src []float32) (image.Image, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if len(src) != p.Len() {
		return nil, fmt.Errorf("vision: the tensor has %d elements, a picture has %d×%d×%d = %d", len(src), p.channels(), p.Height, p.Width, p.Len())
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

// level is the inverse of Value, rounded. NaN becomes 0.
func (p Preprocess) level(c int, v float32) uint8 {
	scale, std := p.factors(c)
	level := (float64(v)*std + p.Mean[c]) / scale
	if !(level > 0) {
		return 0
	}
	return uint8(min(math.Round(level), 255))
}

// Point returns which point of the picture with these bounds Apply brings to
// (x, y) of the tensor, in pixels from its left and upper edge: the way back
// for what a detector found. The result lies outside of bounds where the
// tensor has a bar.
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

// source returns where in the picture a coordinate of the tensor comes from.
func (a axis) source(x float64) float64 { return (x - float64(a.at) + float64(a.first)) * a.scale() }

// Resize returns img with width × height pixels, as Pillow's Image.resize
// makes it of an RGB picture. Sampled is no filter of Pillow's and refused.
func Resize(img image.Image, width, height int, filter Filter) (*image.NRGBA, error) {
	p := Preprocess{Width: width, Height: height, Filter: filter}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if filter == Sampled {
		return nil, errors.New("vision: Sampled does not round to levels; Resize takes the other filters")
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
