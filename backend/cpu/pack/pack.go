// Package pack orders the elements of weights as the kernels of package
// runtime/kernel read them. Only the compiler uses it.
//
// Output channels come in blocks of 32, except in the layouts of Depthwise and
// Last. The last block has 16 channels if 16 hold the rest. Channels that the
// weights do not have are zeros.
package pack

import "iter"

func up(n, k int) int { return (n + k - 1) / k * k }

// block returns the width of the output block that starts at channel o of oc.
func block(oc, o int) int {
	if oc-o <= 16 {
		return 16
	}
	return 32
}

// ConvLen returns the number of floats that Conv returns.
func ConvLen(oc, ic, kh, kw int) int { return up(oc, 16) * up(ic, 16) * kh * kw }

// Conv packs w [oc,ic,kh,kw] to [oc/32][ic/16][kh][kw][16][32].
func Conv(w []float32, oc, ic, kh, kw int) []float32 {
	out := make([]float32, ConvLen(oc, ic, kh, kw))
	i := 0
	k := kh * kw
	for ob := 0; ob < oc; ob += 32 {
		width := block(oc, ob)
		for ib := 0; ib < ic; ib += 16 {
			for t := range k {
				for c := ib; c < ib+16; c++ {
					if c < ic {
						for o := range min(width, oc-ob) {
							out[i+o] = w[((ob+o)*ic+c)*k+t]
						}
					}
					i += width
				}
			}
		}
	}
	return out
}

// PairsLen returns the number of elements that Pairs returns.
func PairsLen(oc, ic, kh, kw int) int { return up(oc, 16) * up(ic, 32) * kh * kw }

// Pairs packs w [oc,ic,kh,kw] to [oc/32][ic/32][kh][kw][16][32][2]. A pair holds input
// channels c and 16+c of a block of 32. If fold is set, the last block has at most 16
// channels, and its first 8 pairs hold channels c and 8+c.
func Pairs[T any](w []T, oc, ic, kh, kw int, fold bool) []T {
	out := make([]T, PairsLen(oc, ic, kh, kw))
	i, k := 0, kh*kw
	for ob := 0; ob < oc; ob += 32 {
		width := block(oc, ob)
		for ib := 0; ib < ic; ib += 32 {
			apart, end := 16, ic // channels of a pair, and the end of those of this block
			if fold && ic-ib <= 32 {
				apart, end = 8, min(ic, ib+16)
			}
			for t := range k {
				for c := ib; c < ib+16; c++ {
					for o := range min(width, oc-ob) {
						for half := range 2 {
							if from := c + apart*half; from < end && c < ib+apart {
								out[i+2*o+half] = w[((ob+o)*ic+from)*k+t]
							}
						}
					}
					i += 2 * width
				}
			}
		}
	}
	return out
}

// PairColumns returns a result of [DenseParts] as pairs. Of 32 columns, a pair holds columns
// c and 16+c of a row. Of 16 columns, it holds a column of two rows.
func PairColumns(rows []float32) []float32 {
	out := make([]float32, len(rows))
	for i, v := range rows {
		group, c := i/32, i%32
		out[group*32+c%16*2+c/16] = v
	}
	return out
}

// FirstLen returns the number of floats that First returns.
func FirstLen(oc, ic, kh, kw int) int { return up(oc, 16) * ic * kh * kw }

// First packs w [oc,ic,kh,kw] to [oc/32][kh][kw][ic][32]. Kernels read this form
// if there are few input channels.
func First(w []float32, oc, ic, kh, kw int) []float32 {
	out := make([]float32, FirstLen(oc, ic, kh, kw))
	i := 0
	k := kh * kw
	for ob := 0; ob < oc; ob += 32 {
		width := block(oc, ob)
		for t := range k {
			for c := range ic {
				for o := range min(width, oc-ob) {
					out[i+o] = w[((ob+o)*ic+c)*k+t]
				}
				i += width
			}
		}
	}
	return out
}

// FirstPairsLen returns the number of elements that FirstPairs returns.
func FirstPairsLen(oc, ic, kh, kw int) int { return up(oc, 16) * kh * up(kw*ic, 2) }

// FirstPairs packs w [oc,ic,kh,kw] to [oc/32][kh][(kw·ic)/2][32][2]. A pair holds
// neighbours of the values [kw][ic] of a row.
func FirstPairs[T any](w []T, oc, ic, kh, kw int) []T {
	out := make([]T, FirstPairsLen(oc, ic, kh, kw))
	i := 0
	for ob := 0; ob < oc; ob += 32 {
		width := block(oc, ob)
		for y := range kh {
			for v := range kw * ic {
				for o := range min(width, oc-ob) {
					out[i+v/2*2*width+2*o+v%2] = w[(((ob+o)*ic+v%ic)*kh+y)*kw+v/ic]
				}
			}
			i += up(kw*ic, 2) * width
		}
	}
	return out
}

