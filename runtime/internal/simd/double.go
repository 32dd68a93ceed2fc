package simd

import "unsafe"

// doublePixels is the maximum number of pixels of a tile in float64.
const doublePixels = 6

// double computes a tile with sums in float64, each rounded once. The product of two
// float32 is exact in float64. step is the number of input values of a step.
func (a *Tile) double(width, step int) {
	var sums [doublePixels * 32]float32
	part := *a
	for p := 0; p < a.Pixels; p += part.Pixels {
		part.Pixels = min(doublePixels, a.Pixels-p)
		part.In = unsafe.Add(a.In, p*a.Pix)
		if !(width == 32 && Double32(&part, &sums[0], step) || width == 16 && Double16(&part, &sums[0], step)) {
			part.sumDouble(sums[:], width, step)
		}
		for i := range part.Pixels {
			a.finish(p+i, sums[i*width:i*width+width])
		}
	}
}

// sumDouble writes the sums of each pixel to out [pixels][width].
func (a *Tile) sumDouble(out []float32, width, step int) {
	for p := range a.Pixels {
		var acc [32]float64
		for o, b := range unsafe.Slice((*float32)(a.Bias), width) {
			acc[o&31] = float64(b)
		}
		w := 0 // bytes read
		for b := range a.Blocks {
			for y := range a.Rows {
				for x := range a.Cols {
					in := unsafe.Slice((*float32)(unsafe.Add(a.In, p*a.Pix+b*a.BlockStride+y*a.RowStride+x*a.ColStride)), step)
					ws := unsafe.Slice((*float32)(unsafe.Add(a.W, w)), step*width)
					for c, v := range in {
						row := ws[c*width : c*width+width]
						for o, k := range row {
							acc[o&31] += float64(v) * float64(k)
						}
					}
					w += step * width * 4
				}
			}
		}
		for o := range width {
			out[p*width+o] = float32(acc[o])
		}
	}
}

// depthwiseDouble is depthwise with sums in float64.
func (a *Tile) depthwiseDouble() {
	for p := range a.Pixels {
		var acc [16]float64
		for o, b := range (*[16]float32)(a.Bias) {
			acc[o] = float64(b)
		}
		w := 0 // bytes read
		for y := range a.Rows {
			for x := range a.Cols {
				in := (*[16]float32)(unsafe.Add(a.In, p*a.Pix+y*a.RowStride+x*a.ColStride))
				for o, f := range (*[16]float32)(unsafe.Add(a.W, w)) {
					acc[o] += float64(in[o]) * float64(f)
				}
				w += 64
			}
		}
		var sum [16]float32
		for o, v := range acc {
			sum[o] = float32(v)
		}
		a.finish(p, sum[:])
	}
}
