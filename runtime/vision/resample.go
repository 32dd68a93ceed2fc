package vision

import "math"

// axis describes the resize of one dimension from in to out pixels. Only n
// pixels of the result are used, starting at first. They are stored in the
// tensor starting at pixel at.
type axis struct{ in, out, first, n, at int }

func (a axis) scale() float64 { return float64(a.in) / float64(a.out) }

// position is a place between pixels low and high, at the given part of the
// distance.
type position struct {
	low, high int
	part      float32
}

// between returns the position of the centre of each pixel of the result among
// the centres of the source's pixels (TensorFlow's half_pixel_centers).
func (a axis) between() []position {
	positions := make([]position, a.n)
	scale := float32(a.in) / float32(a.out)
	for i := range positions {
		at := float32((float32(a.first+i)+0.5)*scale) - 0.5
		floor := float32(math.Floor(float64(at)))
		positions[i] = position{
			low:  max(int(floor), 0),
			high: min(int(math.Ceil(float64(at))), a.in-1),
			part: at - floor,
		}
	}
	return positions
}

// weightBits is the precision of weights, as in Pillow. With it the sum of
// weighted levels fits in 32 bits.
const weightBits = 22

// taps describes the source pixels that a pixel averages: the index of the first
// one and their weights in units of 2^-weightBits.
type taps struct {
	first   int
	weights []int32
}

// taps returns the taps of a filter other than Sampled.
func (a axis) taps(f Filter) []taps {
	if f == Nearest {
		return a.nearest()
	}
	return a.average(f)
}

// average returns the taps of one of Pillow's filters. It follows
// precompute_coeffs and normalize_coeffs_8bpc in src/libImaging/Resample.c.
func (a axis) average(f Filter) []taps {
	filter := filters[f]
	scale := a.scale()
	unit := max(scale, 1)
	support := float64(filter.support * unit) // converted for the same reason as centre
	width := int(math.Ceil(support))*2 + 1
	store := make([]int32, a.n*width)
	values := make([]float64, width)
	all := make([]taps, a.n)
	for i := range all {
		centre := float64((float64(a.first+i) + 0.5) * scale) // the conversion prevents fused multiply-adds
		first := max(int(centre-support+0.5), 0)
		n := min(int(centre+support+0.5), a.in) - first
		sum := 0.0
		for k := range n {
			values[k] = filter.weight((float64(first+k) - centre + 0.5) * (1 / unit))
			sum += values[k]
		}
		weights := store[i*width : i*width+n]
		for k := range weights {
			weights[k] = int32(math.Round(values[k] / sum * (1 << weightBits)))
		}
		all[i] = taps{first, weights}
	}
	return all
}

// nearest returns the taps of Pillow's NEAREST filter. Pillow sums the scale
// (ImagingScaleAffine in src/libImaging/Geometry.c). If a centre lies between two
// pixels, the rounding of this sum selects the pixel.
func (a axis) nearest() []taps {
	whole := []int32{1 << weightBits}
	all := make([]taps, a.n)
	scale := a.scale()
	at := scale / 2
	for range a.first {
		at += scale
	}
	for i := range all {
		all[i] = taps{min(int(at), a.in-1), whole}
		at += scale
	}
	return all
}

// pixels is a picture of 8-bit levels with interleaved channels.
type pixels struct {
	pix           []uint8
	width, height int
	channels      int
}

func newPixels(width, height, channels int) pixels {
	return pixels{make([]uint8, width*height*channels), width, height, channels}
}

func (p pixels) row(y int) []uint8 {
	length := p.width * p.channels
	return p.pix[y*length : (y+1)*length]
}

// resample resizes first rows and then columns, with rounding between, like
// Pillow. It computes only the pixels that the result depends on.
func (r *rows) resample(across, down axis, filter Filter) pixels {
	columns, lines := across.taps(filter), down.taps(filter)
	last := lines[len(lines)-1]
	top, bottom := lines[0].first, last.first+len(last.weights)

	row := make([]uint8, r.width*r.channels)
	narrow := newPixels(across.n, bottom-top, r.channels)
	for y := top; y < bottom; y++ {
		r.read(row, y)
		if r.channels == 3 {
			sumColours(narrow.row(y-top), row, columns)
		} else {
			sumGreys(narrow.row(y-top), row, columns)
		}
	}

	result := newPixels(across.n, down.n, r.channels)
	sums := make([]int32, across.n*r.channels)
	for y, t := range lines {
		for i := range sums {
			sums[i] = half
		}
		for k, w := range t.weights {
			for i, v := range narrow.row(t.first - top + k) {
				sums[i] += w * int32(v)
			}
		}
		to := result.row(y)
		for i, sum := range sums {
			to[i] = level(sum)
		}
	}
	return result
}

// half rounds a sum of weighted levels.
const half = 1 << (weightBits - 1)

// sumColours resizes a row of three channels.
func sumColours(to, from []uint8, columns []taps) {
	for x, t := range columns {
		var r, g, b int32 = half, half, half
		at := from[3*t.first:][:3*len(t.weights)]
		for _, w := range t.weights {
			r += w * int32(at[0])
			g += w * int32(at[1])
			b += w * int32(at[2])
			at = at[3:]
		}
		to[3*x], to[3*x+1], to[3*x+2] = level(r), level(g), level(b)
	}
}

// sumGreys resizes a row of one channel.
func sumGreys(to, from []uint8, columns []taps) {
	for x, t := range columns {
		var sum int32 = half
		for k, v := range from[t.first:][:len(t.weights)] {
			sum += t.weights[k] * int32(v)
		}
		to[x] = level(sum)
	}
}

// level converts a weighted sum to a level and clips it to the range 0 to 255.
// Sums may be outside the range, because the sum of rounded weights may slightly
// exceed one, and because some filters overshoot.
func level(sum int32) uint8 { return uint8(min(max(sum>>weightBits, 0), 255)) }
