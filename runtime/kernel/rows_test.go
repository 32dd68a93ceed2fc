package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"modelc/runtime/internal/simd"
)

// TestVectorActivations compares the vector activations with float64, for many
// magnitudes and at the ends of the range.
func TestVectorActivations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	x := []float32{0, float32(math.Copysign(0, -1)), Inf32, -Inf32, NaN32, 0.625, -0.625, 88, -88, 104, -104, 1e30, -1e30, 1e-30, 1e-8}
	for range 20000 {
		x = append(x, float32(r.NormFloat64()*math.Exp(r.NormFloat64()*3)))
	}
	tiers(t, func(t *testing.T) {
		for _, c := range []struct {
			Act
			rel, abs float64 // bounds, relative to the value and to x
		}{
			{Act{Fn: ActTanh}, 4e-7, 0},
			{Act{Fn: ActSigmoid}, 4e-7, 0},
			{Act{Fn: ActExp}, 4e-7, 0},
			{Act{Fn: ActRelu}, 0, 0},
			{Act{Fn: ActClip, Alpha: -0.5, Beta: 6}, 0, 0},
			{Act{Fn: ActLeakyRelu, Alpha: 0.1}, 0, 0},
			{Act{Fn: ActHardSigmoid, Alpha: 0.2, Beta: 0.5}, 2e-7, 1e-8},
			{Act{Fn: ActHardSwish}, 2e-7, 1e-7}, // the rounding of 1/6
			{Act{Fn: ActSiLU, Alpha: 1}, 5e-7, 1e-38},
			{Act{Fn: ActSiLU, Alpha: 1.702}, 6e-6, 1e-38}, // the product is rounded before its exponential is taken
			{Act{Fn: ActGelu}, 0, 3e-7},                   // 1+erf loses digits below zero
		} {
			y := append([]float32(nil), x...)
			Apply(y, c.Act)
			for i, v := range x {
				if c.Fn == ActSiLU || c.Fn == ActHardSwish || c.Fn == ActGelu {
					if math.IsInf(float64(v), -1) {
						continue // −∞·0
					}
				}
				want := float64(float32(Eval(c.Fn, float64(v), float64(c.Alpha), float64(c.Beta))))
				got := float64(y[i])
				if math.IsNaN(want) != math.IsNaN(got) {
					t.Fatalf("%v(%g) is %g, want %g", c.Act, v, got, want)
				}
				if got != want && math.Abs(got-want) > c.rel*math.Abs(want)+c.abs*math.Abs(float64(v))+1e-38 {
					t.Fatalf("%v(%g) is %g, want %g", c.Act, v, got, want)
				}
			}
		}
	})
}

// Pools give the same results on every tier, up to rounding.
func TestPoolTiers(t *testing.T) {
	defer simd.Use(simd.Active())
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 9))
		k := Pool{Kind: pick(r, PoolMax, PoolAvg), KH: 1 + r.IntN(4), KW: 1 + r.IntN(4), SH: 1 + r.IntN(3), SW: 1 + r.IntN(3), DH: pick(r, 1, 1, 2), DW: pick(r, 1, 1, 2), CountPad: r.IntN(2) == 0}
		h, w := 3+r.IntN(12), 3+r.IntN(30)
		k.PadTop, k.PadLeft, k.PadBottom, k.PadRight = r.IntN(k.KH), r.IntN(k.KW), r.IntN(k.KH), r.IntN(k.KW)
		oh := (h+k.PadTop+k.PadBottom-(k.KH-1)*k.DH-1)/k.SH + 1
		ow := (w+k.PadLeft+k.PadRight-(k.KW-1)*k.DW-1)/k.SW + 1
		if h+k.PadTop+k.PadBottom < (k.KH-1)*k.DH+1 || w+k.PadLeft+k.PadRight < (k.KW-1)*k.DW+1 || oh < 1 || ow < 1 {
			continue
		}
		m := &memory{}
		k.Src = m.image(r, 2, 19, h, w, 1, 0, 1, 2, 0, true)
		k.Dst = m.image(r, 2, 19, oh, ow, 0, 1, 0, 0, 1, false)
		if r.IntN(3) == 0 {
			k.Scale, k.Shift, k.Pre = m.put(padded16(random(r, 19))), m.put(padded16(random(r, 19))), Act{Fn: ActRelu}
		}
		var want []float32
		for _, tier := range simd.Available() {
			simd.Use(tier)
			m.run(t, &k)
			got := m.slice(k.Dst.Ref)
			if tier.Name == "generic" {
				want = append(want, got...)
			}
			for i, v := range want {
				if math.Abs(float64(v-got[i])) > 1e-6*(1+math.Abs(float64(v))) {
					t.Fatalf("seed %d: float %d is %g, on %s %g\n%+v", seed, i, v, tier.Name, got[i], k)
				}
			}
		}
	}
}

