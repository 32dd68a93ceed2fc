package runtime

import "unsafe"

// tileDouble computes a tile with sums in float64, rounded once: products of
// two float32 are exact there. step is the input values of a step.
func (a *tileArgs) tileDouble(width, step int) {
	var sums [doublePixels * 32]float32
	part := *a
	for p := 0; p < a.pixels; p += part.pixels {
		part.pixels = min(doublePixels, a.pixels-p)
		part.in = unsafe.Add(a.in, p*a.pix)
		if active == avx512 {
			doubleTile(&part, &sums[0], width, step)
		} else {
			part.doubleGo(sums[:], width, step)
		}
		for i := range part.pixels {
			a.finish(p+i, sums[i*width:i*width+width])
		}
	}
}

// doublePixels is the most pixels of a tile in float64.
const doublePixels = 6

// doubleGo writes the sums of each pixel to out [pixels][width].
func (a *tileArgs) doubleGo(out []float32, width, step int) {
	for p := range a.pixels {
		var acc [32]float64
		for o, b := range unsafe.Slice((*float32)(a.bias), width) {
			acc[o&31] = float64(b)
		}
		w := 0 // bytes read
		for b := range a.blocks {
			for y := range a.rows {
				for x := range a.cols {
					in := unsafe.Slice((*float32)(unsafe.Add(a.in, p*a.pix+b*a.blockStride+y*a.rowStride+x*a.colStride)), step)
					ws := unsafe.Slice((*float32)(unsafe.Add(a.w, w)), step*width)
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

// depthwiseDouble is depthwiseGo with sums in float64.
func (a *tileArgs) depthwiseDouble() {
	for p := range a.pixels {
		var acc [16]float64
		for o, b := range (*[16]float32)(a.bias) {
			acc[o] = float64(b)
		}
		w := 0 // bytes read
		for y := range a.rows {
			for x := range a.cols {
				in := (*[16]float32)(unsafe.Add(a.in, p*a.pix+y*a.rowStride+x*a.colStride))
				for o, f := range (*[16]float32)(unsafe.Add(a.w, w)) {
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

// AffineDouble is Affine in float64, rounded once: batch normalisation as the
// model states it.
type AffineDouble struct {
	Src, Dst     Image
	Scale, Shift Ref // float64, [C padded to 16]
}

// ScratchBytes is zero.
func (k *AffineDouble) ScratchBytes() int { return 0 }

// Run computes the step.
func (k *AffineDouble) Run(c *Context) {
	k.Dst.clearBorder(c)
	c.do(k.Dst.N*k.Dst.Blocks(), k.Dst.N*k.Dst.C*k.Dst.H*k.Dst.W, k)
}

func (k *AffineDouble) part(c *Context, i, worker int) {
	n, b := i/k.Dst.Blocks(), i%k.Dst.Blocks()
	src, dst := c.f32(k.Src.Ref), c.f32(k.Dst.Ref)
	scale, shift := view[float64](c, k.Scale)[b*16:b*16+16], view[float64](c, k.Shift)[b*16:b*16+16]
	for y := range k.Dst.H {
		out := k.Dst.row(dst, n, b, y)
		for i, v := range k.Src.row(src, n, b, y) {
			out[i] = float32(float64(v)*scale[i&15] + shift[i&15])
		}
	}
}
