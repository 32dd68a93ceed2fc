package pack

import "math"

// Weights of convolutions and dense layers on integers are stored as bytes with a sign.
// A weight of more bits is the sum of the bytes of several parts.

// Integer is the type of weights.
type Integer interface{ ~int8 | ~int16 }

// IntParts returns the number of bytes whose sum can be any of the weights: 1 for weights
// of 8 bits, 2 or 3 for weights between −256 and 255.
func IntParts[T Integer](w []T) int {
	parts := 1
	for _, v := range w {
		for parts*math.MinInt8 > int(v) || parts*math.MaxInt8 < int(v) {
			parts++
		}
	}
	return parts
}

// part returns the byte of a weight in a part.
func part[T Integer](w T, p int) int8 {
	v := int(w)
	for {
		b := max(math.MinInt8, min(math.MaxInt8, v))
		if p == 0 {
			return int8(b)
		}
		v, p = v-b, p-1
	}
}

// IntConvLen returns the number of bytes that IntConv returns.
func IntConvLen(oc, ic, kh, kw, parts int) int { return up(oc, 16) * parts * up(ic, 16) * kh * kw }

// IntConv packs w [oc,ic,kh,kw] to [oc/32][parts][ic/16][kh][kw][4][32][4].
func IntConv[T Integer](w []T, oc, ic, kh, kw, parts int) []int8 {
	return intBlocks(w, oc, ic, kh*kw, parts, 16)
}

// IntFirstLen returns the number of bytes that IntFirst returns.
func IntFirstLen(oc, kh, kw, parts int) int { return up(oc, 16) * parts * kh * kw * 4 }

// IntFirst packs w [oc,ic,kh,kw], ic ≤ 4, to [oc/32][parts][kh][kw][32][4].
func IntFirst[T Integer](w []T, oc, ic, kh, kw, parts int) []int8 {
	return intBlocks(w, oc, ic, kh*kw, parts, 4)
}

// intBlocks packs w [oc,ic,taps] to [oc/32][parts][ic/lanes][taps][lanes/4][32][4].
func intBlocks[T Integer](w []T, oc, ic, taps, parts, lanes int) []int8 {
	out := make([]int8, up(oc, 16)*parts*up(ic, lanes)*taps)
	i := 0
	for ob := 0; ob < oc; ob += 32 {
		width := block(oc, ob)
		for p := range parts {
			for ib := 0; ib < ic; ib += lanes {
				for t := range taps {
					for c := range lanes {
						for o := range width {
							if ob+o < oc && ib+c < ic {
								out[i+(c/4*width+o)*4+c%4] = part(w[((ob+o)*ic+ib+c)*taps+t], p)
							}
						}
					}
					i += lanes * width
				}
			}
		}
	}
	return out
}

// IntDepthwiseLen returns the number of bytes that IntDepthwise returns.
func IntDepthwiseLen(c, kh, kw, parts int) int { return up(c, 16) * parts * kh * up(kw, 4) }

// IntDepthwise packs w [c,1,kh,kw] to [c/16][parts][kh][kw/4][16][4].
func IntDepthwise[T Integer](w []T, c, kh, kw, parts int) []int8 {
	out := make([]int8, IntDepthwiseLen(c, kh, kw, parts))
	row := up(kw, 4) * 16 // bytes
	for ch := range c {
		for p := range parts {
			for y := range kh {
				for x := range kw {
					out[((ch/16*parts+p)*kh+y)*row+x/4*64+ch%16*4+x%4] = part(w[(ch*kh+y)*kw+x], p)
				}
			}
		}
	}
	return out
}

// IntDenseLen returns the number of bytes that IntDense returns.
func IntDenseLen(k, m, parts int) int { return IntConvLen(m, k, 1, 1, parts) }

// IntDense packs a weight matrix to [m/32][parts][k/16][4][32][4]. w, trans and rows are
// as in [Dense].
func IntDense[T Integer](w []T, k, m int, trans bool, rows []int, parts int) []int8 {
	n := len(w) / m // rows of w
	t := make([]T, m*k)
	for f := range k {
		r := f
		if rows != nil {
			r = rows[f]
		}
		for o := range m {
			switch {
			case r < 0:
			case trans:
				t[o*k+f] = w[o*n+r]
			default:
				t[o*k+f] = w[r*m+o]
			}
		}
	}
	return IntConv(t, m, k, 1, 1, parts)
}

// IntWinogradLen returns the number of words of the transformed weights of
// integer.Winograd. The weights of each of the 36 positions are
// [oc/32][ic/16][8][32][2]. Positions are an odd number of cache lines apart.
func IntWinogradLen(oc, ic int) int { return 36 * (up(oc, 16)*up(ic, 16) + 32) }

// IntSums returns Σw of each of oc output channels. w is [oc,…].
func IntSums[T Integer](w []T, oc int) []int32 {
	sums := make([]int32, oc)
	n := len(w) / oc
	for i, v := range w {
		sums[i/n] += int32(v)
	}
	return sums
}

// IntRange holds the bounds of the sums of an output channel over all inputs.
type IntRange struct{ Lo, Hi int64 }

// IntRanges returns the bounds of Σ(x−zero)·w for each of oc output channels, where x is
// any byte from 0 to 255. w is [oc,…].
func IntRanges[T Integer](w []T, oc, zero int) []IntRange {
	r := make([]IntRange, oc)
	n := len(w) / oc
	for i, v := range w {
		c := &r[i/n]
		c.Lo += int64(min(v, 0))*int64(255-zero) - int64(max(v, 0))*int64(zero)
		c.Hi += int64(max(v, 0))*int64(255-zero) - int64(min(v, 0))*int64(zero)
	}
	return r
}

// Add returns the bounds with a bias added.
func (r IntRange) Add(bias int64) IntRange { return IntRange{r.Lo + bias, r.Hi + bias} }

// Join returns the bounds of numbers within r or s.
func (r IntRange) Join(s IntRange) IntRange { return IntRange{min(r.Lo, s.Lo), max(r.Hi, s.Hi)} }

// FitsInt32 reports whether the numbers have 32 bits.
func (r IntRange) FitsInt32() bool { return r.Lo >= math.MinInt32 && r.Hi <= math.MaxInt32 }

// Requantizes reports whether micro-kernels requantise the numbers exactly: their float32
// products with the multiplier have 32 bits.
func (r IntRange) Requantizes(multiplier float32) bool {
	m := max(float32(r.Hi), -float32(r.Lo)) * multiplier
	return r.FitsInt32() && m > -1<<31 && m < 1<<31
}

// FitsWinograd reports whether integer.Winograd can compute the numbers: they have 26
// bits. They are those of IntRanges for zero = 0.
func (r IntRange) FitsWinograd() bool { return r.Lo >= -1<<25 && r.Hi < 1<<25 }

// IntBias returns bias − zero·sums of each channel: the zero point of x, folded into the
// bias. A nil bias stands for zeros. It reports whether all fit 32 bits.
func IntBias(bias, sums []int32, zero int) (folded []int32, ok bool) {
	folded = make([]int32, len(sums))
	ok = true
	for i, s := range sums {
		v := -int64(zero) * int64(s)
		if bias != nil {
			v += int64(bias[i])
		}
		folded[i] = int32(v)
		ok = ok && v == int64(folded[i])
	}
	return folded, ok
}
