package simd

import "unsafe"

// storeNarrow stores 8 channels of pixel p. It stores zeros in the other 8, unless
// pixels are 8 floats apart.
func (a *Tile) storeNarrow(p int, v []float32) {
	out := unsafe.Slice((*float32)(unsafe.Add(a.Out, p*a.OutPix)), min(16, a.OutPix/4))
	clear(out[copy(out, v[:8]):])
}

// finish is the epilogue: it adds the residual to pixel p, clamps it and stores it.
func (a *Tile) finish(p int, acc []float32) {
	for blk := range len(acc) / 16 {
		v := acc[blk*16 : blk*16+16]
		if a.Res != nil {
			for o, r := range unsafe.Slice((*float32)(unsafe.Add(a.Res, p*a.ResPix+blk*a.ResBlock)), 16) {
				v[o] += r
			}
		}
		if a.Clamp != 0 {
			for o, x := range v {
				if x < a.Lo {
					v[o] = a.Lo
				}
				if x > a.Hi {
					v[o] = a.Hi
				}
			}
		}
		copy(unsafe.Slice((*float32)(unsafe.Add(a.Out, p*a.OutPix+blk*a.OutBlock)), 16), v)
	}
}
