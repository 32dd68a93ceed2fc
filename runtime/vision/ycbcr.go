package vision

import "image"

// A JPEG has fewer samples of chroma than of luma. image.YCbCr.At uses the
// nearest chroma sample. libjpeg, and with it Pillow and TensorFlow, interpolates
// between samples ("fancy upsampling"). The code below follows jdsample.c and
// jdcolor.c of libjpeg.

// readYCbCr copies row y of img to dst.
func (r *rows) readYCbCr(dst []uint8, img *image.YCbCr, y int) {
	b := r.bounds
	// The row with the second nearest chroma sample.
	next := min(max(y-1+2*(y&1), b.Min.Y), b.Max.Y-1)
	here, there := img.COffset(b.Min.X, y), img.COffset(b.Min.X, next)
	colours(r.blue, img.Cb[here:], img.Cb[there:], b.Min.X, y, img.SubsampleRatio)
	colours(r.red, img.Cr[here:], img.Cr[there:], b.Min.X, y, img.SubsampleRatio)
	luma := img.Y[img.YOffset(b.Min.X, y):]
	for x := range r.blue {
		red, green, blue := rgb(luma[x], r.blue[x], r.red[x])
		r.set(dst, x, red, green, blue)
	}
}

// colours writes a row of one chroma plane at full width to dst. here has the
// samples of row y starting at pixel x0, there those of the row with which they
// are interpolated.
func colours(dst, here, there []uint8, x0, y int, ratio image.YCbCrSubsampleRatio) {
	offset := x0 & 3 // offset of the first pixel in its sample
	if ratio != image.YCbCrSubsampleRatio411 && ratio != image.YCbCrSubsampleRatio410 {
		offset = x0 & 1
	}
	last := (offset + len(dst) - 1) / 2
	switch {
	case ratio == image.YCbCrSubsampleRatio444:
		copy(dst, here)
	case ratio == image.YCbCrSubsampleRatio440:
		for x := range dst {
			dst[x] = uint8((3*int(here[x]) + int(there[x]) + 1 + y&1) >> 2)
		}
	case ratio == image.YCbCrSubsampleRatio422 && last >= 2:
		for x := range dst {
			i, next, odd := neighbours(offset+x, last)
			dst[x] = uint8((3*int(here[i]) + int(here[next]) + 1 + odd) >> 2)
		}
	case ratio == image.YCbCrSubsampleRatio420 && last >= 2:
		for x := range dst {
			i, next, odd := neighbours(offset+x, last)
			near, far := 3*int(here[i])+int(there[i]), 3*int(here[next])+int(there[next])
			dst[x] = uint8((3*near + far + 8 - odd) >> 4)
		}
	case ratio == image.YCbCrSubsampleRatio411 || ratio == image.YCbCrSubsampleRatio410:
		for x := range dst {
			dst[x] = here[(offset+x)/4]
		}
	default: // too narrow to interpolate
		for x := range dst {
			dst[x] = here[(offset+x)/2]
		}
	}
}

// neighbours returns the sample of pixel x, the second nearest sample, and
// whether x is the right pixel of the two pixels of the sample.
func neighbours(x, last int) (i, next, odd int) {
	i, odd = x/2, x&1
	return i, min(max(i-1+2*odd, 0), last), odd
}

// rgb converts a colour with libjpeg's rounding.
func rgb(y, cb, cr uint8) (r, g, b uint8) {
	const half = 1 << 15
	l, u, v := int(y), int(cb)-128, int(cr)-128
	return clamp(l + (91881*v+half)>>16), clamp(l + (half-22554*u-46802*v)>>16), clamp(l + (116130*u+half)>>16)
}

func clamp(x int) uint8 { return uint8(min(max(x, 0), 255)) }
