package simd

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// area is memory with operands, which random bytes surround.
type area struct {
	r    *rand.Rand
	data []byte
}

// bytes returns the offset of n random bytes, many of which are extreme.
func (m *area) bytes(n int) int {
	for range 64 + -(len(m.data)+64)&63 {
		m.data = append(m.data, byte(m.r.Uint32()))
	}
	at := len(m.data)
	for range n {
		m.data = append(m.data, pick(m.r, 0, 255, 128, 127, byte(m.r.Uint32()), byte(m.r.Uint32())))
	}
	for range 64 {
		m.data = append(m.data, byte(m.r.Uint32()))
	}
	return at
}

// words returns the offset of n random words. byteValues makes them between 0 and 255.
func (m *area) words(n int, byteValues bool) int {
	at := m.bytes(2 * n)
	for i := range n {
		v := pick(m.r, -18432, 18432, 17340, -17340, int16(m.r.IntN(36865)-18432))
		if byteValues {
			v = pick(m.r, 0, 255, int16(m.r.IntN(256)))
		}
		*(*int16)(unsafe.Pointer(&m.data[at+2*i])) = v
	}
	return at
}

func (m *area) floats(v ...float32) int {
	at := m.bytes(4 * len(v))
	for i, f := range v {
		*(*float32)(unsafe.Pointer(&m.data[at+4*i])) = f
	}
	return at
}

// same runs f and its twin on copies of the memory, and compares all bytes.
func (m *area) same(t *testing.T, what string, f, twin func(at func(off int) unsafe.Pointer)) {
	t.Helper()
	got, want := bytes.Clone(m.data), bytes.Clone(m.data)
	f(func(off int) unsafe.Pointer { return unsafe.Pointer(&got[off]) })
	twin(func(off int) unsafe.Pointer { return unsafe.Pointer(&want[off]) })
	for i, v := range want {
		if got[i] != v {
			t.Fatalf("%s: byte %d is %d, want %d", what, i, got[i], v)
		}
	}
}

// multipliers returns n multipliers for sums of the given magnitude. Some products lie
// halfway between integers.
func multipliers(r *rand.Rand, n int, magnitude float64) []float32 {
	list := make([]float32, n)
	for i := range list {
		list[i] = float32(pick(r, 300, 3000, 1e9) / magnitude * r.Float64())
		if r.IntN(3) == 0 {
			list[i] = 0.5
		}
	}
	return list
}