// rows is the matrix G of F(2,5) with the points 0, ±1, ±2 and ∞.
var rows = [6][5]float64{
	{1. / 4},
	{-1. / 6, -1. / 6, -1. / 6, -1. / 6, -1. / 6},
	{-1. / 6, 1. / 6, -1. / 6, 1. / 6, -1. / 6},
	{1. / 24, 2. / 24, 4. / 24, 8. / 24, 16. / 24},
	{1. / 24, -2. / 24, 4. / 24, -8. / 24, 16. / 24},
	{4: 1},
}

// RowsLen returns the number of floats that Rows returns.
func RowsLen(oc, ic, kw int) int { return 6 * FirstLen(oc, ic, 1, kw) }

// Rows transforms w [oc,ic,5,kw] by F(2,5) along columns and packs each of the six
// positions like First: [6][oc/32][kw][ic][32].
func Rows(w []float32, oc, ic, kw int) (out []float32) {
	one := make([]float32, oc*ic*kw)
	for _, g := range rows {
		for i := range one {
			sum := 0.
			for y, f := range g {
				sum += float64(f * float64(w[(i/kw*5+y)*kw+i%kw])) // rounded, so that all machines write the same weights
			}
			one[i] = float32(sum)
		}
		out = append(out, First(one, oc, ic, 1, kw)...)
	}
	return out
}

// DepthwiseLen returns the number of floats that Depthwise returns.
func DepthwiseLen(c, kh, kw int) int { return up(c, 16) * kh * kw }

// Depthwise packs w [c,1,kh,kw] to [c/16][kh][kw][16].
func Depthwise(w []float32, c, kh, kw int) []float32 {
	k := kh * kw
	out := make([]float32, DepthwiseLen(c, kh, kw))
	for ch := range c {
		for t := range k {
			out[(ch/16*k+t)*16+ch%16] = w[ch*k+t]
		}
	}
	return out
}

// LastLen returns the number of floats that Last returns.
func LastLen(oc, ic, kh, kw int) int { return oc * up(ic, 16) * kh * kw }

// Last packs w [oc,ic,kh,kw] to [oc][ic/16][kh][kw][16]. Kernels read this form if
// there are few output channels.
func Last(w []float32, oc, ic, kh, kw int) []float32 {
	k := kh * kw
	var out []float32
	for o := range oc {
		out = append(out, Depthwise(w[o*ic*k:(o+1)*ic*k], ic, kh, kw)...)
	}
	return out
}

// DenseLen returns the number of floats that Dense returns.
func DenseLen(k, m int) int { return up(m, 16) * up(k, 16) }

// Dense packs a weight matrix to [m/32][k padded to 16][32]. w is [K,m], or [m,K]
// if trans is set. rows, unless nil, has, for each of the k elements of the
// operand, the row of [K,m] that belongs to it, or −1 for a row of zeros. If rows
// is nil, they are rows 0 … k−1.
func Dense(w []float32, k, m int, trans bool, rows []int) []float32 {
	out := make([]float32, 0, DenseLen(k, m))
	for part := range DenseParts(w, k, m, trans, rows) {
		out = append(out, part...)
	}
	return out
}

// DenseParts returns the result of [Dense] in parts, one for each 32 columns. A part is
// valid until the next one.
func DenseParts(w []float32, k, m int, trans bool, rows []int) iter.Seq[[]float32] {
	return func(yield func([]float32) bool) {
		n := len(w) / m // rows of w
		part := make([]float32, up(k, 16)*32)
		for ob := 0; ob < m; ob += 32 {
			width := block(m, ob)
			cols := min(width, m-ob)
			out := part[:up(k, 16)*width]
			clear(out)
			for f := range k {
				r := f
				if rows != nil {
					r = rows[f]
				}
				if r < 0 {
					continue
				}
				if trans {
					for o := range cols {
						out[f*width+o] = w[(ob+o)*n+r]
					}
				} else {
					copy(out[f*width:f*width+cols], w[r*m+ob:])
				}
			}
			if !yield(out) {
				return
			}
		}
	}
}

// winogradPitch returns the distance in floats between the positions of
// transformed weights. It is an odd number of cache lines. The transform writes
// all positions of a filter together, and a power of two would map them to the
// same sets of the cache.
func winogradPitch(oc, ic int) int { return up(oc, 16)*up(ic, 16) + 16 }

// WinogradLen returns the number of floats of the transformed weights of a
// Winograd convolution F(m×m,3×3). F(2×2,5×5) has the same number as m = 4. The
// weights of each of the (m+2)² positions are [oc/32][ic padded to 16][32].
func WinogradLen(m, oc, ic int) int { return (m + 2) * (m + 2) * winogradPitch(oc, ic) }

// StridedLen returns the number of floats of the transformed weights of a Winograd
// convolution with stride 2. The weights of each group of positions are
// [oc/32][ic padded to 16, in blocks][row][column][16][32].
func StridedLen(oc, ic int) int { return 5 * 5 * winogradPitch(oc, ic) }

// StrassenLen returns the number of floats of the weights of a Strassen step,
// [spans][oc/64][7][half of the channels of a span][32]. The seven matrices are
// B11, B21, T2, T1, B22, T3 and T4, in the order in which the kernel reads them.
func StrassenLen(oc, ic int) int { return oc * ic / 4 * 7 }
