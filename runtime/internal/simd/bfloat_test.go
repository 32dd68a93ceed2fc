package simd

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// pairsOf returns random pairs of bfloat16.
func pairsOf(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = math.Float32frombits(pairOf(float32(r.NormFloat64()), float32(r.NormFloat64())))
	}
	return v
}

// TestPairs requires that tiles of pairs have the same bits in assembly and in Go, for
// every number of pixels, also if they are computed in several calls.
func TestPairs(t *testing.T) {
	defer func(n int) { callBytes = n }(callBytes)
	tiers(t, func(t *testing.T) {
		for seed := range uint64(600) {
			callBytes = []int{1 << 20, 1, 5000}[seed%3]
			r := rand.New(rand.NewPCG(seed, 11))
			width := pick(r, 16, 32)
			a := NewTile(false)
			a.Pairs = true
			a.Pixels = 1 + int(seed/3)%active.TilePixels
			a.Blocks, a.Rows, a.Cols, a.Half = 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(3), r.IntN(2)
			a.Pix, a.ColStride = 64*(1+r.IntN(2)), 64*(1+r.IntN(2))
			a.RowStride = a.Pix*a.Pixels + a.ColStride*a.Cols
			a.BlockStride = a.RowStride * a.Rows
			a.OutPix, a.OutBlock = 64, 64*a.Pixels+64*r.IntN(3)
			m := &memory{}
			in, w := m.put(pairsOf(r, a.Blocks*a.BlockStride/4+16)), m.put(pairsOf(r, a.Blocks*a.Rows*a.Cols*16*width))
			bias := m.put(random(r, 32))
			out := m.alloc((a.OutBlock + a.OutPix*a.Pixels) / 4)
			run := func(f func(a *Tile, width int)) []float32 {
				data := append([]float32(nil), m.data...)
				b := a
				at := func(r place) unsafe.Pointer { return unsafe.Pointer(&data[r.Off/4]) }
				b.In, b.W, b.Out, b.Bias = at(in), at(w), at(out), at(bias)
				f(&b, width)
				return data
			}
			compute := (*Tile).Compute
			if seed%2 == 0 { // several tiles, rounded
				pixels := a.Pixels + r.IntN(10)
				if r.IntN(2) == 0 {
					a.Clamp, a.Lo, a.Hi = 1, 0, pick(r, 3, inf)
				}
				a.Pix, a.RowStride, a.BlockStride = 64, 64*(pixels+a.Cols*2), 64*(pixels+a.Cols*2)*a.Rows
				in, out, res := m.put(pairsOf(r, a.Blocks*a.BlockStride/4)), m.alloc(16*pixels), m.put(pairsOf(r, 16*pixels))
				residual := r.IntN(2) == 0
				compute = func(a *Tile, width int) {
					data := unsafe.Add(a.Bias, -bias.Off)
					a.In, a.Out = unsafe.Add(data, in.Off), unsafe.Add(data, out.Off)
					if residual {
						a.Res = unsafe.Add(data, res.Off)
					}
					a.RoundLine(width, pixels)
				}
			}
			got, tier := run(compute), active
			Use(&generic)
			want := run(compute)
			Use(tier)
			for i := range want {
				if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
					t.Fatalf("seed %d, %d pixels of %d channels: float %d is %g, want %g", seed, a.Pixels, width, i, got[i], want[i])
				}
			}
		}
	})
}

// TestNarrow compares conversions with those in Go, with ties, infinities, NaN and numbers
// that become infinite.
func TestNarrow(t *testing.T) {
	special := []uint32{0, 1 << 31, 0x7f800000, 0xff800000, 0x7f800001, 0xffc00000, 0x7fffffff, 0x7f7fffff, 0x3f808000, 0x3f818000, 0x3f808001, 0x00800000}
	tiers(t, func(t *testing.T) {
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 12))
			n := 16 * (1 + r.IntN(9))
			lower, upper, residual := random(r, n), random(r, n), make([]uint32, n)
			for i := range lower {
				if r.IntN(4) == 0 {
					lower[i] = math.Float32frombits(special[r.IntN(len(special))])
				}
				if r.IntN(4) == 0 {
					upper[i] = math.Float32frombits(special[r.IntN(len(special))])
				}
				residual[i] = pairOf(float32(r.NormFloat64()), float32(r.NormFloat64()))
			}
			if r.IntN(2) == 0 {
				residual = nil
			}
			lo, hi := -inf, inf
			if r.IntN(2) == 0 {
				lo, hi = 0, pick(r, 1, inf)
			}
			want, got := make([]uint32, n+16), make([]uint32, n+16)
			narrow(want[:n], lower, upper, residual, lo, hi)
			Narrow(got[:n], lower, upper, residual, lo, hi)
			for i := range want {
				if want[i] != got[i] {
					t.Fatalf("seed %d: pair %d of %x, %x is %x, want %x", seed, i, math.Float32bits(lower[i]), math.Float32bits(upper[i]), got[i], want[i])
				}
			}
			a, b := make([]float32, n+16), make([]float32, n+16)
			WidenPairs(a, b, got[:n])
			for i := range a {
				if math.Float32bits(a[i]) != got[i]<<16 || math.Float32bits(b[i]) != got[i]&upperHalf {
					t.Fatalf("seed %d: pair %d, %x, widens to %x and %x", seed, i, got[i], math.Float32bits(a[i]), math.Float32bits(b[i]))
				}
			}
		}
	})
}

// TestAddRows compares sums with those in float64, in one and in several calls.
func TestAddRows(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 13))
			n := pick(r, 4, 16, 100, rowsPerCall+4*r.IntN(9))
			x, w := random(r, n), make([]uint32, 16*n)
			for i := range w {
				w[i] = pairOf(float32(r.NormFloat64()), float32(r.NormFloat64()))
			}
			var got [32]float32
			copy(got[:], random(r, 32))
			var want [32]float64
			for o := range want {
				want[o] = float64(got[o])
				for i, v := range x {
					pair := w[16*i+o%16]
					want[o] += float64(v) * float64([2]float32{lowerOf(pair), upperOf(pair)}[o/16])
				}
			}
			AddRows(&got, x, w)
			for o, v := range got {
				if math.Abs(float64(v)-want[o]) > 1e-6*float64(n)+1e-5 {
					t.Fatalf("seed %d: sum %d of %d rows is %g, want %g", seed, o, n, v, want[o])
				}
			}
		}
	})
}