// TestIntTiles compares every tile kernel on integers with its twin in Go, for every
// number of pixels. All bytes around the result must stay as they are.
func TestIntTiles(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(900) {
			m := &area{r: rand.New(rand.NewPCG(seed, 20))}
			r := m.r
			step := IntStep(seed % 4)
			words := step == IntProduct || step == IntPair
			if !active.IntWords && step == IntPair || active.IntWords && step == IntPixel {
				continue
			}
			rows, size := []int{4, 1, 8, 1}[step], 1 // rows of weights of a step, and the size of x
			if active.IntWords || words {
				size = 2
			}
			pixel := []int{16, 4, 16, 2}[step] * size
			a := IntTile{Pixels: 1 + int(seed/4)%active.IntPixels, Parts: 1 + r.IntN(2), Blocks: 1 + r.IntN(3), Rows: 1 + r.IntN(3), Cols: 1 + r.IntN(3),
				Zero: int16(r.IntN(256)), Lo: uint8(r.IntN(100)), Hi: uint8(100 + r.IntN(156))}
			a.Pix, a.ColStride = pixel*(1+r.IntN(2)), pixel*(1+r.IntN(2))
			all := a.Pixels
			if words && active.IntWords {
				a.Tiles = pick(r, 1, 2, 3, lineTiles)
				all *= a.Tiles
			}
			a.RowStride = a.Pix*all + a.ColStride*a.Cols
			a.BlockStride = a.RowStride * a.Rows
			width, quantised := pick(r, 32, 16), (!words || active.IntWords) && r.IntN(3) > 0
			outPix := 64
			if quantised {
				outPix = 16
			}
			a.OutBlock = outPix*all + 16*r.IntN(3)
			var in int
			if n := a.Blocks * a.BlockStride / size; size == 2 {
				in = m.words(n, !words)
			} else {
				in = m.bytes(n)
			}
			steps := a.Parts * a.Blocks * a.Rows * a.Cols
			w := m.bytes(steps * rows * width * 4)
			if words {
				w = m.words(steps*rows*width*2, false)
			}
			if rows > 1 && r.IntN(3) == 0 {
				a.Half = 1
				weights := m.data[w:][:steps*rows*width*4]
				for s := range steps {
					if s/(a.Rows*a.Cols)%a.Blocks == a.Blocks-1 {
						clear(weights[s*rows*width*4:][width*rows*2 : width*rows*4])
					}
				}
			}
			if words && r.IntN(3) == 0 {
				a.HalfOut = 1
				weights := m.data[w:][:steps*rows*width*4]
				for i := range weights {
					if i/4%width >= width-8 {
						weights[i] = 0
					}
				}
			}
			start, scales := m.bytes(32*4), m.floats(multipliers(r, 32, 1<<31)...)
			out := m.bytes(a.OutBlock + outPix*all)
			residual, sum := out, IntSum{Scale: pick(r, 0.5, r.Float32()), ResidualScale: pick(r, 0.5, r.Float32()), ResidualZero: int32(r.IntN(256)),
				Low: float32(int(a.Lo) - int(a.Zero)), High: float32(int(a.Hi) - int(a.Zero)), Zero: int16(r.IntN(256)), Lo: uint8(r.IntN(100)), Hi: uint8(100 + r.IntN(156))}
			a.ResidualBlock = a.OutBlock
			if r.IntN(2) == 0 {
				a.ResidualBlock = 16*all + 16*r.IntN(3)
				residual = m.bytes(a.ResidualBlock + 16*all)
			}
			sums := quantised && r.IntN(3) == 0
			run := func(f func(a *IntTile), offset int32) func(at func(int) unsafe.Pointer) {
				return func(at func(int) unsafe.Pointer) {
					b := a
					b.In, b.W, b.Start, b.Out = at(in), at(w), at(start), at(out)
					if quantised {
						b.Multiplier = at(scales)
					}
					if sums {
						b.Residual, b.Sum = at(residual), &sum
					}
					starts := unsafe.Slice((*int32)(b.Start), 32)
					kept := [32]int32(starts)
					for o := range width { // what the caller adds for the bytes that kernels subtract
						ws := unsafe.Slice((*int8)(b.W), steps*rows*width*4)
						for s := range steps * rows {
							for i := range 4 {
								starts[o] += offset * int32(ws[(s*width+o)*4+i])
							}
						}
					}
					f(&b)
					copy(starts, kept[:])
				}
			}
			offset := int32(active.IntOffset)
			if words {
				offset = 0
			}
			m.same(t, fmt.Sprintf("seed %d, step %d, %d pixels\n%+v", seed, step, a.Pixels, a),
				run(func(a *IntTile) { a.Compute(step, width) }, offset),
				run(func(a *IntTile) {
					switch step {
					case IntBlock:
						a.compute(width, 4)
					case IntPixel:
						a.compute(width, 1)
					case IntProduct:
						a.products(width, 8)
					default:
						a.products(width, 1)
					}
				}, 0))
		}
	})
}

