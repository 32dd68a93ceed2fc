package vision

import (
	"image"
	"image/color"
)

// readPixels copies img as RGB, or as grey where channels is 1. The common
// types are read directly; the others through RGBA64At, which unlike At does
// not allocate.
func readPixels(img image.Image, channels int) pixels {
	b := img.Bounds()
	p := newPixels(b.Dx(), b.Dy(), channels)
	switch img := img.(type) {
	case *image.Gray:
		for y := range p.height {
			from := img.Pix[img.PixOffset(b.Min.X, b.Min.Y+y):]
			for x := range p.width {
				p.set(x, y, from[x], from[x], from[x])
			}
		}
	case *image.NRGBA:
		for y := range p.height {
			from := img.Pix[img.PixOffset(b.Min.X, b.Min.Y+y):]
			for x := range p.width {
				p.set(x, y, from[4*x], from[4*x+1], from[4*x+2])
			}
		}
	case *image.YCbCr:
		readYCbCr(p, img)
	case image.RGBA64Image:
		for y := range p.height {
			for x := range p.width {
				p.setRGBA64(x, y, img.RGBA64At(b.Min.X+x, b.Min.Y+y))
			}
		}
	default:
		for y := range p.height {
			for x := range p.width {
				r, g, bl, a := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
				p.setRGBA64(x, y, color.RGBA64{uint16(r), uint16(g), uint16(bl), uint16(a)})
			}
		}
	}
	return p
}

// set stores a pixel. Grey is luma in 16 bits, with Pillow's coefficients.
func (p pixels) set(x, y int, r, g, b uint8) {
	i := (y*p.width + x) * p.channels
	if p.channels == 1 {
		p.pix[i] = uint8((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
		return
	}
	p.pix[i], p.pix[i+1], p.pix[i+2] = r, g, b
}

// setRGBA64 stores a pixel whose colour is multiplied with its transparency.
func (p pixels) setRGBA64(x, y int, c color.RGBA64) {
	if c.A != 0 && c.A != 0xffff {
		a := uint32(c.A)
		c.R = uint16(uint32(c.R) * 0xffff / a)
		c.G = uint16(uint32(c.G) * 0xffff / a)
		c.B = uint16(uint32(c.B) * 0xffff / a)
	}
	p.set(x, y, uint8(c.R>>8), uint8(c.G>>8), uint8(c.B>>8))
}