// TestGlobalPool compares global pools with loops in float64, with rows that lie one
// behind another and with borders between them.
func TestGlobalPool(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(80) {
			r := rand.New(rand.NewPCG(seed, 11))
			k := GlobalPool{Kind: pick(r, PoolMax, PoolAvg)}
			h, w, border := 1+r.IntN(30), 1+r.IntN(30), r.IntN(2)
			m := &memory{}
			k.Src = m.image(r, 2, 19, h, w, 1, border, 1, 0, 0, true)
			k.Dst = m.image(r, 2, 19, 1, 1, 0, 1, 0, 0, 1, false)
			scale, shift := padded16(random(r, 19)), padded16(random(r, 19))
			before := r.IntN(2) == 0
			if before {
				for i := range shift {
					shift[i] += 4 // sums grow with every pixel
				}
				k.Scale, k.Shift, k.Pre = m.put(scale), m.put(shift), Act{Fn: ActRelu}
			}
			m.run(t, &k)
			for n := range 2 {
				for ch := range 19 {
					sum, top := 0.0, math.Inf(-1)
					for i := range h * w {
						v := m.at(&k.Src, n, ch, i/w, i%w)
						if before {
							v = max(0, v*float64(scale[ch])+float64(shift[ch]))
						}
						sum, top = sum+v, max(top, v)
					}
					want := top
					if k.Kind == PoolAvg {
						want = sum / float64(h*w)
					}
					if got := m.at(&k.Dst, n, ch, 0, 0); math.Abs(got-want) > 1.7e-7*(1+math.Abs(want)) {
						t.Fatalf("seed %d: channel %d of image %d is %g, want %g\n%+v", seed, ch, n, got, want, k)
					}
				}
			}
		}
	})
}

// TestRowKernels compares row kernels with their twins in Go.
func TestRowKernels(t *testing.T) {
	tiers(t, func(t *testing.T) {
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 11))
			n := 16 * r.IntN(14)
			m := &memory{}
			a, b, dst := m.put(random(r, n)), m.put(random(r, n+16)), m.alloc(n)
			if n > 0 && r.IntN(3) == 0 {
				m.slice(a)[r.IntN(n)] = NaN32
			}
			scale, shift := pick(r, nil, random(r, 16)), pick(r, nil, random(r, 16))
			act := pick(r, someActs...)
			mask := pick(r, 15, -1)
			fn := pick(r, BinAdd, BinSub, BinMul)
			for name, f := range map[string][2]func(){
				"affine": {
					func() { affineRow(m.slice(dst), m.slice(a), scale, shift, act) },
					func() { affineRowGo(m.slice(dst), m.slice(a), scale, shift, act) },
				},
				"binary": {
					func() { binaryRow(m.slice(dst), m.slice(a), m.slice(b), mask, fn, act) },
					func() { binaryRowGo(m.slice(dst), m.slice(a), m.slice(b), mask, fn, act) },
				},
			} {
				f[0]()
				got := append([]float32(nil), m.data...)
				f[1]()
				for i, want := range m.data {
					if g := got[i]; math.IsNaN(float64(want)) != math.IsNaN(float64(g)) || math.Abs(float64(want-g)) > 1e-5 {
						t.Fatalf("seed %d, %s: float %d is %g, want %g", seed, name, i, g, want)
					}
				}
			}
		}
	})
}