// TestIntDepthwise compares the depthwise kernel with its twin.
func TestIntDepthwise(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(300) {
			m := &area{r: rand.New(rand.NewPCG(seed, 21))}
			r := m.r
			a := IntDepthwise{Pixels: 1 + int(seed)%19, Groups: 1 + r.IntN(7), Pix: pick(r, 16, 16, 32, 48), Zero: int16(r.IntN(256)), Lo: uint8(r.IntN(100)), Hi: uint8(100 + r.IntN(156))}
			in := m.bytes(a.Pixels*a.Pix + 1000)
			offsets := m.bytes(a.Groups * 32)
			for i := range a.Groups * 4 {
				*(*int64)(unsafe.Pointer(&m.data[offsets+8*i])) = int64(r.IntN(960))
			}
			w, start, scales := m.bytes(a.Groups*64), m.bytes(64), m.floats(multipliers(r, 16, 1<<31)...)
			outPix, quantised := 64, r.IntN(3) > 0
			if quantised {
				outPix = 16
			}
			out := m.bytes(outPix * a.Pixels)
			run := func(f func(a *IntDepthwise)) func(at func(int) unsafe.Pointer) {
				return func(at func(int) unsafe.Pointer) {
					b := a
					b.In, b.W, b.Start, b.Out, b.Taps = at(in), at(w), at(start), at(out), at(offsets)
					if quantised {
						b.Multiplier = at(scales)
					}
					f(&b)
				}
			}
			m.same(t, fmt.Sprintf("seed %d\n%+v", seed, a), run(func(a *IntDepthwise) {
				a.Prepare(unsafe.Pointer(&make([]int64, IntWideBytes(a.Groups)/8)[0]))
				a.Compute()
			}), run((*IntDepthwise).compute))
		}
	})
}

// TestIntDepthwise3 compares the kernel for 3×3 taps with the twin of the general kernel.
func TestIntDepthwise3(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(200) {
			m := &area{r: rand.New(rand.NewPCG(seed, 24))}
			r := m.r
			stride := 1 + r.IntN(2)
			a := IntDepthwise{Pixels: 4 + int(seed)%13, Rows: 1 + r.IntN(9), Groups: 3, Pix: 16 * stride, Zero: int16(r.IntN(256)), Lo: uint8(r.IntN(100)), Hi: uint8(100 + r.IntN(156))}
			a.Row, a.OutRow = 16*((a.Pixels-1)*stride+3+r.IntN(2)), 16*(a.Pixels+r.IntN(2))
			in := m.bytes(((a.Rows-1)*stride+2)*a.Row + ((a.Pixels-1)*stride+3)*16)
			w, start, scales := m.bytes(192), m.bytes(64), m.floats(multipliers(r, 16, 1<<31)...)
			for i := range 192 {
				if i%4 == 3 {
					m.data[w+i] = 0
				}
			}
			offsets := m.bytes(12 * 8)
			for i := range 12 {
				*(*int64)(unsafe.Pointer(&m.data[offsets+8*i])) = int64(i/4*a.Row + min(i%4, 2)*16)
			}
			out := m.bytes((a.Rows-1)*a.OutRow + 16*a.Pixels)
			run := func(f func(a *IntDepthwise)) func(at func(int) unsafe.Pointer) {
				return func(at func(int) unsafe.Pointer) {
					b := a
					b.In, b.W, b.Start, b.Multiplier, b.Out, b.Taps = at(in), at(w), at(start), at(scales), at(out), at(offsets)
					f(&b)
				}
			}
			twin := func(a *IntDepthwise) {
				for y := range a.Rows {
					b := *a
					b.In, b.Out = unsafe.Add(a.In, y*stride*a.Row), unsafe.Add(a.Out, y*a.OutRow)
					b.compute()
				}
			}
			m.same(t, fmt.Sprintf("seed %d\n%+v", seed, a), run(func(a *IntDepthwise) {
				if !a.Compute3(unsafe.Pointer(new([192]int16))) {
					twin(a)
				}
			}), run(twin))
		}
	})
}

