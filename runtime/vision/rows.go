package vision

import (
	"image"
	"image/color"
)

// rows reads a picture row by row, so that a large picture is not copied. Rows
// are RGB, or grey if channels is 1.
type rows struct {
	img           image.Image
	bounds        image.Rectangle
	width, height int
	channels      int
	blue, red     []uint8 // a row of Cb and Cr, for image.YCbCr
}

func newRows(img image.Image, channels int) *rows {
	b := img.Bounds()
	r := &rows{img: img, bounds: b, width: b.Dx(), height: b.Dy(), channels: channels}
	if _, ok := img.(*image.YCbCr); ok {
		r.blue, r.red = make([]uint8, r.width), make([]uint8, r.width)
	}
	return r
}

// read copies row y to dst. It reads common image types directly and others
// through RGBA64At, which does not allocate, unlike At.
func (r *rows) read(dst []uint8, y int) {
	left, y := r.bounds.Min.X, r.bounds.Min.Y+y
	switch img := r.img.(type) {
	case *image.Gray:
		from := img.Pix[img.PixOffset(left, y):]
		for x := range r.width {
			r.set(dst, x, from[x], from[x], from[x])
		}
	case *image.NRGBA:
		from := img.Pix[img.PixOffset(left, y):]
		for x := range r.width {
			r.set(dst, x, from[4*x], from[4*x+1], from[4*x+2])
		}
	case *image.YCbCr:
		r.readYCbCr(dst, img, y)
	case image.RGBA64Image:
		for x := range r.width {
			r.setRGBA64(dst, x, img.RGBA64At(left+x, y))
		}
	default:
		for x := range r.width {
			red, green, blue, alpha := img.At(left+x, y).RGBA()
			r.setRGBA64(dst, x, color.RGBA64{uint16(red), uint16(green), uint16(blue), uint16(alpha)})
		}
	}
}

// set stores pixel x of a row. Grey is computed in 16 bits with Pillow's
// coefficients of luma.
func (r *rows) set(dst []uint8, x int, red, green, blue uint8) {
	if r.channels == 1 {
		dst[x] = uint8((19595*uint32(red) + 38470*uint32(green) + 7471*uint32(blue) + 1<<15) >> 16)
		return
	}
	dst[3*x], dst[3*x+1], dst[3*x+2] = red, green, blue
}

// setRGBA64 stores a pixel with premultiplied alpha.
func (r *rows) setRGBA64(dst []uint8, x int, c color.RGBA64) {
	if c.A != 0 && c.A != 0xffff {
		a := uint32(c.A)
		c.R = uint16(uint32(c.R) * 0xffff / a)
		c.G = uint16(uint32(c.G) * 0xffff / a)
		c.B = uint16(uint32(c.B) * 0xffff / a)
	}
	r.set(dst, x, uint8(c.R>>8), uint8(c.G>>8), uint8(c.B>>8))
}