// TestIntTransforms compares the transforms of Winograd with their twins.
func TestIntTransforms(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(200) {
			m := &area{r: rand.New(rand.NewPCG(seed, 22))}
			r := m.r
			n := 1 + r.IntN(9)
			row, pos := 16*(4*n+2+r.IntN(3)), 64*((n+1)/2+r.IntN(2))
			in, out, scratch := m.bytes(6*row), m.bytes(36*pos), make([]int16, 6*(4*n+2)*16)
			m.same(t, fmt.Sprintf("seed %d, in", seed),
				func(at func(int) unsafe.Pointer) {
					IntTransformIn((*uint8)(at(in)), (*int16)(at(out)), row, pos, n, &scratch[0])
				},
				func(at func(int) unsafe.Pointer) { intTransformIn(at(in), at(out), row, pos, n) })

			outPix, quantised := 64, r.IntN(3) > 0
			if quantised {
				outPix = 16
			}
			a := IntTransformOut{PosStride: 64 * (n + r.IntN(3)), RowStride: outPix * (4*n + r.IntN(3)), Tiles: n, Zero: int16(r.IntN(256)), Lo: uint8(r.IntN(100)), Hi: uint8(100 + r.IntN(156))}
			in, out = m.bytes(36*a.PosStride), m.bytes(4*a.RowStride)
			start, scales := m.bytes(64), m.floats(multipliers(r, 16, 1<<31)...)
			run := func(f func(a *IntTransformOut)) func(at func(int) unsafe.Pointer) {
				return func(at func(int) unsafe.Pointer) {
					b := a
					b.In, b.Start, b.Out = at(in), at(start), at(out)
					if quantised {
						b.Multiplier = at(scales)
					}
					f(&b)
				}
			}
			m.same(t, fmt.Sprintf("seed %d, out\n%+v", seed, a), run((*IntTransformOut).Compute), run((*IntTransformOut).compute))
		}
	})
}

// TestIntWeights compares the transform of Winograd's weights with its twin.
func TestIntWeights(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(50) {
			m := &area{r: rand.New(rand.NewPCG(seed, 25))}
			width := pick(m.r, 16, 32)
			pitch := 16*width + 16*m.r.IntN(3)
			w, dst := m.bytes(9*16*width), m.bytes(2*(35*pitch+16*width))
			run := func(f func(w []int8, dst []int16, width, pitch int)) func(at func(int) unsafe.Pointer) {
				return func(at func(int) unsafe.Pointer) {
					f(unsafe.Slice((*int8)(at(w)), 9*16*width), unsafe.Slice((*int16)(at(dst)), 35*pitch+16*width), width, pitch)
				}
			}
			m.same(t, fmt.Sprintf("seed %d", seed), run(IntTransformWeights), run(intTransformWeights))
		}
	})
}

// TestIntRows compares the conversions of rows with their twins.
func TestIntRows(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(100) {
			m := &area{r: rand.New(rand.NewPCG(seed, 23))}
			n := 1 + m.r.IntN(20)
			src, words, sums := m.bytes(16*n), m.bytes(32*n), m.bytes(64*n)
			pixels, c, width := m.bytes(32*n+8), 1+m.r.IntN(4), pick(m.r, 16, 32)
			weights, wide, taps := m.bytes(4*n*width+192), m.bytes(8*n*width), m.bytes(384)
			scale, shift := m.floats(multipliers(m.r, 16, 1<<20)...), m.floats(random(m.r, 16)...)
			lo, hi := -inf, inf
			if m.r.IntN(2) == 0 {
				lo, hi = -1, 6
			}
			bytes := 16*n - m.r.IntN(16)
			run := func(at func(int) unsafe.Pointer) {
				IntWiden(unsafe.Slice((*int16)(at(words)), 16*n), unsafe.Slice((*uint8)(at(src)), bytes))
				IntWidenPixels(unsafe.Slice((*int16)(at(pixels)), 16*n+4), unsafe.Slice((*uint8)(at(src)), 16*n), c)
				clear(unsafe.Slice((*int16)(at(pixels)), 16*n+4)[4*n*c:]) // any value
				IntWidenWeights(unsafe.Slice((*int16)(at(wide)), 4*n*width), unsafe.Slice((*int8)(at(weights)), 4*n*width), width)
				(&IntDepthwise{W: at(weights)}).widen3(at(taps))
				IntFloats(unsafe.Slice((*float32)(at(sums)), 16*n), n, (*[16]float32)(at(scale)), (*[16]float32)(at(shift)), lo, hi)
			}
			m.same(t, fmt.Sprintf("seed %d", seed), run, func(at func(int) unsafe.Pointer) {
				defer Use(active)
				Use(&generic)
				run(at)
			})
		}
	})
}
